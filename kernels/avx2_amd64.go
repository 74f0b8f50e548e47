//go:build amd64 && !noasm

package kernels

import (
	"unsafe"
)

// Prefetch distances, in tokens: the memory is far away.
const (
	dotAhead = 48 // of the dot kernels
	dotTile  = 16 // of dotLong, into the L1 cache
	accAhead = 48 // what the acc kernels are written for
)

// Sizes of rows, in bytes, that decide how to prefetch.
const (
	shortRow = 128 // up to here, 48 rows ahead are all it takes
	easyRow  = 272 // up to here, the hardware is best left alone with rows side by side
)

func dotAVX2(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	n, size := len(cells), k.Type.RowBytes(k.Dim)
	dense := k.Stride < 2*uintptr(size) && int(cells[n-1])-int(cells[0]) == n-1
	switch {
	case dense && size <= easyRow && (rows == 1 || k.Type.Quantised()):
		dotRun(dst, ldDst, q, rows, k, cells, n)
	case dense || size <= shortRow:
		prefetchT1(k.Base, k.Stride, size, &cells[0], min(n, dotAhead))
		dotRun(dst, ldDst, q, rows, k, cells, dotAhead)
	default:
		dotLong(dst, ldDst, q, rows, k, cells)
	}
}

// dotLong has rows brought to the L2 cache from a distance and, a tile ahead, to
// the L1: reading the lines of a long row one after the other makes the hardware
// fetch what follows it, and drop what software asks for.
func dotLong(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	n, size, last := len(cells), k.Type.RowBytes(k.Dim), 0
	if (uintptr(k.Base)|k.Stride)%64 != 0 {
		last = size - 1 // may be in a line of its own
	}
	prefetchT1(k.Base, k.Stride, size, &cells[0], min(n, dotAhead))
	for j := 0; j < n; j += dotTile {
		if far := cells[min(j+dotAhead, n):]; len(far) > 0 {
			linesT1(k.Base, k.Stride, size, &far[0], min(len(far), dotTile), last)
		}
		if near := cells[min(j+dotTile, n):]; len(near) > 0 {
			linesT0(k.Base, k.Stride, size, &near[0], min(len(near), dotTile), last)
		}
		part := cells[j:min(j+dotTile, n)]
		dotRun(dst[j:], ldDst, q, rows, k, part, len(part))
	}
}

// dotRun prefetches ahead tokens ahead, from there on.
func dotRun(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32, ahead int) {
	d, size, n := k.Dim, k.Type.RowBytes(k.Dim), len(cells)
	switch k.Type {
	case F32:
		dotF32YMM(&dst[0], ldDst, &q[0], rows, d, size, k.Base, k.Stride, &cells[0], n, ahead)
	case F16:
		dotF16YMM(&dst[0], ldDst, &q[0], rows, d, size, k.Base, k.Stride, &cells[0], n, ahead)
	case BF16:
		dotBF16YMM(&dst[0], ldDst, &q[0], rows, d, size, k.Base, k.Stride, &cells[0], n, ahead)
	case Q8_0:
		dotQ8YMM(&dst[0], ldDst, &q[0], rows, QueryLen(Q8_0, d), size, k.Base, k.Stride, &cells[0], n, ahead, d, d+d/8)
	case Q4_0:
		dotQ4YMM(&dst[0], ldDst, &q[0], rows, QueryLen(Q4_0, d), size, k.Base, k.Stride, &cells[0], n, ahead, d, d+d/8)
	}
}

func accAVX2(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	d, size, n := v.Dim, v.Type.RowBytes(v.Dim), len(cells)
	if v.Type.Quantised() && rows >= loadRows && rows*n >= loadWork && d <= loadFloats/8 {
		accLoaded(acc, ldAcc, p, ldP, rows, v, cells)
		return
	}
	prefetchT1(v.Base, v.Stride, size, &cells[0], min(n, accAhead))
	switch v.Type {
	case F32:
		accF32YMM(&acc[0], ldAcc, &p[0], ldP, rows, d, v.Base, v.Stride, &cells[0], n, size)
	case F16:
		accF16YMM(&acc[0], ldAcc, &p[0], ldP, rows, d, v.Base, v.Stride, &cells[0], n, size)
	case BF16:
		accBF16YMM(&acc[0], ldAcc, &p[0], ldP, rows, d, v.Base, v.Stride, &cells[0], n, size)
	case Q8_0:
		accQ8YMM(&acc[0], ldAcc, &p[0], ldP, rows, d, v.Base, v.Stride, &cells[0], n, size)
	case Q4_0:
		accQ4YMM(&acc[0], ldAcc, &p[0], ldP, rows, d, v.Base, v.Stride, &cells[0], n, size)
	}
}

