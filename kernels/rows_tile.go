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
	all   [2]int  // which part of that all rows see
	at    int     // the first cell's place in the list
	cells []int32 // from there

	// Cells of the list whose keys, and whose values, were asked for.
	askedK, askedV int

	panel   []float32
	weights []float32 // [groupRows][ldTile], logits before
	buf     []float32 // of turn

	// Of tiles that are multiplied by halves; the queries are [groupRows][ldHalved].
	halves             bool
	queries            []float32
	halvedFirst        int             // the first of these
	wildQueries        bool            // whether there are any
	wildQuery, wildSum [groupRows]bool // the latter: with a wild value of a panel

	// Of the group.
	first    int // row
	part     int // rows of a product before more is asked for
	terms    int // and its terms
	asking   asking
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
	t.all[1] = len(list)
	for i := range r.Max {
		lo, hi := r.span(i, 0, len(list))
		t.all = [2]int{max(t.all[0], lo), min(t.all[1], hi)}
	}
	t.panel, t.weights, t.buf = cut(max(k.Dim, tileCells)*panel), cut((groupRows+tileRows)*ldTile),
		cut(lane*k.Dim)
	if t.halves = halvable(k, v); t.halves {
		t.queries, t.halvedFirst = cut((groupRows+tileRows)*ldHalved(k.Dim)), -1
	}
	return t
}

// asking is for which places of the list the memory is asked, a share after each product.
type asking struct {
	keys             bool // or values
	from, end, share int
}

// askBytes are asked for at once, about: a longer burst would keep the multipliers waiting, and
// shorter ones take time themselves.
const (
	askBytes = 2048
	minTerms = 64 // of a product: each reads and writes its sums
)

// ask begins with what is wanted during the products of n rows and k terms with some panels, and
// makes as many parts of the rows as it takes, and then of the terms.
func (t *tile) ask(a asking, n, k, panels int) {
	c, m := t.asked(a), t.blockRows()
	parts := max(1, c.Type.RowBytes(c.Dim)*(a.end-a.from)/(panels*askBytes))
	t.part = ((n+parts-1)/parts + m - 1) / m * m
	products := 0
	for i := range t.n {
		products += (t.blocks[i].end - t.blocks[i].first + t.part - 1) / t.part
	}
	if t.terms = k; parts >= 2*products {
		t.terms = max(minTerms, k*products/parts&^(halveUnit-1))
	}
	products *= panels * ((k + t.terms - 1) / t.terms)
	a.share = (a.end - a.from + products - 1) / products
	t.asking = a
}

// product is mul of m rows with a panel, in parts.
func (t *tile) product(c []float32, ldc int, a []float32, lda int, b []float32, m, n, k int,
	add bool) {
	for f := 0; f < m; f += t.part {
		for l := 0; l < k; l += t.terms {
			some, terms := min(t.part, m-f), min(t.terms, k-l)
			if t.halves {
				mulHalves(c[f*ldc:], ldc, a[f*lda+l:], lda, b[l*panel:], some, terms, add || l > 0)
			} else {
				mul(c[f*ldc:], ldc, a[f*lda+l:], lda, b[l*panel:], some, n, terms, add || l > 0)
			}
			t.askNext()
		}
	}
}

func (t *tile) asked(a asking) *Cache {
	if a.keys {
		return t.k
	}
	return t.v
}

// askNext asks for the next share.
func (t *tile) askNext() {
	if a := t.asking; a.from < a.end {
		t.asking.from = min(a.from+a.share, a.end)
		Prefetch(t.asked(a), t.list[a.from:t.asking.from])
	}
}

// askValues asks for those of the tile, of which n rows see lo <= j < hi, during the products with
// its keys.
func (t *tile) askValues(n, lo, hi int) {
	if t.askedV <= t.at {
		t.askedV = t.at + len(t.cells)
		t.ask(asking{from: t.at + lo, end: t.at + hi}, n, t.k.Dim,
			(hi-lo&^(panel-1)+panel-1)/panel)
	}
}

// askKeys asks for those of the next tile during the products with values.
func (t *tile) askKeys(n int) {
	if next := t.at + len(t.cells); t.askedK <= next && next < len(t.list) {
		t.askedK = min(next+tileCells, len(t.list))
		t.ask(asking{keys: true, from: next, end: t.askedK}, n, len(t.cells),
			(t.v.Dim+panel-1)/panel)
	}
}

// unparted lets products be of all n rows and all terms, unless more is asked for.
func (t *tile) unparted(n int) { t.part, t.terms = t.whole(n), max(t.k.Dim, tileCells) }

// whole is n rows, or those of whole tiles, for which there is room.
func (t *tile) whole(n int) int {
	if t.halves {
		n = (n + tileRows - 1) &^ (tileRows - 1)
	}
	return n
}

// attend adds the cells to n rows.
func (t *tile) attend(first, n int) {
	t.first, t.asking = first, asking{}
	t.unparted(n)
	if t.halves && t.halvedFirst != first {
		t.halveQueries(n)
	}
	if lo, hi := t.divide(n); lo < hi {
		if t.askedK <= t.at { // the first tile, or nobody has seen the one before
			t.askedK = t.at + len(t.cells)
			Prefetch(t.k, t.cells)
		}
		t.askValues(n, lo, hi)
		t.multiply(lo, hi)
		t.soften(n, lo&^(panel-1), (hi+panel-1)&^(panel-1))
		t.unparted(n)
		t.askKeys(n)
		t.accumulate(lo, hi)
	}
}

