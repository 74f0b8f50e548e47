package kernels

import (
	"math"
	"testing"
	"unsafe"
)

type dotFunc func(dst []float32, ldDst int, q []float32, rows, d int, k unsafe.Pointer, stride uintptr, n int)

type dotCase struct {
	q       []float32
	rows    int
	k       cache
	ld      int
	want    []float64
	tol     []float64
	dstZone []byte
	p       place
}

func (c *dotCase) reference() {
	c.want, c.tol = make([]float64, c.rows*c.k.n), make([]float64, c.rows*c.k.n)
	row := make([]float64, c.k.d)
	for j := range c.k.n {
		for i := range row {
			row[i] = c.k.at(j, i)
		}
		for r := range c.rows {
			s, abs := 0.0, 0.0
			for i, x := range row {
				v := float64(c.q[r*c.k.d+i]) * x
				s += v
				abs += math.Abs(v)
			}
			// One rounding per step of the longest chain and of the sum tree.
			c.want[r*c.k.n+j], c.tol[r*c.k.n+j] = s, abs*eps32*float64(c.k.d/4+8)
		}
	}
}

// run checks the results and that the gaps between the rows of dst survive.
func (c *dotCase) run(t *testing.T, name string, fn dotFunc) {
	t.Helper()
	const untouched = -12345
	n := c.k.n
	dst := floatsIn(c.dstZone, (c.rows-1)*c.ld+n, c.p)
	for i := range dst {
		dst[i] = untouched
	}
	fn(dst, c.ld, c.q, c.rows, c.k.d, c.k.ptr(), uintptr(c.k.stride), n)
	for i, got := range dst {
		r, j := i/c.ld, i%c.ld
		if j >= n {
			if got != untouched {
				t.Fatalf("%s: rows=%d d=%d n=%d: wrote to row %d column %d", name, c.rows, c.k.d, n, r, j)
			}
			continue
		}
		if want, tol := c.want[r*n+j], c.tol[r*n+j]; !matches(got, want, tol) {
			t.Fatalf("%s: rows=%d d=%d n=%d stride=%d: [%d][%d] = %g, want %g +- %g",
				name, c.rows, c.k.d, n, c.k.stride, r, j, got, want, tol)
		}
	}
}

func TestDotF16(t *testing.T) {
	logISA(t)
	kZone := newZone(t, maxCacheBytes)
	qZone := newZone(t, 4*48*256)
	dstZone := newZone(t, 4*48*(maxTokens+8))
	for _, d := range testDims {
		for _, rows := range testRows {
			for n := 0; n <= maxTokens; n += tokenStep(n, rows, d) {
				rng := newRand(d, rows, n)
				p := place(rng.IntN(2) == 0)
				c := dotCase{rows: rows, dstZone: dstZone, p: p, ld: n + rng.IntN(8)}
				c.ld = max(c.ld, 1)
				c.k = cacheIn(kZone, rng, d, n, p)
				c.k.fill(rng, rng.IntN(4) == 0)
				c.q = floatsIn(qZone, rows*d, p)
				fillFloats(rng, c.q, 2)
				c.reference()
				c.run(t, "DotF16", DotF16)
				if hasAVX2 {
					c.run(t, "generic", dotF16Generic)
				}
			}
		}
	}
}

// tokenStep visits every n for the common shapes and samples the rest, to keep
// the test within seconds.
func tokenStep(n, rows, d int) int {
	if raceEnabled {
		return 1 + (n+rows+d)%23
	}
	if rows <= 9 && (d <= 24 || d == 64 || d == 128) || n < 20 {
		return 1
	}
	return 1 + (n+rows+d)%7
}

// An F16 subnormal must not be flushed, nor an Inf turn into a large number.
func TestDotF16Special(t *testing.T) {
	for _, tc := range []struct {
		h    uint16
		q    float32
		want float32
	}{
		{0x0001, 1 << 24, 1},
		{0x83ff, 1 << 14, -1023.0 / 1024},
		{0x7c00, 1, inf32},
		{0xfc00, 1, -inf32},
		{0x7c00, 0, nan32},
		{0x7e00, 0, nan32},
		{0x7bff, 1, 65504},
	} {
		for n := 1; n <= 9; n++ {
			for rows := 1; rows <= 4; rows++ {
				k, q, dst := make([]uint16, 8*n), make([]float32, 8*rows), make([]float32, rows*n)
				for j := range n {
					k[8*j+5] = tc.h
				}
				for r := range rows {
					q[8*r+5] = tc.q
				}
				DotF16(dst, n, q, rows, 8, unsafe.Pointer(&k[0]), 16, n)
				for i, got := range dst {
					if !sameBits(got, tc.want) {
						t.Fatalf("%#x * %g, rows=%d n=%d: [%d] = %g, want %g", tc.h, tc.q, rows, n, i, got, tc.want)
					}
				}
			}
		}
	}
}
