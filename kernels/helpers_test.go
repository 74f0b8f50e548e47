package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

var (
	testDims = []int{8, 16, 24, 64, 72, 80, 96, 128, 192, 256}
	testRows = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 48}
)

const (
	maxTokens = 130
	eps32     = 0x1p-23
)

var (
	inf32 = float32(math.Inf(1))
	nan32 = float32(math.NaN())
)

// place says where in its zone a buffer lies: against the guard page behind
// it, or that before it.
type place bool

const (
	atStart place = false
	atEnd   place = true
)

func floatsIn(zone []byte, n int, p place) []float32 {
	if n == 0 {
		return nil
	}
	off := 0
	if p == atEnd {
		off = len(zone) - 4*n
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&zone[off])), n)
}

func halvesIn(zone []byte, n int, p place) []uint16 {
	if n == 0 {
		return nil
	}
	off := 0
	if p == atEnd {
		off = len(zone) - 2*n
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&zone[off])), n)
}

// cache is a test's K or V: n rows of d F16 values, stride bytes apart.
type cache struct {
	b      []byte
	stride int
	d, n   int
}

// cacheIn pads rows by an odd number of values at times, so that their
// addresses are misaligned in every way that 2-byte alignment allows.
func cacheIn(zone []byte, rng *rand.Rand, d, n int, p place) cache {
	c := cache{stride: 2 * d, d: d, n: n}
	switch rng.IntN(3) {
	case 0:
		c.stride += 2 * rng.IntN(20)
	case 1:
		c.stride += 2 * d
	}
	size := max(0, c.stride*(n-1)+2*d)
	if n == 0 {
		size = 0
	}
	off := 0
	if p == atEnd {
		off = len(zone) - size
	} else if rng.IntN(2) == 0 {
		off = 2 * rng.IntN(16)
	}
	c.b = zone[off : off+size]
	return c
}

const maxCacheBytes = maxTokens*4*256 + 64

func (c cache) ptr() unsafe.Pointer {
	if len(c.b) == 0 {
		return nil
	}
	return unsafe.Pointer(&c.b[0])
}

func (c cache) set(j, i int, h uint16) { binary.LittleEndian.PutUint16(c.b[j*c.stride+2*i:], h) }

func (c cache) at(j, i int) float64 {
	return decodeF16(binary.LittleEndian.Uint16(c.b[j*c.stride+2*i:]))
}

// fill draws values in (-4, 4); special adds subnormals, and Inf and NaN rarely
// enough that most results stay finite.
func (c cache) fill(rng *rand.Rand, special bool) {
	odds := c.d*min(c.n, 8) + 1
	for j := range c.n {
		for i := range c.d {
			h := uint16(rng.IntN(0x4400)) | uint16(rng.IntN(2))<<15
			if special {
				switch r := rng.IntN(3 * odds); {
				case r == 0:
					h = h&0x8000 | 0x7c00
				case r == 1:
					h |= 0x7c01
				case r&3 == 2:
					h &= 0x83ff
				}
			}
			c.set(j, i, h)
		}
	}
}

// decodeF16 follows the definition, independent of f16ToF32.
func decodeF16(h uint16) float64 {
	sign, e, m := 1-2*float64(h>>15), int(h>>10&31), float64(h&0x3ff)
	switch {
	case e == 31 && m != 0:
		return math.NaN()
	case e == 31:
		return math.Inf(int(sign))
	case e == 0:
		return math.Copysign(math.Ldexp(m, -24), sign)
	}
	return sign * math.Ldexp(1024+m, e-25)
}

func fillFloats(rng *rand.Rand, x []float32, scale float32) {
	for i := range x {
		x[i] = (2*rng.Float32() - 1) * scale
	}
}

// matches holds if got is want within tol, both NaN or the same infinity.
func matches(got float32, want, tol float64) bool {
	switch {
	case math.IsNaN(want):
		return got != got
	case math.IsInf(want, 0):
		return float64(got) == want
	}
	return math.Abs(float64(got)-want) <= tol
}

func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// ulps is the error of got in units in the last place of want, a positive
// normal number.
func ulps(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, e-24)
}

// logISA makes it plain what a test compared.
func logISA(t testing.TB) {
	if !hasAVX2 {
		t.Log("no assembly here: the generic kernels are compared to the float64 reference only")
	}
}

func newRand(seed ...int) *rand.Rand {
	var s uint64
	for _, v := range seed {
		s = s*1_000_003 + uint64(v)
	}
	return rand.New(rand.NewPCG(s, 1))
}
