package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// team is a number of threads that work together. Between pieces of work they sleep, so that they
// do not disturb what is measured in turns with them; within one they meet in a spin, as ggml's do.
type team struct {
	n    int
	work []chan func(ith int)
	done sync.WaitGroup

	_       [64]byte
	arrived atomic.Int32
	_       [64]byte
	phase   atomic.Int32
}

// newTeam starts n-1 threads; member 0 is whoever calls do, and should be locked to its thread,
// too.
func newTeam(n int) *team {
	t := &team{n: n}
	for i := 1; i < n; i++ {
		work := make(chan func(int))
		t.work = append(t.work, work)
		go func() {
			runtime.LockOSThread()
			for f := range work {
				f(i)
				t.done.Done()
			}
		}()
	}
	return t
}

func (t *team) close() {
	for _, w := range t.work {
		close(w)
	}
}

// do calls f once on each thread.
func (t *team) do(f func(ith int)) {
	t.done.Add(t.n - 1)
	for _, w := range t.work {
		w <- f
	}
	f(0)
	t.done.Wait()
}

// wait returns once all members have called it.
func (t *team) wait() {
	phase := t.phase.Load()
	if t.arrived.Add(1) == int32(t.n) {
		t.arrived.Store(0)
		t.phase.Add(1)
		return
	}
	for spins := 0; t.phase.Load() == phase; spins++ {
		if spins > 1<<14 { // somebody lost the processor: perhaps to us
			runtime.Gosched()
			spins = 0
		}
	}
}
