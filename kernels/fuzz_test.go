package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// The fuzz targets take the shape, a seed for ordinary values and layout, and raw bytes
// that overwrite the rows in the order of the list, so that every pattern can occur.

func fuzzShape(typ, d, rows, n byte, seed uint64) shape {
	s := shape{typ: Types[int(typ)%len(Types)], rows: 1 + int(rows)%maxRows,
		n: int(n) % (maxTokens + 1)}
	s.d = 8 * (1 + int(d)%32)
	if s.typ.Quantised() {
		s.d = 32 * (1 + int(d)%8)
	}
	s.rng = rand.New(rand.NewPCG(seed, 2))
	s.p = place(seed&1 == 0)
	return s
}

func (c *testCache) overwrite(raw []byte) {
	for _, cell := range c.cells {
		raw = raw[copy(c.bytes(cell), raw):]
	}
}

func addSeeds(f *testing.F) {
	raw := make([]byte, 600)
	for i := range raw {
		raw[i] = byte(i * i >> 3)
	}
	for typ := range byte(len(Types)) {
		f.Add(typ, byte(7), byte(2), byte(16), uint64(1), []byte{0, 0x7c, 1, 0x7c, 1, 0})
		f.Add(typ, byte(0), byte(0), byte(1), uint64(2), []byte{})
		f.Add(typ, byte(9), byte(7), byte(35), uint64(3), []byte{0x80, 0x7f, 0xff, 0xff})
		f.Add(typ, byte(3), byte(23), byte(130), uint64(4), raw)
	}
}

func FuzzDot(f *testing.F) {
	addSeeds(f)
	m := newMemory(f)
	f.Fuzz(func(t *testing.T, typ, d, rows, n byte, seed uint64, raw []byte) {
		c := m.dotCase(fuzzShape(typ, d, rows, n, seed), plain)
		c.c.overwrite(raw)
		c.reference()
		levels(func() { c.check(t, m) })
		c.c.release()
	})
}

func FuzzAcc(f *testing.F) {
	addSeeds(f)
	m := newMemory(f)
	f.Fuzz(func(t *testing.T, typ, d, rows, n byte, seed uint64, raw []byte) {
		c := m.accCase(fuzzShape(typ, d, rows, n, seed), plain)
		c.c.overwrite(raw)
		c.reference()
		levels(func() { c.check(t, m) })
		c.c.release()
	})
}

func FuzzLoad(f *testing.F) {
	addSeeds(f)
	m := newMemory(f)
	f.Fuzz(func(t *testing.T, typ, d, rows, n byte, seed uint64, raw []byte) {
		s := fuzzShape(typ, d, rows, n, seed)
		c := m.cache(s)
		c.fill(s.rng, plain)
		c.overwrite(raw)
		levels(func() { checkLoad(t, m, s, c) })
		c.release()
	})
}

func FuzzAttendRows(f *testing.F) {
	addSeeds(f)
	m := newRowsMemory(f)
	f.Fuzz(func(t *testing.T, typ, d, rows, n byte, seed uint64, raw []byte) {
		s := fuzzShape(typ, d, rows, n, seed)
		c := &rowsCase{typeK: s.typ, typeV: Types[int(seed>>8)%len(Types)], dk: s.d, dv: s.d,
			rows: s.rows, n: s.n, rng: s.rng}
		if !c.allowed() {
			return
		}
		m.draw(c, plain)
		c.k.overwrite(raw)
		c.v.overwrite(raw)
		c.reference()
		levels(func() { c.check(t) })
		c.release()
	})
}

// fuzzFloats are all the float32 in raw.
func fuzzFloats(raw []byte) []float32 {
	x := make([]float32, min(len(raw), 4096)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return x
}

func FuzzSoftmaxRow(f *testing.F) {
	f.Add([]byte{0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0xff, 0, 0, 0x80, 0xff}, float32(-1))
	f.Add([]byte{}, -inf32)
	f.Add(make([]byte, 400), float32(80))
	zone := newZone(f, 4096)
	f.Fuzz(func(t *testing.T, raw []byte, oldMax float32) {
		x := fuzzFloats(raw)
		levels(func() {
			for _, p := range places {
				checkSoftmax(t, "fuzz", x, in[float32](zone, len(x), p), oldMax)
				checkExpSum(t, "fuzz", x, in[float32](zone, len(x), p), oldMax)
			}
		})
	})
}

func FuzzScan(f *testing.F) {
	f.Add(byte(7), byte(2), byte(16), uint64(1), []byte{0, 0, 0x80, 0x7f, 1, 2})
	f.Add(byte(0), byte(0), byte(1), uint64(2), []byte{})
	f.Add(byte(127), byte(23), byte(130), uint64(3), []byte{0xff, 0xff, 0xff, 0xff})
	tileZone, qZone, dstZone := scanZones(f)
	f.Fuzz(func(t *testing.T, d, rows, n byte, seed uint64, raw []byte) {
		rng := rand.New(rand.NewPCG(seed, 3))
		c := scanCase{d: 8 * (1 + int(d)%128), rows: 1 + int(rows)%maxScanRows,
			n: int(n) % (maxTokens + 1)}
		c.p, c.sign = place(seed&1 == 0), []Sign{Signed, Unsigned}[seed>>1&1]
		c.ld = max(1, c.n+rng.IntN(8))
		c.tiles = scanTiles(rng, tileZone, c.d, c.n, c.p)
		copy(c.tiles, raw)
		c.q = scanQueries(rng, qZone, c.rows, c.d, c.p)
		levels(func() { c.check(t, dstZone) })
	})
}

// FuzzTopK repeats the scores of raw, with a few others, so that they are enough for a guess.
func FuzzTopK(f *testing.F) {
	f.Add([]byte{0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0xff, 0, 0, 0x80, 0xff, 0, 0, 0, 0x80}, uint16(700),
		uint16(16), uint64(1))
	f.Add([]byte{}, uint16(0), uint16(0), uint64(2))
	f.Add(make([]byte, 32), uint16(3000), uint16(100), uint64(3))
	f.Fuzz(func(t *testing.T, raw []byte, n, k uint16, seed uint64) {
		x := make([]float32, n%4096)
		rng := rand.New(rand.NewPCG(seed, 4))
		fillFloats(rng, x, 1)
		if some := fuzzFloats(raw); len(some) > 0 {
			sprinkle(rng, x, 1+int(seed%4), some...)
		}
		ranked := ranking(x)
		levels(func() {
			checkTopK(t, "fuzz", x, ranked, make([]int32, int(k)%(len(x)+1)),
				make([]uint32, 2*len(x)))
		})
	})
}
