package kernels

import "math"

// MaxInto keeps the larger of each pair: dst = max(dst, x). A NaN in x is ignored.
func MaxInto(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		if v > dst[i] {
			dst[i] = v
		}
	}
}

// MaxAddSqrt keeps the best score of a mean and a spread: dst = max(dst, a +
// beta*sqrt(max(b, 0))). A NaN is ignored.
func MaxAddSqrt(dst, a []float32, beta float32, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		v := a[i] + beta*float32(math.Sqrt(float64(max(b[i], 0))))
		if v > dst[i] {
			dst[i] = v
		}
	}
}
