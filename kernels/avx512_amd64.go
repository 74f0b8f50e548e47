//go:build amd64 && !noasm

package kernels

import "unsafe"

//go:noescape
func dotF32AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int)

//go:noescape
func dotF16AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int)

//go:noescape
func dotBF16AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int)

//go:noescape
func dotQ8AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

//go:noescape
func dotQ4AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

func dotAVX512(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	n, size := len(cells), k.Type.RowBytes(k.Dim)
	switch k.Type {
	case F32:
		dotF32AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead, lastLine(k, size))
	case F16:
		dotF16AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead, lastLine(k, size))
	case BF16:
		dotBF16AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead, lastLine(k, size))
	case Q8_0:
		dotQ8AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead)
	case Q4_0:
		dotQ4AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead)
	}
}

//go:noescape
func accF32AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int)

//go:noescape
func accF16AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int)

//go:noescape
func accBF16AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int)

//go:noescape
func accQ8AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, scratch *byte)

//go:noescape
func accQ4AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, scratch *byte)

func accAVX512(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	n, size := len(cells), v.Type.RowBytes(v.Dim)
	var scratch [384]byte
	switch v.Type {
	case F32:
		accF32AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, tilesAhead, lastLine(v, size))
	case F16:
		accF16AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, tilesAhead, lastLine(v, size))
	case BF16:
		accBF16AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, tilesAhead, lastLine(v, size))
	case Q8_0:
		accQ8AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, min(tilesAhead, 2), &scratch[0])
	case Q4_0:
		accQ4AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, min(tilesAhead, 2), &scratch[0])
	}
}

// tilesAhead is how many tiles of 16 tokens are asked for from memory before their turn.
const tilesAhead = 3

// lastLine is the offset of the last byte of a row, or 0 where its line is sure to be
// asked for with those at multiples of 64 bytes or with the next row. Asking again for a line that
// is on its way is slow on Zen 4.
func lastLine(c *Cache, size int) int {
	if c.Stride < uintptr(size)+64 || (uintptr(c.Base)|c.Stride|uintptr(size))&63 == 0 {
		return 0
	}
	return size - 1
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
