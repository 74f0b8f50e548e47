package main

import (
	"fmt"
	"runtime"

	"github.com/retroattn/retroattn/retro/failure"
)

const (
	spareBytes = 128 << 20 // what Go's heap takes beyond what it is asked for: it grows by 64 MiB
	// of a thread of Go's runtime, of which there are as many as of the host's
	stackBytes = 8 << 20
)

// room finds out whether a limit leaves so many addresses, since Go ends the process where they run
// out.
func room(bytes uint64) error {
	err := reserve(bytes + spareBytes)
	if err == nil {
		return nil
	}
	limit := "raise the limit of ulimit -v"
	if runtime.GOOS == "windows" {
		limit = "enlarge the paging file"
	}
	return fmt.Errorf("%d MiB of addresses are %w here (%v): %s, or choose fewer threads, a smaller window or a smaller context",
		(bytes+spareBytes)>>20, failure.Unsupported, err, limit)
}
