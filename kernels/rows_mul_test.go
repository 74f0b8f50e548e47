package kernels

import (
	"math"
	"testing"
)

// mul writes n columns and no more, and adds the terms of a row in their order.
func TestMul(t *testing.T) {
	rng := newRand(5)
	zones := [3][]byte{newZone(t, 4*maxAttendRows*64), newZone(t, 4*maxAttendRows*150),
		newZone(t, 4*150*panel)}
	for m := 1; m <= maxAttendRows; m++ {
		for _, n := range []int{8, 16, 24, 32} {
			for _, k := range []int{1, 2, 3, 4, 5, 7, 8, 64, 127, 130} {
				if !keep(rng, m*n*k) {
					continue
				}
				p, ldc, lda := place(rng.IntN(2) == 0), n+rng.IntN(9), k+rng.IntN(9)
				c, a, b := in[float32](zones[0], (m-1)*ldc+n, p),
					in[float32](zones[1], (m-1)*lda+k, p), in[float32](zones[2], k*panel, p)
				fillFloats(rng, a, 1)
				fillFloats(rng, b, 1)
				for _, add := range []bool{false, true} {
					checkMul(t, c, ldc, a, lda, b, m, n, k, add)
				}
			}
		}
	}
}

func checkMul(t *testing.T, c []float32, ldc int, a []float32, lda int, b []float32, m, n, k int,
	add bool) {
	t.Helper()
	levels(func() {
		clean(c)
		mul(c, ldc, a, lda, b, m, n, k, add)
		for i := range c {
			row, col := i/ldc, i%ldc
			want, abs := 0.0, 0.0
			if add || col >= n {
				want, abs = float64(untouched), -float64(untouched)
			}
			if col < n {
				for l := range k {
					x := float64(a[row*lda+l]) * float64(b[l*panel+col])
					want, abs = want+x, abs+math.Abs(x)
				}
			} else {
				abs = 0
			}
			if !matches(c[i], want, tolerance(abs, k)) {
				t.Fatalf("%s m=%d n=%d k=%d add=%v: [%d][%d] = %g, want %g", ISA(), m, n, k, add,
					row, col, c[i], want)
			}
		}
	})
}

// turn is exact, and may leave anything beside its cells.
func TestTurn(t *testing.T) {
	m := newMemory(t)
	buf := make([]float32, lane*256)
	for _, typ := range Types {
		for _, d := range testDims {
			for n := 1; n <= lane && rowSize(typ, d) > 0; n++ {
				s := shape{typ, d, 1, n, place(n%2 == 0), newRand(int(typ), d, n)}
				c := m.cache(s)
				c.fill(s.rng, special)
				want := make([]float64, d)
				levels(func() {
					dst := clean(in[float32](m.out, (d-1)*panel+lane, s.p))
					turn(dst, &c.Cache, c.cells, buf)
					for j, cell := range c.cells {
						decode(typ, c.bytes(cell), want)
						for i, w := range want {
							if got := dst[i*panel+j]; !sameBits(got, float32(w)) &&
								!(typ.Quantised() && got == 0 && w == 0) {
								t.Fatalf("%s %v d=%d n=%d: cell %d channel %d is %g, want %g",
									ISA(), typ, d, n, j, i, got, w)
							}
						}
					}
				})
				c.release()
			}
		}
	}
}
