package kernels

import "math"

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

const (
	codeLine = 4 * CodeTokens
	// of the integers of a query, so that 8 products with 42, twice the largest level, are within
	// int16
	codeTop = 97
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

// CodeQueryLen is the length in float32 of a query row of dimension d for ScoreCodes.
func CodeQueryLen(d int) int { return ScanLen(pad4(d)) + pad4(d)/4 + 2 }

// CodeQueries makes rows of q [rows][d] ready for ScoreCodes: dst is [rows][CodeQueryLen]. A row,
// padded to whole lanes, is what ScanQueries makes of it, for the means, then int8, their scale and
// their int32 sum, for the codes.
func CodeQueries(dst, q []float32, rows, d int) {
	checkRows(len(q), d, rows)
	checkCode(1, d)
	size, pad := CodeQueryLen(d), pad4(d)
	if uint64(rows)*uint64(size) > uint64(len(dst)) {
		panicShort("dst")
	}
	var store [maxScanDim]float32
	x := store[:pad]
	for r := range rows {
		row := dst[r*size : (r+1)*size]
		copy(x, q[r*d:(r+1)*d])
		ScanQueries(row[:ScanLen(pad)], x, 1, pad)
		codes := row[ScanLen(pad):]
		inv, scale := int8Scale(absMax(x), codeTop)
		sum := quantise8(codes[:pad/4], x, inv)
		codes[pad/4] = scale
		codes[pad/4+1] = math.Float32frombits(uint32(sum))
	}
}

// ScoreCodes estimates logits: dst[r*ldDst+CodeTokens*i+t] = q_r . key of token t of page pages[i],
// which is the page's mean, as Scan4 has it, and the token's code times the page's spread. q was
// made by CodeQueries; pages are numbers in the planes tiles (4-bit summaries) and codes.
//
// Codes times spreads are small integers, the same for all rows. The query is rounded to +-97 for
// them: on keys and queries of real models rounding to +-127 was seen to add 0.1 % to the error of
// the codes, and to +-63 0.5 %. All levels agree bit for bit. It fetches ahead but for the first
// pages. It panics if a page is not in both planes, a slice is too short, or d > 1024 or not a
// positive multiple of 8.
func ScoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte,
	pages []int32) {
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

// codeStep is the value of one unit of codes: levels are odd multiples of it.
func codeStep(bits int) float32 {
	if bits == 1 {
		return 0.8
	}
	return 0.5
}

func scoreCodesGeneric(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles,
	codes []byte, pages []int32) {
	var z [CodeTokens][maxScanDim]int32
	size, pad := CodeQueryLen(d), pad4(d)
	for i, p := range pages {
		slot := int(p) % TilePages
		tile := tiles[int(p)/TilePages*TileBytes4(d):]
		scale, scaleSd := scales4(tile, slot)
		decodeCodes(&z, bits, codes[int(p)*CodeBytes(bits, d):], tile, d, slot)
		for r := range rows {
			row := q[r*size : (r+1)*size]
			x, y := bytesOf(row), row[ScanLen(pad):]
			ints := bytesOf(y)
			var a int32
			for c := range d {
				b := tile[at4(d, slot, c&^(lane4-1))+c%lane4]
				a += scanInt(x, pad, c) * (int32(b&(1<<bits4-1)) - zero4)
			}
			base := float32(float32(a) * float32(row[pad]*scale))
			factor := float32(float32(y[pad/4]*scaleSd) * codeStep(bits))
			for t := range CodeTokens {
				var n int32
				for c, v := range z[t][:d] {
					n += v * int32(int8(ints[c]))
				}
				dst[r*ldDst+CodeTokens*i+t] = float32(float32(n)*factor) + base
			}
		}
	}
}

// decodeCodes leaves the levels of a page's codes times its spreads.
func decodeCodes(z *[CodeTokens][maxScanDim]int32, bits int, codes, tile []byte, d, slot int) {
	span, mask := codeChannels(bits), byte(1)<<bits-1
	for c := range d {
		sd := int32(tile[at4(d, slot, c&^(lane4-1))+c%lane4] >> bits4)
		for t := range z {
			code := codes[c/span*codeLine+4*t+c%4] >> (c % span / 4 * bits) & mask
			z[t][c] = sd * (2*int32(code) - int32(mask))
		}
	}
}
