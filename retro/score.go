package retro

import (
	"cmp"
	"math"
	"slices"

	"retroattn/kernels"
)

// selecting is the range of rows of the batch whose queries choose the pages: the newest,
// or all of them where a step that corrects has a budget of its own.
func (s *selection) selecting() (first, n int) {
	past := s.q.rows - 1 - s.q.emit
	if past > 0 && s.e.opt.CorrectBudget > 0 {
		return s.q.firstRow, past + 1
	}
	return s.q.firstRow + past, 1
}

// queries is the number of query rows that select.
func (s *selection) queries() int {
	_, n := s.selecting()
	return n * s.l.group
}

// scanQueries prepares, for each plane, what its summaries are multiplied by: the
// queries q, or of them q^2 for variances, the negative part for minima
// and the positive part for maxima.
func (s *selection) scanQueries() {
	e, w, l := s.e, s.w, s.l
	first, rows := s.selecting()
	size := l.group * l.DK
	x, y := w.q[:rows*size], w.q[len(w.q)/2:][:rows*size]
	for r := range rows {
		l.batchQueries(x[r*size:(r+1)*size], s.a, first+r, s.h)
	}
	if e.opt.Select == Oracle {
		s.keyQueries(x)
		return
	}
	hadamard(x, l.Rotation)
	for i := range e.opt.Select.planes() {
		for j, v := range x {
			switch {
			case e.opt.Select == MinMax && i == 0:
				v = min(v, 0)
			case e.opt.Select == MinMax:
				v = max(v, 0)
			case i == 1:
				v *= v
			}
			y[j] = v
		}
		if e.opt.SummaryBits == 8 {
			kernels.ScanQueries(w.scanQ[i], y, rows*l.group, l.DK)
		} else {
			copy(w.scanQ[i], y)
		}
	}
}

// combine turns the products of a scan into scores. best takes, for each page, the largest
// of any query; where it is to be kept apart by query, it.score and it.mass take each
// query's, from column col on.
func (s *selection) combine(best []float32, it *item, col int) {
	e, n := s.e, len(best)
	fill(best, negInf)
	beta := float32(e.opt.Beta)
	for r := range s.queries() {
		x, y := s.w.dots[0][r*chunkPages:][:n], s.w.dots[1][r*chunkPages:][:n]
		if e.opt.Select == MinMax {
			kernels.Axpby(x, 1, y, 1)
		}
		e.score(best, x, beta, y)
		if it == nil {
			continue
		}
		at := r*s.cut.cols + col
		if e.opt.Aggregate == Sum {
			fill(it.score[at:][:n], negInf)
			e.score(it.score[at:][:n], x, beta, y)
		}
		if e.opt.Mass > 0 {
			fill(it.mass[at:][:n], negInf)
			e.score(it.mass[at:][:n], x, massSpread, y)
		}
	}
}

