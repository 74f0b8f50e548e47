package bench

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/retroattn/retroattn/kernels"
)

// attend measures attention over the whole set, a layer at a time, beside ggml's.
func (b *bench) attend(c workload) (result, error) {
	kv, err := b.kvFor(c)
	if err != nil {
		return result{}, err
	}
	group, window := groupWindow(c.rows)
	cells, per := cellList(kv.tokens), max(blockCols, (kv.tokens+maxChunks-1)/maxChunks)
	t := b.team[c.threads]
	j := newAttention(kv, t, group, window, cells, per)
	j.many = c.kernel == "rows"
	ours := &variant{run: j.run}
	read := b.reader(&kv.planeSet, t)
	var bare *variant
	if !j.many {
		bare = b.bare(kv, t, cells, per)
	}
	tokens := float64(kv.perUnit / 2 * kv.heads * kv.tokens)
	flops := 4 * tokens * float64(c.dim*c.rows)
	r, err := b.besideGGML(c, kv, j.q, j.out, group, window, ours, read, bare, flops)
	if err == nil && bare != nil {
		r.bareShare(ours, bare)
	}
	return r, err
}

// besideGGML interleaves ours, ggml's attention with the queries q, a plain read, and a bare one of
// the same rows, where there is one. ours leaves its result in out.
func (b *bench) besideGGML(c workload, kv *kvSet, q, out []float32, group, window int, ours,
	read, bare *variant, flops float64,
) (result, error) {
	variants := []*variant{ours, read}
	if bare != nil {
		variants = append(variants, bare)
	}
	if b.ggml == nil {
		if err := b.interleave(kv.units(), variants...); err != nil {
			return result{}, err
		}
		return b.result(c, &kv.planeSet, ours, read, flops), nil
	}
	f, err := b.ggml.flash(kv, group, window, c.threads, q)
	if err != nil {
		return result{}, err
	}
	defer f.free()
	ours.run(0, 1)
	f.run(0, 1)
	deviation := nmse(out, f.out)
	theirs := &variant{run: f.run, spins: c.threads > 1}
	if err := b.interleave(kv.units(), append(variants, theirs)...); err != nil {
		return result{}, err
	}
	if f.err != nil {
		return result{}, f.err
	}
	r := b.result(c, &kv.planeSet, ours, read, flops)
	r.compare(&kv.planeSet, ours, theirs, deviation)
	return r, nil
}

// attention is decode attention as the engine does it: each head's tokens in chunks, which any
// thread may take, each of which is a running softmax over blocks; who finishes the last chunk of a
// head merges them.
type attention struct {
	kv                  *kvSet
	team                *team
	group, window, rows int
	many                bool      // by AttendRows
	bare                bool      // only read
	q, out              []float32 // [window][heads*group][dim]
	cells               []int32
	per, chunks         int // tokens in a chunk, chunks of a head
	done                int64

	claims []atomic.Int64 // per head and chunk: the last operation in which somebody took it
	left   []atomic.Int64 // per head: chunks finished since the beginning

	m, l, acc []float32 // [heads][chunks][rows], acc [dim] each
	workers   []attentionWorker
}

type attentionWorker struct {
	q, ready, logits, sum []float32
	scratch               []float32 // of AttendRows
	touched               uint64
	_                     [64]byte
}

const maxChunks = 8

func newAttention(kv *kvSet, t *team, group, window int, cells []int32, per int) *attention {
	j := &attention{kv: kv, team: t, group: group, window: window, rows: group * window,
		cells: cells, per: per, chunks: (len(cells) + per - 1) / per}
	n := j.rows * kv.heads * kv.dim
	j.q, j.out = normals(n, 1), make([]float32, n)
	items := kv.heads * j.chunks
	j.claims, j.left = make([]atomic.Int64, items), make([]atomic.Int64, kv.heads)
	j.m, j.l = make([]float32, items*j.rows), make([]float32, items*j.rows)
	j.acc = make([]float32, items*j.rows*kv.dim)
	j.workers = make([]attentionWorker, t.n)
	for i := range j.workers {
		j.workers[i] = attentionWorker{
			q:      make([]float32, j.rows*kv.dim),
			ready:  make([]float32, j.rows*kernels.QueryLen(kv.typ, kv.dim)),
			logits: make([]float32, j.rows*blockCols),
			sum:    make([]float32, kv.dim),

			scratch: make([]float32, kernels.RowsScratch(kv.dim)),
		}
	}
	return j
}

