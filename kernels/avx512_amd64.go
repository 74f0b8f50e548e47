//go:build amd64 && !noasm

package kernels

func dotAVX512(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	dotAVX2(dst, ldDst, q, rows, k, cells)
}

func accAVX512(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	accAVX2(acc, ldAcc, p, ldP, rows, v, cells)
}

func softmaxRowAVX512(x []float32, oldMax float32) (newMax, sum float32) {
	return softmaxRowAVX2(x, oldMax)
}

func scanAVX512(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	scanAVX2(dst, ldDst, q, rows, d, tiles, n, sign)
}

func aboveAVX512(dst []int32, x []float32, t float32) int { return aboveAVX2(dst, x, t) }
