//go:build amd64 && !noasm

package kernels

import (
	"math"
	"unsafe"
)

// dotAhead is how many tokens ahead the dot kernels prefetch. Rows that are apart are
// beyond the hardware's prefetcher, and the memory is far away. accAhead is that of
// the acc kernels, which are written for it.
const (
	dotAhead = 48
	accAhead = 48
)

func dotAVX2(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	d, size, n := k.Dim, k.Type.RowBytes(k.Dim), len(cells)
	ldQ := QueryLen(k.Type, d)
	ahead := n // none
	if k.Stride >= 2*uintptr(size) || int(cells[n-1])-int(cells[0]) != n-1 {
		ahead = dotAhead
		prefetchT1(k.Base, k.Stride, size, &cells[0], min(n, ahead))
	} // else they lie side by side, and the hardware is better alone
	switch k.Type {
	case F32:
		dotF32YMM(&dst[0], ldDst, &q[0], rows, ldQ, size, k.Base, k.Stride, &cells[0], n, ahead)
	case F16:
		dotF16YMM(&dst[0], ldDst, &q[0], rows, ldQ, size, k.Base, k.Stride, &cells[0], n, ahead)
	case BF16:
		dotBF16YMM(&dst[0], ldDst, &q[0], rows, ldQ, size, k.Base, k.Stride, &cells[0], n, ahead)
	case Q8_0:
		dotQ8YMM(&dst[0], ldDst, &q[0], rows, ldQ, size, k.Base, k.Stride, &cells[0], n, ahead, d, d+d/8)
	case Q4_0:
		dotQ4YMM(&dst[0], ldDst, &q[0], rows, ldQ, size, k.Base, k.Stride, &cells[0], n, ahead, d, d+d/8)
	}
}

func accAVX2(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	d, size, n := v.Dim, v.Type.RowBytes(v.Dim), len(cells)
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

func loadAVX2(dst []float32, c *Cache, cells []int32) {
	n := len(cells)
	switch c.Type {
	case F32:
		loadF32YMM(&dst[0], c.Dim, c.Base, c.Stride, &cells[0], n)
	case F16:
		loadF16YMM(&dst[0], c.Dim, c.Base, c.Stride, &cells[0], n)
	case BF16:
		loadBF16YMM(&dst[0], c.Dim, c.Base, c.Stride, &cells[0], n)
	case Q8_0:
		loadQ8YMM(&dst[0], c.Dim, c.Base, c.Stride, &cells[0], n)
	case Q4_0:
		loadQ4YMM(&dst[0], c.Dim, c.Base, c.Stride, &cells[0], n)
	}
}

func softmaxRowAVX2(x []float32, oldMax float32) (newMax, sum float32) {
	newMax, sum, masked := softmaxRowYMM(&x[0], len(x), oldMax)
	if masked {
		sum = clearMasked(x)
	}
	return newMax, sum
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

func axpbyAVX2(x []float32, a float32, y []float32, b float32) {
	axpbyYMM(&x[0], &y[0], len(x), a, b)
}

func sumSqAVX2(sum, sumsq, x []float32, d, n int) { sumSqYMM(&sum[0], &sumsq[0], &x[0], d, n) }

func minMaxAVX2(lo, hi, x []float32, d, n int) { minMaxYMM(&lo[0], &hi[0], &x[0], d, n) }

// quantise8AVX2 and quantise14AVX2 take multiples of 8 only.

func quantise8AVX2(dst, x []float32, inv float32) int32 {
	return quantise8YMM(&dst[0], &x[0], len(x), inv)
}

func quantise14AVX2(dst, x []float32, inv float32) int32 {
	return quantise14YMM(&dst[0], &x[0], len(x), inv)
}

func scanAVX2(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	scanYMM(&dst[0], ldDst, &q[0], rows, d, &tiles[0], n, int(sign))
}

// The rest leaves the last len%8 elements to its generic twins, which agree bit for
// bit.

func scaleAVX2(x []float32, s float32) {
	m := len(x) &^ 7
	if m > 0 {
		scaleYMM(&x[0], m, s)
	}
	scaleGeneric(x[m:], s)
}

func toF16AVX2(dst []uint16, src []float32) {
	m := len(src) &^ 7
	if m > 0 {
		toF16YMM(&dst[0], &src[0], m)
	}
	toF16Generic(dst[m:], src[m:])
}

func absMaxAVX2(x []float32) float32 {
	m, most := len(x)&^7, float32(0)
	if m > 0 {
		most = absMaxYMM(&x[0], m)
	}
	return math.Float32frombits(max(math.Float32bits(most), math.Float32bits(absMaxGeneric(x[m:]))))
}

func maxIntoAVX2(dst, x []float32) {
	m := len(dst) &^ 7
	if m > 0 {
		maxIntoYMM(&dst[0], &x[0], m)
	}
	maxIntoGeneric(dst[m:], x[m:])
}

func maxAddSqrtAVX2(dst, a []float32, beta float32, b []float32) {
	m := len(dst) &^ 7
	if m > 0 {
		maxAddSqrtYMM(&dst[0], &a[0], &b[0], m, beta)
	}
	maxAddSqrtGeneric(dst[m:], a[m:], beta, b[m:])
}

func aboveAVX2(dst []int32, x []float32, t float32) int {
	m, n := len(x)&^7, 0
	if m > 0 {
		n = aboveYMM(&dst[0], &x[0], m, t, &setLanes)
	}
	for i, v := range x[m:] {
		if v >= t {
			dst[n] = int32(m + i)
			n++
		}
	}
	return n
}

// setLanes holds for each 8-bit mask the numbers of its bits, one a byte, ascending.
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
func loadF32YMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadF16YMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadBF16YMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadQ8YMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func loadQ4YMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)

//go:noescape
func prefetchT1(base unsafe.Pointer, stride uintptr, size int, cells *int32, n int)

// softmaxRowYMM reports masked, and leaves x alone, when newMax is -Inf.
//
//go:noescape
func softmaxRowYMM(x *float32, n int, oldMax float32) (newMax, sum float32, masked bool)

//go:noescape
func softCapYMM(x *float32, n int, c, f float32)

//go:noescape
func scaleYMM(x *float32, n int, s float32)

//go:noescape
func axpbyYMM(x, y *float32, n int, a, b float32)

//go:noescape
func sumSqYMM(sum, sumsq, x *float32, d, n int)

//go:noescape
func minMaxYMM(lo, hi, x *float32, d, n int)

//go:noescape
func toF16YMM(dst *uint16, src *float32, n int)

//go:noescape
func absMaxYMM(x *float32, n int) float32

//go:noescape
func quantise8YMM(dst, x *float32, n int, inv float32) int32

//go:noescape
func quantise14YMM(dst, x *float32, n int, inv float32) int32

//go:noescape
func scanYMM(dst *float32, ldDst int, q *float32, rows, d int, tiles *byte, n, sign int)

//go:noescape
func maxIntoYMM(dst, x *float32, n int)

//go:noescape
func maxAddSqrtYMM(dst, a, b *float32, n int, beta float32)

//go:noescape
func aboveYMM(dst *int32, x *float32, n int, t float32, lanes *[256]uint64) int
