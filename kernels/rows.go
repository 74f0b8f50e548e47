package kernels

// Rows are query rows of one KV head and the state of their running softmax. Before the first list
// Max is -Inf, and Sum and Acc are 0; a sink is a Max of its logit and a Sum of 1. After the last
// list the attention of row i is Acc[i*d:] / Sum[i], with d the head size of the values. Max is what
// logits were compared with, the largest or up to maxRise less. States of a row over different lists
// are merged like those of other blocks: with Exp32 of the differences of Max.
//
// Row i sees the cells From[i] <= j < Upto[i] of a list, which may go beyond its ends; a nil From
// is 0, a nil Upto its length.
type Rows struct {
	Q          []float32 // row i begins at i*LdQ, times the scale of the logits
	LdQ        int
	From, Upto []int32
	Max, Sum   []float32
	Acc        []float32
	SoftCap    float32 // bounds the logits where > 0
}

// Sizes of the work. A panel of keys or values stays in the L1 cache while all rows of a group are
// multiplied by it, the weights of a group stay in the L2 cache.
const (
	tileCells = 128
	groupRows = 256
	panel     = 32 // cells of keys, channels of values
	lane      = 16 // cells that are put side by side at once
	// floats from a row of weights to the next: rows share no set of the cache
	ldTile = tileCells + 16
)

// AttendRows adds a list of cells to the attention of rows, as many as Max is long. Keys and values
// are converted exactly, once for a group of rows, and multiplied as float32, or to 2^-15 of that by
// tiles of bf16; what no row sees is passed over. A row's result depends on the list and the row
// alone, bit for bit (with tiles but for what is below 2^-126), and never on a cell that it does not
// see.
//
// scratch has RowsScratch floats. It panics if a cache is not valid or a slice is too short.
func AttendRows(r *Rows, k, v *Cache, cells []int32, scratch []float32) {
	rows := len(r.Max)
	r.check(k, v, len(cells), len(scratch))
	if rows == 0 || len(cells) == 0 {
		return
	}
	t := newTile(r, k, v, cells, scratch)
	if t.halves {
		var was tileConfig
		useTiles(&was)
		defer giveBack(&was)
	}
	for at := 0; at < len(cells); at += tileCells {
		t.at, t.cells = at, cells[at:min(at+tileCells, len(cells))]
		for first := 0; first < rows; first += groupRows {
			t.attend(first, min(groupRows, rows-first))
		}
	}
}

// RowsScratch is how many floats AttendRows needs beside its state, for keys of dk channels.
func RowsScratch(dk int) int {
	const line = 64 / 4
	n := max(dk, tileCells)*panel + (groupRows+tileRows)*ldTile + lane*dk + line
	if level == isaAMX {
		n += (groupRows + tileRows) * ldHalved(dk)
	}
	return n
}

func (r *Rows) check(k, v *Cache, n, scratch int) {
	rows := len(r.Max)
	checkCache(k, rows, n)
	checkCache(v, rows, n)
	if scratch < RowsScratch(k.Dim) {
		panicShort("scratch")
	}
	if rows == 0 {
		return
	}
	checkMatrix(len(r.Q), rows, r.LdQ, k.Dim, "q")
	checkMatrix(len(r.Acc), rows, v.Dim, v.Dim, "acc")
	if len(r.Sum) < rows || r.From != nil && len(r.From) < rows || r.Upto != nil &&
		len(r.Upto) < rows {
		panicShort("sum, from or upto")
	}
}

// span is what row i sees of the n cells from at on. Nothing is 0, 0.
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

// mulGeneric computes c[i][j] = sum_l a[i][l]*b[l][j], or adds that to c, for m rows, n columns and
// k terms. Rows of b are panels.
func mulGeneric(c []float32, ldc int, a []float32, lda int, b []float32, m, n, k int, add bool) {
	for i := range m {
		to := c[i*ldc:][:n]
		if !add {
			clear(to)
		}
		for l, x := range a[i*lda:][:k] {
			for j, y := range b[l*panel:][:n] {
				to[j] += x * y
			}
		}
	}
}

// turnGeneric puts up to lane cells side by side: dst[c*panel+j] is channel c of cell j. buf has
// room for their rows.
func turnGeneric(dst []float32, c *Cache, cells []int32, buf []float32) {
	row := buf[:c.Dim]
	for j, cell := range cells {
		loadChannels(row, c, cell, 0)
		for i, x := range row {
			dst[i*panel+j] = x
		}
	}
}

// raiseGeneric makes max the largest of n logits of each row where that is more than maxRise larger,
// and reports whether it did. Rows lie ldTile apart. Other levels do, and report, up to 3 rows more.
func raiseGeneric(x []float32, n int, max []float32) (any bool) {
	for i, old := range max {
		top := negInf
		for _, v := range x[i*ldTile:][:n] {
			if v > top {
				top = v
			}
		}
		if top > old+maxRise {
			max[i], any = top, true
		}
	}
	return any
}

// weighGeneric turns n logits of each row into weights, and adds these to sum. All are -Inf or NaN
// where the maximum is -Inf.
func weighGeneric(x []float32, n int, most, sum []float32) {
	for i, m := range most {
		s, x := float32(0), x[i*ldTile:][:n]
		for j, v := range x {
			x[j] = expWeight(v, max(m, weightLowest))
			s += x[j]
		}
		sum[i] += s
	}
}
