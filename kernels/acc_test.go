package kernels

import (
	"math"
	"testing"
	"unsafe"
)

type accFunc func(acc []float32, ldAcc int, p []float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int)

type accCase struct {
	init      []float32 // rows*ldAcc
	p         []float32
	rows      int
	ld, ldP   int
	v         cache
	want, tol []float64
	accZone   []byte
	place     place
}

func (c *accCase) reference() {
	d := c.v.d
	c.want, c.tol = make([]float64, c.rows*d), make([]float64, c.rows*d)
	for r := range c.rows {
		for i := range d {
			x := float64(c.init[r*c.ld+i])
			c.want[r*d+i], c.tol[r*d+i] = x, math.Abs(x)
		}
	}
	row := make([]float64, d)
	for j := range c.v.n {
		for i := range row {
			row[i] = c.v.at(j, i)
		}
		for r := range c.rows {
			w := float64(c.p[r*c.ldP+j])
			want, tol := c.want[r*d:][:d], c.tol[r*d:][:d]
			for i, x := range row {
				want[i] += w * x
				tol[i] += math.Abs(w * x)
			}
		}
	}
	for i := range c.tol {
		c.tol[i] *= eps32 * float64(c.v.n+2)
	}
}

func (c *accCase) run(t *testing.T, name string, fn accFunc) {
	t.Helper()
	d := c.v.d
	acc := floatsIn(c.accZone, (c.rows-1)*c.ld+d, c.place)
	copy(acc, c.init)
	fn(acc, c.ld, c.p, c.ldP, c.rows, d, c.v.ptr(), uintptr(c.v.stride), c.v.n)
	for i, got := range acc {
		r, ch := i/c.ld, i%c.ld
		if ch >= d {
			if got != c.init[i] {
				t.Fatalf("%s: rows=%d d=%d n=%d: wrote to row %d channel %d", name, c.rows, d, c.v.n, r, ch)
			}
			continue
		}
		if want, tol := c.want[r*d+ch], c.tol[r*d+ch]; !matches(got, want, tol) {
			t.Fatalf("%s: rows=%d d=%d n=%d stride=%d: [%d][%d] = %g, want %g +- %g",
				name, c.rows, d, c.v.n, c.v.stride, r, ch, got, want, tol)
		}
	}
}

func TestAccF16(t *testing.T) {
	logISA(t)
	vZone := newZone(t, maxCacheBytes)
	pZone := newZone(t, 4*48*(maxTokens+8))
	accZone := newZone(t, 4*48*(256+8))
	for _, d := range testDims {
		for _, rows := range testRows {
			for n := 0; n <= maxTokens; n += tokenStep(n, rows, d) {
				rng := newRand(d, rows, n)
				c := accCase{rows: rows, accZone: accZone, place: place(rng.IntN(2) == 0)}
				c.ld, c.ldP = d+rng.IntN(8), n+rng.IntN(8)
				c.v = cacheIn(vZone, rng, d, n, c.place)
				c.v.fill(rng, rng.IntN(4) == 0)
				c.init = make([]float32, rows*c.ld)
				fillFloats(rng, c.init, 3)
				c.p = floatsIn(pZone, (rows-1)*c.ldP+n, c.place)
				fillFloats(rng, c.p, 1)
				c.reference()
				c.run(t, "AccF16", AccF16)
				if hasAVX2 {
					c.run(t, "generic", accF16Generic)
				}
			}
		}
	}
}

func TestStatsF16(t *testing.T) {
	logISA(t)
	type kernel struct {
		name          string
		sumsq, minmax func(a, b []float32, k unsafe.Pointer, stride uintptr, d, n int)
	}
	list := []kernel{{"dispatched", SumSqF16, MinMaxF16}, {"generic", sumSqF16Generic, minMaxF16Generic}}
	zone, aZone, bZone := newZone(t, maxCacheBytes), newZone(t, 4*256), newZone(t, 4*256)
	for _, d := range testDims {
		for n := 0; n <= maxTokens; n++ {
			rng := newRand(d, n)
			p := place(rng.IntN(2) == 0)
			k := cacheIn(zone, rng, d, n, p)
			k.fill(rng, rng.IntN(4) == 0)
			a, b := floatsIn(aZone, d, p), floatsIn(bZone, d, p)
			for _, fn := range list {
				for i := range d {
					a[i], b[i] = float32(i), -1
				}
				fn.sumsq(a, b, k.ptr(), uintptr(k.stride), d, n)
				for i := range d {
					s, abs, q := float64(i), float64(i), -1.0
					for j := range n {
						x := k.at(j, i)
						s, abs, q = s+x, abs+math.Abs(x), q+x*x
					}
					tol := eps32 * float64(n+2)
					if !matches(a[i], s, abs*tol) || !matches(b[i], q, (q+2)*tol) {
						t.Fatalf("%s SumSqF16: d=%d n=%d: [%d] = %g, %g, want %g, %g", fn.name, d, n, i, a[i], b[i], s, q)
					}
				}
				for i := range d {
					a[i], b[i] = 0.5, -0.5
				}
				fn.minmax(a, b, k.ptr(), uintptr(k.stride), d, n)
				for i := range d {
					lo, hi := 0.5, -0.5
					for j := range n {
						if x := k.at(j, i); !math.IsNaN(x) {
							lo, hi = min(lo, x), max(hi, x)
						}
					}
					if float64(a[i]) != lo || float64(b[i]) != hi {
						t.Fatalf("%s MinMaxF16: d=%d n=%d: [%d] = %g, %g, want %g, %g", fn.name, d, n, i, a[i], b[i], lo, hi)
					}
				}
			}
		}
	}
}
