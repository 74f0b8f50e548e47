package retro

import (
	"unsafe"

	"retroattn/kernels"
)

// worker is the scratch of one thread.
type worker struct {
	logits []float32 // [rows][blockCols]
	runs   []run     // of the block being gathered
	cols   int       // tokens in it

	best, dots, dots2, q2 []float32
	keys, keys2           []uint32
	tmp, tmp2             []float32

	stats Stats
	_     [64]byte // threads must not share the line of stats
}

// run is a stretch of tokens in neighbouring cells, seen by virtual rows r0..r1-1.
type run struct {
	k, v   unsafe.Pointer
	col, n int
	r0, r1 int
}

func (w *worker) allocate(rows, group, pages, dim int) {
	w.logits = make([]float32, rows*blockCols)
	w.runs = make([]run, 0, maxRuns)
	w.best = make([]float32, pages+1)
	w.keys, w.keys2 = make([]uint32, pages+1), make([]uint32, pages+1)
	w.dots, w.dots2 = make([]float32, group*chunkPages), make([]float32, group*chunkPages)
	w.q2 = make([]float32, group*2*dim)
	w.tmp, w.tmp2 = make([]float32, dim), make([]float32, dim)
}

// chunkState is the partial of each row over one chunk, as it grows block by block.
type chunkState struct {
	l    *layer
	s    *sequence
	h    int
	rows int // virtual rows
	q    []float32
	m, d []float32 // d is the softmax denominator
	acc  []float32
}

// attendChunk computes one chunk of an item: the partial of every row over its tokens.
func (e *Engine) attendChunk(w *worker, l *layer, it *item, q *stepSeq, h, chunk int) {
	rows := q.rows * l.group
	c := chunkState{l: l, s: q.s, h: h, rows: q.rows, q: it.q,
		m:   it.m[chunk*rows:][:rows],
		d:   it.l[chunk*rows:][:rows],
		acc: it.acc[chunk*rows*l.DV:][:rows*l.DV]}
	for i := range c.m {
		c.m[i], c.d[i] = negInf, 0
	}
	clear(c.acc)
	n := q.newest().entry + 1
	switch {
	case it.exact:
		e.addNear(w, &c, q, chunk*it.per, min(n, (chunk+1)*it.per))
	case chunk < it.near:
		e.addLocal(w, &c, q)
	default:
		first := (chunk - it.near) * it.per
		for i := first; i < min(len(it.pages), first+it.per); i++ {
			e.addFar(w, &c, int(it.pages[i]), it.rows[i])
		}
	}
	w.flush(&c)
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

// addFar adds a far page for the rows whose bit is set.
func (e *Engine) addFar(w *worker, c *chunkState, page int, rows uint16) {
	a, b := page*e.opt.Page, (page+1)*e.opt.Page
	if w.cols+e.opt.Page > blockCols || len(w.runs)+maxWindow*e.opt.Page > maxRuns {
		w.flush(c)
	}
	col := w.cols
	for r0 := 0; r0 < c.rows; r0++ {
		if rows>>r0&1 == 0 {
			continue
		}
		r1 := r0 + 1
		for r1 < c.rows && rows>>r1&1 != 0 {
			r1++
		}
		w.cols = col // every range of rows reads the same tokens
		w.append(c, a, b, r0, r1)
		r0 = r1
	}
}

// add appends entries a..b-1, at most blockCols, to the block, flushing it first when full.
func (w *worker) add(c *chunkState, a, b, r0, r1 int) {
	if w.cols+b-a > blockCols || len(w.runs)+b-a > maxRuns {
		w.flush(c)
	}
	w.append(c, a, b, r0, r1)
}

func (w *worker) append(c *chunkState, a, b, r0, r1 int) {
	l := c.l
	for a < b {
		n := c.s.contiguous(a, b)
		cell := uint64(c.s.cell[a])
		w.runs = append(w.runs, run{
			k:   unsafe.Add(l.K, cell*l.KRow+uint64(c.h)*l.KHead),
			v:   unsafe.Add(l.V, cell*l.VRow+uint64(c.h)*l.VHead),
			col: w.cols, n: n, r0: r0, r1: r1,
		})
		w.cols += n
		a += n
	}
}

// ahead is the number of runs that are fetched before they are needed.
const ahead = 2

func (w *worker) prefetchKeys(c *chunkState, i int) {
	if i < len(w.runs) {
		kernels.Prefetch(w.runs[i].k, uintptr(c.l.KRow), c.l.DK, w.runs[i].n)
	}
}

func (w *worker) prefetchValues(c *chunkState, i int) {
	if i < len(w.runs) {
		kernels.Prefetch(w.runs[i].v, uintptr(c.l.VRow), c.l.DV, w.runs[i].n)
	}
}

// flush attends to the gathered block: logits of all rows, one softmax update
// each, then the values.
func (w *worker) flush(c *chunkState) {
	if w.cols == 0 {
		return
	}
	l, g := c.l, c.l.group
	var covered [maxWindow]int
	for i := range w.runs {
		for r := w.runs[i].r0; r < w.runs[i].r1; r++ {
			covered[r] += w.runs[i].n
		}
	}
	for r := range c.rows {
		if covered[r] == 0 || covered[r] == w.cols {
			continue
		}
		for row := r * g; row < (r+1)*g; row++ {
			x := w.logits[row*blockCols:][:w.cols]
			for i := range x {
				x[i] = negInf
			}
		}
	}
	// Pages lie apart and the hardware does not see the next one coming. The values
	// of the first runs are fetched while the last keys are being used.
	for i := range ahead {
		w.prefetchKeys(c, i)
	}
	for i := range w.runs {
		if w.prefetchKeys(c, i+ahead); i+ahead >= len(w.runs) {
			w.prefetchValues(c, i+ahead-len(w.runs))
		}
		t := &w.runs[i]
		kernels.DotF16(w.logits[t.r0*g*blockCols+t.col:], blockCols, c.q[t.r0*g*l.DK:], (t.r1-t.r0)*g, l.DK, t.k, uintptr(l.KRow), t.n)
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
	for i := range w.runs {
		w.prefetchValues(c, i+ahead)
		t := &w.runs[i]
		kernels.AccF16(c.acc[t.r0*g*l.DV:], l.DV, w.logits[t.r0*g*blockCols+t.col:], blockCols, (t.r1-t.r0)*g, l.DV, t.v, uintptr(l.VRow), t.n)
	}
	w.runs, w.cols = w.runs[:0], 0
}
