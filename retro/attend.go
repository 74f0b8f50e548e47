package retro

import (
	"time"
	"unsafe"

	"retroattn/kernels"
)

// Attn is one layer's query and output. Row r, head h of Q begins at
// Q + r*QRow + h*QHead bytes; row r of Out, [Heads*DV], at Out + r*OutRow. Both float32.
type Attn struct {
	Layer  int
	Rows   int
	Scale  float32 // factor on q.k
	Q, Out unsafe.Pointer
	QRow   uint64
	QHead  uint64
	OutRow uint64
}

// The work of a layer falls into items, one per sequence of the step and KV
// head. An item is first selected (query copied, pages scored and chosen), then
// attended in chunks that any thread may take; who finishes the last chunk
// merges them. Nobody waits: a thread that finds nothing to claim returns, and
// what is left belongs to threads that are still in.
//
// How an item is cut into chunks depends only on its own tokens, never on
// threads or other sequences, so results are the same bits in any company.
const (
	maxChunks = 8
	blockCols = 256 // tokens whose logits are held at once
	maxRuns   = 512 // stretches of neighbouring cells in them
)

// Attend computes this thread's part of one layer of the open step. ith is below
// nth, the number of threads that call.
func (e *Engine) Attend(a *Attn, ith, nth int) error {
	if err := e.checkAttn(a, ith, nth); err != nil {
		return err
	}
	var start time.Time
	if ith == 0 {
		start = time.Now()
	}
	w, l, j := &e.workers[ith], &e.layers[a.Layer], &e.jobs[a.Layer]
	n := len(e.step.seqs) * l.KVHeads
	for {
		i := int(j.next.Add(1)) - 1
		if i >= n {
			break
		}
		it := &e.items[i]
		e.selectItem(w, l, a, it, &e.step.seqs[i/l.KVHeads], i%l.KVHeads)
		c := &j.claims[i]
		c.left.Store(int32(it.chunks))
		c.ready.Store(int32(it.chunks))
	}
	for found := true; found; {
		found = false
		for k := range n {
			i := (k + ith*n/nth) % n
			c := &j.claims[i]
			for {
				ready := c.ready.Load()
				if c.next.Load() >= ready {
					break
				}
				chunk := c.next.Add(1) - 1
				if chunk >= ready {
					break
				}
				found = true
				it, q, h := &e.items[i], &e.step.seqs[i/l.KVHeads], i%l.KVHeads
				e.attendChunk(w, l, it, q, h, int(chunk))
				if c.left.Add(-1) == 0 {
					e.merge(w, l, a, it, q, h)
				}
			}
		}
	}
	if ith == 0 {
		w.stats.AttendNS += uint64(time.Since(start))
	}
	return nil
}

func (e *Engine) checkAttn(a *Attn, ith, nth int) error {
	if !e.step.open {
		return statef("attention outside of a step")
	}
	if a.Layer < 0 || a.Layer >= len(e.layers) {
		return argumentf("layer %d: must be 0..%d", a.Layer, len(e.layers)-1)
	}
	if ith < 0 || ith >= nth || nth > e.cfg.Threads {
		return argumentf("thread %d of %d: at most %d", ith, nth, e.cfg.Threads)
	}
	l := &e.layers[a.Layer]
	if a.Rows != e.step.rows || a.Q == nil || a.Out == nil {
		return argumentf("layer %d: %d rows where the step has %d, or no q or output", a.Layer, a.Rows, e.step.rows)
	}
	const most = 1 << 32
	if a.OutRow < uint64(l.Heads*l.DV)*4 || a.OutRow > most || a.QRow > most || a.QHead > most || a.QHead < uint64(l.DK)*4 && l.Heads > 1 {
		return argumentf("layer %d: strides of %d, %d and %d bytes do not fit %d heads", a.Layer, a.QRow, a.QHead, a.OutRow, l.Heads)
	}
	return nil
}

// item is the state of one sequence's KV head within a layer.
type item struct {
	exact  bool
	chunks int // near chunks first, then far ones
	near   int
	per    int // entries per near chunk when exact, pages per far chunk when not

	q     []float32 // [rows][group][dk], scaled
	pages []int32   // selected far pages, ascending
	rows  []uint16  // per selected page: bit r = virtual row r reads it

	m, l []float32 // [chunk][rows*group]
	acc  []float32 // [chunk][rows*group][dv]
}

// grow makes room in slices that are kept from step to step; they reach their
// final size within the first steps.
func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]T, n, n+n/4)
}

// selectItem fills an item: its queries, and, on a sparse step, the pages that
// each virtual row reads.
func (e *Engine) selectItem(w *worker, l *layer, a *Attn, it *item, q *stepSeq, h int) {
	it.exact = !q.sparse || a.Layer < e.opt.DenseLayers
	e.loadQueries(l, a, it, q, h)
	v := q.newest()
	n := v.entry + 1
	cellBytes := uint64(l.DK+l.DV) * 2
	w.stats.KVBytesFull += uint64(n) * cellBytes
	if it.exact {
		it.per = max(blockCols, (n+maxChunks-1)/maxChunks)
		it.near = (n + it.per - 1) / it.per
		it.chunks = it.near
		it.pages, it.rows = it.pages[:0], it.rows[:0]
		w.stats.KVBytesRead += uint64(n) * cellBytes
	} else {
		e.selectPages(w, l, it, q, h)
		k := len(it.pages)
		it.near = 1
		it.per = max(blockCols/e.opt.Page/2, (k+maxChunks-2)/(maxChunks-1))
		it.chunks = 1 + (k+it.per-1)/it.per
		read := e.opt.Page*(1+k) + n - q.views[q.emit].local*e.opt.Page
		w.stats.KVBytesRead += uint64(read) * cellBytes
		w.stats.FarPages += uint64(v.local - 1)
		w.stats.SelectedPages += uint64(k)
	}
	rows := q.rows * l.group
	it.m, it.l = grow(it.m, it.chunks*rows), grow(it.l, it.chunks*rows)
	it.acc = grow(it.acc, it.chunks*rows*l.DV)
}

