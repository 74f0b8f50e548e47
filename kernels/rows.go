package kernels

import (
	"math"
	"unsafe"
)

// Rows are query rows of one KV head and the state of their running softmax. Before the first list Max is -Inf, and
// Sum and Acc are 0; a sink is a Max of its logit and a Sum of 1. After the last list the attention of row i is
// Acc[i*ldAcc:] / Sum[i], with ldAcc the head size of the values. States of a row over different lists are merged
// like those of other blocks: with Exp32 of the differences of their maxima.
//
// Row i sees the cells From[i] <= j < Upto[i] of a list, which may go beyond its ends; a nil From is 0, a nil Upto
// its length.
type Rows struct {
	Q          []float32 // row i begins at i*LdQ, times the scale of the logits
	LdQ        int
	From, Upto []int32
	Max, Sum   []float32
	Acc        []float32
	SoftCap    float32 // bounds the logits where > 0
}

const (
	tileFloats = 16 << 10 // of keys, and of values: both stay in the L2 cache
	maxTile    = 256      // cells
	panel      = 32       // cells or channels that a micro-kernel goes over at once
	groupRows  = 64       // share a buffer of weights
	lane       = 16       // cells that are transposed at once
)

// genericRows are the rows of a block for the kernel in portable Go.
const genericRows = 4

// AttendRows adds a list of cells to the attention of rows, as many as Max is long. It converts a tile of cells once
// for all of them, and passes over what no row sees. Keys and values are converted exactly and multiplied as float32.
// A row's result depends on the list and the row alone, bit for bit, and never on a cell that it does not see.
//
// scratch has RowsScratch floats. It panics if a cache is not valid or a slice is too short.
func AttendRows(r *Rows, k, v *Cache, cells []int32, scratch []float32) {
	r.check(k, v, len(cells), len(scratch))
	t := newTile(r, k, v, scratch)
	for at := 0; at < len(cells); at += t.size {
		part := cells[at:min(at+t.size, len(cells))]
		lo, hi := r.sees(0, len(r.Max), at, len(part))
		if lo >= hi {
			continue
		}
		t.at, t.next = at, cells[at+len(part):min(at+len(part)+t.size, len(cells))]
		lo &^= panel - 1
		t.convert(lo, part[lo:hi])
		for row := 0; row < len(r.Max); row += groupRows {
			t.attend(row, min(groupRows, len(r.Max)-row), len(part))
		}
	}
}

// RowsScratch is how many floats AttendRows needs beside its state, for heads of dk and dv channels.
func RowsScratch(dk, dv int) int {
	n := tileSize(dk, dv)
	return dk*(n+lane) + n*valueLd(dv) + groupRows*(n+lane) + lane*dk + 64/4
}

// tileSize is how many cells are converted at a time.
func tileSize(dk, dv int) int {
	return min(maxTile, max(panel, tileFloats/max(dk, dv)&^(panel-1)))
}

// valueLd makes rows of values whole panels, an odd number of cache lines apart, so that a panel of a tile uses all
// sets of the L1 cache.
func valueLd(dv int) int {
	return ((dv+panel-1)&^(panel-1)/lane | 1) * lane
}

func (r *Rows) check(k, v *Cache, n, scratch int) {
	rows := len(r.Max)
	checkCache(k, rows, n)
	checkCache(v, rows, n)
	if scratch < RowsScratch(k.Dim, v.Dim) {
		panicShort("scratch")
	}
	if rows == 0 {
		return
	}
	checkMatrix(len(r.Q), rows, r.LdQ, k.Dim, "q")
	checkMatrix(len(r.Acc), rows, v.Dim, v.Dim, "acc")
	if len(r.Sum) < rows || r.From != nil && len(r.From) < rows || r.Upto != nil && len(r.Upto) < rows {
		panicShort("sum, from or upto")
	}
}

// span is what row i sees of the n cells from at on; nothing is 0, 0.
func (r *Rows) span(i, at, n int) (lo, hi int) {
	hi = n
	if r.From != nil {
		lo = max(0, int(r.From[i])-at)
	}
	if r.Upto != nil {
		hi = min(n, int(r.Upto[i])-at)
	}
	if lo >= hi {
		return 0, 0
	}
	return lo, hi
}

// sees is what any of n rows sees.
func (r *Rows) sees(first, n, at, size int) (lo, hi int) {
	lo = size
	for i := first; i < first+n; i++ {
		if a, b := r.span(i, at, size); a < b {
			lo, hi = min(lo, a), max(hi, b)
		}
	}
	return lo, hi
}

// tile is a stretch of cells, converted: keys with cells side by side [dk][ldK], values with channels side by side
// [size][ldV]. Both products are then the same: a few numbers of each row, broadcast, times vectors.
type tile struct {
	r      *Rows
	k, v   *Cache
	size   int // cells that fit
	at     int // the first one's place in the list
	next   []int32
	keys   []float32
	ldK    int
	values []float32
	ldV    int
	logits []float32 // [groupRows][ldK], then weights
	rows   []float32 // [lane][dk], to be transposed

	// of the rows in work
	lo, hi     [groupRows]int     // what each sees
	first      [groupRows + 1]int // row of each block
	from, upto [groupRows]int     // what all rows of a block see
}

var negInf = float32(math.Inf(-1))

func newTile(r *Rows, k, v *Cache, scratch []float32) (t tile) {
	const line = 64
	scratch = scratch[-uintptr(unsafe.Pointer(&scratch[0]))%line/4:]
	t.r, t.k, t.v, t.size, t.ldV = r, k, v, tileSize(k.Dim, v.Dim), valueLd(v.Dim)
	t.ldK = t.size + lane
	cut := func(n int) []float32 {
		s := scratch[:n:n]
		scratch = scratch[n:]
		return s
	}
	t.keys, t.values = cut(k.Dim*t.ldK), cut(t.size*t.ldV)
	t.logits, t.rows = cut(groupRows*t.ldK), cut(lane*k.Dim)
	return t
}
