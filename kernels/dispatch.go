package kernels

import (
	"math"
	"unsafe"
)

// What goes to assembly, and what of it stays in portable Go; asm_ARCH.go has the calls of the
// level's best. attend.go and dispatch_codes.go are the same for kernels that need a driver.

// whole is how many of n elements the kernels that take multiples of 8 get. Go does the rest, and
// agrees bit for bit.
func whole(n int) int {
	if level == isaGeneric {
		return 0
	}
	return n &^ 7
}

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if level == isaGeneric {
		return softmaxRowGeneric(x, oldMax)
	}
	if softmaxRowASM(&softmaxArgs{&x[0], len(x), &oldMax, &sum}) {
		sum = clearMasked(x)
	}
	return oldMax, sum
}

// expSum does the last elements as a part of its own, as does who adds up in parts.
func expSum(x []float32, oldMax float32) (newMax, sum float32) {
	n := 0
	if level != isaGeneric {
		n = len(x) &^ 15
	}
	if n > 0 {
		sum = expSumASM(&expSumArgs{&x[0], n, &oldMax})
	}
	newMax, rest := expSumGeneric(x[n:], oldMax)
	if newMax > oldMax {
		sum *= Exp32(oldMax - newMax)
	}
	return newMax, sum + rest
}

// raise and weigh do up to 3 rows more, which there are in a group.
func raise(x []float32, n int, max []float32) bool {
	if level == isaGeneric {
		return raiseGeneric(x, n, max)
	}
	return raiseASM(&rowsArgs{&x[0], ldTile, n, (len(max) + 3) &^ 3, &max[0], nil})
}

func weigh(x []float32, n int, max, sum []float32) {
	if level == isaGeneric {
		weighGeneric(x, n, max, sum)
		return
	}
	weighASM(&rowsArgs{&x[0], ldTile, n, (len(max) + 3) &^ 3, &max[0], &sum[0]})
}

// softCap does the last elements in a vector of their own, since its generic twin rounds
// differently and a logit must not depend on its place.
func softCap(x []float32, c float32) {
	if level == isaGeneric {
		softCapGeneric(x, c)
		return
	}
	m := whole(len(x))
	if m > 0 {
		softCapASM(&elemArgs{dst: &x[0], n: m, s: c, t: -2 / c})
	}
	if m < len(x) {
		var last [8]float32
		copy(last[:], x[m:])
		softCapASM(&elemArgs{dst: &last[0], n: len(last), s: c, t: -2 / c})
		copy(x[m:], last[:])
	}
}

func scale(x []float32, s float32) {
	m := whole(len(x))
	if m > 0 {
		scaleASM(&elemArgs{dst: &x[0], n: m, s: s})
	}
	scaleGeneric(x[m:], s)
}

// axpby does the last elements in a vector of their own, since its generic twin rounds differently.
func axpby(x []float32, a float32, y []float32, b float32) {
	if level == isaGeneric {
		axpbyGeneric(x, a, y, b)
		return
	}
	m := whole(len(x))
	if m > 0 {
		axpbyASM(&elemArgs{dst: &x[0], x: &y[0], n: m, s: a, t: b})
	}
	if m < len(x) {
		var last, other [8]float32
		copy(last[:], x[m:])
		copy(other[:], y[m:])
		axpbyASM(&elemArgs{dst: &last[0], x: &other[0], n: len(last), s: a, t: b})
		copy(x[m:], last[:])
	}
}

func maxAdd(dst, x []float32, ld int, by []float32) {
	m := whole(len(dst))
	if m > 0 {
		maxAddASM(&maxAddArgs{&dst[0], &x[0], ld, &by[0], len(by), m})
	}
	maxAddGeneric(dst[m:], x[m:], ld, by)
}

func maxAddSqrt(dst, a []float32, ldA int, beta float32, b []float32, ldB, rows int) {
	m := whole(len(dst))
	if m > 0 {
		maxAddSqrtASM(&maxAddSqrtArgs{&dst[0], &a[0], &b[0], ldA, ldB, rows, m, beta})
	}
	if m < len(dst) {
		maxAddSqrtGeneric(dst[m:], a[m:], ldA, beta, b[m:], ldB, rows)
	}
}

func toF16(dst []uint16, src []float32) {
	m := whole(len(src))
	if m > 0 {
		toF16ASM(&toF16Args{&dst[0], &src[0], m})
	}
	toF16Generic(dst[m:], src[m:])
}

func absMax(x []float32) float32 {
	m, most := whole(len(x)), float32(0)
	if m > 0 {
		most = absMaxASM(&rowArgs{&x[0], m})
	}
	return math.Float32frombits(max(math.Float32bits(most), math.Float32bits(absMaxGeneric(x[m:]))))
}

func above(dst []int32, x []float32, t float32) int {
	m, n := whole(len(x)), 0
	if m > 0 {
		n = aboveASM(&aboveArgs{&dst[0], &x[0], m, t})
	}
	rest := dst[n:]
	k := aboveGeneric(rest, x[m:], t)
	for i := range rest[:k] {
		rest[i] += int32(m)
	}
	return n + k
}

