package retro

import (
	"math"
	"slices"
	"time"
	"unsafe"

	"retroattn/kernels"
)

// planes is the number of planes of summaries that the selector scans.
func (s Selector) planes() int {
	switch s {
	case Mean:
		return 1
	case MeanStd, MinMax: // means and variances, minima and maxima
		return 2
	}
	return 0
}

// sign tells how 8-bit summaries of a plane are stored.
func (s Selector) sign(plane int) kernels.Sign {
	if s == MeanStd && plane == 1 {
		return kernels.Unsigned
	}
	return kernels.Signed
}

// planeBytes is the size of one plane of one KV head in a chunk of pages.
func planeBytes(bits, dk int) int {
	if bits == 8 {
		return chunkPages / kernels.TilePages * kernels.TileBytes(dk)
	}
	return chunkPages * 2 * dk
}

// plane returns plane i of KV head h in the chunk of page p.
func (l *layer) plane(s *sequence, planes, h, i, p int) []byte {
	return s.chunks[p/chunkPages][l.sumOff+(h*planes+i)*l.sumPlane:][:l.sumPlane]
}

// identity lists the rows of an F16 plane.
var identity = func() (cells [chunkPages]int32) {
	for i := range cells {
		cells[i] = int32(i)
	}
	return
}()

// parts is the number of parts that the selection of an item falls into. Each is a
// chunk of pages, scored by one thread; where nothing is to be scored there is one.
func (e *Engine) parts(layer int, q *stepSeq) int {
	if e.exact(layer, q) || q.budget == 0 {
		return 1
	}
	return (q.newest().local + chunkPages - 1) / chunkPages
}

func (e *Engine) exact(layer int, q *stepSeq) bool { return !q.sparse || layer < e.opt.DenseLayers }

// Select computes this thread's part of the page selection of one layer of the
// open step: pages are scored in parts that any thread may take, and who finishes
// the last part of an item chooses. All threads must have returned before any calls
// Attend for the layer. ith is below nth, the number of threads that call.
func (e *Engine) Select(a *Attn, ith, nth int) error {
	if err := e.checkAttn(a, ith, nth); err != nil {
		return err
	}
	start := time.Now()
	w, l, claims := &e.workers[ith], &e.layers[a.Layer], e.jobs[a.Layer].claims
	n := len(e.step.seqs) * l.KVHeads
	for k := range n {
		i := (k + ith*n/nth) % n
		c, it, q, h := &claims[i], &e.items[i], &e.step.seqs[i/l.KVHeads], i%l.KVHeads
		parts := int32(e.parts(a.Layer, q))
		for c.part.Load() < parts {
			part := c.part.Add(1) - 1
			if part >= parts {
				break
			}
			if !e.exact(a.Layer, q) && q.budget > 0 {
				e.scorePart(w, l, a, it, q, h, int(part))
			}
			if c.partLeft.Add(-1) == 0 {
				e.choose(w, l, a, it, q, h)
				c.left.Store(int32(it.chunks))
			}
		}
	}
	w.spent(ith, start)
	return nil
}

// scorePart scores one chunk of the item's far pages, after building the summaries
// that are missing in it.
func (e *Engine) scorePart(w *worker, l *layer, a *Attn, it *item, q *stepSeq, h, part int) {
	end := q.newest().local
	first, last := part*chunkPages, min(end, (part+1)*chunkPages)
	for p := max(1, first, int(q.s.summed[l.headOff+h])); p < last; p++ {
		e.buildSummary(w, q.s, l, h, p)
	}
	if w.ready != (prepared{e.step.number, a.Layer, it}) {
		w.ready = prepared{e.step.number, a.Layer, it}
		e.scanQueries(w, l, a, q, h)
	}
	best := it.best[first:last]
	for i := range best {
		best[i] = negInf
	}
	g, planes := l.group, e.opt.Select.planes()
	for i := range planes {
		e.scanPlane(w, l, i, l.plane(q.s, planes, h, i, first), len(best))
	}
	for r := range g {
		x := w.dots[0][r*chunkPages:][:len(best)]
		switch e.opt.Select {
		case Mean:
			kernels.MaxInto(best, x)
		case MeanStd:
			kernels.MaxAddSqrt(best, x, float32(e.opt.Beta), w.dots[1][r*chunkPages:][:len(best)])
		case MinMax:
			kernels.Axpby(x, 1, w.dots[1][r*chunkPages:], 1)
			kernels.MaxInto(best, x)
		}
	}
	w.stats.ScanBytes += uint64(len(best) * planes * l.sumPlane / chunkPages)
}

// scanPlane leaves the products of the prepared queries with n summaries in w.dots.
func (e *Engine) scanPlane(w *worker, l *layer, i int, plane []byte, n int) {
	if e.opt.SummaryBits == 8 {
		kernels.Scan(w.dots[i], chunkPages, w.scanQ[i], l.group, l.DK, plane, n, e.opt.Select.sign(i))
		return
	}
	c := kernels.Cache{Type: kernels.F16, Dim: l.DK, Base: unsafe.Pointer(&plane[0]), Stride: uintptr(2 * l.DK)}
	kernels.Dot(w.dots[i], chunkPages, w.scanQ[i], l.group, &c, identity[:n])
}

