package kernels

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/retroattn/retroattn/kernels/peak"
)

// BenchmarkAttendRows goes over 1024 cells of one of 4 heads, all of which all rows see. It reports
// the share of the multiply-add peak, and how much faster it is than blocks of Dot, SoftmaxRow and
// Acc; all at their best, for other load only ever slows down.
func BenchmarkAttendRows(b *testing.B) {
	const heads, n = 4, 1024
	cells := make([]int32, n)
	for i := range cells {
		cells[i] = int32(i)
	}
	for _, typ := range Types {
		for _, d := range []int{64, 128, 256} {
			size := typ.RowBytes(d)
			k, v := benchData(heads*size*n), benchData(heads*size*n)
			for _, rows := range []int{8, 16, 24, 64, 256} {
				b.Run(fmt.Sprintf("%v/d=%d/rows=%d", typ, d, rows), func(b *testing.B) {
					r := Rows{Q: benchFloats(rows * d), LdQ: d, Max: make([]float32, rows),
						Sum: make([]float32, rows), Acc: make([]float32, rows*d)}
					scratch := make([]float32, RowsScratch(d)+rows*(256+d))
					ours, blocks := time.Hour, time.Hour
					for i := 0; b.Loop(); i++ {
						at := i % heads * size
						ck := Cache{typ, d, unsafe.Pointer(&k[at]), uintptr(heads * size)}
						cv := Cache{typ, d, unsafe.Pointer(&v[at]), uintptr(heads * size)}
						begun := time.Now()
						AttendRows(&r, &ck, &cv, cells, scratch)
						ours = min(ours, time.Since(begun))
						begun = time.Now()
						attendBlocks(&r, &ck, &cv, cells, scratch)
						blocks = min(blocks, time.Since(begun))
					}
					flops := 4 * float64(rows*d*n) / ours.Seconds()
					b.ReportMetric(flops/1e9, "GFLOP/s")
					b.ReportMetric(100*flops/peakFMA(), "%peak")
					b.ReportMetric(blocks.Seconds()/ours.Seconds(), "xblocks")
				})
			}
		}
	}
}

// attendBlocks is what few rows do.
func attendBlocks(r *Rows, k, v *Cache, cells []int32, scratch []float32) {
	const cols = 256
	rows := len(r.Max)
	x, q := scratch[:rows*cols], scratch[rows*cols:]
	Queries(k.Type, q, r.Q, rows, k.Dim)
	for ; len(cells) > 0; cells = cells[min(cols, len(cells)):] {
		part := cells[:min(cols, len(cells))]
		Dot(x, cols, q, rows, k, part)
		for i := range rows {
			top, sum := SoftmaxRow(x[i*cols:][:len(part)], r.Max[i])
			if top != r.Max[i] {
				f := Exp32(r.Max[i] - top)
				Scale(r.Acc[i*v.Dim:][:v.Dim], f)
				r.Sum[i] *= f
			}
			r.Max[i], r.Sum[i] = top, r.Sum[i]+sum
		}
		Acc(r.Acc, v.Dim, x, cols, rows, v, part)
	}
}

// peakFMA is in operations per second, the best of several readings.
func peakFMA() float64 {
	var best float64
	for range 200 {
		start := time.Now()
		n := peak.FMA(ISA(), 2000)
		best = max(best, float64(n)/time.Since(start).Seconds())
	}
	return best
}
