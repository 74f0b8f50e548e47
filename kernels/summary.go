package kernels

import (
	"encoding/binary"
	"math"
)

// Summaries of pages are kept in 8 bits, in tiles of TilePages pages: their float32
// scales, then, for each group of 4 channels, 4 bytes of each page. So a
// vector holds the same channels of 4, 8 or 16 pages, and a scan needs neither
// shuffles nor sums across lanes.
//
// Bytes are unsigned. A plane that is Signed (means, minima, maxima) stores
// value/scale + 128, others (variances) value/scale.
const TilePages = 1 << tileBits

const tileBits = 4

// Sign tells how the bytes of a plane of summaries are meant; it is their zero point.
type Sign int32

const (
	Unsigned Sign = 0
	Signed   Sign = 128
)

// maxScanDim keeps sums of products within int32.
const maxScanDim = 1024

// TileBytes is the size of a tile of summaries of dimension d.
func TileBytes(d int) int { return 4*TilePages + TilePages*d }

// ScanLen is the length in float32 of a query row of dimension d for Scan.
func ScanLen(d int) int { return d + 2 }

// scanBase splits a 14-bit integer into two int8: base*hi + lo.
const (
	scanBase = 64
	scanTop  = 127 * scanBase
)

// Pack writes the summary x of the page at slot, 0..TilePages-1, of a tile.
// Unsigned summaries are >= 0. A summary with a NaN or an Inf scores NaN.
func Pack(tile []byte, slot int, x []float32, sign Sign) {
	d := len(x)
	if uint(slot) >= TilePages || d == 0 || d&7 != 0 {
		panicDims()
	}
	if len(tile) < TileBytes(d) {
		panicShort("tile")
	}
	top := float32(255)
	if sign == Signed {
		top = 127
	}
	inv, scale := int8Scale(absMax(x), top)
	binary.LittleEndian.PutUint32(tile[4*slot:], math.Float32bits(scale))
	pack(tile[4*TilePages+4*slot:], x, inv, float32(sign))
}

func pack(dst []byte, x []float32, inv, zero float32) {
	// Adding it leaves the rounded integer in the low bits.
	const magic = 3 << 22
	for len(x) >= 4 {
		var w uint32
		for i, v := range x[:4] {
			w |= math.Float32bits(float32(v*inv)+(magic+zero)) & 0xff << (8 * i)
		}
		binary.LittleEndian.PutUint32(dst, w)
		if x = x[4:]; len(x) > 0 {
			dst = dst[4*TilePages:]
		}
	}
}

// ScanQueries makes rows of q [rows][d] ready for Scan: dst is [rows][ScanLen].
//
// A row is d int8 hi, d int8 lo, then pairs of int16 (x0, x2) for each 4 channels,
// then pairs (x1, x3), then a scale, then the int32 sum of x. x = 64*hi + lo is the
// rounded query.
func ScanQueries(dst, q []float32, rows, d int) {
	checkRows(len(q), d, rows)
	size := ScanLen(d)
	if uint64(rows)*uint64(size) > uint64(len(dst)) {
		panicShort("dst")
	}
	for r := range rows {
		x, row := q[r*d:(r+1)*d], dst[r*size:(r+1)*size]
		inv, scale := int8Scale(absMax(x), scanTop)
		row[d] = scale
		row[d+1] = math.Float32frombits(uint32(quantise14(row[:d], x, inv)))
	}
}

// Scan scores the first n pages of tiles: dst[r*ldDst+p] = q_r . summary of p, for
// r < rows. q was made by ScanQueries. The integers are exact, so all levels agree
// to two roundings. It panics if d > 1024 or not a positive multiple of 8, or a slice is too short.
func Scan(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int, sign Sign) {
	if uint64(rows)|uint64(n) >= maxDim || d <= 0 || d > maxScanDim || d&7 != 0 {
		panicDims()
	}
	if rows == 0 || n == 0 {
		return
	}
	checkMatrix(len(dst), rows, ldDst, n, "dst")
	if uint64(rows)*uint64(ScanLen(d)) > uint64(len(q)) {
		panicShort("q")
	}
	if uint64(n+TilePages-1)/TilePages*uint64(TileBytes(d)) > uint64(len(tiles)) {
		panicShort("tiles")
	}
	scan(dst, ldDst, q, rows, d, tiles, n, sign)
}

// MaxAdd keeps the largest of dst and rows x, which lie ld apart, each of which is raised:
// dst[j] = max(dst[j], x[r*ld+j] + by[r]). A NaN in x is ignored. All levels agree bit for bit. It
// panics if x is too short.
func MaxAdd(dst, x []float32, ld int, by []float32) {
	if len(by) == 0 || len(dst) == 0 {
		return
	}
	checkMatrix(len(x), len(by), ld, len(dst), "x")
	maxAdd(dst, x, ld, by)
}

// MaxAddSqrt is the best score of a mean and a spread: dst is the largest a + beta*sqrt(max(b, 0)) of
// rows that lie ldA and ldB apart. A NaN is ignored, and where there is nothing else it is -Inf. It
// panics if a slice is too short.
func MaxAddSqrt(dst, a []float32, ldA int, beta float32, b []float32, ldB, rows int) {
	if rows <= 0 {
		panicDims()
	}
	if len(dst) == 0 {
		return
	}
	checkMatrix(len(a), rows, ldA, len(dst), "a")
	checkMatrix(len(b), rows, ldB, len(dst), "b")
	maxAddSqrt(dst, a, ldA, beta, b, ldB, rows)
}
