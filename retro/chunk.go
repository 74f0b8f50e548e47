package retro

import (
	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// aheadCells is how many cells of the next block are asked for with the values of one.
const aheadCells = 96

// worker is the scratch of one thread.
type worker struct {
	passed []uint8              // per item, levels of the selection that have no part left
	hits   [codeTokens]int32    // candidates that have foundShare
	logits []float32            // [rows][blockCols]
	cells  [blockCols + 1]int32 // of the block being gathered
	runs   []run                // rows that read them
	cols   int                  // tokens in it
	ahead  [aheadCells]int32    // cells whose keys the next block begins with
	nAhead int                  // so many of them
	next   int                  // their KV head
	asked  bool                 // those of this one have been asked for

	ready prepared     // what scanQ was made for
	q     []float32    // the queries that select, [2][queries][dk]
	scanQ [2][]float32 // per plane [queries], ready for a scan
	dots  [2][]float32 // per plane [queries][chunkPages]; or means' and spreads'
	codeQ []float32    // the queries, ready for codes
	more  []float32    // products with further parts of the keys
	logit []float32    // estimates, [queries][tokens of codePart pages]
	near  []partial    // per query
	nearQ []float32    // queries for quantised keys
	keyQ  []float32    // the queries that select as the keys need them: in q, or nearQ
	keys  []uint32
	page  []float32 // [page][dk]

	tmp, tmp2 []float32

	exact exactScratch

	stats stats.Stats
	_     [64]byte // threads must not share the line of stats
}

// prepared tells which queries are in a worker's scanQ.
type prepared struct {
	step  uint64
	layer int
	item  int
}

// run is a stretch of the block's tokens, seen by virtual rows r0..r1-1.
type run struct{ col, n, r0, r1 int }

func (w *worker) allocate(o *options.Options, most sizes) {
	gqa, dk, dv := most.gqa, most.dk, most.dv
	w.logits = make([]float32, max(fewRows, o.Window*gqa)*blockCols)
	w.runs = make([]run, 0, maxRuns)
	queries := gqa // that select
	if o.CorrectBudget > 0 {
		queries *= o.Window
	}
	w.q = make([]float32, 2*queries*dk)
	for i := range w.dots {
		w.scanQ[i] = make([]float32, queries*most.scan)
		w.dots[i] = make([]float32, queries*chunkPages)
	}
	if o.Select == options.Tokens {
		w.codeQ = make([]float32, queries*most.code)
		w.logit = make([]float32, queries*codeTokens)
	}
	if most.parts > 1 {
		w.more = make([]float32, queries*max(2*chunkPages, codeTokens))
	}
	w.near, w.nearQ = make([]partial, queries),
		make([]float32, queries*kernels.QueryLen(kernels.Q8_0, dk))
	w.page = make([]float32, max(2, o.Page)*dk)
	w.exact.allocate(gqa, dk, dv)
	w.tmp, w.tmp2 = make([]float32, max(dk, dv)), make([]float32, max(dk, dv))
}

// chunkState is the partial of each row over one chunk, as it grows block by block.
type chunkState struct {
	l    *layer
	s    *sequence
	head int // KV head
	k, v kernels.Cache
	rows int // virtual rows
	q    []float32
	m, d []float32 // d is the softmax denominator
	acc  []float32
}

// attendChunk computes one chunk of an item: the partial of every row over its tokens. The same thread
// goes on with chunk nextChunk of KV head nextHead; -1: with none that is known.
func (e *Engine) attendChunk(w *worker, l *layer, it *item, q *stepSeq, h, chunk, nextHead,
	nextChunk int) {
	rows := q.rows * l.gqa
	if chunk >= it.chunks {
		e.auditChunk(w, l, it, q, h, chunk)
		return
	}
	c := chunkState{l: l, s: q.s, head: h, k: l.keys(h), v: l.values(h), rows: q.rows, q: it.kq,
		m:   it.m[chunk*rows:][:rows],
		d:   it.l[chunk*rows:][:rows],
		acc: it.acc[chunk*rows*l.DV:][:rows*l.DV]}
	w.begin(&c)
	n := q.newest().entry + 1
	switch {
	case it.exact:
		e.addNear(w, &c, q, chunk*it.per, min(n, (chunk+1)*it.per))
		if nextHead >= 0 {
			w.follow(nextHead, q.s.cell[nextChunk*it.per:])
		}
	case chunk < it.near:
		e.addLocal(w, &c, q)
	default:
		first := (chunk - it.near) * it.per
		last := min(len(it.entries), first+it.per)
		for ; first < last; first += blockCols {
			end, follow := min(last, first+blockCols), it.entries[last:]
			if end < last {
				follow = it.entries[end:]
			} else if nextHead != h {
				follow = nil
			}
			w.addFar(&c, it.entries[first:end], it.rows[first:], follow)
		}
	}
	w.flush(&c)
}

// begin empties the partials, and the worker's block, which a fault in the last chunk may have left.
func (w *worker) begin(c *chunkState) {
	emptyPartials(c.m, c.d, c.acc)
	w.runs, w.cols, w.nAhead = w.runs[:0], 0, 0
}

// emptyPartials makes partials over no tokens.
func emptyPartials(m, d, acc []float32) {
	fill(m, negInf)
	clear(d)
	clear(acc)
}

// addLocal adds the sink and the local window of each row in the batch.
func (e *Engine) addLocal(w *worker, c *chunkState, q *stepSeq) {
	page := e.opt.Page
	w.add(c, 0, page, q.emit, q.rows)
	// Older rows' windows begin earlier, by whole pages.
	first, last := q.views[q.emit].local, q.newest().local
	for p := first; p < last; p++ {
		r1 := q.emit + 1
		for q.views[r1].local <= p {
			r1++
		}
		w.add(c, p*page, (p+1)*page, q.emit, r1)
	}
	e.addNear(w, c, q, last*page, q.newest().entry+1)
}

// addNear adds entries a..b-1 for the rows in the batch, each up to itself.
func (e *Engine) addNear(w *worker, c *chunkState, q *stepSeq, a, b int) {
	all := min(b, q.views[q.emit].entry+1)
	for at := a; at < all; at += blockCols {
		w.add(c, at, min(all, at+blockCols), q.emit, q.rows)
	}
	r := q.emit
	for at := max(a, all); at < b; at++ {
		for q.views[r].entry < at {
			r++
		}
		w.add(c, at, at+1, r, q.rows)
	}
}

// addFar adds far entries, at most blockCols. Rows go one by one, the newest first, which reads
// all of them: past rows read few, each its own, and find them in the cache. Those that follow are
// what the next block begins with.
func (w *worker) addFar(c *chunkState, entries []int32, rows []uint16, follow []int32) {
	cell := c.s.cell
	for r := c.rows - 1; r >= 0; r-- {
		n := 0
		if r == c.rows-1 {
			n = gather(w.cells[:], cell, entries)
		} else {
			for i, t := range entries {
				w.cells[n] = cell[t]
				n += int(rows[i] >> r & 1)
			}
		}
		if w.cols = n; n > 0 {
			w.runs = append(w.runs, run{0, n, r, r + 1})
			if r == 0 {
				w.nAhead, w.next = gather(w.ahead[:], cell, follow), c.head
			}
			w.flush(c)
		}
	}
}

// gather lists the cells of entries, as many as there is room for.
func gather(dst, cell, entries []int32) int {
	entries = entries[:min(len(entries), len(dst))]
	dst = dst[:len(entries)]
	for i, t := range entries {
		dst[i] = cell[t]
	}
	return len(entries)
}

// add appends entries a..b-1, at most blockCols, for virtual rows r0..r1-1 to the
// block, flushing it first when full.
func (w *worker) add(c *chunkState, a, b, r0, r1 int) {
	if w.cols+b-a > blockCols || len(w.runs) == maxRuns {
		w.follow(c.head, c.s.cell[a:b])
		w.flush(c)
	}
	if n := len(w.runs); n > 0 && w.runs[n-1].r0 == r0 && w.runs[n-1].r1 == r1 {
		w.runs[n-1].n += b - a
	} else {
		w.runs = append(w.runs, run{w.cols, b - a, r0, r1})
	}
	w.cols += copy(w.cells[w.cols:], c.s.cell[a:b])
}

// follow says that keys of these cells, of a KV head, are read after the block.
func (w *worker) follow(head int, cells []int32) {
	w.nAhead, w.next = copy(w.ahead[:], cells), head
}

// flush attends to the gathered block: logits of all rows, one softmax update
// each, then the values.
func (w *worker) flush(c *chunkState) {
	if w.cols == 0 {
		return
	}
	l, g := c.l, c.l.gqa
	covered := w.mask(c)
	for i, t := range w.runs {
		next := kernels.Ahead{Asked: i > 0 || w.asked, Cache: &c.k, Cells: w.runCells(i + 1)}
		if i+1 == len(w.runs) {
			next.Cache, next.Cells = &c.v, w.runCells(0)
		}
		x := w.logits[t.r0*g*blockCols+t.col:]
		q := c.q[t.r0*g*kernels.QueryLen(l.TypeK, l.DK):]
		next.Dot(x, blockCols, q, (t.r1-t.r0)*g, &c.k, w.runCells(i))
		if l.SoftCap > 0 {
			for row := range (t.r1 - t.r0) * g {
				kernels.SoftCap(x[row*blockCols:][:t.n], l.SoftCap)
			}
		}
	}
	for r := range c.rows {
		if covered[r] == 0 {
			continue
		}
		for row := r * g; row < (r+1)*g; row++ {
			m, sum := kernels.SoftmaxRow(w.logits[row*blockCols:][:w.cols], c.m[row])
			if c.m[row] != m && c.m[row] != negInf {
				f := kernels.Exp32(c.m[row] - m)
				kernels.Scale(c.acc[row*l.DV:][:l.DV], f)
				c.d[row] *= f
			}
			c.m[row] = m
			c.d[row] += sum
		}
	}
	keys := l.keys(w.next)
	for i, t := range w.runs {
		next := kernels.Ahead{Asked: true, Cache: &c.v, Cells: w.runCells(i + 1)}
		if i+1 == len(w.runs) {
			next.Cache, next.Cells = &keys, w.ahead[:w.nAhead]
		}
		x := w.logits[t.r0*g*blockCols+t.col:]
		next.Acc(c.acc[t.r0*g*l.DV:], l.DV, x, blockCols, (t.r1-t.r0)*g, &c.v, w.runCells(i))
	}
	w.asked = w.nAhead > 0
	w.runs, w.cols, w.nAhead = w.runs[:0], 0, 0
}

// runCells are the cells of a run, of which there may be fewer.
func (w *worker) runCells(i int) []int32 {
	if i >= len(w.runs) {
		return nil
	}
	return w.cells[w.runs[i].col:][:w.runs[i].n]
}

// mask counts the tokens of the block that each virtual row reads, and sets the
// logits of the rows that do not read all of them to -Inf.
func (w *worker) mask(c *chunkState) (covered [options.MaxWindow]int) {
	for i := range w.runs {
		for r := w.runs[i].r0; r < w.runs[i].r1; r++ {
			covered[r] += w.runs[i].n
		}
	}
	for r := range c.rows {
		if covered[r] == 0 || covered[r] == w.cols {
			continue
		}
		for row := r * c.l.gqa; row < (r+1)*c.l.gqa; row++ {
			x := w.logits[row*blockCols:][:w.cols]
			for i := range x {
				x[i] = negInf
			}
		}
	}
	return covered
}
