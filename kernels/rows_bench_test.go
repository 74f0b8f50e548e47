package kernels

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"retroattn/kernels/peak"
)

// BenchmarkAttendRows goes over 4096 cells of one of 4 heads, all of which all rows see. It reports the share of the
// multiply-add peak, both at their best: other load only ever slows down.
func BenchmarkAttendRows(b *testing.B) {
	const heads, n = 4, 4096
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
					r := Rows{Q: benchFloats(rows * d), LdQ: d, Max: make([]float32, rows), Sum: make([]float32, rows), Acc: make([]float32, rows*d)}
					scratch := make([]float32, RowsScratch(d, d))
					head, best := 0, time.Hour
					for b.Loop() {
						begun := time.Now()
						at := head * size
						ck := Cache{typ, d, unsafe.Pointer(&k[at]), uintptr(heads * size)}
						cv := Cache{typ, d, unsafe.Pointer(&v[at]), uintptr(heads * size)}
						AttendRows(&r, &ck, &cv, cells, scratch)
						head = (head + 1) % heads
						best = min(best, time.Since(begun))
					}
					flops := 4 * float64(rows*d*n) / best.Seconds()
					b.ReportMetric(flops/1e9, "GFLOP/s")
					b.ReportMetric(100*flops/peakFMA(), "%peak")
				})
			}
		}
	}
}

// peakFMA is in operations per second, the best of several readings.
func peakFMA() float64 {
	var best float64
	for range 5 {
		start := time.Now()
		n := peak.FMA(100_000)
		best = max(best, float64(n)/time.Since(start).Seconds())
	}
	return best
}
