//go:build amd64 && !noasm

package kernels

func scan4(mean, spread []float32, ld int, q []float32, rows, d int, tiles []byte, n int) {
	switch level {
	case isaAVX512:
		scan4ZMM(&mean[0], addr(spread), ld, &q[0], rows, pad4(d), &tiles[0], n)
	case isaAVX2:
		scan4YMM(&mean[0], addr(spread), ld, &q[0], rows, pad4(d), &tiles[0], n)
	default:
		scan4Generic(mean, spread, ld, q, rows, d, tiles, n)
	}
}

// addr is that of the first element, or nil.
func addr(x []float32) *float32 {
	if len(x) == 0 {
		return nil
	}
	return &x[0]
}

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

// scan4YMM and scan4ZMM take d rounded up to whole lanes. spread may be nil.
//
//go:noescape
func scan4YMM(mean, spread *float32, ld int, q *float32, rows, d int, tiles *byte, n int)

//go:noescape
func scan4ZMM(mean, spread *float32, ld int, q *float32, rows, d int, tiles *byte, n int)

// scoreCodesZMM and scoreCodesYMM take d rounded up to whole lanes, and up to codeRows rows.
//
//go:noescape
func scoreCodesZMM(dst *float32, ldDst int, q *float32, rows, d, bits int, tiles, codes *byte, pages *int32, n, codeBytes, ahead int)

//go:noescape
func scoreCodesYMM(dst *float32, ldDst int, q *float32, rows, d, bits int, tiles, codes *byte, pages *int32, n, codeBytes, ahead int)
