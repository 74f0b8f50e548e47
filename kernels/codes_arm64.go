//go:build arm64 && !noasm

package kernels

import "unsafe"

// codeRows share what is decoded.
const codeRows = 32

func scoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte, pages []int32) {
	if level == isaGeneric {
		scoreCodesGeneric(dst, ldDst, q, rows, d, bits, tiles, codes, pages)
		return
	}
	var z [codeLine / 4 * maxScanDim]byte
	var sums [codeRows]int32
	var factor, base [codeRows]float32
	pad, size, codeBytes := pad4(d), CodeQueryLen(d), CodeBytes(bits, d)
	for i, p := range pages {
		slot := int(p) % TilePages
		tile := tiles[int(p)/TilePages*TileBytes4(d):]
		lanes := &tile[at4(d, slot, 0)]
		scale, scaleSd := scales4(tile, slot)
		if i+1 < len(pages) {
			PrefetchBytes(codes[int(pages[i+1])*codeBytes:][:codeBytes])
		}
		decodeNEON(&z[0], bits, &codes[int(p)*codeBytes], lanes, pad)
		for first := 0; first < rows; first += codeRows {
			some := min(codeRows, rows-first)
			meansNEON(&sums[0], &q[first*size], 4*size, some, lanes, pad)
			for r := range some {
				row := q[(first+r)*size:][:size]
				base[r] = float32(float32(sums[r]) * float32(row[pad]*scale))
				factor[r] = float32(float32(row[size-2]*scaleSd) * codeStep(bits))
			}
			to := &dst[first*ldDst+CodeTokens*i]
			bytes := unsafe.Pointer(&q[first*size+ScanLen(pad)])
			if level == isaDotProd {
				productDotProd(to, ldDst, &z[0], bytes, 4*size, some, pad, &factor[0], &base[0])
			} else {
				productNEON(to, ldDst, &z[0], bytes, 4*size, some, pad, &factor[0], &base[0])
			}
		}
	}
}

// decodeNEON writes the levels of a page's codes times its spreads, 4 channels of 16 tokens after the other.
//
//go:noescape
func decodeNEON(z *byte, bits int, codes, lanes *byte, d int)

// meansNEON multiplies rows of q with a page's means, as integers. Rows lie rowBytes apart.
//
//go:noescape
func meansNEON(dst *int32, q *float32, rowBytes, rows int, lanes *byte, d int)

// productDotProd and productNEON multiply the int8 of rows with what decodeNEON made, and finish the estimates.
//
//go:noescape
func productDotProd(dst *float32, ldDst int, z *byte, q unsafe.Pointer, rowBytes, rows, d int, factor, base *float32)

//go:noescape
func productNEON(dst *float32, ldDst int, z *byte, q unsafe.Pointer, rowBytes, rows, d int, factor, base *float32)
