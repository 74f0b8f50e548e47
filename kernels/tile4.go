package kernels

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Summaries in 4 bits hold mean and spread of a page in one plane, in tiles of TilePages pages: a
// word per page with its scales, that of the means in the high half, that of the spreads in the
// low one, then, for 4 pages and 16 channels each, a byte per channel: the mean in the low 5 bits,
// -15..15 plus 16, the spread in the others, 0..7. (Keys have channels that are always large: what
// 4 bits of each lose against 8 is the means'. 3 bits are enough for spreads.) The 16 channels of a
// page lie together, so that the summary of one page is in few cache lines. A scale is the high
// half of a float32, which has the range of all of it, rounded up, so that the largest channel is
// no more than the largest number.
const (
	head4  = 4 * TilePages
	lane4  = 16 // channels of a page that lie together
	pages4 = 4  // pages whose channels alternate
	mean4  = 15 // largest mean
	zero4  = 16 // of the means
	sd4    = 7  // largest spread
	bits4  = 5  // of a mean
)

// pad4 is d rounded up to whole lanes.
func pad4(d int) int { return (d + lane4 - 1) &^ (lane4 - 1) }

// TileBytes4 is the size of a tile of 4-bit summaries of dimension d.
func TileBytes4(d int) int { return head4 + TilePages*pad4(d) }

// at4 is the offset of 16 channels, from c on, of the page at slot.
func at4(d, slot, c int) int {
	return head4 + slot/pages4*pages4*pad4(d) + c*pages4 + slot%pages4*lane4
}

func checkTile4(tile []byte, slot, d, other int) {
	if uint(slot) >= TilePages || d <= 0 || d > maxScanDim || d&7 != 0 {
		panicDims()
	}
	if other != d {
		panicShort("mean or sd")
	}
	if len(tile) < TileBytes4(d) {
		panicShort("tile")
	}
}

// Pack4 writes the summary of the page at slot, 0..TilePages-1, of a tile: means and spreads
// (standard deviations, >= 0). Spreads are stored about the means as rounded, so that they tell how
// far keys are from what Unpack4 says. A summary with a NaN or an Inf scores NaN. It panics if mean
// and sd have not the same length, a multiple of 8 up to 1024, or the tile is too short.
func Pack4(tile []byte, slot int, mean, sd []float32) {
	d := len(mean)
	checkTile4(tile, slot, d, len(sd))
	inv, scale := halfScale(absMax(mean), mean4)
	var store [maxScanDim]float32
	about := store[:d]
	for c, v := range mean {
		e := float64(v - float32(scale*float32(roundInt(float32(v*inv)))))
		s := float64(sd[c])
		about[c] = float32(math.Sqrt(s*s + e*e))
	}
	invSd, scaleSd := halfScale(absMax(about), sd4)
	binary.LittleEndian.PutUint32(tile[4*slot:],
		math.Float32bits(scale)|math.Float32bits(scaleSd)>>16)
	for c := 0; c < pad4(d); c += lane4 {
		lane := tile[at4(d, slot, c):][:lane4]
		clear(lane)
		for i := range min(lane4, d-c) {
			m, s := roundInt(float32(mean[c+i]*inv)), roundInt(float32(about[c+i]*invSd))
			lane[i] = byte(m+zero4)&(1<<bits4-1) | byte(s)<<bits4
		}
	}
}

// Unpack4 reads the summary that Pack4 wrote at slot of a tile. It panics as Pack4 does.
func Unpack4(mean, sd []float32, tile []byte, slot int) {
	d := len(mean)
	checkTile4(tile, slot, d, len(sd))
	scale, scaleSd := scales4(tile, slot)
	for c := 0; c < d; c += lane4 {
		for i, b := range tile[at4(d, slot, c):][:min(lane4, d-c)] {
			mean[c+i] = scale * float32(int32(b&(1<<bits4-1))-zero4)
			sd[c+i] = scaleSd * float32(b>>bits4)
		}
	}
}

// halfScale is int8Scale with a scale of 16 bits.
func halfScale(m, top float32) (inv, scale float32) {
	if inv, scale = int8Scale(m, top); inv == 0 {
		return inv, scale // 0 or NaN
	}
	scale = math.Float32frombits((math.Float32bits(scale) + 0xffff) &^ 0xffff)
	return min(1/scale, math.MaxFloat32), scale
}

func scales4(tile []byte, slot int) (mean, sd float32) {
	word := binary.LittleEndian.Uint32(tile[4*slot:])
	return math.Float32frombits(word &^ 0xffff), math.Float32frombits(word << 16)
}

// ScanLen4 is the length in float32 of a query row of dimension d for ScanTiles4.
func ScanLen4(d int) int { return 2 * ScanLen(pad4(d)) }

