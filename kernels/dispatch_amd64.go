//go:build amd64 && !noasm

package kernels

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

func available() []isa {
	c := cpuid.CPU
	switch {
	case !c.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C):
		return []isa{isaGeneric}
	case !c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI):
		return []isa{isaGeneric, isaAVX2}
	}
	return []isa{isaGeneric, isaAVX2, isaAVX512}
}

func dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	switch level {
	case isaAVX512:
		dotAVX512(dst, ldDst, q, rows, k, cells)
	case isaAVX2:
		dotAVX2(dst, ldDst, q, rows, k, cells)
	default:
		dotGeneric(dst, ldDst, q, rows, k, cells)
	}
}

func accumulate(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	switch level {
	case isaAVX512:
		accAVX512(acc, ldAcc, p, ldP, rows, v, cells)
	case isaAVX2:
		accAVX2(acc, ldAcc, p, ldP, rows, v, cells)
	default:
		accGeneric(acc, ldAcc, p, ldP, rows, v, cells)
	}
}

func scan(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	switch level {
	case isaAVX512:
		scanAVX512(dst, ldDst, q, rows, d, tiles, n, sign)
	case isaAVX2:
		scanAVX2(dst, ldDst, q, rows, d, tiles, n, sign)
	default:
		scanGeneric(dst, ldDst, q, rows, d, tiles, n, sign)
	}
}

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if level == isaGeneric {
		return softmaxRowGeneric(x, oldMax)
	}
	lo, hi := int32(0), int32(len(x))
	if softmaxRowsASM(&x[0], &lo, &hi, 1, &oldMax, &sum) {
		sum = clearMasked(x)
	}
	return oldMax, sum
}

func softmaxRows(x []float32, lo, hi []int32, max, sum []float32) {
	if level == isaGeneric {
		softmaxRowsGeneric(x, lo, hi, max, sum)
		return
	}
	if !softmaxRowsASM(&x[0], &lo[0], &hi[0], len(max), &max[0], &sum[0]) {
		return
	}
	for i, m := range max {
		if m == negInf && lo[i] < hi[i] {
			sum[i] = clearMasked(x[i*ldTile:][lo[i]:hi[i]])
		}
	}
}

func softmaxRowsASM(x *float32, lo, hi *int32, rows int, max, sum *float32) (masked bool) {
	if level == isaAVX512 {
		return softmaxRowsZMM(x, lo, hi, rows, max, sum)
	}
	return softmaxRowsYMM(x, lo, hi, rows, max, sum)
}

func above(dst []int32, x []float32, t float32) int {
	switch level {
	case isaAVX512:
		return aboveAVX512(dst, x, t)
	case isaAVX2:
		return aboveAVX2(dst, x, t)
	}
	return aboveGeneric(dst, x, t)
}

func load(dst []float32, ld int, c *Cache, cells []int32) {
	switch level {
	case isaAVX512:
		loadAVX512(dst, ld, c, cells)
	case isaAVX2:
		loadAVX2(dst, ld, c, cells)
	default:
		loadGeneric(dst, ld, c, cells)
	}
}

// The rest is too short, or too seldom used, for wider vectors to show.

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {
	prefetchT1(base, stride, size, &cells[0], len(cells))
}

func softCap(x []float32, c float32) {
	if level == isaGeneric {
		softCapGeneric(x, c)
		return
	}
	softCapAVX2(x, c)
}

func scale(x []float32, s float32) {
	if level == isaGeneric {
		scaleGeneric(x, s)
		return
	}
	scaleAVX2(x, s)
}

func axpby(x []float32, a float32, y []float32, b float32) {
	if level == isaGeneric {
		axpbyGeneric(x, a, y, b)
		return
	}
	axpbyAVX2(x, a, y, b)
}

func sumSq(sum, sumsq, x []float32, d, n int) {
	if level == isaGeneric {
		sumSqGeneric(sum, sumsq, x, d, n)
		return
	}
	sumSqAVX2(sum, sumsq, x, d, n)
}

func minMax(lo, hi, x []float32, d, n int) {
	if level == isaGeneric {
		minMaxGeneric(lo, hi, x, d, n)
		return
	}
	minMaxAVX2(lo, hi, x, d, n)
}

func toF16(dst []uint16, src []float32) {
	if level == isaGeneric {
		toF16Generic(dst, src)
		return
	}
	toF16AVX2(dst, src)
}

func absMax(x []float32) float32 {
	if level == isaGeneric {
		return absMaxGeneric(x)
	}
	return absMaxAVX2(x)
}

func quantise8(dst, x []float32, inv float32) int32 {
	if level == isaGeneric {
		return quantise8Generic(dst, x, inv)
	}
	return quantise8AVX2(dst, x, inv)
}

func quantise14(dst, x []float32, inv float32) int32 {
	if level == isaGeneric {
		return quantise14Generic(dst, x, inv)
	}
	return quantise14AVX2(dst, x, inv)
}

func maxInto(dst, x []float32) {
	if level == isaGeneric {
		maxIntoGeneric(dst, x)
		return
	}
	maxIntoAVX2(dst, x)
}

func maxAddSqrt(dst, a []float32, beta float32, b []float32) {
	if level == isaGeneric {
		maxAddSqrtGeneric(dst, a, beta, b)
		return
	}
	maxAddSqrtAVX2(dst, a, beta, b)
}

func blockRows() int {
	switch level {
	case isaAVX512:
		return 8
	case isaAVX2:
		return 6
	}
	return genericRows
}

func mul(c []float32, ldc int, a []float32, lda int, b []float32, m, n, k int, add bool) {
	if level == isaGeneric {
		mulGeneric(c, ldc, a, lda, b, m, n, k, add)
		return
	}
	mulASM(&mulArgs{&c[0], ldc, &a[0], lda, &b[0], m, n, k, add})
}

func turn(dst []float32, c *Cache, cells []int32, buf []float32) {
	switch level {
	case isaAVX512:
		turnCells(&turnCellsArgs{&dst[0], c.Dim, c.Base, c.Stride, &cells[0], len(cells)}, c.Type)
	case isaAVX2:
		loadAVX2(buf, c.Dim, c, cells)
		turnASM(&turnArgs{&dst[0], &buf[0], c.Dim})
	default:
		turnGeneric(dst, c, cells, buf)
	}
}

func turnCells(a *turnCellsArgs, t Type) {
	switch t {
	case F32:
		turnF32ASM(a)
	case F16:
		turnF16ASM(a)
	case BF16:
		turnBF16ASM(a)
	case Q8_0:
		turnQ8ASM(a)
	case Q4_0:
		turnQ4ASM(a)
	}
}
