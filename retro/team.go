package retro

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// team is threads that meet after every phase in a spin, as those of ggml do.
type team struct {
	threads int
	phase   func(ith int) error
	next    atomic.Int64 // phases begun
	left    atomic.Int64 // threads that have not finished the phase
	stopped atomic.Bool
	failed  atomic.Pointer[error]
}

func newTeam(threads int) *team {
	t := &team{threads: threads}
	for ith := 1; ith < threads; ith++ {
		go func() {
			for seen := int64(0); ; seen++ {
				spin(func() bool { return t.next.Load() != seen || t.stopped.Load() })
				if t.stopped.Load() {
					return
				}
				t.work(ith)
			}
		}()
	}
	return t
}

// spin waits. It yields now and then, so that a garbage collection that one thread
// begins need not interrupt the others, which a host's signal handling may prevent.
func spin(done func() bool) {
	for i := 1; !done(); i++ {
		if i%4096 == 0 {
			runtime.Gosched()
		}
	}
}

// run lets every thread do the phase and waits for all.
func (t *team) run(phase func(ith int) error) error {
	t.phase = phase
	t.left.Store(int64(t.threads))
	t.next.Add(1)
	t.work(0)
	spin(func() bool { return t.left.Load() == 0 })
	if err := t.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// work is one thread's part. It reads memory that only the host vouches for: a fault
// is an error, not the end of the process.
func (t *team) work(ith int) {
	defer t.left.Add(-1)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			t.fail(fmt.Errorf("defect or fault in attention: %v", r))
		}
	}()
	if err := t.phase(ith); err != nil {
		t.fail(err)
	}
}

func (t *team) fail(err error) { t.failed.CompareAndSwap(nil, &err) }

func (t *team) stop() { t.stopped.Store(true) }
