package llama

import "golang.org/x/sys/windows"

func dlopen(path string) (uintptr, error) {
	handle, err := windows.LoadLibrary(path)
	return uintptr(handle), err
}