// score is dst = max(dst, score) for the products x and y of one query with both planes.
func (e *Engine) score(dst, x []float32, beta float32, y []float32) {
	if e.opt.Select == MeanStd {
		kernels.MaxAddSqrt(dst, x, beta, y)
	} else {
		kernels.MaxInto(dst, x)
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

// sumAggregate makes best the sum over the queries of their softmax over the pages.
func (s *selection) sumAggregate(lo int) {
	it := s.it
	best := it.best[lo:s.cut.cols]
	clear(best)
	for r := range s.queries() {
		x := it.score[r*s.cut.cols+lo:][:len(best)]
		if _, sum := kernels.SoftmaxRow(x, negInf); sum > 0 {
			kernels.Axpby(best, 1, x, 1/sum)
		}
	}
}

// massSpread is the weight of the spread in an estimate of the logarithm of the attention
// mass of a page, mean + massSpread*sd + log(tokens): between the sd/2 of a small
// spread and what the largest of 16 tokens adds under a large one.
const massSpread = 0.8

// enough cuts the chosen columns, which come back with the best score first, where those
// before hold the wanted share of the attention together with sink and local
// window. What is outside the columns, in two levels, counts as nothing.
func (s *selection) enough(lo int, chosen []int32) []int32 {
	it, queries, near := s.it, s.queries(), s.nearMass()
	best := it.best[lo:s.cut.cols]
	slices.SortFunc(chosen, func(a, b int32) int {
		return cmp.Or(cmp.Compare(best[b], best[a]), cmp.Compare(a, b))
	})
	it.share = grow(it.share, len(chosen))
	clear(it.share)
	held, tokens := float32(0), float32(s.e.opt.Page)
	exact := s.e.opt.Select == Oracle // no estimate: of all tokens of a page, capped
	if exact {
		tokens = 1
	}
	for r := range queries {
		x := it.mass[r*s.cut.cols+lo:][:len(best)]
		if s.l.SoftCap > 0 && !exact {
			kernels.SoftCap(x, s.l.SoftCap)
		}
		// In units of that many tokens; m is at least the near tokens' part.
		top := near[r].m - float32(math.Log(float64(tokens)))
		m, sum := kernels.SoftmaxRow(x, top)
		local := near[r].l * kernels.Exp32(top-m)
		inv := 1 / (sum + local) / float32(queries)
		held += local * inv
		for i, c := range chosen {
			it.share[i] += x[c] * inv
		}
	}
	least := min(len(chosen), s.e.opt.pages(float64(max(1, s.e.opt.MinBudget)), s.q.newest().entry+1))
	for i := range chosen {
		if i >= least && held >= float32(s.e.opt.Mass) {
			return chosen[:i]
		}
		held += it.share[i]
	}
	return chosen
}

// nearMass is, for each query that selects, the softmax denominator of sink and local window.
func (s *selection) nearMass() []partial {
	w, l, q, queries := s.w, s.l, s.q, s.queries()
	near := w.near[:queries]
	for r := range near {
		near[r] = partial{m: negInf}
	}
	if s.e.opt.Select != Oracle { // whose are ready
		x := w.q[:queries*l.DK] // prepare left them there
		hadamard(x, l.Rotation) // as the keys are
		s.keyQueries(x)
	}
	page, keys := s.e.opt.Page, l.keys(s.h)
	w.addMass(near, l, &keys, w.keyQ, q.s.cell[:page])
	for cells := range slices.Chunk(q.s.cell[q.newest().local*page:q.newest().entry+1], blockCols) {
		w.addMass(near, l, &keys, w.keyQ, cells)
	}
	return near
}

// keyQueries makes the queries x that select ready for keys as they are stored, in w.keyQ.
func (s *selection) keyQueries(x []float32) {
	w, l := s.w, s.l
	w.keyQ = x
	if l.TypeK.Quantised() {
		w.keyQ = w.nearQ
		kernels.Queries(l.TypeK, w.nearQ, x, s.queries(), l.DK)
	}
}

// scanKeys leaves the log-sum-exp of the true logits of each of n pages where scan leaves products.
func (s *selection) scanKeys(page, n int) {
	w, l, size, queries := s.w, s.l, s.e.opt.Page, s.queries()
	keys, at := l.keys(s.h), 0
	for cells := range slices.Chunk(s.q.s.cell[page*size:(page+n)*size], blockCols) {
		w.logitsOf(l, &keys, w.keyQ, queries, cells)
		for i := 0; i < len(cells); i += size {
			for r := range queries {
				p := partial{}
				p.m, p.l = kernels.SoftmaxRow(w.logits[r*blockCols+i:][:size], negInf)
				w.dots[0][r*chunkPages+at] = p.logSum()
			}
			at++
		}
	}
	w.stats.ScanBytes += uint64(n * size * l.kBytes)
}

// logitsOf leaves the logits of queries, which are ready for the keys, for at most blockCols cells in w.logits.
func (w *worker) logitsOf(l *layer, keys *kernels.Cache, q []float32, queries int, cells []int32) {
	kernels.Dot(w.logits, blockCols, q, queries, keys, cells)
	if l.SoftCap > 0 {
		for r := range queries {
			kernels.SoftCap(w.logits[r*blockCols:][:len(cells)], l.SoftCap)
		}
	}
}

// addMass adds cells, at most blockCols, to the softmax denominator of each query.
func (w *worker) addMass(sums []partial, l *layer, keys *kernels.Cache, q []float32, cells []int32) {
	w.logitsOf(l, keys, q, len(sums), cells)
	for r := range sums {
		m, sum := kernels.SoftmaxRow(w.logits[r*blockCols:][:len(cells)], sums[r].m)
		sums[r].l = sums[r].l*kernels.Exp32(sums[r].m-m) + sum
		sums[r].m = m
	}
}
