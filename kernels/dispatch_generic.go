//go:build !amd64 || noasm

package kernels

import "unsafe"

// hasAVX2 lets the tests say which kernels they compared.
const hasAVX2 = false

func isaName() string { return isaGeneric }

func dotF16(dst []float32, ldDst int, q []float32, rows, d int, k unsafe.Pointer, stride uintptr, n int) {
	dotF16Generic(dst, ldDst, q, rows, d, k, stride, n)
}

func accF16(acc []float32, ldAcc int, p []float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int) {
	accF16Generic(acc, ldAcc, p, ldP, rows, d, v, stride, n)
}

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	return softmaxRowGeneric(x, oldMax)
}

func scale(x []float32, s float32) { scaleGeneric(x, s) }

func axpby(x []float32, a float32, y []float32, b float32) { axpbyGeneric(x, a, y, b) }

func sumSqF16(sum, sumsq []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	sumSqF16Generic(sum, sumsq, k, stride, d, n)
}

func minMaxF16(lo, hi []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	minMaxF16Generic(lo, hi, k, stride, d, n)
}

func toF16(dst []uint16, src []float32) { toF16Generic(dst, src) }

func fromF16(dst []float32, src []uint16) { fromF16Generic(dst, src) }

func prefetch(unsafe.Pointer, uintptr, int, int) {}

func maxInto(dst, x []float32) { maxIntoGeneric(dst, x) }

func maxAddSqrt(dst, a []float32, beta float32, b []float32) { maxAddSqrtGeneric(dst, a, beta, b) }
