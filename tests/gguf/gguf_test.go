package gguf

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHalf(t *testing.T) {
	for x, want := range map[float64]uint16{0: 0, 1: 0x3c00, -2: 0xc000, 0.5: 0x3800, 65504: 0x7bff,
		0.1:          0x2e66,
		1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, 2 - 1.0/4096: 0x4000, math.Ldexp(1, -24): 1,
		math.Ldexp(1, -15): 0x200, math.Ldexp(1, -14): 0x400} {
		require.Equal(t, want, half(x), "%v", x)
	}
}

// What is written can be found where the head says, and starts on a multiple of the alignment.
func TestWrite(t *testing.T) {
	f := New("llama")
	f.Set("block_count", 3)
	f.Set("tokenizer.ggml.tokens", []string{"a", "bc"})
	f.Tensor("one", F32, []int{3}, Values([]float32{1, 2, 3}))
	f.Tensor("two", Q8_0, []int{32, 2}, NewNoise(Q8_0, 1, rand.New(rand.NewPCG(1, 1))).Fill(64))
	require.EqualValues(t, 32+96, f.DataSize())
	var b bytes.Buffer
	var done []uint64
	require.NoError(t, f.Write(&b, func(n uint64) { done = append(done, n) }))
	require.Equal(t, []uint64{32, 128}, done)
	data := b.Bytes()
	require.Equal(t, "GGUF", string(data[:4]))
	require.EqualValues(t, 2, binary.LittleEndian.Uint64(data[8:]))
	require.EqualValues(t, 3, binary.LittleEndian.Uint64(data[16:]))
	require.Contains(t, string(data), "llama.block_count")
	require.Zero(t, len(data)%alignment)
	start := len(data) - 128
	require.EqualValues(t, math.Float32bits(2), binary.LittleEndian.Uint32(data[start+4:]))

	f.Tensor("short", F32, []int{4}, Values([]float32{1}))
	require.ErrorContains(t, f.Write(io.Discard, nil),
		"tensor short: 4 bytes were written, it has 16")
	require.Panics(t, func() { f.Tensor("odd", Q4_0, []int{33}, nil) })
}

// Elements have about the deviation that was asked for.
func TestNoise(t *testing.T) {
	for _, kind := range []Type{F16, Q8_0, Q4_0} {
		s := NewNoise(kind, 0.02, rand.New(rand.NewPCG(1, 2)))
		var b bytes.Buffer
		const n = 32 * (noiseBlocks + 100) // more than there is, once around
		require.NoError(t, s.Fill(n)(&b))
		require.Equal(t, kind.Size(n), b.Len())
		sum := 0.0
		for _, x := range decoded(kind, b.Bytes()) {
			sum += x * x
		}
		require.InEpsilon(t, 0.02, math.Sqrt(sum/n), 0.03, "%v", kind)
	}
}

func decoded(kind Type, data []byte) (values []float64) {
	elements, size := kind.block()
	for ; len(data) > 0; data = data[size:] {
		d := float(binary.LittleEndian.Uint16(data))
		switch kind {
		case F16:
			values = append(values, d)
		case Q8_0:
			for _, q := range data[2:size] {
				values = append(values, d*float64(int8(q)))
			}
		case Q4_0:
			for i := range elements / 2 {
				values = append(values, d*float64(int(data[2+i]&15)-8),
					d*float64(int(data[2+i]>>4)-8))
			}
		}
	}
	return values
}

// float is the value of a normal float16.
func float(h uint16) float64 {
	x := math.Ldexp(1+float64(h&0x3ff)/1024, int(h>>10&31)-15)
	if h&0x8000 != 0 {
		return -x
	}
	return x
}
