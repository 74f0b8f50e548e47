package main

import "golang.org/x/sys/windows"

// reserve tells whether so much memory is left to commit, which is what Windows limits: by the
// paging file, or for a job.
func reserve(bytes uint64) error {
	probe, err := windows.VirtualAlloc(0, uintptr(bytes), windows.MEM_RESERVE|windows.MEM_COMMIT,
		windows.PAGE_READWRITE)
	if err != nil {
		return err
	}
	return windows.VirtualFree(probe, 0, windows.MEM_RELEASE)
}
