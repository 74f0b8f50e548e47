package retro

import (
	"math"
	"slices"
	"unsafe"

	"retroattn/kernels"
)

// summaryLen is the number of F16 elements that a page summary of one KV head takes.
func summaryLen(s Selector, dk int) int {
	switch s {
	case Mean:
		return dk
	case MeanStd, MinMax:
		return 2 * dk
	}
	return 0
}

// A chunk holds, for each KV head of a layer, a plane of chunkPages rows, or for
// MeanStd two, means then variances: each plane is scanned by a dot product of
// its own. plane returns that of KV head h which contains page p.
func (l *layer) plane(s *sequence, h, p int) []uint16 {
	n := chunkPages * l.sumLen
	return s.chunks[p/chunkPages][l.sumOff+h*n:][:n]
}

// summarise builds the summaries of the pages of KV head h that have become far,
// each once. end is the first page that is not far.
func (e *Engine) summarise(w *worker, s *sequence, l *layer, h, end int) {
	if l.sumLen == 0 {
		return
	}
	built := &s.summed[l.headOff+h]
	for p := max(1, int(*built)); p < end; p++ {
		e.buildSummary(w, s, l, h, p)
	}
	*built = max(*built, int32(end))
}

func (e *Engine) buildSummary(w *worker, s *sequence, l *layer, h, p int) {
	a, b := w.tmp[:l.DK], w.tmp2[:l.DK]
	if e.opt.Select == MinMax {
		for i := range a {
			a[i], b[i] = float32(math.Inf(1)), negInf
		}
	} else {
		clear(a)
		clear(b)
	}
	first := p * e.opt.Page
	for at := first; at < first+e.opt.Page; {
		n := s.contiguous(at, first+e.opt.Page)
		k := unsafe.Add(l.K, uint64(s.cell[at])*l.KRow+uint64(h)*l.KHead)
		if e.opt.Select == MinMax {
			kernels.MinMaxF16(a, b, k, uintptr(l.KRow), l.DK, n)
		} else {
			kernels.SumSqF16(a, b, k, uintptr(l.KRow), l.DK, n)
		}
		at += n
	}
	if e.opt.Select != MinMax {
		// Variance, not sd, is stored: the score needs q^2.sd^2.
		inv := 1 / float32(e.opt.Page)
		for i := range a {
			a[i] *= inv
			b[i] = max(0, b[i]*inv-a[i]*a[i])
		}
	}
	plane, row := l.plane(s, h, p), p%chunkPages
	switch e.opt.Select {
	case Mean:
		kernels.ToF16(plane[row*l.DK:], a)
	case MeanStd:
		kernels.ToF16(plane[row*l.DK:], a)
		kernels.ToF16(plane[(chunkPages+row)*l.DK:], b)
	case MinMax:
		kernels.ToF16(plane[2*row*l.DK:], a)
		kernels.ToF16(plane[(2*row+1)*l.DK:], b)
	}
}

// contiguous is the number of entries from at on, before end, whose cells follow each other.
func (s *sequence) contiguous(at, end int) int {
	c := s.cell[at]
	n := 1
	for at+n < end && s.cell[at+n] == c+int32(n) {
		n++
	}
	return n
}

// score fills w.best[1:end] with the score of each far page for the query rows
// q [group][dk]: the best over the query heads of the group.
func (e *Engine) score(w *worker, s *sequence, l *layer, h, end int, q []float32) {
	g, dk := l.group, l.DK
	best := w.best[:end]
	for i := range best {
		best[i] = negInf
	}
	dim := dk
	switch e.opt.Select {
	case MinMax: // q- . min + q+ . max, one dot over both halves
		dim = 2 * dk
		for r := range g {
			for i, x := range q[r*dk : (r+1)*dk] {
				w.q2[r*dim+i], w.q2[r*dim+dk+i] = min(x, 0), max(x, 0)
			}
		}
		q = w.q2[:g*dim]
	case MeanStd:
		for i, x := range q[:g*dk] {
			w.q2[i] = x * x
		}
	}
	for p := 1; p < end; {
		n := min(end, (p/chunkPages+1)*chunkPages) - p
		plane, row := l.plane(s, h, p), p%chunkPages
		kernels.DotF16(w.dots, chunkPages, q, g, dim, unsafe.Pointer(&plane[row*dim]), uintptr(dim)*2, n)
		if e.opt.Select == MeanStd {
			kernels.DotF16(w.dots2, chunkPages, w.q2, g, dk, unsafe.Pointer(&plane[(chunkPages+row)*dk]), uintptr(dk)*2, n)
		}
		for r := range g {
			at := r * chunkPages
			if e.opt.Select == MeanStd {
				kernels.MaxAddSqrt(best[p:p+n], w.dots[at:at+n], float32(e.opt.Beta), w.dots2[at:at+n])
			} else {
				kernels.MaxInto(best[p:p+n], w.dots[at:at+n])
			}
		}
		p += n
	}
	w.stats.ScanBytes += uint64(end-1) * uint64(l.sumLen) * 2
}

// topPages writes the k best of the pages 1..end-1 to dst, in ascending order. Of
// equal scores the older page wins; a NaN score loses.
func (w *worker) topPages(dst []int32, end, k int) {
	if k <= 0 {
		return
	}
	keys := w.keys[:end-1]
	for i, x := range w.best[1:end] {
		keys[i] = sortKey(x)
	}
	limit := kthLargest(w.keys2[:copy(w.keys2, keys)], k)
	ties := k
	for _, key := range keys {
		if key > limit {
			ties--
		}
	}
	n := 0
	for i, key := range keys {
		if key > limit || key == limit && ties > 0 {
			if key == limit {
				ties--
			}
			dst[n] = int32(i + 1)
			n++
		}
	}
}

// sortKey orders floats as unsigned integers, NaN lowest.
func sortKey(x float32) uint32 {
	if x != x {
		return 0
	}
	b := math.Float32bits(x)
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// kthLargest returns the k-th largest of a, 1 <= k <= len(a), and disorders a.
func kthLargest(a []uint32, k int) uint32 {
	lo, hi := 0, len(a)-1
	want := len(a) - k // index in ascending order
	for depth := 0; hi-lo > 16; depth++ {
		if depth == 64 { // an adversary's order; sorting bounds the time
			break
		}
		m := medianOf3(a[lo], a[lo+(hi-lo)/2], a[hi])
		i, j := lo-1, hi+1
		for {
			for i++; a[i] < m; i++ {
			}
			for j--; a[j] > m; j-- {
			}
			if i >= j {
				break
			}
			a[i], a[j] = a[j], a[i]
		}
		if want <= j {
			hi = j
		} else {
			lo = j + 1
		}
	}
	slices.Sort(a[lo : hi+1])
	return a[want]
}

func medianOf3(a, b, c uint32) uint32 {
	return max(min(a, b), min(max(a, b), c))
}
