package kernels

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkScoreCodes scores 256 pages, 4096 tokens, of a plane, every fourth one.
func BenchmarkScoreCodes(b *testing.B) {
	const n = 256
	for _, d := range []int{64, 128} {
		for _, bits := range []int{1, 2} {
			for _, rows := range []int{1, 3, 6, 8, 24} {
				b.Run(fmt.Sprintf("d=%d/bits=%d/rows=%d", d, bits, rows), func(b *testing.B) {
					tiles, codes := benchData(64*TileBytes4(d)), benchData(1024*CodeBytes(bits, d))
					pages, base := make([]Coded, n), make([]float32, rows*n)
					every, cols := make([]int32, n), make([]int32, n)
					for i := range int32(n) {
						every[i], cols[i] = 4*i, i
					}
					CodedPages(pages, Blocks{[][]byte{tiles}, 0, 1024}, Blocks{[][]byte{codes}, 0, 1024},
						d, bits, every, cols)
					q, dst := make([]float32, rows*CodeQueryLen(d)), make([]float32, rows*(n*16+16))
					CodeQueries(q, benchFloats(rows*d), rows, d)
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						ScoreCodes(dst, n*16+16, q, rows, d, bits, base, n, pages)
						best = min(best, time.Since(start))
					}
					b.ReportMetric(float64(best.Nanoseconds())/n/float64(rows), "ns/(page.row)")
					b.ReportMetric(float64(best.Nanoseconds())/1000, "best_us")
				})
			}
		}
	}
}

func BenchmarkScan4(b *testing.B) {
	const n = 512
	for _, d := range []int{64, 128} {
		for _, rows := range []int{1, 3, 6, 8, 24} {
			b.Run(fmt.Sprintf("d=%d/rows=%d", d, rows), func(b *testing.B) {
				tiles := benchData(n / 16 * TileBytes4(d))
				tiles8 := benchData(n / 16 * TileBytes(d))
				q, dst, dst2 := make([]float32, rows*ScanLen4(d)), make([]float32, rows*n),
					make([]float32, rows*n)
				q8 := make([]float32, rows*ScanLen(d))
				ScanQueries4(q, benchFloats(rows*d), rows, d)
				ScanQueries(q8, benchFloats(rows*d), rows, d)
				in := Blocks{[][]byte{tiles}, 0, n}
				list := make([]int32, n/TilePages)
				for i := range list {
					list[i] = int32(i)
				}
				best, best8 := time.Hour, time.Hour
				for b.Loop() {
					start := time.Now()
					ScanTiles4(dst, n, dst2, n, q, rows, d, in, list, n)
					best = min(best, time.Since(start))
					start = time.Now()
					Scan(dst, n, q8, rows, d, tiles8, n, Signed)
					Scan(dst, n, q8, rows, d, tiles8, n, Signed)
					best8 = min(best8, time.Since(start))
				}
				b.ReportMetric(float64(best.Nanoseconds())/n/float64(rows), "ns/(page.row)")
				b.ReportMetric(float64(best8.Nanoseconds())/n/float64(rows), "ns8/(page.row)")
				b.ReportMetric(float64(n/16*TileBytes4(d))/float64(best.Nanoseconds()), "GB/s")
			})
		}
	}
}