// loadQueries gathers the queries of the item's virtual rows: from the batch, or
// from the ring for past tokens that are not in it.
func (e *Engine) loadQueries(l *layer, a *Attn, it *item, q *stepSeq, h int) {
	n := l.group * l.DK
	it.q = grow(it.q, q.rows*n)
	for r := range q.rows {
		dst := it.q[r*n : (r+1)*n]
		at := l.ring.q + h*n
		if r < q.emit {
			copy(dst, q.slots[r].q[at:])
			continue
		}
		row := q.firstRow + r - q.emit
		for g := range l.group {
			p := unsafe.Add(a.Q, uint64(row)*a.QRow+uint64(h*l.group+g)*a.QHead)
			src := unsafe.Slice((*float32)(p), l.DK)
			for i, x := range src {
				dst[g*l.DK+i] = x * a.Scale
			}
		}
		if !it.exact && q.slots[r] != nil {
			copy(q.slots[r].q[at:at+n], dst)
		}
	}
}

// selectPages chooses the newest row's far pages and marks, for each past row,
// those that were far for it and that it has not seen (ALGORITHM, step 5).
func (e *Engine) selectPages(w *worker, l *layer, it *item, q *stepSeq, h int) {
	v := q.newest()
	it.pages, it.rows = grow(it.pages, q.budget), grow(it.rows, q.budget)
	if q.budget > 0 {
		e.summarise(w, q.s, l, h, v.local)
		last := (q.rows - 1) * l.group * l.DK
		e.score(w, q.s, l, h, v.local, it.q[last:])
		w.topPages(it.pages, v.local, q.budget)
	}
	newest := uint16(1) << (q.rows - 1)
	for i := range it.rows {
		it.rows[i] = newest
	}
	if q.slots[q.rows-1] == nil {
		return
	}
	words := e.pageWords()
	seen := func(r int) []uint64 { return q.slots[r].pages[l.ring.pages+h*words:][:words] }
	for r := range q.rows - 1 {
		set, local, added := seen(r), int32(q.views[r].local), 0
		for i, p := range it.pages {
			if bit := uint64(1) << (p & 63); p < local && set[p>>6]&bit == 0 {
				set[p>>6] |= bit
				it.rows[i] |= 1 << r
				added++
			}
		}
		if added > 0 {
			q.slots[r].seen.add(uint64(added))
			w.stats.SupplementPages += uint64(added)
			q.corrected[r].set()
		}
	}
	own := seen(q.rows - 1)
	clear(own)
	for _, p := range it.pages {
		own[p>>6] |= 1 << (p & 63)
	}
	q.slots[q.rows-1].selected.add(uint64(len(it.pages)))
	q.slots[q.rows-1].seen.add(uint64(len(it.pages)))
}

// merge joins the chunks of an item, brings the ring up to date, and writes the
// outputs of the rows in the batch.
func (e *Engine) merge(w *worker, l *layer, a *Attn, it *item, q *stepSeq, h int) {
	rows := q.rows * l.group
	for r := range q.rows {
		for g := range l.group {
			head, at := h*l.group+g, r*l.group+g
			p := partial{m: negInf, acc: w.tmp[:l.DV]}
			if !it.exact {
				slot := q.slots[r]
				if slot != nil {
					p.acc = slot.acc[l.ring.acc+head*l.DV:][:l.DV]
					if r < q.rows-1 {
						p.m, p.l = slot.m[l.ring.ml+head], slot.l[l.ring.ml+head]
					}
				}
				for c := it.near; c < it.chunks; c++ {
					p.merge(it.m[c*rows+at], it.l[c*rows+at], it.acc[(c*rows+at)*l.DV:][:l.DV])
				}
				if slot != nil {
					slot.m[l.ring.ml+head], slot.l[l.ring.ml+head] = p.m, p.l
				}
			}
			if r < q.emit {
				continue
			}
			if &p.acc[0] != &w.tmp[0] { // the ring keeps the far part alone
				copy(w.tmp, p.acc)
				p.acc = w.tmp[:l.DV]
			}
			for c := range it.near {
				p.merge(it.m[c*rows+at], it.l[c*rows+at], it.acc[(c*rows+at)*l.DV:][:l.DV])
			}
			row := q.firstRow + r - q.emit
			out := unsafe.Slice((*float32)(unsafe.Add(a.Out, uint64(row)*a.OutRow+uint64(head*l.DV)*4)), l.DV)
			p.write(out)
		}
	}
}

// partial is a running softmax over a set of tokens: acc / l is their attention
// output, and m the largest logit, which acc and l are relative to.
type partial struct {
	m, l float32
	acc  []float32
}

// merge adds a partial over other tokens (log-sum-exp).
func (p *partial) merge(m, l float32, acc []float32) {
	switch {
	case m == negInf:
	case p.m == negInf:
		p.m, p.l = m, l
		copy(p.acc, acc)
	default:
		top := max(p.m, m)
		a, b := kernels.Exp32(p.m-top), kernels.Exp32(m-top)
		kernels.Axpby(p.acc, a, acc, b)
		p.m, p.l = top, a*p.l+b*l
	}
}

func (p *partial) write(out []float32) {
	if p.m == negInf {
		clear(out)
		return
	}
	inv := 1 / p.l
	for i, x := range p.acc {
		out[i] = x * inv
	}
}
