package kernels

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
)

const (
	maxTokens = 130
	maxRows   = 64
	eps32     = 0x1p-23 // twice the largest relative error of a rounding
	tiny32    = 0x1p-149
)

var (
	testDims = []int{8, 16, 24, 32, 64, 72, 80, 96, 128, 192, 256}
	testRows = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 24, 31, 48, maxRows}

	inf32 = float32(math.Inf(1))
	nan32 = float32(math.NaN())
	negZ  = float32(math.Copysign(0, -1))
)

// levels runs f at every level of this machine; generic is always one of them.
// Tests must not be parallel, since the level is a package variable.
func levels(f func()) {
	defer func(l isa) { level = l }(level)
	for _, level = range isas {
		f()
	}
}

// eachISA runs a subtest at every level.
func eachISA(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	levels(func() { t.Run(ISA(), f) })
}

// place says where in its zone a buffer lies: against the guard page behind
// it, or that before it.
type place bool

const (
	atStart place = false
	atEnd   place = true
)

var places = []place{atStart, atEnd}

// in makes n elements of a zone a slice.
func in[T byte | uint16 | int32 | uint32 | float32](zone []byte, n int, p place) []T {
	if n == 0 {
		return nil
	}
	var x T
	off := 0
	if p == atEnd {
		off = len(zone) - n*int(unsafe.Sizeof(x))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&zone[off])), n)
}

// shape is what a case of Dot, Acc or Load is drawn from.
type shape struct {
	typ        Type
	d, rows, n int
	p          place
	rng        *rand.Rand
}

// keep decides whether a case runs: all small ones do, of the large ones a
// sample that takes about the same time for every size.
func keep(rng *rand.Rand, work int) bool {
	budget := 25_000
	switch {
	case raceEnabled:
		budget = 250
	case testing.Short() && runtime.GOARCH != "amd64": // perhaps emulated
		budget = 1_000
	case testing.Short():
		budget = 2_500
	}
	return work <= budget || rng.IntN(work) < budget
}

// sweep runs f on shapes of every type, size and count. The work of a case is about
// (rows+fixed)*d*n.
func sweep(rowCounts []int, fixed int, f func(s shape)) {
	for _, typ := range Types {
		for _, d := range testDims {
			if rowSize(typ, d) == 0 {
				continue
			}
			for _, rows := range rowCounts {
				for n := range maxTokens + 1 {
					rng := newRand(int(typ), d, rows, n)
					if keep(rng, (rows+fixed)*d*n) {
						f(shape{typ, d, rows, n, place(rng.IntN(2) == 0), rng})
					}
				}
			}
		}
	}
}

func newRand(seed ...int) *rand.Rand {
	var s uint64
	for _, v := range seed {
		s = s*1_000_003 + uint64(v)
	}
	return rand.New(rand.NewPCG(s, 1))
}

func fillFloats(rng *rand.Rand, x []float32, scale float32) {
	for i := range x {
		x[i] = (2*rng.Float32() - 1) * scale
	}
}

// sprinkle replaces about one value in odds.
func sprinkle(rng *rand.Rand, x []float32, odds int, with ...float32) {
	for i := range x {
		if rng.IntN(odds) == 0 {
			x[i] = with[rng.IntN(len(with))]
		}
	}
}

// tolerance bounds the error of a sum whose terms have the magnitude abs in all, after
// depth roundings of each. Where float32 may overflow, anything goes.
func tolerance(abs float64, depth int) float64 {
	if abs > math.MaxFloat32/2 {
		return math.Inf(1)
	}
	return abs*eps32*float64(depth) + tiny32*float64(depth)
}

// magnitude leaves out what is not finite: an Inf or a NaN has no tolerance.
func magnitude(x float64) float64 {
	if x = math.Abs(x); x <= math.MaxFloat64 {
		return x
	}
	return 0
}

// matches holds if got is want within tol, both NaN or the same infinity.
func matches(got float32, want, tol float64) bool {
	switch {
	case math.IsNaN(want):
		return got != got
	case math.IsInf(tol, 1):
		return true
	case math.IsInf(want, 0):
		return float64(got) == want
	}
	return math.Abs(float64(got)-want) <= tol
}

// sameBits takes any NaN for any other.
func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// ulps is the error of got in units in the last place of want, a positive
// normal number.
func ulps(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, e-24)
}

const untouched = float32(-12345)

// clean fills a matrix with untouched.
func clean(x []float32) []float32 {
	for i := range x {
		x[i] = untouched
	}
	return x
}
