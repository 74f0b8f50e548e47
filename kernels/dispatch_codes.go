package kernels

import "unsafe"

// codeRows share what a kernel decodes.
const codeRows = 32

// codesAhead is how many pages lie between the one in work and that asked for from memory.
const codesAhead = 12

func scoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte,
	pages []int32) {
	switch {
	case level == isaGeneric:
		scoreCodesGeneric(dst, ldDst, q, rows, d, bits, tiles, codes, pages)
		return
	case level < isaAVX2:
		scoreCodesPages(dst, ldDst, q, rows, d, bits, tiles, codes, pages)
		return
	}
	for r := 0; r < rows; r += codeRows {
		scoreCodesASM(&codesArgs{
			&dst[r*ldDst], ldDst, &q[r*CodeQueryLen(d)], min(codeRows, rows-r), pad4(d), bits,
			&tiles[0], &codes[0], &pages[0], len(pages), CodeBytes(bits, d), codesAhead,
		})
	}
}

// scoreCodesPages is for kernels that decode, and multiply, a page at a time.
func scoreCodesPages(dst []float32, ldDst int, q []float32, rows, d, bits int,
	tiles, codes []byte, pages []int32) {
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
		decodeCodesASM(&decodeArgs{&z[0], bits, &codes[int(p)*codeBytes], lanes, pad})
		for first := 0; first < rows; first += codeRows {
			some := min(codeRows, rows-first)
			meansOfCodesASM(&meansArgs{&sums[0], &q[first*size], 4 * size, some, lanes, pad})
			for r := range some {
				row := q[(first+r)*size:][:size]
				base[r] = float32(float32(sums[r]) * float32(row[pad]*scale))
				factor[r] = float32(float32(row[size-2]*scaleSd) * codeStep(bits))
			}
			to, bytes := &dst[first*ldDst+CodeTokens*i], unsafe.Pointer(&q[first*size+ScanLen(pad)])
			multiplyCodesASM(&productArgs{to, ldDst, &z[0], bytes, 4 * size, some, pad, &factor[0],
				&base[0]})
		}
	}
}
