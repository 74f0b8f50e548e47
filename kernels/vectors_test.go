package kernels

import (
	"math"
	"testing"
)

// eachLength runs f on buffers of all lengths against either guard page.
func eachLength(t *testing.T, f func(t *testing.T, a, b, c []float32, seed int)) {
	eachISA(t, func(t *testing.T) {
		var zones [3][]byte
		for i := range zones {
			zones[i] = newZone(t, 4*(maxTokens+1))
		}
		for n := range maxTokens + 1 {
			for i, p := range places {
				f(t, in[float32](zones[0], n, p), in[float32](zones[1], n, p),
					in[float32](zones[2], n, p), 2*n+i)
			}
		}
	})
}

func TestScale(t *testing.T) {
	eachLength(t, func(t *testing.T, x, _, _ []float32, seed int) {
		rng := newRand(seed)
		fillFloats(rng, x, 10)
		sprinkle(rng, x, 9, inf32, nan32, 1e-42, 0, negZ, -math.MaxFloat32)
		for _, s := range []float32{1.7, 0.3, -1, 0, 1e-3, inf32} {
			want := make([]float32, len(x))
			for i, v := range x {
				want[i] = v * s
			}
			Scale(x, s)
			for i, v := range want {
				if !sameBits(x[i], v) {
					t.Fatalf("n=%d: [%d] = %g, want %g", len(x), i, x[i], v)
				}
			}
		}
	})
}

func TestAxpby(t *testing.T) {
	eachLength(t, func(t *testing.T, x, y, _ []float32, seed int) {
		rng := newRand(seed)
		old := make([]float32, len(x))
		fillFloats(rng, old, 10)
		fillFloats(rng, y, 10)
		sprinkle(rng, old, 9, inf32, nan32, 1e-42, 0)
		sprinkle(rng, y, 9, inf32, nan32, 1e-42, 0)
		for _, f := range [][2]float32{{-0.3, 2.1}, {1, 1}, {0, 1}, {1e-40, -1e-3}} {
			copy(x, old)
			Axpby(x, f[0], y, f[1])
			for i, v := range old {
				a, b := float64(f[0])*float64(v), float64(f[1])*float64(y[i])
				if !matches(x[i], a+b, tolerance(magnitude(a)+magnitude(b), 2)) {
					t.Fatalf("n=%d: [%d] = %g, want %g", len(x), i, x[i], a+b)
				}
			}
		}
	})
}

// pick ignores a NaN.
func pick(old, x float32) float32 {
	if x > old {
		return x
	}
	return old
}

func TestMaxAdd(t *testing.T) {
	const maxRows = 4
	room := newZone(t, 4*maxRows*(maxTokens+3))
	eachLength(t, func(t *testing.T, dst, _, _ []float32, seed int) {
		rng := newRand(seed)
		for rows := range maxRows + 1 {
			ld := len(dst) + rng.IntN(3)
			x := in[float32](room, max(0, rows-1)*ld+min(rows, 1)*len(dst), places[seed%2])
			by := make([]float32, rows)
			for r := range by {
				by[r] = []float32{1.5, 0, -1e3, inf32, -inf32}[rng.IntN(5)]
			}
			want := make([]float32, len(dst))
			for _, x := range [][]float32{dst, x} {
				fillFloats(rng, x, 10)
				sprinkle(rng, x, 9, nan32, inf32, -inf32, 0, -1e-42, 1e38)
			}
			for i, v := range dst {
				for r, b := range by {
					v = pick(v, x[r*ld+i]+b)
				}
				want[i] = v
			}
			MaxAdd(dst, x, ld, by)
			for i, v := range want {
				if !sameBits(dst[i], v) {
					t.Fatalf("%s n=%d rows=%d: [%d] = %g, want %g", ISA(), len(dst), rows, i, dst[i], v)
				}
			}
		}
	})
}

func TestMaxAddSqrt(t *testing.T) {
	const maxRows = 4
	roomA, roomB := newZone(t, 4*maxRows*(maxTokens+3)), newZone(t, 4*maxRows*(maxTokens+3))
	eachLength(t, func(t *testing.T, dst, _, _ []float32, seed int) {
		rng, n := newRand(seed), len(dst)
		for rows := 1; rows <= maxRows; rows++ {
			ldA, ldB := max(1, n+rng.IntN(3)), max(1, n+rng.IntN(3))
			a := in[float32](roomA, (rows-1)*ldA+n, places[seed%2])
			b := in[float32](roomB, (rows-1)*ldB+n, places[seed%2])
			for _, x := range [][]float32{a, b} {
				fillFloats(rng, x, 10)
				sprinkle(rng, x, 9, inf32, -inf32, 0, -1e-42, 1e-42, 1e38)
				sprinkle(rng, x, 9, nan32)
			}
			for _, beta := range []float32{1.5, 0, -0.3} {
				clean(dst)
				MaxAddSqrt(dst, a, ldA, beta, b, ldB, rows)
				for i, got := range dst {
					want, most := float64(-inf32), 0.0
					for r := range rows {
						mean := float64(a[r*ldA+i])
						spread := float64(beta) * math.Sqrt(math.Max(0, float64(b[r*ldB+i])))
						want = float64(pick(float32(want), float32(mean+spread)))
						most = max(most, magnitude(spread)+magnitude(mean+spread))
					}
					// A rounding each of root, product and sum.
					if !matches(got, want, tolerance(most, 2)) {
						t.Fatalf("%s n=%d rows=%d beta=%g: [%d] = %g, want %g", ISA(), n, rows, beta,
							i, got, want)
					}
				}
			}
		}
	})
}

