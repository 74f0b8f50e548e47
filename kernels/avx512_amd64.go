//go:build amd64 && !noasm

package kernels

func dotAVX512(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	dotAVX2(dst, ldDst, q, rows, k, cells)
}

func accAVX512(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	accAVX2(acc, ldAcc, p, ldP, rows, v, cells)
}

func softmaxRowAVX512(x []float32, oldMax float32) (newMax, sum float32) {
	newMax, sum, masked := softmaxRowZMM(&x[0], len(x), oldMax)
	if masked {
		sum = clearMasked(x)
	}
	return newMax, sum
}

func scanAVX512(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	scanZMM(&dst[0], ldDst, &q[0], rows, d, &tiles[0], n, sign)
}

func aboveAVX512(dst []int32, x []float32, t float32) int {
	if len(x) == 0 {
		return 0
	}
	return aboveZMM(&dst[0], &x[0], len(x), t)
}

//go:noescape
func scanZMM(dst *float32, ldDst int, q *float32, rows, d int, tiles *byte, n int, sign Sign)

//go:noescape
func softmaxRowZMM(x *float32, n int, oldMax float32) (newMax, sum float32, masked bool)

//go:noescape
func aboveZMM(dst *int32, x *float32, n int, t float32) int
