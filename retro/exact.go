package retro

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
)

// Exact rows are new tokens that attend to all that comes before them and to themselves: those of a
// prompt, drafts to verify, or a lone token that a host wants exact. Nothing is chosen for them and
// nothing kept of them; Select builds the summaries of the pages that they turn far, so that the
// sparse token after them finds them.
//
// The rows of a KV head fall into blocks, and the entries before them into ranges where the blocks
// are few. A block and a range are a unit of work, which any thread may take. The few rows of
// drafts are about as fast as memory: the heads of a cell, which lie side by side, are one unit. As
// with items, the cut depends on the sequence alone.
const (
	exactRows = 256 // query rows in a block, unless a single token has more
	// units in a layer, about, where the context is long enough: with half as many one thread takes 2 %
	// less time, and 12 or 48 threads are a tenth to a quarter idle
	exactUnits  = 128
	exactRange  = 128 // entries, at least, in a range
	exactRanges = 64  // at most, of rows that are read with all heads
	readRows    = 64  // query rows for which that is so
	fewRows     = 24  // query rows for which a tile of keys is not worth converting
)

// exactSeq is what the step of a sequence knows that decodes no token.
type exactSeq struct {
	n     int // rows; 0: only summaries are built
	first int // entry of the first
	local int // pages below are far for the next token, and get summaries
	built int // pages that have them in all layers
	jobs  []exactJob
}

// exactJob is the shared state of a layer.
type exactJob struct {
	rowsCut
	build, unbuilt atomic.Int32 // parts of the summaries claimed, and not yet built
	next           atomic.Int32 // units claimed
	// ranges not yet done, per KV head and block; nil where there is one range
	left []atomic.Int32
	at   int // of the partials of the first unit
}

// rowsCut is how exact rows are cut in a layer.
type rowsCut struct {
	tokens, blocks int // tokens in a block
	ranges, per    int // entries in a range
	heads          int // KV heads in a unit
}

func cutRows(n, entries int, l *layer) rowsCut {
	if n == 0 {
		return rowsCut{}
	}
	c := rowsCut{tokens: max(1, exactRows/l.gqa), heads: 1}
	c.blocks = (n + c.tokens - 1) / c.tokens
	c.tokens = (n + c.blocks - 1) / c.blocks // no block of a few
	most := exactUnits / (c.blocks * l.KVHeads)
	unit := exactRange // tiles, whole ones, as each takes time beside its products
	if n*l.gqa <= readRows {
		c.heads, most, unit = l.KVHeads, exactRanges, 1
	}
	c.ranges = max(1, min(most, entries/exactRange))
	c.per = max(unit, ((entries+c.ranges-1)/c.ranges+unit/2)/unit*unit)
	c.ranges = (entries + c.per - 1) / c.per
	return c
}

// exactScratch is what exact rows need of a worker.
type exactScratch struct {
	q, m, l, acc []float32
	head, block  int // whose queries these are
	upto         []int32
	tile         []float32
	prepared     []float32 // queries of few rows for quantised keys
}

func (x *exactScratch) allocate(gqa, dk, dv int) {
	rows := max(exactRows, gqa)
	x.q = make([]float32, rows*dk)
	x.m, x.l, x.acc = make([]float32, rows), make([]float32, rows), make([]float32, rows*dv)
	x.upto = make([]int32, rows)
	x.tile = make([]float32, kernels.RowsScratch(dk))
	x.prepared = make([]float32, fewRows*kernels.QueryLen(kernels.Q8_0, dk))
}

// beginExact appends rows that are all new and exact.
func (e *Engine) beginExact(rows []Row, first int, s *sequence) error {
	id, t := int(rows[0].Seq), len(s.pos)
	if t+len(rows) > e.cfg.Cells {
		return failure.Argumentf("sequence %d: %d entries do not fit in %d cells", id, t+len(rows),
			e.cfg.Cells)
	}
	next := int32(0)
	if t > 0 {
		next = s.pos[t-1] + 1
	}
	for _, r := range rows {
		switch {
		case r.Exact == 0:
			return failure.Argumentf("sequence %d: the row at position %d is not exact, as others are", id, r.Pos)
		case r.Cell < 0 || int(r.Cell) >= e.cfg.Cells:
			return failure.Argumentf("sequence %d: cell %d, must be 0..%d", id, r.Cell,
				e.cfg.Cells-1)
		case r.Pos < next || r.Pos == 1<<31-1:
			return failure.Argumentf("sequence %d: position %d, where at least %d was due", id,
				r.Pos, next)
		}
		next = r.Pos + 1
	}
	q := e.addSeq(id, s, first)
	q.exact = exactSeq{n: len(rows), first: t, jobs: q.exact.jobs}
	s.pos, s.cell = slices.Grow(s.pos, len(rows)), slices.Grow(s.cell, len(rows))
	for _, r := range rows {
		s.pos, s.cell = append(s.pos, r.Pos), append(s.cell, r.Cell)
	}
	if local, built := e.missing(s); built < local {
		e.roomForSummaries(s, local)
		q.exact.local, q.exact.built = local, built
	}
	return nil
}

