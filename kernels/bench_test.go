package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/retroattn/retroattn/kernels/peak"
)

// The working sets of benchmarks: one stays in the L2 cache, one is well beyond the L3.
var benchSets = []struct {
	name  string
	bytes int
}{{"L2", 256 << 10}, {"mem", 64 << 20}}

// benchRows runs what prepare returns over all rows of a cache of 8 heads, a head at a time,
// by lists of 256 cells: shuffled pages of 16. It reports the share of the plain read
// bandwidth.
func benchRows(b *testing.B, prepare func(rows int, c *Cache) (fn func(cells []int32))) {
	const heads, page = 8, 16
	for _, set := range benchSets {
		data := benchData(set.bytes)
		for _, typ := range Types {
			for _, d := range []int{64, 128} {
				size := typ.RowBytes(d)
				pages := newRand(1).Perm(set.bytes / (heads * size * page))
				cells := make([]int32, 0, len(pages)*page)
				for _, p := range pages {
					for i := range page {
						cells = append(cells, int32(p*page+i))
					}
				}
				n := min(256, len(cells))
				for _, rows := range []int{1, 3, 8, 24} {
					b.Run(fmt.Sprintf("%s/%v/d=%d/rows=%d", set.name, typ, d, rows),
						func(b *testing.B) {
							limit := readBandwidth(data)
							b.SetBytes(int64(size * n))
							c := &Cache{typ, d, unsafe.Pointer(&data[0]), uintptr(heads * size)}
							fn := prepare(rows, c)
							at, head := 0, 0
							for b.Loop() {
								fn(cells[at : at+n])
								if at += n; at+n > len(cells) {
									at, head = 0, (head+1)%heads
									c.Base = unsafe.Pointer(&data[head*size])
								}
							}
							b.ReportMetric(float64(size*n)*float64(b.N)/b.Elapsed().Seconds()/limit,
								"bw_share")
						})
				}
			}
		}
	}
}

// benchData are small numbers in every type.
func benchData(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = 0x30 | byte(i*7)&0x87
	}
	return data
}

// readBandwidth is in bytes per second, the best of several readings since
// other load only ever slows it down.
func readBandwidth(data []byte) float64 {
	const volume = 64 << 20
	var best float64
	for range 6 {
		start := time.Now()
		for n := 0; n < volume; n += len(data) {
			peak.Read(data)
		}
		best = max(best, volume/time.Since(start).Seconds())
	}
	return best
}

func benchFloats(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17)/16 - 0.5
	}
	return x
}

func BenchmarkDot(b *testing.B) {
	benchRows(b, func(rows int, c *Cache) func([]int32) {
		dst, q := make([]float32, rows*256), make([]float32, rows*QueryLen(c.Type, c.Dim))
		Queries(c.Type, q, benchFloats(rows*c.Dim), rows, c.Dim)
		return func(cells []int32) { Dot(dst, len(cells), q, rows, c, cells) }
	})
}

func BenchmarkAcc(b *testing.B) {
	benchRows(b, func(rows int, c *Cache) func([]int32) {
		acc, p := make([]float32, rows*c.Dim), benchFloats(rows*256)
		return func(cells []int32) { Acc(acc, c.Dim, p, len(cells), rows, c, cells) }
	})
}

func BenchmarkScan(b *testing.B) {
	for _, set := range benchSets {
		for _, d := range []int{64, 128} {
			for _, rows := range []int{1, 3, 8, 24} {
				b.Run(fmt.Sprintf("%s/d=%d/rows=%d", set.name, d, rows), func(b *testing.B) {
					const n = 512 // pages in a call
					size := n / TilePages * TileBytes(d)
					tiles := benchData(max(1, set.bytes/size) * size)
					limit := readBandwidth(tiles)
					q, dst := make([]float32, rows*ScanLen(d)), make([]float32, rows*n)
					ScanQueries(q, benchFloats(rows*d), rows, d)
					b.SetBytes(int64(size))
					at := 0
					for b.Loop() {
						Scan(dst, n, q, rows, d, tiles[at:], n, Signed)
						at = (at + size) % len(tiles)
					}
					b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds()/limit,
						"bw_share")
				})
			}
		}
	}
}

func BenchmarkTopK(b *testing.B) {
	const n = 64 << 10
	x, scratch := make([]float32, n), make([]uint32, 2*n)
	rng := newRand(1)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for _, k := range []int{16, 256} {
		dst := make([]int32, k)
		b.Run(fmt.Sprintf("k=%d", k), func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				TopK(dst, x, scratch)
			}
		})
	}
	for _, every := range []int{0, 40} { // as of pages, of which some are wanted in any case
		few, dst := append([]float32(nil), x[:1024]...), make([]int32, 192)
		for i := 0; every > 0 && i < len(few); i += every {
			few[i] = math.MaxFloat32
		}
		b.Run(fmt.Sprintf("n=1024/wanted=%d", every), func(b *testing.B) {
			for b.Loop() {
				TopK(dst, few, scratch)
			}
		})
	}
	b.Run("slices.Sort", func(b *testing.B) {
		b.SetBytes(4 * n)
		sorted := make([]float32, n)
		for b.Loop() {
			copy(sorted, x)
			slices.Sort(sorted)
		}
	})
}

func BenchmarkExpSum(b *testing.B) {
	for _, n := range []int{256, 4096} {
		x := benchFloats(n)
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				ExpSum(x, 0.5)
			}
		})
	}
}

func BenchmarkSoftmaxRow(b *testing.B) {
	for _, n := range []int{16, 256, 4096} {
		src, x := benchFloats(n), make([]float32, n)
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				copy(x, src)
				SoftmaxRow(x, 0.5)
			}
		})
	}
}
