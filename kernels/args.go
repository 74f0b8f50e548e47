package kernels

import "unsafe"

// The arguments of kernels in assembly, the same at all levels; they are passed by address, as
// copies of a struct that was just written cost more than some kernels. The assembly checks
// nothing: sizes are positive, and multiples of 8 where said so.

// mulArgs are those of mul; rows of b are panels, and are read to a multiple of the columns of two
// vectors.
type mulArgs struct {
	c   *float32
	ldc int
	a   *float32
	lda int
	b   *float32

	m, n, k int
	add     bool
}

// tilesArgs are those of useTiles.
type tilesArgs struct{ was, config *tileConfig }

// tileConfig is what the tiles of AMX are.
type tileConfig struct {
	palette, start byte
	_              [14]byte
	rowBytes       [16]uint16
	rows           [16]byte
}

// halveArgs are those of halve: rows of n floats, a multiple of 32.
type halveArgs struct {
	dst     *float32
	ldDst   int
	src     *float32
	ldSrc   int
	n, rows int
}

// halvePairsArgs are those of halvePairs: an even number of rows of a panel.
type halvePairsArgs struct {
	x    *float32
	rows int
}

// turnArgs are those of turn, which puts 16 rows of d floats side by side.
type turnArgs struct {
	dst, src *float32
	d        int
}

// turnCellsArgs are those of turnCellsF32 to turnCellsQ4, which convert the rows of n cells, or of
// the last one again.
type turnCellsArgs struct {
	dst    *float32
	d      int
	base   unsafe.Pointer
	stride uintptr
	cells  *int32
	n      int
}

// missing is what a kernel says that the level has not, and that nothing may call.
const missing = "kernels: this kernel is for other instruction sets"

// elemArgs are those of scale, axpby and softCap, of multiples of 8 floats.
type elemArgs struct {
	dst, x, y *float32
	n         int
	s, t      float32
}

// maxAddArgs are those of maxAdd, of multiples of 8 floats and one row at least.
type maxAddArgs struct {
	dst, x  *float32
	ld      int
	by      *float32
	rows, n int
}

// maxAddSqrtArgs are those of maxAddSqrt, likewise.
type maxAddSqrtArgs struct {
	dst, x, y *float32
	ldX, ldY  int
	rows, n   int
	beta      float32
}

// toF16Args are those of toF16, of multiples of 8 floats.
type toF16Args struct {
	dst *uint16
	src *float32
	n   int
}

// rowArgs are those of absMax, of multiples of 8 floats.
type rowArgs struct {
	x *float32
	n int
}

// aboveArgs are those of above, of multiples of 8 floats.
type aboveArgs struct {
	dst *int32
	x   *float32
	n   int
	t   float32
}

// statsArgs are those of sumSq and minMax: n rows of d floats, a multiple of 8.
type statsArgs struct {
	first, second, x *float32
	d, n             int
}

// quantiseArgs are those of quantise8 and quantise14, of multiples of 8 floats.
type quantiseArgs struct {
	dst, x *float32
	n      int
	inv    float32
}

// encodeArgs are those of encode: n tokens of d floats, a multiple of 8.
type encodeArgs struct {
	dst         *byte
	bits        int
	x, mean, sd *float32
	d, n        int
}

// scanArgs are those of scan; q and tiles are as Scan describes them.
type scanArgs struct {
	dst     *float32
	ldDst   int
	q       *float32
	rows, d int
	tiles   *byte
	n       int
	sign    int
}

// scan4Args are those of scan4: n pages of a list of tiles, in which there are tilesAhead more. d is
// rounded up to whole lanes, and a spread of nil is not wanted. arm64 does one row of one tile, with
// its spread.
type scan4Args struct {
	mean, spread     *float32
	ldMean, ldSpread int
	q                *float32
	rows, d          int
	tiles            **byte
	n                int
}

// codesArgs are those of scoreCodes: up to codeRows rows and n pages, d rounded up to whole lanes.
// The codes of pages from the asked-th on, before the last-th, are asked for from memory.
type codesArgs struct {
	dst           *float32
	ldDst         int
	q             *float32
	rows, d, bits int
	base          *float32
	ldBase        int
	page          *Coded

	n, asked, last int
}

// Coded is a page whose tokens have codes: see CodedPages.
type Coded struct {
	lanes, codes *byte
	scales       *uint32 // that of the spreads is the low half, see scales4
	col          int32
}

// decodeArgs are those of decodeCodes, which writes the codes of a page as bytes, 4 channels of 16
// tokens after the other. Here and below d is rounded up to whole lanes.
type decodeArgs struct {
	z     *byte
	bits  int
	codes *byte
	d     int
}

// weightArgs are those of weighSpreads, which writes the products of a query and a page's spreads,
// and returns their sum.
type weightArgs struct {
	dst   *byte
	q     *float32
	odd   int // offset of the odd channels in q, in bytes
	lanes *byte
	d     int
	sum   *int32
}

// productArgs are those of multiplyCodes, which multiplies the weights of rows with what
// decodeCodes made, and finishes the estimates.
type productArgs struct {
	dst               *float32
	ldDst             int
	z                 *byte
	q                 *byte
	rowBytes, rows, d int
	factor, base      *float32
}

// blockArgs are those of dot, whose rows are of queries and whose out are logits, and of acc, whose
// rows are of weights and whose out are sums of values: of n cells, each of a row of size bytes, d
// numbers. With each 16 of them they ask for as many rows of another list, of which size bytes are
// wanted, and the byte at end where that is not 0. From AVX2 on there must be one at least.
type blockArgs struct {
	out     *float32
	ldOut   int
	in      *float32
	ldIn    int
	rows, d int

	base    unsafe.Pointer
	stride  uintptr
	cells   *int32
	n, size int

	askBase   unsafe.Pointer
	askStride uintptr
	askCells  *int32
	askN, end int

	farBase   unsafe.Pointer // the same for what is further ahead
	farStride uintptr
	farCells  *int32
	farN      int

	scales, biases int // offsets in bytes in a query for quantised keys
}

// loadArgs are those of loadF32 to loadQ4: rows of d floats from n cells.
type loadArgs struct {
	dst    *float32
	ld, d  int
	base   unsafe.Pointer
	stride uintptr
	cells  *int32
	n      int
}

// prefetchArgs are those of prefetchCells.
type prefetchArgs struct {
	base   unsafe.Pointer
	stride uintptr
	size   int
	cells  *int32
	n      int
}

// expSumArgs are those of expSum, of multiples of 16 floats: the maximum becomes the new one.
type expSumArgs struct {
	x   *float32
	n   int
	max *float32
}

// softmaxArgs are those of softmaxRow: the maximum becomes the new one. It reports a new maximum of
// -Inf, and leaves x alone then.
type softmaxArgs struct {
	x        *float32
	n        int
	max, sum *float32
}

// rowsArgs are those of raise and weigh: n columns, a multiple of 32, of rows that lie ld apart, a
// multiple of 4.
type rowsArgs struct {
	x        *float32
	ld, n    int
	rows     int
	max, sum *float32
}
