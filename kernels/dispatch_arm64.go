//go:build arm64 && !noasm

package kernels

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// available needs no check for NEON: it belongs to arm64.
func available() []isa {
	if cpuid.CPU.Supports(cpuid.ASIMDDP) {
		return []isa{isaGeneric, isaNEON, isaDotProd}
	}
	return []isa{isaGeneric, isaNEON}
}

func dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	if level == isaGeneric {
		dotGeneric(dst, ldDst, q, rows, k, cells)
		return
	}
	dotNEON(&dst[0], ldDst, &q[0], rows, k, cells)
}

func accumulate(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	if level == isaGeneric {
		accGeneric(acc, ldAcc, p, ldP, rows, v, cells)
		return
	}
	accNEON(&acc[0], ldAcc, &p[0], ldP, rows, v, cells)
}

func load(dst []float32, ld int, c *Cache, cells []int32) {
	if level == isaGeneric {
		loadGeneric(dst, ld, c, cells)
		return
	}
	loadNEON(dst, ld, c, cells)
}

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {
	prefetchL2(base, stride, size, &cells[0], len(cells))
}

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if level == isaGeneric {
		return softmaxRowGeneric(x, oldMax)
	}
	newMax, sum, masked := softmaxRowNEON(&x[0], len(x), oldMax)
	if masked {
		sum = clearMasked(x)
	}
	return newMax, sum
}

func softCap(x []float32, c float32) {
	if level == isaGeneric {
		softCapGeneric(x, c)
		return
	}
	softCapNEON(&x[0], len(x), c, -2/c)
}

func scale(x []float32, s float32) {
	if level == isaGeneric || len(x) == 0 {
		scaleGeneric(x, s)
		return
	}
	scaleNEON(&x[0], len(x), s)
}

func axpby(x []float32, a float32, y []float32, b float32) {
	if level == isaGeneric {
		axpbyGeneric(x, a, y, b)
		return
	}
	axpbyNEON(&x[0], &y[0], len(x), a, b)
}

func sumSq(sum, sumsq, x []float32, d, n int) {
	if level == isaGeneric {
		sumSqGeneric(sum, sumsq, x, d, n)
		return
	}
	sumSqNEON(&sum[0], &sumsq[0], &x[0], d, n)
}

func minMax(lo, hi, x []float32, d, n int) {
	if level == isaGeneric {
		minMaxGeneric(lo, hi, x, d, n)
		return
	}
	minMaxNEON(&lo[0], &hi[0], &x[0], d, n)
}

// toF16 leaves the last len(src)%8 numbers to its generic twin, which agrees bit for bit.
func toF16(dst []uint16, src []float32) {
	m := 0
	if level != isaGeneric {
		if m = len(src) &^ 7; m > 0 {
			toF16NEON(&dst[0], &src[0], m)
		}
	}
	toF16Generic(dst[m:], src[m:])
}

func absMax(x []float32) float32 {
	if level == isaGeneric || len(x) == 0 {
		return absMaxGeneric(x)
	}
	return absMaxNEON(&x[0], len(x))
}

// quantise8 and quantise14 take multiples of 8 numbers.

func quantise8(dst, x []float32, inv float32) int32 {
	if level == isaGeneric {
		return quantise8Generic(dst, x, inv)
	}
	return quantise8NEON(&dst[0], &x[0], len(x), inv)
}

func quantise14(dst, x []float32, inv float32) int32 {
	if level == isaGeneric {
		return quantise14Generic(dst, x, inv)
	}
	return quantise14NEON(&dst[0], &x[0], len(x), inv)
}

// scan gives the kernels what to multiply the sum of a row of q by, to correct for how
// they read the bytes: as signed ones, 128 too low, or as they are.
func scan(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	switch level {
	case isaDotProd:
		scanDotProd(&dst[0], ldDst, &q[0], rows, d, &tiles[0], n, 128-int(sign))
	case isaNEON:
		scanNEON(&dst[0], ldDst, &q[0], rows, d, &tiles[0], n, -int(sign))
	default:
		scanGeneric(dst, ldDst, q, rows, d, tiles, n, sign)
	}
}

func maxInto(dst, x []float32) {
	if level == isaGeneric || len(dst) == 0 {
		maxIntoGeneric(dst, x)
		return
	}
	maxIntoNEON(&dst[0], &x[0], len(dst))
}

func maxAddSqrt(dst, a []float32, beta float32, b []float32) {
	if level == isaGeneric || len(dst) == 0 {
		maxAddSqrtGeneric(dst, a, beta, b)
		return
	}
	maxAddSqrtNEON(&dst[0], &a[0], &b[0], len(dst), beta)
}

func above(dst []int32, x []float32, t float32) int {
	if level == isaGeneric || len(x) == 0 {
		return aboveGeneric(dst, x, t)
	}
	return aboveNEON(&dst[0], &x[0], len(x), t)
}

func blockRows() int { return genericRows }

func mul(c []float32, ldc int, a []float32, lda int, b []float32, m, n, k int, add bool) {
	if level == isaGeneric {
		mulGeneric(c, ldc, a, lda, b, m, n, k, add)
		return
	}
	mulASM(&mulArgs{&c[0], ldc, &a[0], lda, &b[0], m, n, k, add})
}

func turn(dst []float32, c *Cache, cells []int32, buf []float32) {
	if level == isaGeneric {
		turnGeneric(dst, c, cells, buf)
		return
	}
	loadNEON(buf, c.Dim, c, cells)
	turnASM(&turnArgs{&dst[0], &buf[0], c.Dim})
}

func softmaxRows(x []float32, lo, hi []int32, max, sum []float32) {
	softmaxRowsGeneric(x, lo, hi, max, sum)
}