func sumSq(sum, sumsq, x []float32, d, n int) {
	if level == isaGeneric {
		sumSqGeneric(sum, sumsq, x, d, n)
		return
	}
	sumSqASM(&statsArgs{&sum[0], &sumsq[0], &x[0], d, n})
}

func minMax(lo, hi, x []float32, d, n int) {
	if level == isaGeneric {
		minMaxGeneric(lo, hi, x, d, n)
		return
	}
	minMaxASM(&statsArgs{&lo[0], &hi[0], &x[0], d, n})
}

// quantise8 and quantise14 take multiples of 8.

func quantise8(dst, x []float32, inv float32) int32 {
	if level == isaGeneric {
		return quantise8Generic(dst, x, inv)
	}
	return quantise8ASM(&quantiseArgs{&dst[0], &x[0], len(x), inv})
}

func quantise14(dst, x []float32, inv float32) int32 {
	if level == isaGeneric {
		return quantise14Generic(dst, x, inv)
	}
	return quantise14ASM(&quantiseArgs{&dst[0], &x[0], len(x), inv})
}

func scan(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	if level == isaGeneric {
		scanGeneric(dst, ldDst, q, rows, d, tiles, n, sign)
		return
	}
	scanASM(&scanArgs{&dst[0], ldDst, &q[0], rows, d, &tiles[0], n, int(sign)})
}

// scan4Tiles is for kernels that do whole tiles, a row at a time.
func scan4Tiles(a *scan4Args) {
	var x, y [TilePages]float32
	list := unsafe.Slice(a.tiles, (a.n+TilePages-1)/TilePages)
	q := unsafe.Slice(a.q, a.rows*ScanLen4(a.d))
	for i := range list {
		p := i * TilePages
		some := min(TilePages, a.n-p)
		for r := range a.rows {
			scan4ASM(&scan4Args{mean: &x[0], spread: &y[0], q: &q[r*ScanLen4(a.d)], d: a.d,
				tiles: &list[i]})
			copy(unsafe.Slice(a.mean, r*a.ldMean+p+some)[r*a.ldMean+p:], x[:])
			if a.spread != nil {
				copy(unsafe.Slice(a.spread, r*a.ldSpread+p+some)[r*a.ldSpread+p:], y[:])
			}
		}
	}
}

func encodeCodes(dst []byte, bits int, x, mean, sd []float32) {
	if level < isaAVX2 || len(x) == 0 {
		encodeCodesGeneric(dst, bits, x, mean, sd)
		return
	}
	clear(dst)
	encodeASM(&encodeArgs{&dst[0], bits, &x[0], &mean[0], &sd[0], len(mean), len(x) / len(mean)})
}

// blockRows is how many rows mul does at once.
func blockRows() int {
	switch {
	case level >= isaAVX512:
		return 8
	case level == isaAVX2:
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

// mulHalves does the last rows in a matrix of their own, as tiles have 16.
func mulHalves(c []float32, ldc int, a []float32, lda int, b []float32, m, k int, add bool) {
	if level < isaAMX {
		mulHalvesGeneric(c, ldc, a, lda, b, m, k, add)
		return
	}
	n := m &^ (tileRows - 1)
	if n > 0 {
		mulHalvesASM(&mulArgs{&c[0], ldc, &a[0], lda, &b[0], n, panel, k, add})
	}
	if n == m {
		return
	}
	var last [tileRows * panel]float32
	for i := n; i < m && add; i++ {
		copy(last[(i-n)*panel:], c[i*ldc:][:panel])
	}
	mulHalvesASM(&mulArgs{&last[0], panel, &a[n*lda], lda, &b[0], tileRows, panel, k, add})
	for i := n; i < m; i++ {
		copy(c[i*ldc:][:panel], last[(i-n)*panel:])
	}
}

func halve(dst []float32, ldDst int, src []float32, ldSrc, n, rows int) {
	if level < isaAMX {
		halveGeneric(dst, ldDst, src, ldSrc, n, rows)
		return
	}
	halveASM(&halveArgs{&dst[0], ldDst, &src[0], ldSrc, n, rows})
}

func halvePairs(x []float32, rows int) {
	if level < isaAMX {
		halvePairsGeneric(x, rows)
		return
	}
	halvePairsASM(&halvePairsArgs{&x[0], rows})
}

func turn(dst []float32, c *Cache, cells []int32, buf []float32) {
	switch level {
	case isaGeneric:
		turnGeneric(dst, c, cells, buf)
	case isaAVX512, isaAMX:
		a := &turnCellsArgs{&dst[0], c.Dim, c.Base, c.Stride, &cells[0], len(cells)}
		turnCellsASM(a, c.Type)
	default:
		load(buf, c.Dim, c, cells)
		turnASM(&turnArgs{&dst[0], &buf[0], c.Dim})
	}
}

func load(dst []float32, ld int, c *Cache, cells []int32) {
	if level == isaGeneric {
		loadGeneric(dst, ld, c, cells)
		return
	}
	loadASM(&loadArgs{&dst[0], ld, c.Dim, c.Base, c.Stride, &cells[0], len(cells)}, c.Type)
}

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {
	if level != isaGeneric {
		prefetchCellsASM(&prefetchArgs{base, stride, size, &cells[0], len(cells)})
	}
}
