package retro

import (
	"slices"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
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
	return n * s.l.gqa
}

// scanQueries prepares, for each plane, what its summaries are multiplied by: the
// queries q, or of them q^2 for variances, the negative part for minima
// and the positive part for maxima.
func (s *selection) scanQueries() {
	e, w, l := s.e, s.w, s.l
	first, rows := s.selecting()
	size := l.gqa * l.DK
	x, y := w.q[:rows*size], w.q[len(w.q)/2:][:rows*size]
	for r := range rows {
		l.batchQueries(x[r*size:(r+1)*size], s.a, first+r, s.h)
	}
	if e.opt.Select == options.Oracle {
		s.keyQueries(x)
		return
	}
	hadamard(x, l.Rotation)
	queries := rows * l.gqa
	for j := range l.parts {
		p := &l.parts[j]
		if e.byTokens() {
			y := s.planeQueries(y, x, p, 0)
			kernels.ScanQueries4(w.scanQ[0][queries*p.scanAt:], y, queries, p.dim)
			kernels.CodeQueries(w.codeQ[queries*p.codeAt:], y, queries, p.dim)
			continue
		}
		for i := range planesOf(e.opt.Select) {
			y := s.planeQueries(y, x, p, i)
			if e.opt.SummaryBits == 8 {
				kernels.ScanQueries(w.scanQ[i][queries*p.scanAt:], y, queries, p.dim)
			} else {
				copy(w.scanQ[i][queries*p.scanAt:], y)
			}
		}
	}
}

// planeQueries makes in y what a part of the summaries of plane i is multiplied by, for queries x.
func (s *selection) planeQueries(y, x []float32, p *part, i int) []float32 {
	n := len(x) / s.l.DK
	y = y[:n*p.dim]
	for r := range n {
		copy(y[r*p.dim:(r+1)*p.dim], x[r*s.l.DK+p.at:])
	}
	switch selector := s.e.opt.Select; {
	case selector == options.Tokens:
	case selector == options.MinMax && i == 0:
		for j, v := range y {
			y[j] = min(v, 0)
		}
	case selector == options.MinMax:
		for j, v := range y {
			y[j] = max(v, 0)
		}
	case i == 1:
		for j, v := range y {
			y[j] = v * v
		}
	}
	return y
}

// combine turns the products of a scan, those with means where they are and those with spreads in
// the worker, into scores: best takes, for each page, the largest of any query.
func (s *selection) combine(best, mean []float32, ld int) {
	if s.takesAll() {
		return
	}
	e, spread, queries := s.e, s.w.dots[1], s.queries()
	if e.opt.Select != options.MinMax && e.opt.Select != options.Oracle {
		kernels.MaxAddSqrt(best, mean, ld, float32(e.opt.Beta), spread, chunkPages, queries)
		return
	}
	fill(best, negInf)
	for r := range queries {
		x := mean[r*ld:][:len(best)]
		if e.opt.Select == options.MinMax {
			kernels.Axpby(x, 1, spread[r*chunkPages:][:len(best)], 1)
		}
		kernels.MaxAdd(best, x, 0, unraised[:])
	}
}

var unraised [1]float32 // by what a row is that kernels.MaxAdd takes as it is

func fill[T any](x []T, v T) {
	if len(x) > 0 {
		x[0] = v
	}
	for n := 1; n < len(x); n *= 2 {
		copy(x[n:], x[:n])
	}
}

// keyQueries makes queries x ready for keys as they are stored, in w.keyQ.
func (s *selection) keyQueries(x []float32) {
	w, l := s.w, s.l
	w.keyQ = x
	if l.TypeK.Quantised() {
		w.keyQ = w.nearQ
		kernels.Queries(l.TypeK, w.nearQ, x, len(x)/l.DK, l.DK)
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

// logitsOf leaves the logits of queries, which are ready for the keys, for at most blockCols cells
// in w.logits.
func (w *worker) logitsOf(l *layer, keys *kernels.Cache, q []float32, queries int, cells []int32) {
	kernels.Dot(w.logits, blockCols, q, queries, keys, cells)
	if l.SoftCap > 0 {
		for r := range queries {
			kernels.SoftCap(w.logits[r*blockCols:][:len(cells)], l.SoftCap)
		}
	}
}

// addMass adds cells, at most blockCols, to the softmax denominator of each query.
func (w *worker) addMass(sums []partial, l *layer, keys *kernels.Cache, q []float32,
	cells []int32) {
	w.logitsOf(l, keys, q, len(sums), cells)
	for r := range sums {
		m, sum := kernels.SoftmaxRow(w.logits[r*blockCols:][:len(cells)], sums[r].m)
		sums[r].l = sums[r].l*kernels.Exp32(sums[r].m-m) + sum
		sums[r].m = m
	}
}
