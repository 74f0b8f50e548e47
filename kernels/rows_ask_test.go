package kernels

import (
	"fmt"
	"testing"
	"unsafe"
)

// All values are asked for when the products with keys end, and the keys of the next tile when
// those with values do, however the rows are parted.
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
				t.Run(fmt.Sprintf("%v/d=%d/rows=%d", typ, d, rows), func(t *testing.T) {
					r := Rows{Q: benchFloats(rows * d), LdQ: d, Max: make([]float32, rows),
						Sum: make([]float32, rows), Acc: make([]float32, rows*d)}
					x := newTile(&r, &c, &c, cells, make([]float32, RowsScratch(d)))
					for x.at = 0; x.at < n; x.at += tileCells {
						x.cells = cells[x.at:min(n, x.at+tileCells)]
						lo, hi := x.divide(rows)
						x.askValues(rows, lo, hi)
						x.multiply(lo, hi)
						if left := x.asking.end - x.asking.from; left > 0 || x.askedV != x.at+len(x.cells) {
							t.Errorf("from cell %d on, %d values were not asked for", x.at, left)
						}
						x.soften(rows)
						x.askKeys(rows)
						x.accumulate(lo, hi)
						if left := x.asking.end - x.asking.from; left > 0 || x.askedK != min(n, x.at+2*tileCells) {
							t.Errorf("behind cell %d, %d keys were not asked for", x.at, left)
						}
					}
				})
			}
		}
	}
}