// prepareExact readies the jobs of all sequences that decode no token, and makes room for what they
// share.
func (e *Engine) prepareExact() {
	counters, rows, floats := 0, 0, 0
	for i := range e.layers {
		l, at, end := &e.layers[i], 0, 0
		for k := range e.step.seqs {
			q := &e.step.seqs[k]
			if q.decodes() {
				continue
			}
			x := &q.exact
			x.jobs = grow(x.jobs, len(e.layers))
			j := &x.jobs[i]
			j.rowsCut = cutRows(x.n, x.first+x.n, l)
			j.build.Store(0)
			j.unbuilt.Store(int32(x.parts() * l.KVHeads))
			j.next.Store(0)
			j.left, j.at = nil, at
			if j.ranges > 1 {
				counters += l.KVHeads * j.blocks
				at += l.Heads * x.n * j.ranges
				end = at
			}
		}
		rows, floats = max(rows, end), max(floats, end*l.DV)
	}
	e.exactLeft = grow(e.exactLeft, counters)
	e.exactM, e.exactL, e.exactAcc = grow(e.exactM, rows), grow(e.exactL, rows),
		grow(e.exactAcc, floats)
	for i, at := 0, 0; i < len(e.layers) && counters > 0; i++ {
		for k := range e.step.seqs {
			x := &e.step.seqs[k].exact
			if x.n == 0 || x.jobs[i].ranges == 1 {
				continue
			}
			j, n := &x.jobs[i], e.layers[i].KVHeads*x.jobs[i].blocks
			j.left = e.exactLeft[at : at+n]
			for b := range j.left {
				j.left[b].Store(int32(j.ranges))
			}
			at += n
		}
	}
}

// attendExact takes units until there are none left: the last blocks, which read most, first, and
// the ranges of a head one after another, for which a thread mostly has its queries already.
func (e *Engine) attendExact(w *worker, l *layer, a *Attn, q *stepSeq) {
	j := &q.exact.jobs[a.Layer]
	heads := l.KVHeads / j.heads
	units := int32(heads * j.blocks * j.ranges)
	w.exact.head = -1
	for j.next.Load() < units {
		u := int(j.next.Add(1) - 1)
		if u >= int(units) {
			return
		}
		r, h, b := u%j.ranges, u/j.ranges%heads*j.heads, j.blocks-1-u/j.ranges/heads
		for i := range j.heads {
			e.attendUnit(w, l, a, q, h+i, b, r)
		}
	}
}

// attendUnit is a unit, or one head of it: it computes the partials of a block of rows over a range
// of entries, and the outputs if there are no other ranges, or all of them are done.
func (e *Engine) attendUnit(w *worker, l *layer, a *Attn, q *stepSeq, h, b, r int) {
	x, j := &q.exact, &q.exact.jobs[a.Layer]
	first := b * j.tokens
	n := min(j.tokens, x.n-first)
	rows := n * l.gqa
	m, d, acc := w.exact.m[:rows], w.exact.l[:rows], w.exact.acc[:rows*l.DV]
	if j.ranges > 1 {
		m, d, acc = e.partialsOf(l, x, j, h, first, r, rows)
	}
	emptyPartials(m, d, acc)
	if w.exact.head != h || w.exact.block != b {
		w.exact.head, w.exact.block = h, b
		for i := range n {
			l.batchQueries(w.exact.q[i*l.gqa*l.DK:][:l.gqa*l.DK], a, q.firstRow+first+i, h)
		}
	}
	w.addRows(l, q.s, h, x.first+first, n, r*j.per, min((r+1)*j.per, x.first+first+n), m, d, acc)
	if j.ranges == 1 {
		for g := range rows {
			p := partial{m: m[g], l: d[g], acc: acc[g*l.DV:][:l.DV]}
			p.writeRow(l, a, q.firstRow+first+g/l.gqa, h*l.gqa+g%l.gqa)
		}
	} else if j.left[h*j.blocks+b].Add(-1) == 0 {
		e.mergeRanges(w, l, a, q, h, first, rows)
	}
}

