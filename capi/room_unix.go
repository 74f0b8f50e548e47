//go:build unix

package main

import "syscall"

// reserve tells whether so many addresses are left.
func reserve(bytes uint64) error {
	probe, err := syscall.Mmap(-1, 0, int(bytes), syscall.PROT_NONE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return err
	}
	return syscall.Munmap(probe)
}
