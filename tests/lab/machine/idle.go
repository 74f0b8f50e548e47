package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// Idle returns once this process has stopped using processor time: an OpenMP library lets its
// threads spin for a while, some for a fifth of a second, before they sleep, and something else is
// about to be measured.
func Idle() {
	const nap = 2 * time.Millisecond
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		before := processTime()
		time.Sleep(nap)
		if processTime()-before < nap/4 {
			return
		}
	}
}

func processTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