// divide makes blocks of n rows that see about the same, and returns what any row sees.
func (t *tile) divide(n int) (lo, hi int) {
	if end := len(t.cells); t.all[0] <= t.at && t.at+end <= t.all[1] {
		for i := range n {
			t.lo[i], t.hi[i] = 0, int32(end)
		}
		t.n, t.blocks[0] = 1, block{end: n, sight: sight{all1: end, both1: end}}
		return 0, end
	}
	t.n, lo = 0, len(t.cells)
	rows := t.blockRows()
	parts := (n + rows - 1) / rows
	for i := range parts {
		first, end := n*i/parts, n*(i+1)/parts
		if t.halves { // the last one has the remainder
			first, end = i*rows, min((i+1)*rows, n)
		}
		b := t.block(first, end)
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

// blockRows is how many rows are multiplied at once.
func (t *tile) blockRows() int {
	if t.halves {
		return 2 * tileRows
	}
	return blockRows()
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
	q, ld := r.Q[t.first*r.LdQ:], r.LdQ
	if t.halves {
		q, ld = t.queries, ldHalved(d)
	}
	for p := lo &^ (panel - 1); p < hi; p += panel {
		for j := p; j < min(p+panel, hi); j += lane {
			turn(t.panel[j-p:], t.k, t.cells[j:min(j+lane, len(t.cells))], t.buf)
		}
		wildKeys := uint32(0)
		if t.halves {
			wildKeys = t.halveKeys(p, hi)
		}
		for i := range t.n {
			if b := &t.blocks[i]; b.all0 < p+panel && b.all1 > p {
				// What is too much is of rows that come next.
				t.product(t.weights[b.first*ldTile+p:], ldTile, q[b.first*ld:], ld, t.panel,
					t.whole(b.end-b.first), panel, d, false)
			}
		}
		if wildKeys != 0 || t.wildQueries {
			t.wildLogits(wildKeys, p)
		}
	}
}

// soften turns the logits of cells from <= j < to of n rows, whole panels, into weights. What a row
// does not see gets a logit of -Inf, and so a weight of 0.
func (t *tile) soften(n, from, to int) {
	r := t.r
	if b := &t.blocks[0]; t.n > 1 || b.both0 > from || b.both1 < to || r.SoftCap > 0 {
		t.bound(n, from, to)
	}
	copy(t.max[:n], r.Max[t.first:])
	copy(t.sum[:n], r.Sum[t.first:])
	for i := 0; i < n; i += softRows {
		m := min(softRows, n-i)
		if raise(t.weights[i*ldTile+from:], to-from, t.max[i:][:m]) {
			t.rescale(i, i+m)
		}
		weigh(t.weights[i*ldTile+from:], to-from, t.max[i:][:m], t.sum[i:][:m])
		if t.halves {
			w := t.weights[i*ldTile+from:]
			halve(w, ldTile, w, ldTile, to-from, m)
		}
	}
	copy(r.Sum[t.first:], t.sum[:n])
}

// bound caps the logits of what rows see of some panels, and hides the others.
func (t *tile) bound(n, from, to int) {
	for i := range n {
		lo, hi := int(t.lo[i]), int(t.hi[i])
		x := t.weights[i*ldTile:][:to]
		if lo >= hi {
			lo, hi = from, from
		}
		if t.r.SoftCap > 0 {
			SoftCap(x[lo:hi], t.r.SoftCap)
		}
		hide(x[from:lo])
		hide(x[hi:])
	}
}

// softRows are as many as the L1 cache holds from the one pass over their logits to the other.
const softRows = 32

func hide(x []float32) {
	for i := range x {
		x[i] = negInf
	}
}

// rescale brings the sums of rows up to their maxima.
func (t *tile) rescale(first, end int) {
	r, dv := t.r, t.v.Dim
	for i := first; i < end; i++ {
		row, top := t.first+i, t.max[i]
		if old := r.Max[row]; old != top {
			if r.Max[row] = top; old != negInf {
				f := Exp32(old - top)
				scale(r.Acc[row*dv:][:dv], f)
				t.sum[i] *= f
			}
		}
	}
}

// accumulate adds the weighted values of cells lo <= j < hi, a panel after the other.
func (t *tile) accumulate(lo, hi int) {
	for c := 0; c < t.v.Dim; c += panel {
		v := *t.v
		v.Base, v.Dim = unsafe.Add(v.Base, v.Type.RowBytes(c)), min(panel, v.Dim-c)
		load(t.panel[lo*panel:], panel, &v, t.cells[lo:hi])
		if t.halves {
			t.addHalves(lo, hi, c)
			continue
		}
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
		t.product(t.r.Acc[(t.first+first)*dv+c:], dv, t.weights[first*ldTile+lo:], ldTile,
			t.panel[lo*panel:], end-first, n, hi-lo, true)
	}
}

// finite holds if the values of some cells have neither Inf nor NaN.
func (t *tile) finite(lo, hi int) bool {
	return lo >= hi || absMax(t.panel[lo*panel:hi*panel]) <= math.MaxFloat32
}
