package retro

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// A short sequence sets nothing aside. Behind its first blocks they are cut one after another from
// memory that huge pages fit in, and do not overlap.
func TestSlab(t *testing.T) {
	var s slab
	seen := map[*byte]bool{}
	for _, n := range []int{100, 368640, slabSize - 100 - 368640} {
		require.Len(t, s.take(n), n)
		require.Empty(t, s.free)
	}
	for i, n := range []int{100, 64, 368640, 1, 3 << 20, 368640, 5 << 20, 100} {
		free := len(s.free)
		b := s.take(n)
		require.Len(t, b, n)
		require.Equal(t, n, cap(b))
		if at := uintptr(unsafe.Pointer(&b[0])); free < n {
			require.Zero(t, at%hugePage, "block %d begins a slab", i)
		} else {
			require.Zero(t, at%64)
		}
		for j := range b {
			require.Zero(t, b[j])
			b[j] = byte(i + 1)
		}
		require.False(t, seen[&b[0]])
		seen[&b[0]] = true
	}
}
