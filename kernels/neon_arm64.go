//go:build arm64 && !noasm

package kernels

import "unsafe"

func dotNEON(dst *float32, ldDst int, q *float32, rows int, k *Cache, cells []int32) {
	d, size, c, n := k.Dim, k.Type.RowBytes(k.Dim), &cells[0], len(cells)
	switch k.Type {
	case F32:
		dotF32NEON(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
	case F16:
		dotF16NEON(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
	case BF16:
		dotBF16NEON(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
	case Q8_0:
		if level == isaDotProd {
			dotQ8DotProd(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
		} else {
			dotQ8NEON(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
		}
	case Q4_0:
		if level == isaDotProd {
			dotQ4DotProd(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
		} else {
			dotQ4NEON(dst, ldDst, q, rows, d, k.Base, k.Stride, size, c, n)
		}
	}
}

func accNEON(acc *float32, ldAcc int, p *float32, ldP int, rows int, v *Cache, cells []int32) {
	d, size, c, n := v.Dim, v.Type.RowBytes(v.Dim), &cells[0], len(cells)
	switch v.Type {
	case F32:
		accF32NEON(acc, ldAcc, p, ldP, rows, d, v.Base, v.Stride, size, c, n)
	case F16:
		accF16NEON(acc, ldAcc, p, ldP, rows, d, v.Base, v.Stride, size, c, n)
	case BF16:
		accBF16NEON(acc, ldAcc, p, ldP, rows, d, v.Base, v.Stride, size, c, n)
	case Q8_0:
		accQ8NEON(acc, ldAcc, p, ldP, rows, d, v.Base, v.Stride, size, c, n)
	case Q4_0:
		accQ4NEON(acc, ldAcc, p, ldP, rows, d, v.Base, v.Stride, size, c, n)
	}
}

func loadNEON(dst []float32, ld int, c *Cache, cells []int32) {
	for j, cell := range cells {
		to, row := dst[j*ld:][:c.Dim], c.row(cell)
		switch c.Type {
		case F32:
			copy(to, unsafe.Slice((*float32)(row), c.Dim))
		case F16:
			loadF16NEON(&to[0], row, c.Dim)
		case BF16:
			loadBF16NEON(&to[0], row, c.Dim)
		case Q8_0:
			loadQ8NEON(&to[0], row, c.Dim)
		case Q4_0:
			loadQ4NEON(&to[0], row, c.Dim)
		}
	}
}

// The assembly checks nothing: sizes are positive, d is a multiple of 8, of 32 where
// the cache is quantised, and so is n of toF16NEON and quantise8NEON of 8. size
// is the bytes of a row of the cache, for prefetching.

//go:noescape
func dotF32NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func dotF16NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func dotBF16NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func dotQ8NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func dotQ8DotProd(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func dotQ4NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func dotQ4DotProd(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func accF32NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func accF16NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func accBF16NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func accQ8NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func accQ4NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func loadF16NEON(dst *float32, row unsafe.Pointer, d int)

//go:noescape
func loadBF16NEON(dst *float32, row unsafe.Pointer, d int)

//go:noescape
func loadQ8NEON(dst *float32, row unsafe.Pointer, d int)

//go:noescape
func loadQ4NEON(dst *float32, row unsafe.Pointer, d int)

//go:noescape
func prefetchL2(base unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

// softmaxRowNEON reports masked, and leaves x alone, when newMax is -Inf.
//
//go:noescape
func softmaxRowNEON(x *float32, n int, oldMax float32) (newMax, sum float32, masked bool)

// softCapNEON needs f = -2/c.
//
//go:noescape
func softCapNEON(x *float32, n int, c, f float32)
