package retro

import (
	"sync/atomic"

	"github.com/retroattn/retroattn/retro/stats"
)

// Stats returns the counters; between steps only.
func (e *Engine) Stats() stats.Stats { return e.stats }

// counter is added to by several threads in a step.
type counter struct{ v atomic.Uint64 }

func (c *counter) add(n uint64)   { c.v.Add(n) }
func (c *counter) load() uint64   { return c.v.Load() }
func (c *counter) store(n uint64) { c.v.Store(n) }

// mark is raised by several threads in a step. It is not an atomic.Bool so that
// its owner can be reset by assignment between steps.
type mark struct{ v uint32 }

func (f *mark) set() {
	if atomic.LoadUint32(&f.v) == 0 {
		atomic.StoreUint32(&f.v, 1)
	}
}
func (f *mark) isSet() bool { return atomic.LoadUint32(&f.v) != 0 }
