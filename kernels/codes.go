package kernels

import (
	"encoding/binary"
	"math"
)

// Residual codes tell where a token's key lies in its page: z = (k - mean) / spread of each channel, in 1 or 2 bits.
//
//	2 bits  thresholds -1, 0, 1; levels -1.5, -0.5, 0.5, 1.5 (distortion of a Gaussian 0.1188, of the best levels 0.1175)
//	1 bit   threshold 0; levels -0.8, 0.8
//
// 64 bytes hold 16 channels (2 bits) or 32 (1 bit) of the CodeTokens tokens of a page: byte 4*t+r has channels 4*j+r
// of token t, the j-th from its low bits on. So shifts and a mask leave 4 channels of all tokens for a product.
const CodeTokens = 16

const (
	codeLine  = 4 * CodeTokens
	codeSpan  = 64   // channels that a prepared query row is padded to
	codeTop   = 4095 // of the integers of a query row; times 7 they are within int16
	codeBound = 32   // bounds of a row, each of every 32nd pair of channels
)

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

// EncodeCodes writes the codes of a page with the keys x [n][d], n <= CodeTokens: those of missing tokens are 0. mean and sd,
// of length d, are what Unpack4 says of the page. It panics if a slice is too short, d > 1024 or not a positive multiple of 8.
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

// CodeQueryLen is the length in float32 of a query row of dimension d for ScoreCodes.
func CodeQueryLen(d int) int { return codePad(d)/2 + codeBound }

func codePad(d int) int { return (d + codeSpan - 1) &^ (codeSpan - 1) }

// CodeQueries makes rows of q [rows][d] ready for ScoreCodes: dst is [rows][CodeQueryLen].
//
// A row is, for each 64 channels, the int16 of the even ones, then those of the odd ones; then codeBound int16, the i-th the
// largest magnitude of channels 2*i and 2*i+1 modulo 64; then a scale and the int32 sum of all. What is left fills a line.
func CodeQueries(dst, q []float32, rows, d int) {
	checkRows(len(q), d, rows)
	checkCode(1, d)
	size, pad := CodeQueryLen(d), codePad(d)
	if uint64(rows)*uint64(size) > uint64(len(dst)) {
		panicShort("dst")
	}
	for r := range rows {
		row := dst[r*size : (r+1)*size]
		clear(row)
		x := q[r*d : (r+1)*d]
		inv, scale := int8Scale(absMax(x), codeTop)
		var bound [codeBound]int32
		var sum int32
		b := bytesOf(row)
		for c, v := range x {
			n := roundInt(float32(v * inv))
			sum += n
			binary.LittleEndian.PutUint16(b[codeAt(c):], uint16(n))
			bound[c/2%codeBound] = max(bound[c/2%codeBound], n, -n)
		}
		for i, v := range bound {
			binary.LittleEndian.PutUint16(b[2*pad+2*i:], uint16(v))
		}
		row[size-codeBound/2] = scale
		row[size-codeBound/2+1] = math.Float32frombits(uint32(sum))
	}
}

// codeAt is the offset of channel c in a prepared row.
func codeAt(c int) int { return c/codeSpan*2*codeSpan + c%2*codeSpan + c%codeSpan/2*2 }

// ScoreCodes estimates logits: dst[r*ldDst+CodeTokens*i+t] = q_r . key of token t of page pages[i], which is the page's mean
// and the token's code times the page's spread. q was made by CodeQueries; pages are numbers in the planes tiles (4-bit summaries) and codes.
//
// Of a page and a row the products q_c * spread_c are rounded to int8, with a scale of their own, so that the codes are multiplied
// in integers. All levels agree bit for bit. It panics if a page is not in both planes, a slice is too short, or
// d > 1024 or not a positive multiple of 8.
func ScoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte, pages []int32) {
	checkCode(bits, d)
	if uint64(rows)|uint64(len(pages)) >= maxDim/CodeTokens {
		panicDims()
	}
	if rows == 0 || len(pages) == 0 {
		return
	}
	checkMatrix(len(dst), rows, ldDst, CodeTokens*len(pages), "dst")
	if uint64(rows)*uint64(CodeQueryLen(d)) > uint64(len(q)) {
		panicShort("q")
	}
	n := min(len(tiles)/TileBytes4(d)*TilePages, len(codes)/CodeBytes(bits, d))
	for _, p := range pages {
		if uint64(p) >= uint64(n) {
			panicShort("tiles or codes")
		}
	}
	scoreCodes(dst, ldDst, q, rows, d, bits, tiles, codes, pages)
}

// A row's products with a page's spreads are at most M, so times m = codeScale/M and shifted right by 15 they are within int8.
const codeScale = 127 << 15

// codeStep is the value of one unit of the sums of codes, times 1<<15: levels are odd multiples of it.
func codeStep(bits int) float32 {
	if bits == 1 {
		return 0.8 * (1 << 15)
	}
	return 0.5 * (1 << 15)
}

func scoreCodesGeneric(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte, pages []int32) {
	var mean, sd, u [maxScanDim]int32
	size, pad := CodeQueryLen(d), codePad(d)
	for i, p := range pages {
		slot := int(p) % TilePages
		tile := tiles[int(p)/TilePages*TileBytes4(d):]
		scale, scaleSd := scales4(tile, slot)
		var top [codeBound]int32
		for c := range pad4(d) { // what is beyond d counts for the bound alone
			b := tile[at4(d, slot, c&^(lane4-1))+c%lane4]
			mean[c], sd[c] = int32(b&(1<<bits4-1))-zero4, int32(b>>bits4)
			top[c/2%codeBound] = max(top[c/2%codeBound], sd[c])
		}
		page := codes[int(p)*CodeBytes(bits, d):][:CodeBytes(bits, d)]
		for r := range rows {
			row := q[r*size : (r+1)*size]
			b := bytesOf(row)
			var limit, a int32
			for j, v := range top {
				limit = max(limit, v*int32(int16(binary.LittleEndian.Uint16(b[2*pad+2*j:]))))
			}
			m := min(1<<15-1, codeScale/max(limit, 1))
			for c := range d {
				x := int32(int16(binary.LittleEndian.Uint16(b[codeAt(c):])))
				a += x * mean[c]
				u[c] = (x*sd[c]*m + 1<<14) >> 15
			}
			base := float32(float32(a) * float32(row[size-codeBound/2]*scale))
			factor := float32(float32(row[size-codeBound/2]*scaleSd) * (codeStep(bits) / float32(m)))
			sumCodes(dst[r*ldDst+CodeTokens*i:][:CodeTokens], bits, page, u[:d], factor, base)
		}
	}
}

func sumCodes(dst []float32, bits int, page []byte, u []int32, factor, base float32) {
	span, mask := codeChannels(bits), byte(1)<<bits-1
	for t := range dst {
		var n int32
		for c, v := range u {
			code := page[c/span*codeLine+4*t+c%4] >> (c % span / 4 * bits) & mask
			n += v * (2*int32(code) - int32(mask))
		}
		dst[t] = float32(float32(n)*factor) + base
	}
}
