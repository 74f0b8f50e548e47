package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

type accCase struct {
	shape
	c         *testCache
	init      []float32 // of acc, gaps included
	w         []float32 // weights
	ld, ldP   int
	want, tol []float64 // [rows][d]
}

func (m memory) accCase(s shape, what content) *accCase {
	c := &accCase{shape: s, c: m.cache(s), ld: s.d + s.rng.IntN(8), ldP: s.n + s.rng.IntN(8)}
	c.c.fill(s.rng, what)
	c.init = make([]float32, (s.rows-1)*c.ld+s.d)
	fillFloats(s.rng, c.init, 3)
	c.w = in[float32](m.in, (s.rows-1)*c.ldP+s.n, s.p)
	weights(s.rng, c.w, s.rows)
	return c
}

// weights are those of a softmax, and others that need care when they are rounded.
func weights(rng *rand.Rand, p []float32, rows int) {
	fillFloats(rng, p, 1)
	switch rng.IntN(8) {
	case 0, 1, 2:
		for i := range p {
			p[i] = float32(math.Exp(-20 * rng.Float64()))
		}
	case 3:
		for i := range p {
			p[i] = 1
		}
	case 4:
		sprinkle(rng, p, 2, 0, negZ, 1, -1)
	case 5: // too small for an inverse
		fillFloats(rng, p, 1e-38)
		sprinkle(rng, p, 3, 1e-42, 0, tiny32, -1e-36)
	case 6:
		sprinkle(rng, p, 1+len(p)/rows, nan32, inf32, -inf32)
	}
}

func (c *accCase) reference() {
	d := c.d
	c.want, c.tol = make([]float64, c.rows*d), make([]float64, c.rows*d)
	abs := make([]float64, c.rows*d)
	for r := range c.rows {
		for i := range d {
			x := float64(c.init[r*c.ld+i])
			c.want[r*d+i], abs[r*d+i] = x, math.Abs(x)
		}
	}
	row := make([]float64, d)
	for j, cell := range c.c.cells {
		decode(c.typ, c.c.bytes(cell), row)
		for r := range c.rows {
			w := float64(c.w[r*c.ldP+j])
			want, abs := c.want[r*d:][:d], abs[r*d:][:d]
			for i, x := range row {
				want[i] += w * x
				abs[i] += magnitude(w * x)
			}
		}
	}
	for i := range c.tol {
		c.tol[i] = tolerance(abs[i], c.n+2)
	}
}

func (c *accCase) check(t *testing.T, m memory) {
	t.Helper()
	acc := in[float32](m.out, len(c.init), c.p)
	copy(acc, c.init)
	Acc(acc, c.ld, c.w, c.ldP, c.rows, &c.c.Cache, c.c.cells)
	for i, got := range acc {
		r, ch := i/c.ld, i%c.ld
		if ch >= c.d {
			if got != c.init[i] {
				t.Fatalf("%s %v rows=%d d=%d n=%d: wrote to row %d channel %d", ISA(), c.typ,
					c.rows, c.d, c.n, r, ch)
			}
			continue
		}
		if want, tol := c.want[r*c.d+ch], c.tol[r*c.d+ch]; !matches(got, want, tol) {
			t.Fatalf("%s %v rows=%d d=%d n=%d stride=%d: [%d][%d] = %g, want %g +- %g",
				ISA(), c.typ, c.rows, c.d, c.n, c.c.Stride, r, ch, got, want, tol)
		}
	}
}

func TestAcc(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		m := newMemory(t)
		sweep(testRows, 8, func(s shape) {
			c := m.accCase(s, drawContent(s.rng))
			c.reference()
			c.check(t, m)
			c.c.release()
		})
	})
}

// A row's result has the same bits whatever other rows there are, even rows of NaNs.
func TestAccBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		m := newMemory(t)
		sweepBits(func(s shape, what content) {
			c := m.accCase(s, what)
			r := s.rng.IntN(s.rows)
			sprinkle(s.rng, c.w[r*c.ldP:][:s.n], 3, nan32)
			whole := append([]float32(nil), c.init...)
			Acc(whole, c.ld, c.w, c.ldP, s.rows, &c.c.Cache, c.c.cells)
			for _, part := range subsets(s.rng, s.rows, s.n) {
				from := part.row * c.ld
				acc := append([]float32(nil), c.init[from:]...)
				Acc(acc, c.ld, c.w[part.row*c.ldP:], c.ldP, part.rows, &c.c.Cache, c.c.cells)
				for i, want := range whole[from:][:(part.rows-1)*c.ld+s.d] {
					if !sameBits(acc[i], want) {
						t.Fatalf("%v d=%d n=%d: row %d channel %d is %g among %d rows, %g among %d",
							s.typ, s.d, s.n, part.row+i/c.ld, i%c.ld, acc[i], part.rows, want,
							s.rows)
					}
				}
			}
			c.c.release()
		})
	})
}

// Conversion is exact. A quantised 0 may have either sign.
func TestLoad(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		m := newMemory(t)
		sweep([]int{1}, 0, func(s shape) {
			c := m.cache(s)
			c.fill(s.rng, drawContent(s.rng))
			checkLoad(t, m, s, c)
			c.release()
		})
	})
}

func checkLoad(t *testing.T, m memory, s shape, c *testCache) {
	t.Helper()
	dst := in[float32](m.out, s.n*s.d, s.p)
	Load(dst, &c.Cache, c.cells)
	want := make([]float64, s.d)
	for j, cell := range c.cells {
		decode(s.typ, c.bytes(cell), want)
		for i, w := range want {
			got := dst[j*s.d+i]
			if !sameBits(got, float32(w)) && !(s.typ.Quantised() && got == 0 && w == 0) {
				t.Fatalf("%s %v d=%d n=%d stride=%d: [%d][%d] = %g, want %g", ISA(), s.typ, s.d,
					s.n, c.Stride, j, i, got, w)
			}
		}
	}
}
