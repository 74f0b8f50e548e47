package kernels

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// halvesLevels runs f at the levels that have these kernels, one of which is their definition.
func halvesLevels(f func()) {
	levels(func() {
		if level == isaGeneric || level == isaAMX {
			if level == isaAMX {
				var was tileConfig
				useTiles(&was)
				defer giveBack(&was)
			}
			f()
		}
	})
}

// Both parts of a float are as close as a bf16 can be; all levels make the same bits, and write no
// more. What is too little for two parts has one.
func TestHalve(t *testing.T) {
	rng := newRand(11)
	zones := [2][]byte{newZone(t, 4*9*200), newZone(t, 4*9*200)}
	for rows := 1; rows <= 9; rows++ {
		for _, n := range []int{32, 64, 128} {
			p, ldSrc, ldDst := place(rng.IntN(2) == 0), n+rng.IntN(50), n+rng.IntN(50)
			src, dst := in[float32](zones[0], (rows-1)*ldSrc+n, p),
				in[float32](zones[1], (rows-1)*ldDst+n, p)
			for i := range src {
				src[i] = float32(math.Ldexp(2*rng.Float64()-1, rng.IntN(140)-130))
			}
			src[rng.IntN(n)] = 0
			for i, x := range []float32{nan32, math.Float32frombits(0xffffffff), inf32} {
				if n > 32 {
					src[i*7] = x
				}
			}
			want := clean(append([]float32(nil), dst...))
			halveGeneric(want, ldDst, src, ldSrc, n, rows)
			halvesLevels(func() {
				halve(clean(dst), ldDst, src, ldSrc, n, rows)
				for i := range dst {
					if !sameBits(dst[i], want[i]) {
						t.Fatalf("%s rows=%d n=%d: [%d][%d] is %x, want %x", ISA(), rows, n, i/ldDst,
							i%ldDst, math.Float32bits(dst[i]), math.Float32bits(want[i]))
					}
				}
			})
			joined := make([]float32, n)
			join(joined, dst[:n])
			for i, x := range src[:n] {
				if !finite(float64(x)) {
					require.False(t, finite(float64(joined[i])), "%g", x)
					continue
				}
				bound := math.Abs(float64(x)) * 0x1p-16
				if math.Abs(float64(x)) < 0x1p-62 {
					bound = math.Abs(float64(x))*0x1p-8 + 0x1p-134
				}
				require.InDelta(t, x, joined[i], bound)
			}
		}
	}
}

// In place it is the same.
func TestHalveInPlace(t *testing.T) {
	x := make([]float32, 3*ldTile)
	fillFloats(newRand(12), x, 3)
	want := append([]float32(nil), x...)
	halveGeneric(want, ldTile, x, ldTile, tileCells, 3)
	halvesLevels(func() {
		got := append([]float32(nil), x...)
		halve(got, ldTile, got, ldTile, tileCells, 3)
		for i := range got {
			require.True(t, sameBits(got[i], want[i]), "%s: %d", ISA(), i)
		}
	})
}

// Each two rows of a panel are as two bf16 side by side, of which numbers of an F16 or BF16 cache
// lose nothing.
func TestHalvePairs(t *testing.T) {
	rng := newRand(13)
	zone := newZone(t, 4*panel*128)
	for rows := 2; rows <= 128; rows += 2 {
		x := in[float32](zone, rows*panel, rows%4 == 0)
		was := make([]float32, len(x))
		for i := range was {
			was[i] = f16ToF32(uint16(rng.IntN(0x7c00) | rng.IntN(2)<<15))
		}
		was[0], was[1] = inf32, -inf32
		was[panel+2] = nan32
		want := append([]float32(nil), was...)
		halvePairsGeneric(want, rows)
		halvesLevels(func() {
			copy(x, was)
			halvePairs(x, rows)
			for i := range x {
				a, b := bf16s(x[i:i+1]), bf16s(want[i:i+1])
				for h := range a {
					f, g := bf16ToF32(a[h]), bf16ToF32(b[h])
					if f != g && (f == f || g == g) {
						t.Fatalf("%s rows=%d: half %d of %d is %g, want %g", ISA(), rows, h, i, f, g)
					}
				}
			}
			for i, w := range was {
				r, c := i/panel, i%panel
				first, rest := bf16s(x[r&^1*panel:]), bf16s(x[(r|1)*panel:])
				got := bf16ToF32(first[2*c+r%2])
				if finite(float64(w)) {
					got += bf16ToF32(rest[2*c+r%2])
				}
				if got != w && w == w {
					t.Fatalf("%s rows=%d: [%d][%d] is %g, want %g", ISA(), rows, r, c, got, w)
				}
			}
		})
	}
}