// ScanQueries4 makes rows of q [rows][d] ready for ScanTiles4: dst is [rows][ScanLen4]. A row is what
// ScanQueries makes of it, and then of its squares, both padded to whole lanes.
func ScanQueries4(dst, q []float32, rows, d int) {
	checkRows(len(q), d, rows)
	if d > maxScanDim {
		panicDims()
	}
	size := ScanLen4(d)
	if uint64(rows)*uint64(size) > uint64(len(dst)) {
		panicShort("dst")
	}
	var store [maxScanDim]float32
	x := store[:pad4(d)]
	for r := range rows {
		row := dst[r*size : (r+1)*size]
		copy(x, q[r*d:(r+1)*d])
		ScanQueries(row[:size/2], x, 1, len(x))
		for i, v := range x {
			x[i] = v * v
		}
		ScanQueries(row[size/2:], x, 1, len(x))
	}
}

// ScanTiles4 scores the first n pages of a list of tiles for r < rows: mean[r*ldMean+p] = q_r . mean
// of p and spread[r*ldSpread+p] = sum of (q_rc * spread of channel c of p)^2. q was made by
// ScanQueries4. With a spread of nil there are means only. The integers are exact, so all levels agree
// to two roundings. It asks for the next tiles of the list on the way, also for some that are not
// scanned. It panics as Scan does, and if a tile is in no block.
func ScanTiles4(mean []float32, ldMean int, spread []float32, ldSpread int, q []float32, rows, d int,
	in Blocks, tiles []int32, n int) {
	if !checkScan4(mean, ldMean, spread, ldSpread, q, rows, d, n) {
		return
	}
	if n > len(tiles)*TilePages {
		panicShort("tiles")
	}
	where := in.placer(TileBytes4(d))
	var list [tilesAtOnce + tilesAhead]*byte
	for first := 0; first*TilePages < n; first += tilesAtOnce {
		for i := range list {
			at := where.of(int(tiles[min(first+i, len(tiles)-1)]))
			if at == nil {
				panicShort("blocks")
			}
			list[i] = (*byte)(at)
		}
		col := first * TilePages
		a := scan4Args{&mean[col], nil, ldMean, ldSpread, &q[0], rows, pad4(d), &list[0],
			min(n-col, tilesAtOnce*TilePages)}
		if spread != nil {
			a.spread = &spread[col]
		}
		scan4(&a)
	}
}

func scan4(a *scan4Args) {
	switch {
	case level == isaGeneric:
		scan4Generic(a)
	case level < isaAVX2:
		scan4Tiles(a)
	default:
		scan4ASM(a)
	}
}

// checkScan4 checks all but the tiles, and tells whether there is anything to do.
func checkScan4(mean []float32, ldMean int, spread []float32, ldSpread int, q []float32, rows, d,
	n int) bool {
	if uint64(rows)|uint64(n) >= maxDim || d <= 0 || d > maxScanDim || d&7 != 0 {
		panicDims()
	}
	if rows == 0 || n == 0 {
		return false
	}
	checkMatrix(len(mean), rows, ldMean, n, "mean")
	if spread != nil {
		checkMatrix(len(spread), rows, ldSpread, n, "spread")
	}
	if uint64(rows)*uint64(ScanLen4(d)) > uint64(len(q)) {
		panicShort("q")
	}
	return true
}

// A kernel gets so many tiles at once, and asks for so many more.
const (
	tilesAtOnce = 16
	tilesAhead  = 2
)

func scan4Generic(a *scan4Args) {
	pad := a.d
	size := ScanLen4(pad)
	q := unsafe.Slice(a.q, a.rows*size)
	mean := unsafe.Slice(a.mean, (a.rows-1)*a.ldMean+a.n)
	list := unsafe.Slice(a.tiles, (a.n+TilePages-1)/TilePages)
	var spread []float32
	if a.spread != nil {
		spread = unsafe.Slice(a.spread, (a.rows-1)*a.ldSpread+a.n)
	}
	for p := range a.n {
		tile, slot := unsafe.Slice(list[p/TilePages], TileBytes4(pad)), p%TilePages
		scale, scaleSd := scales4(tile, slot)
		for r := range a.rows {
			row := q[r*size:][:size]
			x, y := row[:size/2], row[size/2:]
			xs, ys := bytesOf(x), bytesOf(y)
			var sum, squares int32
			for c := 0; c < pad; c += lane4 {
				for i, v := range tile[at4(pad, slot, c):][:lane4] {
					s := int32(v >> bits4)
					sum += int32(v&(1<<bits4-1)) * scanInt(xs, pad, c+i)
					squares += s * s * scanInt(ys, pad, c+i)
				}
			}
			sum -= zero4 * int32(math.Float32bits(x[pad+1]))
			mean[r*a.ldMean+p] = float32(sum) * (x[pad] * scale)
			if spread != nil {
				spread[r*a.ldSpread+p] = float32(squares) * (y[pad] * float32(scaleSd*scaleSd))
			}
		}
	}
}

// scanInt is the integer of channel c of a row made by ScanQueries.
func scanInt(row []byte, d, c int) int32 {
	return scanBase*int32(int8(row[c])) + int32(int8(row[d+c]))
}
