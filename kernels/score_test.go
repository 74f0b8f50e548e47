package kernels

import (
	"math"
	"testing"
	"unsafe"
)

func TestScores(t *testing.T) {
	logISA(t)
	var zones [3][]byte
	for i := range zones {
		zones[i] = newZone(t, 4*(maxTokens+1))
	}
	special := []float32{inf32, -inf32, nan32, 0, -1e-42, 1e38}
	for n := range maxTokens + 1 {
		for _, p := range []place{atStart, atEnd} {
			rng := newRand(n)
			dst, a, b := floatsIn(zones[0], n, p), floatsIn(zones[1], n, p), floatsIn(zones[2], n, p)
			old := make([]float32, n)
			for _, x := range [][]float32{old, a, b} {
				fillFloats(rng, x, 10)
				for range n / 8 {
					x[rng.IntN(n)] = special[rng.IntN(len(special))]
				}
			}
			for i := range old { // a running best is never NaN
				old[i] = max(old[i], -inf32)
				if old[i] != old[i] {
					old[i] = -inf32
				}
			}
			copy(dst, old)
			MaxInto(dst, a)
			for i := range dst {
				if want := pick(old[i], a[i]); dst[i] != want {
					t.Fatalf("MaxInto: n=%d: [%d] = %g, want %g", n, i, dst[i], want)
				}
			}
			copy(dst, old)
			MaxAddSqrt(dst, a, 1.5, b)
			for i := range dst {
				s := math.Sqrt(math.Max(0, float64(b[i])))
				want := pick(old[i], float32(float64(a[i])+1.5*s))
				if dst[i] == want {
					continue
				}
				if d := math.Abs(float64(dst[i]) - float64(want)); math.IsInf(d, 0) || d > 3*eps32*(math.Abs(float64(want))+1.5*s) {
					t.Fatalf("MaxAddSqrt: n=%d: [%d] = %g, want %g", n, i, dst[i], want)
				}
			}
			generic := append([]float32(nil), old...)
			maxAddSqrtGeneric(generic, a, 1.5, b)
			for i := range dst {
				if d := math.Abs(float64(dst[i]) - float64(generic[i])); dst[i] != generic[i] && d > 3*eps32*(math.Abs(float64(a[i]))+30) {
					t.Fatalf("MaxAddSqrt: n=%d: [%d] = %g, generic %g", n, i, dst[i], generic[i])
				}
			}
		}
	}
}

func pick(old, x float32) float32 {
	if x > old {
		return x
	}
	return old
}

// A token's logits and its share of the output have the same bits wherever the
// run of neighbouring cells that it is in begins and ends.
func TestRunsDoNotShow(t *testing.T) {
	const n, rows = 41, 7
	for _, d := range testDims {
		rng := newRand(d)
		k, q, p := make([]uint16, n*d), make([]float32, rows*d), make([]float32, rows*n)
		for i := range k {
			k[i] = f32ToF16(float32(rng.NormFloat64()))
		}
		fillFloats(rng, q, 1)
		fillFloats(rng, p, 1)
		whole, parts := make([]float32, rows*n), make([]float32, rows*n)
		accWhole, accParts := make([]float32, rows*d), make([]float32, rows*d)
		DotF16(whole, n, q, rows, d, unsafe.Pointer(&k[0]), uintptr(2*d), n)
		AccF16(accWhole, d, p, n, rows, d, unsafe.Pointer(&k[0]), uintptr(2*d), n)
		for at := 0; at < n; {
			m := min(n-at, 1+rng.IntN(7))
			DotF16(parts[at:], n, q, rows, d, unsafe.Pointer(&k[at*d]), uintptr(2*d), m)
			AccF16(accParts, d, p[at:], n, rows, d, unsafe.Pointer(&k[at*d]), uintptr(2*d), m)
			at += m
		}
		for i := range whole {
			if whole[i] != parts[i] {
				t.Fatalf("DotF16: d=%d: [%d] is %g whole, %g in parts", d, i, whole[i], parts[i])
			}
		}
		for i := range accWhole {
			if accWhole[i] != accParts[i] {
				t.Fatalf("AccF16: d=%d: [%d] is %g whole, %g in parts", d, i, accWhole[i], accParts[i])
			}
		}
	}
}
