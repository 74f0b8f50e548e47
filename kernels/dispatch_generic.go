//go:build (!amd64 && !arm64) || noasm

package kernels

import "unsafe"

func available() []isa { return []isa{isaGeneric} }

func dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	dotGeneric(dst, ldDst, q, rows, k, cells)
}

func accumulate(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	accGeneric(acc, ldAcc, p, ldP, rows, v, cells)
}

func load(dst []float32, ld int, c *Cache, cells []int32) { loadGeneric(dst, ld, c, cells) }

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {}

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	return softmaxRowGeneric(x, oldMax)
}

func softCap(x []float32, c float32) { softCapGeneric(x, c) }

func scale(x []float32, s float32) { scaleGeneric(x, s) }

func axpby(x []float32, a float32, y []float32, b float32) { axpbyGeneric(x, a, y, b) }

func sumSq(sum, sumsq, x []float32, d, n int) { sumSqGeneric(sum, sumsq, x, d, n) }

func minMax(lo, hi, x []float32, d, n int) { minMaxGeneric(lo, hi, x, d, n) }

func toF16(dst []uint16, src []float32) { toF16Generic(dst, src) }

func absMax(x []float32) float32 { return absMaxGeneric(x) }

func quantise8(dst, x []float32, inv float32) int32 { return quantise8Generic(dst, x, inv) }

func quantise14(dst, x []float32, inv float32) int32 { return quantise14Generic(dst, x, inv) }

func scan(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	scanGeneric(dst, ldDst, q, rows, d, tiles, n, sign)
}

func maxInto(dst, x []float32) { maxIntoGeneric(dst, x) }

func maxAddSqrt(dst, a []float32, beta float32, b []float32) { maxAddSqrtGeneric(dst, a, beta, b) }

func above(dst []int32, x []float32, t float32) int { return aboveGeneric(dst, x, t) }

func scan4(mean, spread []float32, ld int, q []float32, rows, d int, tiles []byte, n int) {
	scan4Generic(mean, spread, ld, q, rows, d, tiles, n)
}

func encodeCodes(dst []byte, bits int, x, mean, sd []float32) {
	encodeCodesGeneric(dst, bits, x, mean, sd)
}

func scoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte, pages []int32) {
	scoreCodesGeneric(dst, ldDst, q, rows, d, bits, tiles, codes, pages)
}

func blockRows() int { return genericRows }

func mul(c []float32, ldc int, a []float32, lda int, b []float32, m, n, k int, add bool) {
	mulGeneric(c, ldc, a, lda, b, m, n, k, add)
}

func turn(dst []float32, c *Cache, cells []int32, buf []float32) {
	turnGeneric(dst, c, cells, buf)
}

func softmaxRows(x []float32, lo, hi []int32, max, sum []float32) {
	softmaxRowsGeneric(x, lo, hi, max, sum)
}
