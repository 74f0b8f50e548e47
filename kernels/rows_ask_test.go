package kernels

import (
	"fmt"
	"testing"
	"unsafe"
)

// All values are asked for when the products with keys end, and the keys of the next tile when
// those with values do, however the rows are parted. Rows that see less have fewer products to ask
// between. Bursts stay short where rows are few and long. Behind the last tile nothing is asked for,
// and rows are not parted.
func TestAttendRowsAsks(t *testing.T) {
	const n = 300
	cells := make([]int32, n)
	for i := range cells {
		cells[i] = int32(i)
	}
	for _, typ := range []Type{F32, Q8_0} {
		for _, d := range []int{32, 64, 256} {
			data := benchData(typ.RowBytes(d) * n)
			c := Cache{typ, d, unsafe.Pointer(&data[0]), uintptr(typ.RowBytes(d))}
			for _, rows := range []int{1, 7, 24, 64, 256} {
				for _, upto := range []int{0, 100, n} { // for the last row; 0: all see all
					t.Run(fmt.Sprintf("%v/d=%d/rows=%d/upto=%d", typ, d, rows, upto), func(t *testing.T) {
						r := Rows{Q: benchFloats(rows * d), LdQ: d, Max: make([]float32, rows),
							Sum: make([]float32, rows), Acc: make([]float32, rows*d)}
						if upto > 0 {
							r.Upto = make([]int32, rows)
							for i := range r.Upto {
								r.Upto[i] = int32(upto - rows + i + 1)
							}
						}
						x := newTile(&r, &c, &c, cells, make([]float32, RowsScratch(d)))
						if x.halves {
							var was tileConfig
							useTiles(&was)
							defer giveBack(&was)
						}
						for x.at = 0; x.at < n; x.at += tileCells {
							x.cells = cells[x.at:min(n, x.at+tileCells)]
							checkAsks(t, &x, rows)
						}
					})
				}
			}
		}
	}
}

// checkAsks attends to a tile.
func checkAsks(t *testing.T, x *tile, rows int) {
	t.Helper()
	keys := *x // alone
	lo, hi := keys.divide(rows)
	before := *x
	x.attend(0, rows)
	if lo >= hi {
		if x.askedK != before.askedK || x.askedV != before.askedV || x.asking != (asking{}) {
			t.Errorf("cells from %d on were asked for, and no row sees them", x.at)
		}
		return
	}
	end, next := x.at+len(x.cells), min(len(x.list), x.at+2*tileCells)
	last, askedEnd := end == len(x.list), next
	if last {
		askedEnd = x.at + hi
		if x.part != x.whole(rows) {
			t.Errorf("behind the last tile %d rows are multiplied at once", x.part)
		}
	}
	if x.askedV != end || x.askedK != next || x.asking.keys == last || x.asking.end != askedEnd {
		t.Errorf("of cells from %d to %d keys to %d and values to %d were asked for: %+v", x.at, end,
			x.askedK, x.askedV, x.asking)
	}
	if x.r.Upto != nil {
		return
	}
	if left := x.asking.end - x.asking.from; left > 0 {
		t.Errorf("behind cell %d, %d were not asked for", x.at, left)
	}
	keys.part = rows
	keys.askValues(rows, lo, hi)
	size := x.v.Type.RowBytes(x.v.Dim)
	if burst := keys.asking.share * size; rows >= 24 && burst > 2*askBytes+size {
		t.Errorf("%d bytes are asked for at once", burst)
	}
	keys.multiply(lo, hi)
	if left := keys.asking.end - keys.asking.from; left > 0 {
		t.Errorf("from cell %d on, %d values were not asked for", x.at, left)
	}
}
