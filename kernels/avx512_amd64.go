//go:build amd64 && !noasm

package kernels

import "unsafe"

//go:noescape
func dotQ8AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)

//go:noescape
func dotQ4AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)

func dotqAVX512(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32, next *Ahead) {
	to, from, first, n, d := &dst[0], &q[0], &cells[0], len(cells), k.Dim
	size := k.Type.RowBytes(d)
	ahead, then := aheadTiles(size), next.args()
	if k.Type == Q8_0 {
		dotQ8AVX512(to, ldDst, from, rows, d, k.Base, k.Stride, first, n, size, ahead, &then)
	} else {
		dotQ4AVX512(to, ldDst, from, rows, d, k.Base, k.Stride, first, n, size, ahead, &then)
	}
}

//go:noescape
func accQ8AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)

//go:noescape
func accQ4AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)

func accqAVX512(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32, next *Ahead) {
	to, from, first, n, d := &acc[0], &p[0], &cells[0], len(cells), v.Dim
	size := v.Type.RowBytes(d)
	ahead, then := aheadTiles(size), next.args()
	if v.Type == Q8_0 {
		accQ8AVX512(to, ldAcc, from, ldP, rows, d, v.Base, v.Stride, first, n, size, ahead, &then)
	} else {
		accQ4AVX512(to, ldAcc, from, ldP, rows, d, v.Base, v.Stride, first, n, size, ahead, &then)
	}
}

// aheadTiles is how many tiles of 16 rows lie between the one in work and that asked for
// from memory: up to 3, as the ring of pointers has 4. About 8 kB are then on
// their way, a fourth of the smallest L1 cache.
func aheadTiles(size int) int { return max(1, min(3, 512/size)) }

// lastLine is the offset of the last byte of a row, or 0 where its cache line is asked
// for anyhow: with those at multiples of 64 bytes or with the next row. To ask
// again for a line that is on its way is slow on Zen 4.
func lastLine(c *Cache, size int) int {
	if c.Stride < uintptr(size)+64 || (uintptr(c.Base)|c.Stride)&63 == 0 {
		return 0
	}
	return size - 1
}

// aheadArgs are an Ahead for assembly.
type aheadArgs struct {
	base   unsafe.Pointer
	stride uintptr
	cells  *int32
	n      int
	asked  bool
}

func (next *Ahead) args() (a aheadArgs) {
	a.asked = next.Asked
	if a.n = len(next.Cells); a.n > 0 {
		a.base, a.stride, a.cells = next.Cache.Base, next.Cache.Stride, &next.Cells[0]
	}
	return a
}
