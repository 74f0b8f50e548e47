package speed

import (
	"encoding/binary"
	"errors"
)

// llama.cpp saves a sequence with the number of streams of its context, and loads it only where
// there are as many: one where sequences share all cells, which a deep cache is made in, and one
// for each sequence where it is measured.

var errState = errors.New("llama.cpp saves the sequences of this model in a way that is not " +
	"known here: measure it with --seqs 1")

// withStreams is the state of a sequence for a context of n streams, in parts: the other streams
// are empty. A state has a head of two numbers, then one or two caches, each of which counts its
// streams.
func withStreams(state []byte, n int) (parts [][]byte, err error) {
	if n == 1 {
		return [][]byte{state}, nil
	}
	const head = 8
	if len(state) <= head {
		return nil, errState
	}
	parts = append(parts, state[:head])
	for rest := state[head:]; len(rest) > 0; {
		r := reader{data: rest}
		if streams := r.number(); streams != 1 {
			return nil, errState
		}
		r.cache()
		if r.bad {
			return nil, errState
		}
		size := len(rest) - len(r.data)
		parts = append(parts, binary.NativeEndian.AppendUint32(nil, uint32(n)), rest[4:size],
			make([]byte, 4*(n-1)))
		rest = rest[size:]
	}
	return parts, nil
}

// reader skips what is in a state.
type reader struct {
	data []byte
	bad  bool // the data ended, or is not what was expected
}

func (r *reader) skip(n uint64) (skipped []byte) {
	if r.bad || n > uint64(len(r.data)) {
		r.bad = true
		return nil
	}
	skipped, r.data = r.data[:n], r.data[n:]
	return skipped
}

func (r *reader) number() uint32 {
	if b := r.skip(4); b != nil {
		return binary.NativeEndian.Uint32(b)
	}
	return 0
}

// cache skips one stream: of each cell its position and the sequence that it is of, then the keys
// of all layers, then their values.
func (r *reader) cache() {
	cells := r.number()
	if cells == 0 {
		return
	}
	for range cells {
		r.number() // position
		if sequences := r.number(); sequences != 1 {
			r.bad = true
			return
		}
		r.number()
	}
	if transposed := r.number(); transposed != 0 { // not with flash attention
		r.bad = true
	}
	for range 2 * min(r.number(), 1<<16) {
		r.number() // type
		row := r.skip(8)
		if r.bad || binary.NativeEndian.Uint64(row) > 1<<32 {
			r.bad = true
			return
		}
		r.skip(binary.NativeEndian.Uint64(row) * uint64(cells))
	}
}