// scanQueries prepares, for each plane, what its summaries are multiplied by: the
// newest row's queries q, or of them q^2 for variances, the negative part for minima
// and the positive part for maxima.
func (e *Engine) scanQueries(w *worker, l *layer, a *Attn, q *stepSeq, h int) {
	n := l.group * l.DK
	x := w.q[:n]
	l.batchQueries(x, a, q.firstRow+q.rows-1-q.emit, h)
	for i := range e.opt.Select.planes() {
		y := w.q[(1+i)*n:][:n]
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
			kernels.ScanQueries(w.scanQ[i], y, l.group, l.DK)
		} else {
			copy(w.scanQ[i], y)
		}
	}
}

// buildSummary computes the summary of page p of KV head h.
func (e *Engine) buildSummary(w *worker, s *sequence, l *layer, h, p int) {
	d, n := l.DK, e.opt.Page
	x, a, b := w.page[:n*d], w.tmp[:d], w.tmp2[:d]
	keys := l.keys(h)
	kernels.Load(x, &keys, s.cell[p*n:(p+1)*n])
	if e.opt.Select == MinMax {
		for i := range a {
			a[i], b[i] = float32(math.Inf(1)), negInf
		}
		kernels.MinMax(a, b, x, d, n)
	} else {
		clear(a)
		clear(b)
		kernels.SumSq(a, b, x, d, n)
		// Variance, not sd, is stored: the score needs q^2.sd^2.
		inv := 1 / float32(n)
		for i := range a {
			a[i] *= inv
			b[i] = max(0, b[i]*inv-a[i]*a[i])
		}
	}
	planes := e.opt.Select.planes()
	for i, x := range [2][]float32{a, b} {
		if i == planes {
			break
		}
		plane, at := l.plane(s, planes, h, i, p), p%chunkPages
		if e.opt.SummaryBits == 8 {
			tile := plane[at/kernels.TilePages*kernels.TileBytes(d):]
			kernels.Pack(tile, at%kernels.TilePages, x, e.opt.Select.sign(i))
		} else {
			kernels.ToF16(unsafe.Slice((*uint16)(unsafe.Pointer(&plane[2*d*at])), d), x)
		}
	}
}

// choose fills an item once its pages are scored: queries, selected pages, and how
// the work is cut into chunks.
func (e *Engine) choose(w *worker, l *layer, a *Attn, it *item, q *stepSeq, h int) {
	it.exact = e.exact(a.Layer, q)
	e.loadQueries(l, a, it, q, h)
	v := q.newest()
	n := v.entry + 1
	cellBytes := uint64(l.kBytes + l.vBytes)
	w.stats.KVBytesFull += uint64(n) * cellBytes
	if it.exact {
		it.pages, it.rows = it.pages[:0], it.rows[:0]
		it.per = max(exactChunk, (n+maxChunks-1)/maxChunks)
		it.near = (n + it.per - 1) / it.per
		it.chunks = it.near
		w.stats.KVBytesRead += uint64(n) * cellBytes
	} else {
		e.choosePages(w, l, it, q, h)
		k := len(it.pages)
		it.near = 1
		it.per = max(farChunk/e.opt.Page, (k+maxChunks-2)/(maxChunks-1))
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

// choosePages takes the newest row's best far pages and marks, for each past row,
// those that were far for it and that it has not seen (ALGORITHM, step 5).
func (e *Engine) choosePages(w *worker, l *layer, it *item, q *stepSeq, h int) {
	v := q.newest()
	it.pages, it.rows = grow(it.pages, q.budget), grow(it.rows, q.budget)
	if q.budget > 0 {
		built := &q.s.summed[l.headOff+h]
		*built = max(*built, int32(v.local))
		kernels.TopK(it.pages, it.best[1:v.local], w.keys)
		for i := range it.pages {
			it.pages[i]++ // page 0 is not far
		}
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
	supplements := false
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
			supplements = true
		}
	}
	own := seen(q.rows - 1)
	clear(own)
	for _, p := range it.pages {
		own[p>>6] |= 1 << (p & 63)
	}
	q.slots[q.rows-1].selected.add(uint64(len(it.pages)))
	q.slots[q.rows-1].seen.add(uint64(len(it.pages)))
	if supplements {
		it.groupByRows()
	}
}

// groupByRows puts pages that the same rows read next to each other, so that one
// pass of the kernels takes them together.
func (it *item) groupByRows() {
	it.order = grow(it.order, len(it.pages))
	for i, p := range it.pages {
		it.order[i] = uint64(it.rows[i])<<32 | uint64(p)
	}
	slices.Sort(it.order)
	for i, x := range it.order {
		it.pages[i], it.rows[i] = int32(uint32(x)), uint16(x>>32)
	}
}
