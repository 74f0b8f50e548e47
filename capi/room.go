package main

import (
	"fmt"
	"syscall"

	"retroattn/retro/failure"
)

const (
	spareBytes = 128 << 20 // what Go's heap takes beyond what it is asked for: it grows by 64 MiB
	stackBytes = 8 << 20   // of a thread of Go's runtime, of which there are as many as of the host's
)

// room finds out whether a limit leaves so many addresses, since Go ends the process where they run out.
func room(bytes uint64) error {
	probe, err := syscall.Mmap(-1, 0, int(bytes+spareBytes), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return fmt.Errorf("%d MiB of addresses are %w here (%v): raise the limit of ulimit -v, or choose fewer threads, a smaller window or a smaller context",
			(bytes+spareBytes)>>20, failure.Unsupported, err)
	}
	return syscall.Munmap(probe)
}
