package retro

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
)

// Attn is one layer's query and output. Row r, head h of Q begins at
// Q + r*QRow + h*QHead bytes; row r of Out, [Heads*DV], at Out + r*OutRow. Both float32.
// Select does without Out.
type Attn struct {
	Layer  int
	Rows   int
	Scale  float32 // factor on q.k
	Q, Out unsafe.Pointer
	QRow   uint64
	QHead  uint64
	OutRow uint64
}

// The work of a layer falls into items, one per sequence of the step and KV head.
// An item is first selected, then attended in chunks; both are cut into pieces that
// any thread may take, so that a single long sequence with one KV head keeps all
// threads busy, and who finishes the last piece of a kind does what follows from them.
// Nobody waits, but for a moment in Select for work that is about to be there: the host's barrier
// between Select and Attend is the only one.
//
// How an item is cut depends only on its own tokens, never on threads or other
// sequences, so results are the same bits in any company.
const (
	maxChunks   = 32
	exactChunks = 64  // the same for exact items, whose chunks are of all heads
	exactChunk  = 128 // tokens, at least, in one
	farChunk    = 128 // tokens, at least, in a chunk of far ones
	blockCols   = 256 // tokens whose logits are held at once
	maxRuns     = 512 // row ranges over stretches of them
)

// Attend computes this thread's part of one layer of the open step, after Select.
// ith is below nth, the number of threads that call.
func (e *Engine) Attend(a *Attn, ith, nth int) error {
	if err := e.checkAttn(a, ith, nth); err != nil {
		return err
	}
	if err := e.checkOut(a); err != nil {
		return err
	}
	start := time.Now()
	w, l := &e.workers[ith], &e.layers[a.Layer]
	for k := range e.step.seqs {
		s := (k + ith*len(e.step.seqs)/nth) % len(e.step.seqs)
		if !e.step.seqs[s].decodes() {
			continue
		}
		// The heads of an exact sequence read the same cells, whose rows may share
		// cache lines: one thread takes a chunk of all of them.
		heads := 1
		if e.step.seqs[s].cuts[a.Layer].exact {
			heads = l.KVHeads
		}
		for h := 0; h < l.KVHeads; h += heads {
			first := s*l.KVHeads + (h+heads*ith)%l.KVHeads
			if err := e.attendItems(w, l, a, first, heads, nth); err != nil {
				return err
			}
		}
	}
	e.spent(w, ith, start)
	for k := range e.step.seqs {
		if q := &e.step.seqs[k]; !q.decodes() {
			e.attendExact(w, l, a, q)
		}
	}
	return nil
}

// attendItems takes chunks of neighbouring items until there are none left: a thread's share of what
// is left at once, so that it can ask for what comes next.
func (e *Engine) attendItems(w *worker, l *layer, a *Attn, first, n, nth int) error {
	claims := e.jobs[a.Layer].claims[first : first+n]
	for i := range claims {
		if claims[i].left[0].Load() != 0 {
			return failure.Statef("layer %d is attended before its selection ended", a.Layer)
		}
		if e.items[first+i].owner.Load() != int32(a.Layer)+1 && !claims[i].merged.Load() {
			return failure.Statef("layer %d is attended, but its selection failed, or came while another layer's attention was not complete", a.Layer)
		}
	}
	q := &e.step.seqs[first/l.KVHeads]
	for chunks := claims[0].chunks; claims[0].next.Load() < chunks; {
		take := max(1, (chunks-claims[0].next.Load())/int32(nth))
		chunk := claims[0].next.Add(take) - take
		for end := min(chunks, chunk+take); chunk < end; chunk++ {
			for j := range claims {
				// The last chunks end with different heads, whose merging takes as long.
				i := (j + int(chunk)) % n
				next, k := int(chunk), j+1
				if k == n {
					next, k = next+1, 0
				}
				nextHead := (first + (k+next)%n) % l.KVHeads
				if next == int(end) {
					nextHead = -1
				}
				it, h := &e.items[first+i], (first+i)%l.KVHeads
				e.attendChunk(w, l, it, q, h, int(chunk), nextHead, next)
				if claims[i].undone.Add(-1) == 0 {
					e.merge(w, l, a, it, q, h)
					claims[i].merged.Store(true)
				}
			}
		}
	}
	return nil
}

// spent books time on thread 0. That of exact rows is not in it: it is what tokens took that were
// decoded.
func (e *Engine) spent(w *worker, ith int, start time.Time) {
	if ith == 0 && e.step.decodes {
		w.stats.AttentionNS += uint64(time.Since(start))
	}
}

func (e *Engine) checkAttn(a *Attn, ith, nth int) error {
	if !e.step.open {
		return failure.Statef("attention outside of a step")
	}
	if a.Layer < 0 || a.Layer >= len(e.layers) {
		return failure.Argumentf("layer %d: must be 0..%d", a.Layer, len(e.layers)-1)
	}
	if ith < 0 || ith >= nth || nth > e.cfg.Threads {
		return failure.Argumentf("thread %d of %d: at most %d", ith, nth, e.cfg.Threads)
	}
	l := &e.layers[a.Layer]
	if e.step.rows == 0 && a.Rows == 0 {
		return nil // nothing is read of it
	}
	if a.Rows != e.step.rows || a.Q == nil {
		return failure.Argumentf("layer %d: %d rows where the step has %d, or no q", a.Layer,
			a.Rows, e.step.rows)
	}
	if a.QRow > maxStride || a.QHead > maxStride || a.QHead < uint64(l.DK)*4 && l.Heads > 1 {
		return failure.Argumentf("layer %d: strides of q of %d and %d bytes do not fit %d heads",
			a.Layer, a.QRow, a.QHead, l.Heads)
	}
	return nil
}