// run attends to the layers of n units from first on, one after the other.
func (j *attention) run(first, n int) {
	before, layers := j.done, j.kv.perUnit/2
	j.team.do(func(ith int) {
		op := before
		for u := first; u < first+n; u++ {
			for l := range layers {
				op++
				planes := j.kv.unit(u)[2*l:][:2]
				j.layer(ith, op, planes[0], planes[1])
				j.team.wait()
			}
		}
	})
	j.done += int64(n * layers)
}

// layer takes what nobody has taken yet, beginning with this thread's share.
func (j *attention) layer(ith int, op int64, k, v []byte) {
	items := len(j.claims)
	for n := range items {
		i := (n + items*ith/j.team.n) % items
		if !j.claims[i].CompareAndSwap(op-1, op) {
			continue
		}
		head := i / j.chunks
		if j.bare {
			j.touch(&j.workers[ith], i, j.kv.cache(k, head), j.kv.cache(v, head))
			continue
		}
		j.chunk(&j.workers[ith], i, j.kv.cache(k, head), j.kv.cache(v, head))
		if j.left[head].Add(1) == op*int64(j.chunks) {
			j.merge(&j.workers[ith], head)
		}
	}
}

// at is where row r, a token and a query head of its group, lies in q and out.
func (j *attention) at(head, r int) int {
	return (r/j.group*j.kv.heads*j.group + head*j.group + r%j.group) * j.kv.dim
}

func (j *attention) cellsOf(item int) []int32 {
	from := item % j.chunks * j.per
	return j.cells[from:min(from+j.per, len(j.cells))]
}

func (j *attention) chunk(w *attentionWorker, item int, k, v kernels.Cache) {
	d, rows, head := j.kv.dim, j.rows, item/j.chunks
	scale := float32(1 / math.Sqrt(float64(d)))
	for r := range rows {
		at := j.at(head, r)
		for i, x := range j.q[at : at+d] {
			w.q[r*d+i] = x * scale
		}
	}
	m, l, acc := j.m[item*rows:][:rows], j.l[item*rows:][:rows], j.acc[item*rows*d:][:rows*d]
	for r := range rows {
		m[r], l[r] = float32(math.Inf(-1)), 0
	}
	clear(acc)
	cells := j.cellsOf(item)
	if j.many {
		r := kernels.Rows{Q: w.q, LdQ: d, Max: m, Sum: l, Acc: acc}
		kernels.AttendRows(&r, &k, &v, cells, w.scratch)
		return
	}
	w.blocks(rows, &k, &v, cells, m, l, acc)
}

// blocks adds cells to the partials of rows, a block after the other.
func (w *attentionWorker) blocks(rows int, k, v *kernels.Cache, all []int32, m, l, acc []float32) {
	d := k.Dim
	kernels.Queries(k.Type, w.ready, w.q, rows, d)
	for cells := range slices.Chunk(all, blockCols) {
		kernels.Ahead{Cache: v, Cells: cells}.Dot(w.logits, blockCols, w.ready, rows, k, cells)
		for r := range rows {
			top, sum := kernels.SoftmaxRow(w.logits[r*blockCols:][:len(cells)], m[r])
			if top != m[r] && l[r] != 0 {
				f := kernels.Exp32(m[r] - top)
				kernels.Scale(acc[r*d:][:d], f)
				l[r] *= f
			}
			m[r], l[r] = top, l[r]+sum
		}
		kernels.Ahead{Asked: true}.Acc(acc, d, w.logits, blockCols, rows, v, cells)
	}
}

// merge joins the chunks of a head.
func (j *attention) merge(w *attentionWorker, head int) {
	d, rows := j.kv.dim, j.rows
	for r := range rows {
		at := head*j.chunks*rows + r
		m, l := j.m[at], j.l[at]
		copy(w.sum, j.acc[at*d:][:d])
		for range j.chunks - 1 {
			at += rows
			top := max(m, j.m[at])
			a, b := kernels.Exp32(m-top), kernels.Exp32(j.m[at]-top)
			kernels.Axpby(w.sum, a, j.acc[at*d:][:d], b)
			m, l = top, a*l+b*j.l[at]
		}
		out := j.out[j.at(head, r):][:d]
		for i, x := range w.sum {
			out[i] = x / l
		}
	}
}
