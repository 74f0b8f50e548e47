//go:build amd64 && !noasm

package kernels

func scoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, tiles, codes []byte, pages []int32) {
	if level == isaGeneric {
		scoreCodesGeneric(dst, ldDst, q, rows, d, bits, tiles, codes, pages)
		return
	}
	for r := 0; r < rows; r += codeRows {
		to, from, some := &dst[r*ldDst], &q[r*CodeQueryLen(d)], min(codeRows, rows-r)
		if level == isaAVX512 {
			scoreCodesZMM(to, ldDst, from, some, pad4(d), bits, &tiles[0], &codes[0], &pages[0], len(pages), CodeBytes(bits, d), codesAhead)
		} else {
			scoreCodesYMM(to, ldDst, from, some, pad4(d), bits, &tiles[0], &codes[0], &pages[0], len(pages), CodeBytes(bits, d), codesAhead)
		}
	}
}

// codeRows share what a kernel decodes.
const codeRows = 32

// codesAhead is how many pages lie between the one in work and that asked for from memory.
const codesAhead = 12

// scoreCodesZMM and scoreCodesYMM take d rounded up to whole lanes, and up to codeRows rows.
//
//go:noescape
func scoreCodesZMM(dst *float32, ldDst int, q *float32, rows, d, bits int, tiles, codes *byte, pages *int32, n, codeBytes, ahead int)

//go:noescape
func scoreCodesYMM(dst *float32, ldDst int, q *float32, rows, d, bits int, tiles, codes *byte, pages *int32, n, codeBytes, ahead int)