// maxStride bounds what is multiplied by rows and heads.
const maxStride = 1 << 32

func (e *Engine) checkOut(a *Attn) error {
	if e.step.rows == 0 {
		return failure.Statef("layer %d is attended in a step without rows", a.Layer)
	}
	l := &e.layers[a.Layer]
	if a.Out == nil || a.OutRow < uint64(l.Heads*l.DV)*4 || a.OutRow > maxStride {
		return failure.Argumentf("layer %d: no output, or %d bytes between its rows do not fit %d heads", a.Layer, a.OutRow, l.Heads)
	}
	return nil
}

// item is the state of one sequence's KV head within a layer.
type item struct {
	owner  atomic.Int32 // 1 + the layer that it was last filled for; 0: none, see take
	ranges []ownRange   // see owners

	exact  bool
	chunks int // near chunks first, then far ones
	near   int
	per    int // entries per near chunk when exact, per far chunk when not

	q  []float32 // [rows][gqa][dk], scaled
	kq []float32 // the same, ready for the type of K: q itself, or prepared
	// The selection. A column is a page, all of them or those of the chosen groups.
	groupBest []float32 // score of each group
	groups    []int32   // chosen, in ascending order
	best      []float32 // score of each column
	means     []float32 // [query][column] products with the means of pages, for Tokens
	cols      []int32   // chosen columns, in ascending order
	pages     []int32   // and their pages
	est       []float32 // [query][token] estimates, where the budget goes by need
	sumM      []float32 // [query][part of codes] see addUp
	sumL      []float32
	less      []float32 // [query] by what estimates are more than shares
	tokens    []float32 // score of each token of these, where single ones are read
	weighed   []weighed // parts of them
	listed    []int32   // entries of each part that weigh would read

	// What is near, where the budget goes by need: [query], and [query][dv] where attendsNear
	nearM, nearL, nearAcc []float32

	entries []int32  // selected, in ascending order
	rows    []uint16 // per selected entry: bit r = virtual row r reads it

	// The audit, if there is one. Its chunks, of the far entries that were left out, come after the
	// others.
	auditChunks int
	auditPer    int // far entries per chunk, chosen ones among them

	prepared []float32

	m, l []float32 // [chunk][rows*gqa]
	acc  []float32 // [chunk][rows*gqa][dv], without the audit's chunks
}

// grow makes room in slices that are kept from step to step; they reach their
// final size within the first steps.
func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]T, n, n+n/4)
}

// loadQueries gathers the queries of the item's virtual rows: from the batch, or
// from the ring for past tokens that are not in it.
func (e *Engine) loadQueries(l *layer, a *Attn, it *item, q *stepSeq, h int) {
	n := l.gqa * l.DK
	it.q = grow(it.q, q.rows*n)
	for r := range q.rows {
		dst := it.q[r*n : (r+1)*n]
		at := l.ring.q + h*n
		if r < q.emit {
			copy(dst, q.slots[r].q[at:])
			continue
		}
		l.batchQueries(dst, a, q.firstRow+r-q.emit, h)
		if !it.exact && q.slots[r] != nil {
			copy(q.slots[r].q[at:at+n], dst)
		}
	}
	it.kq = it.q
	if l.TypeK.Quantised() {
		it.prepared = grow(it.prepared, q.rows*l.gqa*kernels.QueryLen(l.TypeK, l.DK))
		kernels.Queries(l.TypeK, it.prepared, it.q, q.rows*l.gqa, l.DK)
		it.kq = it.prepared
	}
}

// batchQueries copies the queries of one row of the batch for KV head h, scaled:
// dst is [gqa][dk].
func (l *layer) batchQueries(dst []float32, a *Attn, row, h int) {
	n := l.DK
	if a.QHead == uint64(l.DK)*4 { // side by side
		n *= l.gqa
	}
	for at := 0; at < l.gqa*l.DK; at += n {
		p := unsafe.Add(a.Q, uint64(row)*a.QRow+uint64(h*l.gqa+at/l.DK)*a.QHead)
		copy(dst[at:at+n], unsafe.Slice((*float32)(p), n))
	}
	kernels.Scale(dst[:l.gqa*l.DK], a.Scale)
}

// merge joins the chunks of an item, brings the ring up to date, and writes the
// outputs of the rows in the batch.
func (e *Engine) merge(w *worker, l *layer, a *Attn, it *item, q *stepSeq, h int) {
	rows := q.rows * l.gqa
	for r := range q.rows {
		for g := range l.gqa {
			head, at := h*l.gqa+g, r*l.gqa+g
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
			if it.auditChunks > 0 && r == q.rows-1 {
				w.auditHead(it, rows, at, &p)
			}
			p.writeRow(l, a, q.firstRow+r-q.emit, head)
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

// logSum is the logarithm of the softmax denominator.
func (p *partial) logSum() float32 { return p.m + float32(math.Log(float64(p.l))) }

// write stores the attention output. A sink is one more logit, of a token without value.
func (p *partial) write(out []float32, sink float32) {
	if p.m == negInf {
		clear(out)
		return
	}
	f, l := float32(1), p.l
	if sink != negInf {
		top := max(p.m, sink)
		f = kernels.Exp32(p.m - top)
		l = p.l*f + kernels.Exp32(sink-top)
	}
	inv := f / l
	for i, x := range p.acc {
		out[i] = x * inv
	}
}

func (l *layer) sink(head int) float32 {
	if len(l.Sinks) == 0 {
		return negInf
	}
	return l.Sinks[head]
}
