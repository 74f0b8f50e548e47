package speed

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// saved is a state as llama.cpp writes it, of a number of cells in each cache.
func saved(streams uint32, caches ...uint32) []byte {
	var b bytes.Buffer
	put := func(v ...any) {
		for _, x := range v {
			binary.Write(&b, binary.NativeEndian, x)
		}
	}
	put(uint32(77), int32(0))
	for _, cells := range caches {
		put(streams, cells)
		if cells > 0 {
			for i := range cells {
				put(i, uint32(1), int32(0))
			}
			put(uint32(0), uint32(2))
			for range 4 { // keys and values of two layers
				put(int32(1), uint64(6), make([]byte, 6*cells))
			}
		}
		put(make([]uint32, streams-1))
	}
	return b.Bytes()
}

func TestWithStreams(t *testing.T) {
	for _, caches := range [][]uint32{{5}, {5, 3}, {5, 0}} {
		state := saved(1, caches...)
		parts, err := withStreams(state, 1)
		require.NoError(t, err)
		require.Equal(t, state, slices.Concat(parts...))
		parts, err = withStreams(state, 4)
		require.NoError(t, err)
		require.Equal(t, saved(4, caches...), slices.Concat(parts...))
		for _, damaged := range [][]byte{state[:len(state)-1], state[:8], nil,
			append(slices.Clone(state), 0), saved(2, caches...)} {
			_, err := withStreams(damaged, 4)
			require.ErrorIs(t, err, errState)
		}
	}
}
