package kernels

import "unsafe"

// codeRows and codePages are how many a kernel does at once, at most, with so many bytes of
// weights.
const (
	codeRows    = 4
	codePages   = 32
	codeWeights = 16 << 10
)

// CodesAhead is how many pages lie between the one in work and that asked for from memory.
const CodesAhead = 12

func scoreCodes(dst []float32, ldDst int, q []float32, rows, d, bits int, base []float32,
	ldBase int, pages []Coded, n int) {
	switch {
	case level == isaGeneric:
		scoreCodesGeneric(dst, ldDst, q, rows, d, bits, base, ldBase, pages, n)
		return
	case level < isaAVX2:
		scoreCodesPages(dst, ldDst, q, rows, d, bits, base, ldBase, pages, n)
		return
	}
	batch := min(codePages, codeWeights/(codeRows*padCodes(d)))
	for i := 0; i < n; i += batch {
		for r := 0; r < rows; r += codeRows {
			asked := 0
			if r == 0 {
				asked = len(pages) - i
			}
			scoreCodesASM(&codesArgs{
				&dst[r*ldDst+i*CodeTokens], ldDst, &q[r*CodeQueryLen(d)], min(codeRows, rows-r),
				pad4(d), bits, &base[r*ldBase], ldBase, &pages[i], min(batch, n-i), asked,
				CodesAhead,
			})
		}
	}
}

// scoreCodesPages is for kernels that decode, and multiply, a page at a time.
func scoreCodesPages(dst []float32, ldDst int, q []float32, rows, d, bits int, base []float32,
	ldBase int, pages []Coded, n int) {
	var z [codeLine / 4 * maxScanDim]byte
	var weights [codeRows * maxScanDim]byte
	var factor, from [codeRows]float32
	pad, size, codeBytes := pad4(d), CodeQueryLen(d), CodeBytes(bits, d)
	unit, middle := codeLevels(bits)
	for i := range pages[:n] {
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
				factor[r] = float32(float32(row[size-1]*p.scale) * unit)
				shift := float32(float32(float32(sum)*middle) * factor[r])
				from[r] = base[(first+r)*ldBase+int(p.col)] - shift
			}
			multiplyCodesASM(&productArgs{&dst[first*ldDst+CodeTokens*i], ldDst, &z[0], &weights[0],
				maxScanDim, n, pad, &factor[0], &from[0]})
		}
	}
}