// Tiles that a host has configured for its thread are as they were after AttendRows.
func TestTilesGivenBack(t *testing.T) {
	m := newRowsMemory(t)
	c := &rowsCase{typeK: F16, typeV: F16, dk: 64, dv: 64, rows: 20, n: 50, rng: newRand(3)}
	m.draw(c, plain)
	halvesLevels(func() { // which are configured
		x := make([]float32, panel*panel)
		c.start()
		AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
		mulHalves(x, panel, x, panel, x, tileRows, panel, false) // or an illegal instruction
	})
}

// A query that is not finite has the logits that floats have, and others have what they had.
func TestWildQueries(t *testing.T) {
	m := newRowsMemory(t)
	c := &rowsCase{typeK: F16, typeV: F16, dk: 64, dv: 64, rows: 40, n: 70, rng: newRand(5)}
	m.draw(c, plain)
	c.r.From, c.r.Upto = nil, nil
	levels(func() {
		c.start()
		AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
		want := append([]float32(nil), c.r.Acc...)
		for _, odd := range []float32{math.Float32frombits(0xffffffff), nan32, inf32} {
			was := c.r.Q[3*c.r.LdQ]
			c.r.Q[3*c.r.LdQ] = odd
			c.start()
			AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
			c.r.Q[3*c.r.LdQ] = was
			for i, x := range c.r.Acc {
				if row := i / c.dv; row == 3 {
					require.False(t, finite(float64(x)), "%s: %g makes %g", ISA(), odd, x)
				} else {
					require.True(t, sameBits(x, want[i]), "%s: row %d", ISA(), row)
				}
			}
		}
	})
}

// mulHalves is near to what mul makes of the same numbers, writes no more than its rows and columns,
// and a row depends on no other.
func TestMulHalves(t *testing.T) {
	rng := newRand(14)
	const most = 70
	zone := newZone(t, 4*most*150)
	for m := 1; m <= most; m++ {
		for _, k := range []int{32, 64, 128} {
			p, ldc, lda := place(rng.IntN(2) == 0), panel+rng.IntN(9), k+16
			c := in[float32](zone, (m-1)*ldc+panel, p)
			a, b := make([]float32, (m+tileRows)*lda), make([]float32, k*panel)
			fillFloats(rng, a[:m*lda], 1)
			fillFloats(rng, b, 1)
			halved, pairs := append([]float32(nil), a...), append([]float32(nil), b...)
			halveGeneric(halved, lda, a, lda, k, m)
			halvePairsGeneric(pairs, k)
			for _, add := range []bool{false, true} {
				halvesLevels(func() {
					clean(c)
					mulHalves(c, ldc, halved, lda, pairs, m, k, add)
					checkHalves(t, c, ldc, a, lda, b, m, k, add)
					last := clean(make([]float32, panel))
					mulHalves(last, panel, halved[(m-1)*lda:], lda, pairs, 1, k, add)
					for j, x := range last {
						require.True(t, sameBits(x, c[(m-1)*ldc+j]), "%s m=%d: alone", ISA(), m)
					}
				})
			}
		}
	}
}

func checkHalves(t *testing.T, c []float32, ldc int, a []float32, lda int, b []float32, m, k int,
	add bool) {
	t.Helper()
	for i := range c {
		row, col := i/ldc, i%ldc
		want, abs := 0.0, 0.0
		if add || col >= panel {
			want = float64(untouched)
		}
		for l := 0; l < k && col < panel; l++ {
			x := float64(a[row*lda+l]) * float64(b[l*panel+col])
			want, abs = want+x, abs+math.Abs(x)
		}
		if abs += math.Abs(want); col >= panel {
			abs = 0
		}
		if math.Abs(float64(c[i])-want) > abs*halvesError {
			t.Fatalf("%s m=%d k=%d add=%v: [%d][%d] = %g, want %g", ISA(), m, k, add, row, col, c[i],
				want)
		}
	}
}