// partialsOf is where the partials of a block, whose first row is given, lie.
func (e *Engine) partialsOf(l *layer, x *exactSeq, j *exactJob, h, first, r, rows int) (m, d,
	acc []float32) {
	at := j.at + ((h*j.ranges+r)*x.n+first)*l.gqa
	return e.exactM[at:][:rows], e.exactL[at:][:rows], e.exactAcc[at*l.DV:][:rows*l.DV]
}

// mergeRanges joins the ranges of a block and writes its outputs.
func (e *Engine) mergeRanges(w *worker, l *layer, a *Attn, q *stepSeq, h, first, rows int) {
	j := &q.exact.jobs[a.Layer]
	for g := range rows {
		p := partial{m: negInf, acc: w.tmp[:l.DV]}
		for r := range j.ranges {
			m, d, acc := e.partialsOf(l, &q.exact, j, h, first, r, rows)
			p.merge(m[g], d[g], acc[g*l.DV:][:l.DV])
		}
		p.writeRow(l, a, q.firstRow+first+g/l.gqa, h*l.gqa+g%l.gqa)
	}
}

// writeRow stores the output of a query head.
func (p *partial) writeRow(l *layer, a *Attn, row, head int) {
	out := unsafe.Add(a.Out, uint64(row)*a.OutRow+uint64(head*l.DV)*4)
	p.write(unsafe.Slice((*float32)(out), l.DV), l.sink(head))
}

// addRows adds entries from..to-1 to the partials of the queries in w.exact.q, of n tokens that
// begin at entry first: each reads up to itself.
func (w *worker) addRows(l *layer, s *sequence, h, first, n, from, to int, m, d, acc []float32) {
	if from >= to {
		return
	}
	x, rows, keys, values := &w.exact, n*l.gqa, l.keys(h), l.values(h)
	for r := range rows {
		x.upto[r] = int32(first + r/l.gqa + 1 - from)
	}
	if rows <= fewRows {
		w.addFew(l, &keys, &values, s.cell[from:to], m, d, acc)
		return
	}
	kernels.AttendRows(&kernels.Rows{Q: x.q, LdQ: l.DK, Upto: x.upto[:rows], Max: m, Sum: d,
		Acc: acc, SoftCap: l.SoftCap},
		&keys, &values, s.cell[from:to], x.tile)
}

// addFew does so for few rows, with the kernels of lone tokens.
func (w *worker) addFew(l *layer, keys, values *kernels.Cache, cells []int32, m, d, acc []float32) {
	x, q, rows := &w.exact, w.exact.q, len(m)
	if l.TypeK.Quantised() {
		kernels.Queries(l.TypeK, x.prepared, q, rows, l.DK)
		q = x.prepared
	}
	for at := 0; at < len(cells); at += blockCols {
		part := cells[at:min(len(cells), at+blockCols)]
		w.logitsOf(l, keys, q, rows, part)
		for r := range rows {
			logits := w.logits[r*blockCols:][:len(part)]
			if seen := int(x.upto[r]) - at; seen < len(part) {
				fill(logits[max(0, seen):], negInf)
			}
			top, sum := kernels.SoftmaxRow(logits, m[r])
			if m[r] != top && m[r] != negInf {
				f := kernels.Exp32(m[r] - top)
				kernels.Scale(acc[r*l.DV:][:l.DV], f)
				d[r] *= f
			}
			m[r], d[r] = top, d[r]+sum
		}
		w.accFew(l, values, part, at, acc, rows)
	}
}

// accFew adds the values of cells, the first of which is number at of the list. What a row does not
// see is left out, not weighed with 0, which would not hide what is not finite.
func (w *worker) accFew(l *layer, values *kernels.Cache, cells []int32, at int, acc []float32,
	rows int) {
	upto := w.exact.upto
	for i, r := 0, 0; i < len(cells); {
		for r < rows && int(upto[r]) <= at+i {
			r++
		}
		if r == rows {
			return
		}
		n := min(len(cells), int(upto[r])-at) - i // which all rows from r on see
		kernels.Acc(acc[r*l.DV:], l.DV, w.logits[r*blockCols+i:], blockCols, rows-r, values,
			cells[i:i+n])
		i += n
	}
}
