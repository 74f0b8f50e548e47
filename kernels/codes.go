package kernels

import (
	"math"
	"math/bits"
	"unsafe"
)

// Residual codes tell where a token's key lies in its page: z = (k - mean) / spread of each
// channel, in 1 or 2 bits.
//
//	2 bits  thresholds -1, 0, 1; levels -1.5, -0.5, 0.5, 1.5 (distortion of a Gaussian 0.1188, of the best levels 0.1175)
//	1 bit   threshold 0; levels -0.8, 0.8
//
// 64 bytes hold 16 channels (2 bits) or 32 (1 bit) of the CodeTokens tokens of a page: byte 4*t+r
// has channels 4*j+r of token t, the j-th from its low bits on. So shifts and a mask leave 4
// channels of all tokens for a product.
const CodeTokens = 16

const codeLine = 4 * CodeTokens

// codeChannels is how many channels 64 bytes of codes hold.
func codeChannels(bits int) int {
	if bits == 1 {
		return 32
	}
	return 16
}

// CodeBytes is the size of the codes of a page, of dimension d.
func CodeBytes(bits, d int) int {
	n := codeChannels(bits)
	return (d + n - 1) / n * codeLine
}

func checkCode(bits, d int) {
	if bits != 1 && bits != 2 {
		panic("kernels: residual codes have 1 or 2 bits")
	}
	if d <= 0 || d > maxScanDim || d&7 != 0 {
		panicDims()
	}
}

// EncodeCodes writes the codes of a page with the keys x [n][d], n <= CodeTokens: those of missing
// tokens are 0. mean and sd, of length d, are what Unpack4 says of the page. It panics if a slice
// is too short, d > 1024 or not a positive multiple of 8.
func EncodeCodes(dst []byte, bits int, x, mean, sd []float32) {
	d := len(mean)
	checkCode(bits, d)
	if len(sd) < d || len(x) > CodeTokens*d || len(x)%d != 0 {
		panicShort("sd, or x has no whole tokens")
	}
	if len(dst) < CodeBytes(bits, d) {
		panicShort("dst")
	}
	encodeCodes(dst[:CodeBytes(bits, d)], bits, x, mean, sd[:d])
}

func encodeCodesGeneric(dst []byte, bits int, x, mean, sd []float32) {
	clear(dst)
	d, span := len(mean), codeChannels(bits)
	for t := range len(x) / d {
		for c, v := range x[t*d:][:d] {
			e, s := v-mean[c], sd[c]
			code := byte(0)
			if e >= 0 {
				code++
			}
			if bits == 2 {
				if e >= -s {
					code++
				}
				if e >= s {
					code++
				}
			}
			dst[c/span*codeLine+4*t+c%4] |= code << (c % span / 4 * bits)
		}
	}
}

// codeBlock is how many channels of a query are padded to whole vectors.
const codeBlock = 64

func padCodes(d int) int { return (d + codeBlock - 1) &^ (codeBlock - 1) }

// CodeQueryLen is the length in float32 of a query row of dimension d for ScoreCodes.
func CodeQueryLen(d int) int { return padCodes(d)/2 + 1 }

// codeQuery is what the largest channel of a query is rounded to: its product with the largest
// spread, 7, becomes 127.
const codeQuery = 145

// CodeQueries makes rows of q [rows][d] ready for ScoreCodes: dst is [rows][CodeQueryLen]. A row,
// padded to whole vectors, is int16: the even channels, then the odd ones. Behind these is the
// scale of their products with spreads.
func CodeQueries(dst, q []float32, rows, d int) {
	checkRows(len(q), d, rows)
	checkCode(1, d)
	size, pad := CodeQueryLen(d), padCodes(d)
	if uint64(rows)*uint64(size) > uint64(len(dst)) {
		panicShort("dst")
	}
	var store, forms [maxScanDim]float32
	x := store[:pad]
	for r := range rows {
		row := dst[r*size : (r+1)*size]
		copy(x, q[r*d:(r+1)*d])
		inv, scale := int8Scale(absMax(x), codeQuery)
		quantise14(forms[:pad], x, inv)
		copy(row, forms[pad/2:pad]) // its words
		row[pad/2] = scale * (1 << weightShift)
	}
}

// wordsOf are the int16 in x.
func wordsOf(x []float32) []int16 {
	return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}

// weightShift is what weights leave out of the products of queries and spreads.
const weightShift = 3

// Blocks are where something of pages lies: that of so many pages, a power of two of at least
// TilePages, in each block from At on.
type Blocks struct {
	Bytes     [][]byte
	At, Pages int
}

// placer finds what takes size bytes a tile. Nothing in it is guessed by a branch: where the next
// page is cannot be predicted.
type placer struct {
	bytes          [][]byte
	at, size, mask int
	shift          uint8
}

func (b *Blocks) placer(size int) placer {
	shift := bits.TrailingZeros(uint(b.Pages)) - tileBits
	return placer{b.Bytes, b.At, size, 1<<shift - 1, uint8(shift)}
}

