package kernels

import (
	"math"
	"testing"
)

func TestScaleAxpby(t *testing.T) {
	logISA(t)
	xZone, yZone := newZone(t, 4*(maxTokens+1)), newZone(t, 4*(maxTokens+1))
	for n := range maxTokens + 1 {
		for _, p := range []place{atStart, atEnd} {
			rng := newRand(n)
			x, y, in := floatsIn(xZone, n, p), floatsIn(yZone, n, p), make([]float32, n)
			fillFloats(rng, in, 10)
			fillFloats(rng, y, 10)
			if n > 3 {
				in[rng.IntN(n)], in[rng.IntN(n)], in[rng.IntN(n)] = inf32, nan32, 1e-42
			}
			copy(x, in)
			Scale(x, 1.7)
			for i, v := range in {
				if want := v * 1.7; !sameBits(x[i], want) {
					t.Fatalf("Scale: n=%d: [%d] = %g, want %g", n, i, x[i], want)
				}
			}
			for _, fn := range []func([]float32, float32, []float32, float32){Axpby, axpbyGeneric} {
				copy(x, in)
				fn(x, -0.3, y, 2.1)
				for i, v := range in {
					a, b := float64(float32(-0.3))*float64(v), float64(float32(2.1))*float64(y[i])
					if !matches(x[i], a+b, (math.Abs(a)+math.Abs(b))*2*eps32) {
						t.Fatalf("Axpby: n=%d: [%d] = %g, want %g", n, i, x[i], a+b)
					}
				}
			}
		}
	}
}

// Every F16 value, by both kernels, both ways.
func TestF16All(t *testing.T) {
	logISA(t)
	src, dst, back := make([]uint16, 1<<16), make([]float32, 1<<16), make([]uint16, 1<<16)
	for i := range src {
		src[i] = uint16(i)
	}
	FromF16(dst, src)
	ToF16(back, dst)
	for i, h := range src {
		want := decodeF16(h)
		if !sameBits(dst[i], float32(want)) {
			t.Fatalf("FromF16(%#x) = %g, want %g", h, dst[i], want)
		}
		if g := f16ToF32(h); math.Float32bits(g) != math.Float32bits(dst[i]) {
			t.Fatalf("f16ToF32(%#x) = %#x, FromF16 %#x", h, math.Float32bits(g), math.Float32bits(dst[i]))
		}
		if want != want {
			h |= 0x200
		}
		if back[i] != h {
			t.Fatalf("ToF16(FromF16(%#x)) = %#x", h, back[i])
		}
	}
}

func TestToF16Rounding(t *testing.T) {
	logISA(t)
	var in []float32
	for b := uint32(0); b < 0x7f800000; b += 9973 {
		in = append(in, math.Float32frombits(b), -math.Float32frombits(b))
	}
	for h := range uint16(0x7bff) { // every tie and its neighbours
		tie := (f16ToF32(h) + f16ToF32(h+1)) / 2
		in = append(in, tie, math.Nextafter32(tie, inf32), math.Nextafter32(tie, -inf32))
	}
	in = append(in, 65504, 65519, 65520, 65536, math.MaxFloat32, -math.MaxFloat32, inf32, -inf32, nan32, 0x1p-25, 0x1p-149)
	out := make([]uint16, len(in))
	ToF16(out, in)
	for i, v := range in {
		h := out[i]
		if g := f32ToF16(v); g != h {
			t.Fatalf("ToF16(%g) = %#x, generic %#x", v, h, g)
		}
		switch got := decodeF16(h); {
		case v != v || math.IsInf(float64(v), 0):
			if !sameBits(float32(got), v) {
				t.Fatalf("ToF16(%g) = %#x", v, h)
			}
		case math.Abs(float64(v)) >= 65504:
			if math.Abs(got) != 65504 {
				t.Fatalf("ToF16(%g) = %#x, want saturation", v, h)
			}
		default:
			off := math.Abs(float64(v) - got)
			for _, near := range []uint16{h - 1, h + 1} {
				if h&0x7fff == 0 && near != h+1 {
					continue // 0 has no smaller neighbour
				}
				d := math.Abs(float64(v) - decodeF16(near))
				if d < off || d == off && h&1 == 1 {
					t.Fatalf("ToF16(%g) = %#x, but %#x is nearer or even", v, h, near)
				}
			}
		}
	}
}

func TestF16Bounds(t *testing.T) {
	fZone, hZone := newZone(t, 4*(maxTokens+1)), newZone(t, 2*(maxTokens+1))
	for n := range maxTokens + 1 {
		for _, p := range []place{atStart, atEnd} {
			f, h := floatsIn(fZone, n, p), halvesIn(hZone, n, p)
			fillFloats(newRand(n), f, 100)
			ToF16(h, f)
			for i := range f {
				if h[i] != f32ToF16(f[i]) {
					t.Fatalf("ToF16: n=%d: [%d] = %#x", n, i, h[i])
				}
			}
			FromF16(f, h)
			for i := range f {
				if f[i] != f16ToF32(h[i]) {
					t.Fatalf("FromF16: n=%d: [%d] = %g", n, i, f[i])
				}
			}
		}
	}
}