// From loadRows rows on, quantised values are converted once for all rows, loadFloats
// at a time, which the L1 cache holds. It needs some work to be worth clearing them.
const (
	loadRows   = 6
	loadWork   = 64 * loadRows // rows times tokens
	loadFloats = 2048
)

// accLoaded does what the acc kernels of quantised values do, bit for bit.
func accLoaded(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	const line = 64
	var room [loadFloats + line/4]float32
	buf := room[-uintptr(unsafe.Pointer(&room))%line/4:][:loadFloats]
	d, size := v.Dim, v.Type.RowBytes(v.Dim)
	tokens := loadFloats / d
	next := cells[:min(tokens, len(cells))]
	prefetchT1(v.Base, v.Stride, size, &next[0], len(next))
	for j := 0; j < len(cells); j += tokens {
		part := next
		if rest := cells[j+len(part):]; len(rest) > 0 {
			next = rest[:min(tokens, len(rest))]
			prefetchT1(v.Base, v.Stride, size, &next[0], len(next))
		}
		loadAVX2(buf, d, v, part)
		accF32YMM(&acc[0], ldAcc, &p[j], ldP, rows, d, unsafe.Pointer(&buf[0]), uintptr(4*d), &ascending[0], len(part), 4*d)
	}
}

func loadAVX2(dst []float32, ld int, c *Cache, cells []int32) {
	n := len(cells)
	switch c.Type {
	case F32:
		loadF32YMM(&dst[0], ld, c.Dim, c.Base, c.Stride, &cells[0], n)
	case F16:
		loadF16YMM(&dst[0], ld, c.Dim, c.Base, c.Stride, &cells[0], n)
	case BF16:
		loadBF16YMM(&dst[0], ld, c.Dim, c.Base, c.Stride, &cells[0], n)
	case Q8_0:
		loadQ8YMM(&dst[0], ld, c.Dim, c.Base, c.Stride, &cells[0], n)
	case Q4_0:
		loadQ4YMM(&dst[0], ld, c.Dim, c.Base, c.Stride, &cells[0], n)
	}
}

// softCapAVX2 does the last len(x)%8 in a vector of their own, since its generic
// twin rounds differently and a logit must not depend on its place.
func softCapAVX2(x []float32, c float32) {
	f, m := -2/c, len(x)&^7
	if m > 0 {
		softCapYMM(&x[0], m, c, f)
	}
	if m < len(x) {
		var last [8]float32
		copy(last[:], x[m:])
		softCapYMM(&last[0], len(last), c, f)
		copy(x[m:], last[:])
	}
}

// setLanes is a table of the assembly: it holds for each 8-bit mask the numbers of its bits, one a byte, ascending.
var setLanes = func() (t [256]uint64) {
	for mask := range t {
		at := 0
		for lane := range 8 {
			if mask>>lane&1 != 0 {
				t[mask] |= uint64(lane) << at
				at += 8
			}
		}
	}
	return t
}()

// The assembly checks nothing: sizes are positive and multiples of 8 where said so.

// The dot kernels prefetch ahead tokens ahead, from that token on. size is of a row of keys, ldQ is
// the length of a query row, qscales and qbias are the offsets in bytes of its scales
// and its bias.
//
//go:noescape
func dotF32YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)

//go:noescape
func dotF16YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)

//go:noescape
func dotBF16YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)

//go:noescape
func dotQ8YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead, qscales, qbias int)

//go:noescape
func dotQ4YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead, qscales, qbias int)

// The acc kernels prefetch from token accAhead on. size is of a row of values.
//
//go:noescape
func accF32YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)

//go:noescape
func accF16YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)

//go:noescape
func accBF16YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)

//go:noescape
func accQ8YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)

//go:noescape
func accQ4YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)

//go:noescape
func loadF32YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadF16YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadBF16YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadQ8YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadQ4YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func prefetchT1(base unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

//go:noescape
func linesT1(base unsafe.Pointer, stride uintptr, size int, cells *int32, n, last int)

//go:noescape
func linesT0(base unsafe.Pointer, stride uintptr, size int, cells *int32, n, last int)

// softmaxRowsYMM does cells lo <= j < hi of rows that lie ldTile apart, where there are any: the maximum becomes the
// new one. It reports masked when a new maximum is -Inf, and leaves such a row alone.
//
//go:noescape
func softmaxRowsYMM(x *float32, lo, hi *int32, rows int, max, sum *float32) (masked bool)

//go:noescape
func softCapYMM(x *float32, n int, c, f float32)
