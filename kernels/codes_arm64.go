//go:build arm64 && !noasm

package kernels

import "unsafe"

func scan4(mean, spread []float32, ld int, q []float32, rows, d int, tiles []byte, n int) {
	if level == isaGeneric {
		scan4Generic(mean, spread, ld, q, rows, d, tiles, n)
		return
	}
	var a, b [TilePages]float32
	for p := 0; p < n; p += TilePages {
		tile, some := &tiles[p/TilePages*TileBytes4(d)], min(TilePages, n-p)
		for r := range rows {
			row := &q[r*ScanLen4(d)]
			if level == isaDotProd {
				scan4DotProd(&a[0], &b[0], row, pad4(d), tile)
			} else {
				scan4NEON(&a[0], &b[0], row, pad4(d), tile)
			}
			copy(mean[r*ld+p:][:some], a[:])
			if spread != nil {
				copy(spread[r*ld+p:][:some], b[:])
			}
		}
	}
}

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

// scan4DotProd and scan4NEON score the 16 pages of a tile for a row. d is rounded up to whole lanes, here and below.
//
//go:noescape
func scan4DotProd(mean, spread, q *float32, d int, tile *byte)

//go:noescape
func scan4NEON(mean, spread, q *float32, d int, tile *byte)

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
