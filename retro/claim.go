package retro

import (
	"sync/atomic"

	"github.com/retroattn/retroattn/retro/options"
)

// job is the shared state of one layer within a step. There is one per layer so
// that nobody has to reset it while others may already be in it.
type job struct {
	claims   []claim      // per item
	unfilled atomic.Int32 // items whose tokens are not chosen yet
	_        [64]byte     // of the next layer's, which is not looked at
}

// claim is who does what of an item.
type claim struct {
	// Parts of each level of the selection, known when the one before is done: 0 until then. Threads
	// without work look at them all the time, so nothing that changes often may be near.
	parts [levels]atomic.Int32
	reuse bool // the groups that the token before had are taken
	_     [64]byte

	left   [levels]atomic.Int32 // parts not yet done; who takes them to 0 opens the next level
	next   atomic.Int32         // chunks claimed
	undone atomic.Int32         // chunks not yet done; who takes it to 0 merges
	merged atomic.Bool          // the output is written, and the item free for another layer
	chunks int32                // set when the tokens are chosen
	_      [64]byte
}

// reset readies a claim for a step.
func (c *claim) reset(parts int) {
	for i := range c.parts {
		c.parts[i].Store(0)
		c.left[i].Store(0)
	}
	c.open(0, parts)
	c.next.Store(0)
	c.undone.Store(0)
	c.chunks = 0
	c.merged.Store(false)
}

// open lets threads take parts of a level.
func (c *claim) open(level, parts int) {
	c.left[level].Store(int32(parts))
	c.parts[level].Store(int32(parts))
}

// owners is how many threads begin with an item: thread ith does with item ith*items/threads. Each
// owns a range of the parts of a level, the same ones in every layer, and takes others only when its
// own are taken: what it writes is in its own cache then, and threads do not wait for each other's
// counters.
func owners(item, items, threads int) int {
	first := (item*threads + items - 1) / items
	return max(1, ((item+1)*threads+items-1)/items-first)
}

// mostOwners is how many an item has at most.
func mostOwners(item, threads int) int { return threads/(item+1) + 1 }

// ownRange is how much is taken of an owner's range of the parts of a level: a number that no other
// level of any layer and step has, and below it how many parts. So nobody need reset it.
type ownRange struct {
	taken atomic.Uint64
	_     [56]byte
}

const (
	partBits = 20
	// They fit: of the smallest pages, and of candidates and what is near.
	_ = uint(1<<partBits - 1 - max(MaxCells/8/scanPart,
		MaxCells/codeTokens+MaxHeads*options.MaxWindow/nearRows))
)

// take takes one of n parts of a level, of which so many are not done. There is none to take where it
// is not below n.
func (r *ownRange) take(level uint64, n int, left *atomic.Int32) int {
	level <<= partBits
	for {
		v, next := r.taken.Load(), 0
		if v>>partBits<<partBits == level {
			next = int(v - level)
		} else if left.Load() == 0 { // it is over, and the range another level's already
			return n
		}
		if next >= n || r.taken.CompareAndSwap(v, level+uint64(next)+1) {
			return next
		}
	}
}
