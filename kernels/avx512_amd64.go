//go:build amd64 && !noasm

package kernels

import "unsafe"

// tilesAhead is how many tiles of 16 tokens are asked for from memory before their turn.
const tilesAhead = 3

//go:noescape
func dotF32AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

//go:noescape
func dotF16AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

//go:noescape
func dotBF16AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

//go:noescape
func dotQ8AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)

//go:noescape
func dotQ4AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)

func dotAVX512(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	n, size := len(cells), k.Type.RowBytes(k.Dim)
	switch k.Type {
	case F32:
		dotF32AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead)
	case F16:
		dotF16AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead)
	case BF16:
		dotBF16AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, size, tilesAhead)
	case Q8_0:
		dotQ8AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, 16*tilesAhead)
	case Q4_0:
		dotQ4AVX512(&dst[0], ldDst, &q[0], rows, k.Dim, k.Base, k.Stride, &cells[0], n, 16*tilesAhead)
	}
}

//go:noescape
func accF32AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

//go:noescape
func accF16AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

//go:noescape
func accBF16AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int)

func accAVX512(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	n, size := len(cells), v.Type.RowBytes(v.Dim)
	if v.Type.Quantised() && v.Dim <= intDim {
		accIntegers(acc, ldAcc, p, ldP, rows, v, cells)
		return
	}
	switch v.Type {
	case F32:
		accF32AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, tilesAhead)
	case F16:
		accF16AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, tilesAhead)
	case BF16:
		accBF16AVX512(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], n, size, tilesAhead)
	default:
		accAVX2(acc, ldAcc, p, ldP, rows, v, cells)
	}
}

// What fits in the frame of the kernels that accumulate in integers.
const (
	intDim  = 256
	intRows = 16
	intTile = 16 // tokens
)

// accIntegers leaves rows with an Inf or a NaN, which integers cannot hold, to
// accAVX2, for a tile each.
func accIntegers(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	for r := 0; r < rows; r += intRows {
		n := min(intRows, rows-r)
		for j := 0; j < len(cells); {
			done, bad := accTiles(acc[r*ldAcc:], ldAcc, p[r*ldP+j:], ldP, n, v, cells[j:])
			j += done
			if bad == 0 {
				continue
			}
			first := (j - 1) &^ (intTile - 1)
			for i := r; i < r+n; i++ {
				if bad>>(i-r)&1 != 0 {
					accAVX2(acc[i*ldAcc:], ldAcc, p[i*ldP+first:], ldP, 1, v, cells[first:j])
				}
			}
		}
	}
}

func accTiles(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) (done int, bad uint) {
	if v.Type == Q8_0 {
		return accQ8ZMM(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], len(cells))
	}
	return accQ4ZMM(&acc[0], ldAcc, &p[0], ldP, rows, v.Dim, v.Base, v.Stride, &cells[0], len(cells))
}

//go:noescape
func accQ8ZMM(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n int) (done int, bad uint)

//go:noescape
func accQ4ZMM(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n int) (done int, bad uint)

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
