package kernels

import "math"

// MaxInto keeps the larger of each pair: dst = max(dst, x). A NaN in x is
// ignored. It panics if x is shorter than dst.
func MaxInto(dst, x []float32) {
	if len(x) < len(dst) {
		panicShort("x")
	}
	maxInto(dst, x[:len(dst)])
}

// MaxAddSqrt keeps the best score of a mean and a spread: dst = max(dst, a +
// beta*sqrt(max(b, 0))). A NaN is ignored. It panics if a or b is shorter than dst.
func MaxAddSqrt(dst, a []float32, beta float32, b []float32) {
	if len(a) < len(dst) || len(b) < len(dst) {
		panicShort("a or b")
	}
	maxAddSqrt(dst, a[:len(dst)], beta, b[:len(dst)])
}

func maxIntoGeneric(dst, x []float32) {
	for i, v := range x {
		if v > dst[i] {
			dst[i] = v
		}
	}
}

func maxAddSqrtGeneric(dst, a []float32, beta float32, b []float32) {
	for i := range dst {
		v := a[i] + beta*float32(math.Sqrt(float64(max(b[i], 0))))
		if v > dst[i] {
			dst[i] = v
		}
	}
}
