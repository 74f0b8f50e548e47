package kernels

import "unsafe"

// maxDim bounds every size argument, so that products of two fit in uint64.
const maxDim = 1<<31 - 1

// ISA names the kernels in use: "avx2" or "generic".
func ISA() string { return isaName() }

// DotF16 computes dst[r*ldDst+j] = sum_i q[r*d+i]*K[j][i] for r < rows and
// j < n, accumulating in float32. Row j of K (F16, little endian) begins
// stride*j bytes after k and needs only 2-byte alignment.
//
// It panics if d is not a positive multiple of 8 or a slice is too short.
func DotF16(dst []float32, ldDst int, q []float32, rows, d int, k unsafe.Pointer, stride uintptr, n int) {
	checkDims(rows, d, n)
	if rows == 0 || n == 0 {
		return
	}
	checkMatrix(len(dst), rows, ldDst, n, "dst")
	if uint64(rows)*uint64(d) > uint64(len(q)) {
		panicShort("q")
	}
	dotF16(dst, ldDst, q, rows, d, k, stride, n)
}

// AccF16 computes acc[r*ldAcc+i] += sum_j p[r*ldP+j]*V[j][i] for r < rows,
// i < d and j < n. V is laid out as K is in DotF16. A weight of 0 does not
// hide a NaN or Inf in V: the caller must leave such tokens out.
//
// It panics if d is not a positive multiple of 8 or a slice is too short.
func AccF16(acc []float32, ldAcc int, p []float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int) {
	checkDims(rows, d, n)
	if rows == 0 || n == 0 {
		return
	}
	checkMatrix(len(acc), rows, ldAcc, d, "acc")
	checkMatrix(len(p), rows, ldP, n, "p")
	accF16(acc, ldAcc, p, ldP, rows, d, v, stride, n)
}

// SoftmaxRow is one step of a running softmax: newMax = max(oldMax, max x),
// x[j] = exp(x[j]-newMax), sum = sum of the new x. Logits of -Inf give exactly
// 0; if newMax is -Inf, every x and the sum are 0. A NaN in x is passed over by
// the maximum and stays NaN, which makes the sum NaN.
func SoftmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if len(x) == 0 {
		return oldMax, 0
	}
	return softmaxRow(x, oldMax)
}

// Scale computes x *= s.
func Scale(x []float32, s float32) { scale(x, s) }

// Axpby computes x = a*x + b*y. It panics if y is shorter than x.
func Axpby(x []float32, a float32, y []float32, b float32) {
	if len(y) < len(x) {
		panicShort("y")
	}
	if len(x) > 0 {
		axpby(x, a, y[:len(x)], b)
	}
}

// SumSqF16 adds the values of each channel to sum and their squares to sumsq:
// sum[i] += K[j][i], sumsq[i] += K[j][i]^2 for i < d and j < n.
func SumSqF16(sum, sumsq []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	checkDims(0, d, n)
	if n == 0 {
		return
	}
	if len(sum) < d || len(sumsq) < d {
		panicShort("sum or sumsq")
	}
	sumSqF16(sum, sumsq, k, stride, d, n)
}

// MinMaxF16 widens the range of each channel: lo[i] = min(lo[i], K[j][i]),
// hi[i] = max(hi[i], K[j][i]) for i < d and j < n. NaNs in K are passed over.
func MinMaxF16(lo, hi []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	checkDims(0, d, n)
	if n == 0 {
		return
	}
	if len(lo) < d || len(hi) < d {
		panicShort("lo or hi")
	}
	minMaxF16(lo, hi, k, stride, d, n)
}

// Prefetch asks for n rows of K or V to be brought into the L2 cache, and does
// not wait. DotF16 and AccF16 prefetch by themselves within one call only: where
// pages lie apart, call it for the next one before working on this one. It
// never faults.
func Prefetch(k unsafe.Pointer, stride uintptr, d, n int) {
	if d > 0 && n > 0 {
		prefetch(k, stride, d, n)
	}
}

// ToF16 rounds src to F16, to nearest even. Finite values beyond the range
// saturate at +-65504; Inf and NaN stay what they are. It panics if dst is
// shorter than src.
func ToF16(dst []uint16, src []float32) {
	if len(dst) < len(src) {
		panicShort("dst")
	}
	toF16(dst[:len(src)], src)
}

// FromF16 converts src to float32, exactly. It panics if dst is shorter than
// src.
func FromF16(dst []float32, src []uint16) {
	if len(dst) < len(src) {
		panicShort("dst")
	}
	fromF16(dst[:len(src)], src)
}

// checkDims costs two predictable branches; the conversion to uint64 makes
// negative values fail the same comparison as huge ones.
func checkDims(rows, d, n int) {
	if uint64(rows)|uint64(d)|uint64(n) >= maxDim || d == 0 || d&7 != 0 {
		panicDims()
	}
}

// checkMatrix requires size >= (rows-1)*ld + cols. Rows may not overlap.
func checkMatrix(size, rows, ld, cols int, name string) {
	if rows > 1 && (ld < cols || ld >= maxDim) {
		panicLd(name)
	}
	if uint64(rows-1)*uint64(ld)+uint64(cols) > uint64(size) {
		panicShort(name)
	}
}

//go:noinline
func panicDims() {
	panic("kernels: need rows >= 0, n >= 0 and d a positive multiple of 8")
}

//go:noinline
func panicLd(name string) {
	panic("kernels: bad leading dimension of " + name)
}

//go:noinline
func panicShort(name string) {
	panic("kernels: slice too short: " + name)
}
