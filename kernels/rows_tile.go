package kernels

import "unsafe"

// convert fills in the cells from lo on.
func (t *tile) convert(lo int, cells []int32) {
	channel, within := t.valuesWithinKeys()
	for j := 0; j < len(cells); j += lane {
		part := cells[j:min(j+lane, len(cells))]
		load(t.rows, t.k.Dim, t.k, part)
		transpose(t.keys[lo+j:], t.ldK, t.rows, t.k.Dim)
		if within {
			v := Cache{Type: F32, Dim: t.v.Dim, Base: unsafe.Pointer(&t.rows[channel]), Stride: uintptr(4 * t.k.Dim)}
			load(t.values[(lo+j)*t.ldV:], t.ldV, &v, ascending[:len(part)])
		}
	}
	if !within {
		load(t.values[lo*t.ldV:], t.ldV, t.v, cells)
	}
}

// valuesWithinKeys tells whether values are channels of the keys, and from which on: then they are converted already.
func (t *tile) valuesWithinKeys() (channel int, ok bool) {
	unit, channels := t.k.Type.RowBytes(8), 8
	if t.k.Type.Quantised() {
		unit, channels = t.k.Type.RowBytes(blockLen), blockLen
	}
	offset := uintptr(t.v.Base) - uintptr(t.k.Base)
	if t.v.Type != t.k.Type || t.v.Stride != t.k.Stride || offset > uintptr(t.k.Type.RowBytes(t.k.Dim)) || offset%uintptr(unit) != 0 {
		return 0, false
	}
	channel = int(offset) / unit * channels
	return channel, channel+t.v.Dim <= t.k.Dim
}

// attend adds size cells to n rows.
func (t *tile) attend(first, n, size int) {
	blocks := (n + blockRows() - 1) / blockRows()
	for b := range blocks + 1 {
		t.first[b] = n * b / blocks
	}
	for i := range n {
		t.lo[i], t.hi[i] = t.r.span(first+i, t.at, size)
	}
	t.multiply(first, blocks)
	for i := range n {
		if t.lo[i] < t.hi[i] {
			t.soften(first+i, t.logits[i*t.ldK:][t.lo[i]:t.hi[i]])
		}
	}
	t.accumulate(first, n, blocks)
}

// multiply makes the logits of what any row of a block sees, a panel of keys after the other.
func (t *tile) multiply(first, blocks int) {
	q, d := t.r.Q[first*t.r.LdQ:], t.k.Dim
	for p := 0; p < t.size; p += panel {
		for b := range blocks {
			i, end := t.first[b], t.first[b+1]
			if t.anySees(i, end, p) {
				mul(t.logits[i*t.ldK+p:], t.ldK, q[i*t.r.LdQ:], t.r.LdQ, t.keys[p:], t.ldK, end-i, panel, d, false)
			}
		}
		t.fetch(p)
	}
}

func (t *tile) anySees(i, end, p int) bool {
	for ; i < end; i++ {
		if t.lo[i] < p+panel && t.hi[i] > p {
			return true
		}
	}
	return false
}

// fetch asks for as many cells of the next tile as a panel has.
func (t *tile) fetch(p int) {
	if p < len(t.next) {
		part := t.next[p:min(p+panel, len(t.next))]
		Prefetch(t.k, part)
		Prefetch(t.v, part)
	}
	if p+panel >= t.size {
		t.next = nil
	}
}

// soften turns the logits of a row into weights.
func (t *tile) soften(row int, x []float32) {
	r, dv := t.r, t.v.Dim
	if r.SoftCap > 0 {
		softCap(x, r.SoftCap)
	}
	top, sum := softmaxRow(x, r.Max[row])
	if old := r.Max[row]; old != top && old != negInf {
		f := Exp32(old - top)
		scale(r.Acc[row*dv:][:dv], f)
		r.Sum[row] *= f
	}
	r.Max[row] = top
	r.Sum[row] += sum
}

// accumulate adds the weighted values. What all rows of a block see is multiplied at once; cells before and after
// that are added row by row, for no row may meet an Inf or a NaN of a cell that it does not see.
func (t *tile) accumulate(first, n, blocks int) {
	dv := t.v.Dim
	acc := t.r.Acc[first*dv:]
	for b := range blocks {
		i, end := t.first[b], t.first[b+1]
		lo, hi := t.common(i, end)
		for ; i < end; i++ {
			t.add(acc, i, 1, t.lo[i], min(t.hi[i], lo), 0, dv)
		}
		t.from[b], t.upto[b] = lo, hi
	}
	for c := 0; c < dv; c += panel {
		for b := range blocks {
			i, end := t.first[b], t.first[b+1]
			t.add(acc, i, end-i, t.from[b], t.upto[b], c, min(panel, dv-c))
		}
	}
	for b := range blocks {
		for i := t.first[b]; i < t.first[b+1]; i++ {
			t.add(acc, i, 1, max(t.lo[i], t.upto[b]), t.hi[i], 0, dv)
		}
	}
}

// common is what all rows of a block see; if nothing, it is empty.
func (t *tile) common(i, end int) (lo, hi int) {
	lo, hi = t.lo[i], t.hi[i]
	for i++; i < end; i++ {
		lo, hi = max(lo, t.lo[i]), min(hi, t.hi[i])
	}
	return lo, max(lo, hi)
}

// add adds the cells lo <= j < hi to n channels from c on of m rows from i on.
func (t *tile) add(acc []float32, i, m, lo, hi, c, n int) {
	if lo < hi {
		mul(acc[i*t.v.Dim+c:], t.v.Dim, t.logits[i*t.ldK+lo:], t.ldK, t.values[lo*t.ldV+c:], t.ldV, m, n, hi-lo, true)
	}
}

// mulGeneric computes c[i][j] = sum_l a[i][l]*b[l][j], or adds that to c, for m rows, n columns and k terms.
func mulGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, add bool) {
	for i := range m {
		to := c[i*ldc:][:n]
		if !add {
			clear(to)
		}
		for l, x := range a[i*lda:][:k] {
			for j, y := range b[l*ldb:][:n] {
				to[j] += x * y
			}
		}
	}
}

// transposeGeneric makes lane rows of d channels d rows of lane cells.
func transposeGeneric(dst []float32, ld int, src []float32, d int) {
	for c := range d {
		to := dst[c*ld:][:lane]
		for j := range to {
			to[j] = src[j*d+c]
		}
	}
}
