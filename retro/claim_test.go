package retro

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who begins with an item begins with different ranges of it, and there are no more.
func TestOwners(t *testing.T) {
	for threads := 1; threads < 70; threads++ {
		for items := 1; items < 40; items++ {
			for item := range items {
				n, begin := owners(item, items, threads), map[int]bool{}
				require.LessOrEqual(t, n, mostOwners(item, threads))
				for ith := range threads {
					if ith*items/threads == item {
						require.False(t, begin[ith%n], "two threads own a range")
						begin[ith%n] = true
					}
				}
				if threads >= items {
					require.Len(t, begin, n, "item %d of %d, %d threads", item, items, threads)
				}
			}
		}
	}
}

// Threads take each part of a level once, whatever was taken of others, before or after it, and a
// late one takes nothing of a level that is over.
func TestOwnRange(t *testing.T) {
	const parts = 300
	var r ownRange
	for _, level := range []uint64{7, 8, 1000, 3, 1<<44 - 1, 1} {
		var taken [parts]atomic.Int32
		var left atomic.Int32
		left.Store(parts)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for part := r.take(level, parts, &left); part < parts; part = r.take(level, parts, &left) {
					taken[part].Add(1)
				}
			})
		}
		all.Wait()
		for i := range taken {
			require.EqualValues(t, 1, taken[i].Load(), "level %d, part %d", level, i)
		}
		var over atomic.Int32
		require.Equal(t, parts, r.take(level-1, parts, &over))
		require.Equal(t, parts, r.take(level, parts, &left))
	}
}