func TestChannelStatistics(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		zone, aZone, bZone := newZone(t, 4*maxTokens*256), newZone(t, 4*256), newZone(t, 4*256)
		for _, d := range testDims {
			for n := range maxTokens + 1 {
				rng := newRand(d, n)
				if !keep(rng, d*n) {
					continue
				}
				p := place(rng.IntN(2) == 0)
				x, a, b := in[float32](zone, d*n, p), in[float32](aZone, d, p),
					in[float32](bZone, d, p)
				fillFloats(rng, x, 4)
				if rng.IntN(3) == 0 {
					sprinkle(rng, x, 4*max(n, 1), inf32, -inf32, nan32, 1e-42, -tiny32)
				}
				for i := range d {
					a[i], b[i] = float32(i), -1
				}
				SumSq(a, b, x, d, n)
				for i := range d {
					s, abs, q, sq := float64(i), float64(i), -1.0, 1.0
					for j := range n {
						v := float64(x[j*d+i])
						s, q = s+v, q+v*v
						abs, sq = abs+magnitude(v), sq+magnitude(v*v)
					}
					if !matches(a[i], s, tolerance(abs, n+1)) ||
						!matches(b[i], q, tolerance(sq, n+2)) {
						t.Fatalf("SumSq: d=%d n=%d: [%d] = %g, %g, want %g, %g", d, n, i, a[i],
							b[i], s, q)
					}
				}
				for i := range d {
					a[i], b[i] = 0.5, -0.5
					if i%3 == 0 {
						a[i], b[i] = inf32, -inf32
					}
				}
				MinMax(a, b, x, d, n)
				for i := range d {
					lo, hi := float32(0.5), float32(-0.5)
					if i%3 == 0 {
						lo, hi = inf32, -inf32
					}
					for j := range n {
						if v := x[j*d+i]; v == v {
							lo, hi = min(lo, v), max(hi, v)
						}
					}
					if a[i] != lo || b[i] != hi {
						t.Fatalf("MinMax: d=%d n=%d: [%d] = %g, %g, want %g, %g", d, n, i, a[i],
							b[i], lo, hi)
					}
				}
			}
		}
	})
}

// Every F16 value, there and back.
func TestF16All(t *testing.T) {
	src := make([]float32, len(halves))
	for h, want := range halves {
		src[h] = f16ToF32(uint16(h))
		if !sameBits(src[h], float32(want)) {
			t.Fatalf("f16ToF32(%#x) = %g, want %g", h, src[h], want)
		}
	}
	eachISA(t, func(t *testing.T) {
		back := make([]uint16, len(src))
		ToF16(back, src)
		for i, got := range back {
			want := uint16(i)
			if src[i] != src[i] {
				want |= 0x200 // quiet
			}
			if got != want {
				t.Fatalf("ToF16 of %#x = %#x", i, got)
			}
		}
	})
}

func TestToF16Rounding(t *testing.T) {
	var src []float32
	for b := uint32(0); b < 0x7f800000; b += 9973 {
		src = append(src, math.Float32frombits(b), -math.Float32frombits(b))
	}
	for h := range uint16(0x7bff) { // every tie and its neighbours
		tie := float32(halves[h]+halves[h+1]) / 2
		src = append(src, tie, -tie, math.Nextafter32(tie, inf32), math.Nextafter32(tie, -inf32))
	}
	src = append(src, 65504, 65519, 65520, 65536, math.MaxFloat32, -math.MaxFloat32, inf32, -inf32,
		nan32,
		0x1p-25, tiny32, negZ, math.Float32frombits(0x7f800001), math.Float32frombits(0xffc12345))
	eachISA(t, func(t *testing.T) {
		out := make([]uint16, len(src))
		ToF16(out, src)
		for i, v := range src {
			checkF16(t, v, out[i])
		}
	})
}

func checkF16(t *testing.T, v float32, h uint16) {
	t.Helper()
	got := halves[h]
	switch {
	case v != v || math.IsInf(float64(v), 0):
		if !sameBits(float32(got), v) {
			t.Fatalf("ToF16(%g) = %#x", v, h)
		}
		return
	case h>>15 != uint16(math.Float32bits(v)>>31):
		t.Fatalf("ToF16(%g) = %#x has the wrong sign", v, h)
	case math.Abs(float64(v)) >= 65504:
		if math.Abs(got) != 65504 {
			t.Fatalf("ToF16(%g) = %#x, want saturation", v, h)
		}
		return
	}
	off := math.Abs(float64(v) - got)
	for _, near := range []uint16{h - 1, h + 1} {
		if h&0x7fff == 0 && near != h+1 {
			continue // 0 has no smaller neighbour
		}
		d := math.Abs(float64(v) - halves[near])
		if d < off || d == off && h&1 == 1 {
			t.Fatalf("ToF16(%g) = %#x, but %#x is nearer or even", v, h, near)
		}
	}
}

func TestToF16Lengths(t *testing.T) {
	zone := newZone(t, 2*(maxTokens+1))
	eachLength(t, func(t *testing.T, x, _, _ []float32, seed int) {
		rng := newRand(seed)
		fillFloats(rng, x, 100)
		sprinkle(rng, x, 9, 1e5, -1e-6, nan32, inf32)
		h := in[uint16](zone, len(x), place(seed&1 == 1))
		ToF16(h, x)
		for i, v := range x {
			checkF16(t, v, h[i])
		}
	})
}
