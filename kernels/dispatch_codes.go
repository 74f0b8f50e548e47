package kernels

import "unsafe"

// codeRows are as many as a kernel does at once, at most. Where there are more, it goes over so many
// bytes of codes with some of them after the other, which the cache holds.
const (
	codeRows  = 4
	codeBatch = 8 << 10
)

// codesAhead is how many pages of the next batch are asked for with those of a batch. The kernel asks
// for two with each page, so that the distance grows.
const codesAhead = 12

func scoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, base []float32,
	ldBase int, pages []Coded) {
	n := len(pages)
	switch {
	case level == isaGeneric:
		scoreCodesGeneric(dst, ldDst, q, rows, d, bits, base, ldBase, pages)
		return
	case level < isaAVX2:
		scoreCodesPages(dst, ldDst, q, rows, d, bits, base, ldBase, pages)
		return
	}
	batch := n
	if rows > codeRows {
		batch = max(codesAhead, codeBatch/CodeBytes(bits, d))
	}
	for i := 0; i < n; i += batch {
		asked, last := min(i, codesAhead), min(batch+codesAhead, n-i)
		for r := 0; r < rows; r += codeRows {
			scoreCodesASM(&codesArgs{&dst[r*ldDst+i*CodeTokens], ldDst, &q[r*CodeQueryLen(d)],
				min(codeRows, rows-r), pad4(d), bits, &base[r*ldBase], ldBase, &pages[i],
				min(batch, n-i), asked, last})
			asked = last
		}
	}
}

// scoreCodesPages is for kernels that decode, and multiply, a page at a time.
func scoreCodesPages(dst []float32, ldDst int, q []float32, rows, d, bits int, base []float32,
	ldBase int, pages []Coded) {
	var z [codeLine / 4 * maxScanDim]byte
	var weights [codeRows * maxScanDim]byte
	var factor, from [codeRows]float32
	pad, size, codeBytes := pad4(d), CodeQueryLen(d), CodeBytes(bits, d)
	unit, middle := codeLevels(bits)
	for i := range pages {
		p := &pages[i]
		if i+1 < len(pages) {
			PrefetchBytes(unsafe.Slice(pages[i+1].codes, codeBytes))
		}
		decodeCodesASM(&decodeArgs{&z[0], bits, p.codes, pad})
		for first := 0; first < rows; first += codeRows {
			n := min(codeRows, rows-first)
			for r := range n {
				row, sum := q[(first+r)*size:][:size], int32(0)
				weighSpreadsASM(&weightArgs{&weights[r*maxScanDim], &row[0], padCodes(d), p.lanes,
					pad, &sum})
				factor[r] = float32(float32(row[size-1]*p.scale()) * unit)
				shift := float32(float32(float32(sum)*middle) * factor[r])
				from[r] = base[(first+r)*ldBase+int(p.col)] - shift
			}
			multiplyCodesASM(&productArgs{&dst[first*ldDst+CodeTokens*i], ldDst, &z[0], &weights[0],
				maxScanDim, n, pad, &factor[0], &from[0]})
		}
	}
}
