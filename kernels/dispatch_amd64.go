//go:build amd64 && !noasm

package kernels

import (
	"os"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// hasAVX2 is set once, at init. A branch on a bool is cheaper than a call
// through a function variable, and keeps the arguments from escaping.
var hasAVX2 = chooseAVX2(os.Getenv(isaEnv), cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C))

// accTile is how many tokens accF16AVX2 gets at a time. It walks over them once
// per channel block, which only a short tile survives in the L1 cache.
const accTile = 16

// Prefetch distances in tokens. The hardware follows rows that lie side by
// side and wants little help; rows that are apart come in three times as fast
// with a longer lead (into L2: the L1 cache has too few miss buffers).
const (
	dotAheadDense   = 4
	dotAheadApart   = 16
	accAheadDense   = accTile
	accAheadApart   = 2 * accTile
	accAheadAtLeast = 8 // tokens there must be at the distance
)

// apart holds for rows that leave room for another between them.
func apart(stride uintptr, d int) bool { return stride >= 4*uintptr(d) }

func isaName() string {
	if hasAVX2 {
		return isaAVX2
	}
	return isaGeneric
}

func dotF16(dst []float32, ldDst int, q []float32, rows, d int, k unsafe.Pointer, stride uintptr, n int) {
	if !hasAVX2 {
		dotF16Generic(dst, ldDst, q, rows, d, k, stride, n)
		return
	}
	ahead := dotAheadDense
	if apart(stride, d) {
		ahead = dotAheadApart
	}
	dotF16AVX2(&dst[0], ldDst, &q[0], rows, d, k, stride, n, ahead)
}

func accF16(acc []float32, ldAcc int, p []float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int) {
	if !hasAVX2 {
		accF16Generic(acc, ldAcc, p, ldP, rows, d, v, stride, n)
		return
	}
	ahead := accAheadDense
	if apart(stride, d) {
		ahead = accAheadApart
	}
	for j := 0; j < n; j += accTile {
		offset := stride * uintptr(ahead)
		if n-j < ahead+accAheadAtLeast {
			offset = 0 // prefetches what is being read anyway
		}
		accF16AVX2(&acc[0], ldAcc, &p[j], ldP, rows, d, unsafe.Add(v, stride*uintptr(j)), stride, min(accTile, n-j), offset)
	}
}

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if !hasAVX2 {
		return softmaxRowGeneric(x, oldMax)
	}
	newMax, sum, masked := softmaxRowAVX2(&x[0], len(x), oldMax)
	if masked {
		sum = clearMasked(x)
	}
	return newMax, sum
}

func scale(x []float32, s float32) {
	m := 0
	if hasAVX2 {
		if m = len(x) &^ 7; m > 0 {
			scaleAVX2(&x[0], m, s)
		}
	}
	scaleGeneric(x[m:], s)
}

func axpby(x []float32, a float32, y []float32, b float32) {
	if !hasAVX2 {
		axpbyGeneric(x, a, y, b)
		return
	}
	axpbyAVX2(&x[0], &y[0], len(x), a, b)
}

func sumSqF16(sum, sumsq []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	if !hasAVX2 {
		sumSqF16Generic(sum, sumsq, k, stride, d, n)
		return
	}
	sumSqF16AVX2(&sum[0], &sumsq[0], k, stride, d, n)
}

func minMaxF16(lo, hi []float32, k unsafe.Pointer, stride uintptr, d, n int) {
	if !hasAVX2 {
		minMaxF16Generic(lo, hi, k, stride, d, n)
		return
	}
	minMaxF16AVX2(&lo[0], &hi[0], k, stride, d, n)
}

func prefetch(k unsafe.Pointer, stride uintptr, d, n int) {
	prefetchT1(k, stride, 2*d, n)
}

// The conversions, the scores and scale leave the last len%8 elements to their
// generic twins, which agree with them bit for bit.

func toF16(dst []uint16, src []float32) {
	m := 0
	if hasAVX2 {
		if m = len(src) &^ 7; m > 0 {
			toF16AVX2(&dst[0], &src[0], m)
		}
	}
	toF16Generic(dst[m:], src[m:])
}

func fromF16(dst []float32, src []uint16) {
	m := 0
	if hasAVX2 {
		if m = len(src) &^ 7; m > 0 {
			fromF16AVX2(&dst[0], &src[0], m)
		}
	}
	fromF16Generic(dst[m:], src[m:])
}

func maxInto(dst, x []float32) {
	m := 0
	if hasAVX2 {
		if m = len(dst) &^ 7; m > 0 {
			maxIntoAVX2(&dst[0], &x[0], m)
		}
	}
	maxIntoGeneric(dst[m:], x[m:])
}

func maxAddSqrt(dst, a []float32, beta float32, b []float32) {
	m := 0
	if hasAVX2 {
		if m = len(dst) &^ 7; m > 0 {
			maxAddSqrtAVX2(&dst[0], &a[0], &b[0], m, beta)
		}
	}
	maxAddSqrtGeneric(dst[m:], a[m:], beta, b[m:])
}

// The assembly checks nothing: sizes are positive, d is a multiple of 8 and so
// is n of scaleAVX2, toF16AVX2, fromF16AVX2, maxIntoAVX2 and maxAddSqrtAVX2.

// dotF16AVX2 prefetches ahead tokens ahead, as long as there are so many.
//
//go:noescape
func dotF16AVX2(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, n, ahead int)

// accF16AVX2 prefetches ahead bytes ahead.
//
//go:noescape
func accF16AVX2(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int, ahead uintptr)

// softmaxRowAVX2 reports masked, and leaves x alone, when newMax is -Inf.
//
//go:noescape
func softmaxRowAVX2(x *float32, n int, oldMax float32) (newMax, sum float32, masked bool)

//go:noescape
func scaleAVX2(x *float32, n int, s float32)

//go:noescape
func axpbyAVX2(x, y *float32, n int, a, b float32)

//go:noescape
func sumSqF16AVX2(sum, sumsq *float32, k unsafe.Pointer, stride uintptr, d, n int)

//go:noescape
func minMaxF16AVX2(lo, hi *float32, k unsafe.Pointer, stride uintptr, d, n int)

//go:noescape
func toF16AVX2(dst *uint16, src *float32, n int)

//go:noescape
func fromF16AVX2(dst *float32, src *uint16, n int)

//go:noescape
func prefetchT1(k unsafe.Pointer, stride uintptr, bytes, n int)

//go:noescape
func maxIntoAVX2(dst, x *float32, n int)

//go:noescape
func maxAddSqrtAVX2(dst, a, b *float32, n int, beta float32)
