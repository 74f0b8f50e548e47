package kernels

import (
	"math"
	"unsafe"
)

// tile is a stretch of cells and a group of rows that attends to it. A panel of keys has cells side
// by side [dk][panel], one of values channels [tileCells][panel]: both products are the same, a few
// numbers of each row, broadcast, times vectors.
type tile struct {
	r     *Rows
	k, v  *Cache
	list  []int32
	asked int     // cells of the list that are on their way from memory
	at    int     // the first cell's place in the list
	cells []int32 // from there

	panel   []float32
	weights []float32 // [groupRows][ldTile], logits before
	buf     []float32 // of turn

	// Of the group.
	first    int // row
	lo, hi   [groupRows]int32
	max, sum [groupRows]float32
	blocks   [groupRows/genericRows + 1]block
	n        int // blocks
}

// block is rows that are multiplied at once.
type block struct {
	first, end int
	sight
}

// sight is what the rows of a block see: each the cells from both0 to both1, and none a cell before
// all0 or from all1 on.
type sight struct{ all0, all1, both0, both1 int }

// genericRows are the rows of a block for the kernel in portable Go; no other has fewer.
const genericRows = 4

var negInf = float32(math.Inf(-1))

func newTile(r *Rows, k, v *Cache, list []int32, scratch []float32) (t tile) {
	const line = 64
	scratch = scratch[-uintptr(unsafe.Pointer(&scratch[0]))%line/4:]
	cut := func(n int) []float32 {
		s := scratch[:n:n]
		scratch = scratch[n:]
		return s
	}
	t.r, t.k, t.v, t.list = r, k, v, list
	t.panel, t.weights, t.buf = cut(max(k.Dim, tileCells)*panel), cut(groupRows*ldTile),
		cut(lane*k.Dim)
	return t
}

// ahead is how many cells before their turn keys and values are asked for.
const ahead = 2 * panel

// fetch asks for cells, before a panel of keys from place i of the list on is multiplied: the
// memory and the multipliers work at the same time.
func (t *tile) fetch(i int) {
	if end := min(i+panel+ahead, len(t.list)); t.asked < end {
		next := t.list[max(i, t.asked):end]
		Prefetch(t.k, next)
		Prefetch(t.v, next)
		t.asked = end
	}
}

// attend adds the cells to n rows.
func (t *tile) attend(first, n int) {
	t.first = first
	if lo, hi := t.divide(n); lo < hi {
		t.multiply(lo, hi)
		t.soften(n)
		t.accumulate(lo, hi)
	}
}

// divide makes blocks of n rows that see about the same, and returns what any row sees.
func (t *tile) divide(n int) (lo, hi int) {
	t.n, lo = 0, len(t.cells)
	parts := (n + blockRows() - 1) / blockRows()
	for i := range parts {
		b := t.block(n*i/parts, n*(i+1)/parts)
		lo, hi = min(lo, b.all0), max(hi, b.all1)
		if t.n > 0 && t.blocks[t.n-1].sight == b.sight {
			t.blocks[t.n-1].end = b.end
			continue
		}
		t.blocks[t.n] = b
		t.n++
	}
	return lo, hi
}

// block is of rows first <= i < end.
func (t *tile) block(first, end int) block {
	n := len(t.cells)
	b := block{first: first, end: end, sight: sight{all0: n, both1: n}}
	for i := first; i < end; i++ {
		lo, hi := t.r.span(t.first+i, t.at, n)
		t.lo[i], t.hi[i] = int32(lo), int32(hi)
		b.both0, b.both1 = max(b.both0, lo), min(b.both1, hi)
		if lo < hi {
			b.all0, b.all1 = min(b.all0, lo), max(b.all1, hi)
		}
	}
	b.both1 = max(b.both0, b.both1)
	return b
}

