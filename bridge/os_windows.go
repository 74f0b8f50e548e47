package bridge

import (
	"debug/pe"
	"slices"
	"strings"

	"golang.org/x/sys/windows"
)

// haveThreadID says whether log lines can be told apart by thread.
const haveThreadID = true

func threadID() int { return int(windows.GetCurrentThreadId()) }

// keepSIGURG: Go's scheduler on Windows needs no signal.
func keepSIGURG(load func() error) error { return load() }

const retroName = "libretroattn.dll"

// llamaNames are what Microsoft's compiler calls it, and gcc.
var llamaNames = []string{"llama.dll", "libllama.dll"}

// neededLibraries lists the libraries that a library links to.
func neededLibraries(path string) ([]string, error) {
	file, err := pe.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	symbols, err := file.ImportedSymbols() // ImportedLibraries is not implemented
	for i, s := range symbols {
		_, symbols[i], _ = strings.Cut(s, ":")
	}
	slices.Sort(symbols)
	return slices.Compact(symbols), err
}

// dlopen takes a full path. What the library links to is looked for beside it, beside the program
// and in the system's folder, never in the working directory or PATH.
func dlopen(path string) (uintptr, error) {
	handle, err := windows.LoadLibraryEx(path, 0,
		windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR|windows.LOAD_LIBRARY_SEARCH_DEFAULT_DIRS)
	return uintptr(handle), err
}

func dlsym(handle uintptr, name string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(handle), name)
}
