package gguf

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
)

// Noise is random elements around 0, made once and written again and again from changing places,
// since making some thousand million of them would take long.
type Noise struct {
	kind   Type
	data   []byte
	random *rand.Rand
}

// noiseBlocks is not a power of two, so that rows do not fall on the same elements.
const noiseBlocks = 1<<15 + 37

// NewNoise makes elements of a deviation.
func NewNoise(t Type, deviation float64, random *rand.Rand) *Noise {
	n, _ := t.block()
	blocks := noiseBlocks
	if n == 1 {
		blocks *= 32
	}
	var data []byte
	for range blocks {
		switch t {
		case F32:
			data = binary.LittleEndian.AppendUint32(data,
				math.Float32bits(float32(deviation*random.NormFloat64())))
		case F16:
			data = binary.LittleEndian.AppendUint16(data, half(deviation*random.NormFloat64()))
		case Q8_0:
			const spread = 40
			data = binary.LittleEndian.AppendUint16(data, half(deviation/spread))
			for range n {
				data = append(data, byte(int8(min(max(math.Round(spread*random.NormFloat64()),
					-127), 127))))
			}
		case Q4_0:
			const spread = 2.5 // of -8 to 7
			data = binary.LittleEndian.AppendUint16(data, half(deviation/spread))
			nibble := func() byte {
				return byte(min(max(math.Round(8+spread*random.NormFloat64()),
					0), 15))
			}
			for range n / 2 {
				data = append(data, nibble()|nibble()<<4)
			}
		}
	}
	return &Noise{t, data, random}
}

// Fill returns what writes so many elements, which must be whole blocks.
func (s *Noise) Fill(elements int) func(io.Writer) error {
	return func(w io.Writer) error {
		_, bytes := s.kind.block()
		at := s.random.IntN(len(s.data)/bytes) * bytes
		for left := s.kind.Size(elements); left > 0; {
			part := s.data[at:min(len(s.data), at+left)]
			if _, err := w.Write(part); err != nil {
				return err
			}
			left, at = left-len(part), 0
		}
		return nil
	}
}

// Values returns what writes these elements, as F32.
func Values(values []float32) func(io.Writer) error {
	return func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, values) }
}

// half is the nearest float16, for numbers that have one.
func half(x float64) uint16 {
	sign := uint16(0)
	if math.Signbit(x) {
		sign, x = 0x8000, -x
	}
	if x == 0 {
		return sign
	}
	exponent := max(math.Ilogb(x), -14)
	// Rounding up to the next power of two carries into the exponent, as it should.
	mantissa := math.RoundToEven(math.Ldexp(x, 10-exponent))
	bits := uint16(mantissa)
	if mantissa >= 1024 {
		bits = uint16(exponent+15)<<10 + uint16(mantissa-1024)
	}
	return sign | bits
}
