package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// The fuzz targets take the shape, a seed for the ordinary values and raw bytes
// that overwrite the cache, so that every F16 pattern can occur.

type shape struct {
	d, rows, n int
	rng        *rand.Rand
	p          place
}

func fuzzShape(d, rows, n, flags uint8, seed uint64) shape {
	return shape{
		d:    8 * (1 + int(d)%32),
		rows: 1 + int(rows)%16,
		n:    int(n) % (maxTokens + 1),
		rng:  rand.New(rand.NewPCG(seed, 2)),
		p:    flags&1 == 0,
	}
}

func (s shape) cache(zone, raw []byte) cache {
	c := cacheIn(zone, s.rng, s.d, s.n, s.p)
	c.fill(s.rng, false)
	for i := 0; i+1 < len(raw) && i/2 < s.d*s.n; i += 2 {
		c.set(i/2/s.d, i/2%s.d, binary.LittleEndian.Uint16(raw[i:]))
	}
	return c
}

func addSeeds(f *testing.F) {
	f.Add(uint8(7), uint8(2), uint8(16), uint8(0), uint64(1), []byte{0, 0x7c, 1, 0x7c, 1, 0})
	f.Add(uint8(0), uint8(0), uint8(1), uint8(1), uint64(2), []byte{})
	f.Add(uint8(9), uint8(7), uint8(35), uint8(0), uint64(3), []byte{0xff, 0xff})
}

func FuzzDotF16(f *testing.F) {
	addSeeds(f)
	kZone, qZone, dstZone := newZone(f, maxCacheBytes), newZone(f, 4*16*256), newZone(f, 4*16*(maxTokens+8))
	f.Fuzz(func(t *testing.T, d, rows, n, flags uint8, seed uint64, raw []byte) {
		s := fuzzShape(d, rows, n, flags, seed)
		c := dotCase{rows: s.rows, k: s.cache(kZone, raw), dstZone: dstZone, p: s.p}
		c.ld = max(1, s.n+s.rng.IntN(8))
		c.q = floatsIn(qZone, s.rows*s.d, s.p)
		fillFloats(s.rng, c.q, 2)
		c.reference()
		c.run(t, "DotF16", DotF16)
		c.run(t, "generic", dotF16Generic)
	})
}

func FuzzAccF16(f *testing.F) {
	addSeeds(f)
	vZone, pZone, accZone := newZone(f, maxCacheBytes), newZone(f, 4*16*(maxTokens+8)), newZone(f, 4*16*(256+8))
	f.Fuzz(func(t *testing.T, d, rows, n, flags uint8, seed uint64, raw []byte) {
		s := fuzzShape(d, rows, n, flags, seed)
		c := accCase{rows: s.rows, v: s.cache(vZone, raw), accZone: accZone, place: s.p}
		c.ld, c.ldP = s.d+s.rng.IntN(8), s.n+s.rng.IntN(8)
		c.init = make([]float32, c.rows*c.ld)
		fillFloats(s.rng, c.init, 3)
		c.p = floatsIn(pZone, (s.rows-1)*c.ldP+s.n, s.p)
		fillFloats(s.rng, c.p, 1)
		c.reference()
		c.run(t, "AccF16", AccF16)
		c.run(t, "generic", accF16Generic)
	})
}

func FuzzSoftmaxRow(f *testing.F) {
	f.Add([]byte{0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0xff, 0, 0, 0x80, 0xff}, float32(-1))
	f.Add([]byte{}, float32(math.Inf(-1)))
	zone := newZone(f, 4096)
	f.Fuzz(func(t *testing.T, raw []byte, oldMax float32) {
		in := make([]float32, min(len(raw), 4096)/4)
		for i := range in {
			in[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		for _, p := range []place{atStart, atEnd} {
			checkSoftmax(t, "SoftmaxRow", SoftmaxRow, in, floatsIn(zone, len(in), p), oldMax)
			checkSoftmax(t, "generic", softmaxRowGeneric, in, floatsIn(zone, len(in), p), oldMax)
		}
	})
}
