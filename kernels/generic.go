package kernels

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// genericBlock is how many channels the generic kernels convert at a time, so
// that one conversion serves all query rows without any allocation.
const genericBlock = 64

// rowF16 converts channels [c, c+len(buf)) of row j.
func rowF16(buf []float32, k unsafe.Pointer, stride uintptr, j, c int) {
	b := unsafe.Slice((*byte)(unsafe.Add(k, stride*uintptr(j)+2*uintptr(c))), 2*len(buf))
	for i := range buf {
		buf[i] = f16ToF32(binary.LittleEndian.Uint16(b[2*i:]))
	}
}

func dotF16Generic(dst []float32, ldDst int, q []float32, rows, d int, k unsafe.Pointer, stride uintptr, n int) {
	var store [genericBlock]float32
	for j := range n {
		for c := 0; c < d; c += genericBlock {
			buf := store[:min(genericBlock, d-c)]
			rowF16(buf, k, stride, j, c)
			for r := range rows {
				s := dot(q[r*d+c:][:len(buf)], buf)
				if c > 0 {
					s += dst[r*ldDst+j]
				}
				dst[r*ldDst+j] = s
			}
		}
	}
}

// dot takes slices of equal length, a multiple of 8.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	return (s0 + s1) + (s2 + s3)
}

func accF16Generic(acc []float32, ldAcc int, p []float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int) {
	var store [genericBlock]float32
	for j := range n {
		for c := 0; c < d; c += genericBlock {
			buf := store[:min(genericBlock, d-c)]
			rowF16(buf, v, stride, j, c)
			for r := range rows {
				w := p[r*ldP+j]
				a := acc[r*ldAcc+c:][:len(buf)]
				for i, x := range buf {
					a[i] += w * x
				}
			}
		}
	}
}

func softmaxRowGeneric(x []float32, oldMax float32) (newMax, sum float32) {
	m := oldMax
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	if math.IsInf(float64(m), -1) {
		return m, clearMasked(x)
	}
	var s float64
	for i, v := range x {
		e := Exp32(v - m)
		x[i] = e
		s += float64(e)
	}
	return m, float32(s)
}

// clearMasked handles a row without any finite logit: all are -Inf, whose
// weight is 0, or NaN, which must not get lost.
func clearMasked(x []float32) (sum float32) {
	for i, v := range x {
		if v == v {
			x[i] = 0
		} else {
			sum = v
		}
	}
	return sum
}

func scaleGeneric(x []float32, s float32) {
	for i := range x {
		x[i] *= s
	}
}

func axpbyGeneric(x []float32, a float32, y []float32, b float32) {
	for i, v := range y[:len(x)] {
		x[i] = a*x[i] + b*v
	}
}

func sumSqF16Generic(sum, sumsq []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	var store [genericBlock]float32
	for j := range n {
		for c := 0; c < d; c += genericBlock {
			buf := store[:min(genericBlock, d-c)]
			rowF16(buf, k, stride, j, c)
			s, q := sum[c:][:len(buf)], sumsq[c:][:len(buf)]
			for i, x := range buf {
				s[i] += x
				q[i] += x * x
			}
		}
	}
}

func minMaxF16Generic(lo, hi []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	var store [genericBlock]float32
	for j := range n {
		for c := 0; c < d; c += genericBlock {
			buf := store[:min(genericBlock, d-c)]
			rowF16(buf, k, stride, j, c)
			l, h := lo[c:][:len(buf)], hi[c:][:len(buf)]
			for i, x := range buf {
				if x < l[i] {
					l[i] = x
				}
				if x > h[i] {
					h[i] = x
				}
			}
		}
	}
}

func toF16Generic(dst []uint16, src []float32) {
	for i, x := range src {
		dst[i] = f32ToF16(x)
	}
}

func fromF16Generic(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = f16ToF32(h)
	}
}