// of is where that of a tile begins, or nil.
func (p *placer) of(tile int) unsafe.Pointer {
	block, at := tile>>(p.shift&63), p.at+tile&p.mask*p.size
	if uint(block) >= uint(len(p.bytes)) || at+p.size > len(p.bytes[block]) {
		return nil
	}
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(p.bytes[block])), at)
}

// CodedPages says of pages where their summaries, in tiles of 4 bits of dimension d, and their codes
// of so many bits are; cols are the columns of their bases. It panics if dst or cols are too short, or
// a page is in no block.
func CodedPages(dst []Coded, tiles, codes Blocks, d, bits int, pages, cols []int32) {
	checkCode(bits, d)
	if len(dst) < len(pages) || len(cols) < len(pages) {
		panicShort("dst or cols")
	}
	dst, cols = dst[:len(pages)], cols[:len(pages)]
	size := CodeBytes(bits, d)
	summaries, first := tiles.placer(TileBytes4(d)), codes.placer(TilePages*size)
	for i, p := range pages {
		tile, slot := int(p>>tileBits), int(p&(TilePages-1))
		at, from := summaries.of(tile), first.of(tile)
		if at == nil || from == nil {
			panicShort("blocks")
		}
		dst[i] = Coded{(*byte)(unsafe.Add(at, at4(d, slot, 0))),
			(*byte)(unsafe.Add(from, slot*size)), (*uint32)(unsafe.Add(at, 4*slot)), cols[i]}
	}
}

func (p *Coded) scale() float32 { return math.Float32frombits(*p.scales << 16) }

// ScoreCodes estimates logits: dst[r*ldDst+CodeTokens*i+t] = q_r . key of token t of pages[i]. That
// is base[r*ldBase+col], where the caller has the product with the page's mean from ScanTiles4, and
// the token's code times the page's spread; without a base there is only the latter, and the pages
// lose their columns. q was made by CodeQueries.
//
// A channel of a query times the page's spread is rounded to 8 bits: that adds 0.04 % to the
// variance of what codes leave out where the largest product is 127, and 0.7 % where it is 32. All
// levels agree bit for bit. It panics if a slice is too short, or d > 1024 or not a positive
// multiple of 8.
func ScoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, base []float32,
	ldBase int, pages []Coded) {
	checkCode(bits, d)
	n := len(pages)
	if uint64(rows)|uint64(n) >= maxDim/CodeTokens {
		panicDims()
	}
	if rows == 0 || n == 0 {
		return
	}
	checkMatrix(len(dst), rows, ldDst, CodeTokens*n, "dst")
	if uint64(rows)*uint64(CodeQueryLen(d)) > uint64(len(q)) {
		panicShort("q")
	}
	if base == nil {
		base, ldBase = noBase[:], 0
		for i := range pages {
			pages[i].col = 0
		}
	} else {
		last := uint32(0) // of a negative one as well
		for i := range pages {
			last = max(last, uint32(pages[i].col))
		}
		checkMatrix(len(base), rows, ldBase, int(last)+1, "base")
	}
	scoreCodes(dst, ldDst, q, rows, d, bits, base, ldBase, pages)
}

var noBase [1]float32

// codeLevels are the value of one step between codes, and how many steps the middle is above 0.
func codeLevels(bits int) (unit, middle float32) {
	if bits == 1 {
		return 1.6, 0.5
	}
	return 1, 1.5
}

func scoreCodesGeneric(dst []float32, ldDst int, q []float32, rows, d, bits int, base []float32,
	ldBase int, pages []Coded) {
	size, pad := CodeQueryLen(d), padCodes(d)
	unit, middle := codeLevels(bits)
	var weights [maxScanDim]int32
	for i := range pages {
		p := &pages[i]
		lanes := unsafe.Slice(p.lanes, (pad4(d)/lane4-1)*pages4*lane4+lane4)
		codes := unsafe.Slice(p.codes, CodeBytes(bits, d))
		for r := range rows {
			row := q[r*size : (r+1)*size]
			words, sum := wordsOf(row), int32(0)
			for c := range d {
				s := int32(lanes[c/lane4*pages4*lane4+c%lane4] >> bits4)
				v := int32(words[c%2*pad/2+c/2])*s + 1<<(weightShift-1)
				weights[c] = v >> weightShift
				sum += weights[c]
			}
			factor := float32(float32(row[pad/2]*p.scale()) * unit)
			shift := float32(float32(float32(sum)*middle) * factor)
			from := float32(base[r*ldBase+int(p.col)] - shift)
			to := dst[r*ldDst+CodeTokens*i:][:CodeTokens]
			for t := range to {
				var a int32
				for c, w := range weights[:d] {
					a += w * int32(codeOf(codes, bits, t, c))
				}
				to[t] = float32(float32(a)*factor) + from
			}
		}
	}
}

// codeOf is the code of a channel of a token.
func codeOf(codes []byte, bits, t, c int) byte {
	span := codeChannels(bits)
	return codes[c/span*codeLine+4*t+c%4] >> (c % span / 4 * bits) & (1<<bits - 1)
}