// multiply makes the logits of cells lo <= j < hi, a panel after the other.
func (t *tile) multiply(lo, hi int) {
	r, d := t.r, t.k.Dim
	q := r.Q[t.first*r.LdQ:]
	for p := lo &^ (panel - 1); p < hi; p += panel {
		t.fetch(t.at + p)
		for j := p; j < min(p+panel, hi); j += lane {
			turn(t.panel[j-p:], t.k, t.cells[j:min(j+lane, len(t.cells))], t.buf)
		}
		for i := range t.n {
			if b := &t.blocks[i]; b.all0 < p+panel && b.all1 > p {
				mul(t.weights[b.first*ldTile+p:], ldTile, q[b.first*r.LdQ:], r.LdQ, t.panel,
					b.end-b.first, panel, d, false)
			}
		}
	}
}

// soften turns the logits of n rows into weights.
func (t *tile) soften(n int) {
	r, dv := t.r, t.v.Dim
	if r.SoftCap > 0 {
		for i := range n {
			SoftCap(t.weights[i*ldTile:][t.lo[i]:t.hi[i]], r.SoftCap)
		}
	}
	copy(t.max[:n], r.Max[t.first:])
	softmaxRows(t.weights, t.lo[:n], t.hi[:n], t.max[:n], t.sum[:n])
	for i := range n {
		if t.lo[i] >= t.hi[i] {
			continue
		}
		row, top := t.first+i, t.max[i]
		if old := r.Max[row]; old != top && old != negInf {
			f := Exp32(old - top)
			scale(r.Acc[row*dv:][:dv], f)
			r.Sum[row] *= f
		}
		r.Max[row], r.Sum[row] = top, r.Sum[row]+t.sum[i]
	}
	for i := range t.n {
		t.mask(&t.blocks[i])
	}
}

// mask gives a weight of 0 to cells that others of the block see.
func (t *tile) mask(b *block) {
	if b.all0 >= b.both0 && b.both1 >= b.all1 {
		return
	}
	for i := b.first; i < b.end; i++ {
		x, lo, hi := t.weights[i*ldTile:], int(t.lo[i]), int(t.hi[i])
		if lo < hi {
			clear(x[b.all0:lo])
			clear(x[hi:b.all1])
		} else {
			clear(x[min(b.all0, b.all1):b.all1])
		}
	}
}

// accumulate adds the weighted values of cells lo <= j < hi, a panel after the other.
func (t *tile) accumulate(lo, hi int) {
	for c := 0; c < t.v.Dim; c += panel {
		v := *t.v
		v.Base, v.Dim = unsafe.Add(v.Base, v.Type.RowBytes(c)), min(panel, v.Dim-c)
		load(t.panel[lo*panel:], panel, &v, t.cells[lo:hi])
		for i := range t.n {
			t.add(&t.blocks[i], c, v.Dim)
		}
	}
}

// add adds a panel of n channels from c on to the rows of a block. A row must not meet an Inf or a
// NaN of a cell that it does not see, not even with a weight of 0.
func (t *tile) add(b *block, c, n int) {
	if t.finite(b.all0, b.both0) && t.finite(b.both1, b.all1) {
		t.addRows(b.first, b.end, b.all0, b.all1, c, n)
		return
	}
	for i := b.first; i < b.end; i++ {
		t.addRows(i, i+1, int(t.lo[i]), int(t.hi[i]), c, n)
	}
}

func (t *tile) addRows(first, end, lo, hi, c, n int) {
	if lo < hi {
		dv := t.v.Dim
		acc := t.r.Acc[(t.first+first)*dv+c:]
		mul(acc, dv, t.weights[first*ldTile+lo:], ldTile, t.panel[lo*panel:], end-first, n, hi-lo,
			true)
	}
}

// finite holds if the values of some cells have neither Inf nor NaN.
func (t *tile) finite(lo, hi int) bool {
	return lo >= hi || absMax(t.panel[lo*panel:hi*panel]) <= math.MaxFloat32
}
