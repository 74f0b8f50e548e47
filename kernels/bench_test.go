package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"retroattn/kernels/internal/readbw"
)

// The working sets: one that stays in the L2 cache, and one well beyond the L3,
// whose rows lie side by side or, as in a cache of 8 heads, 8 rows apart.
var benchSets = []struct {
	name         string
	bytes, heads int
}{{"L2", 256 << 10, 1}, {"mem", 64 << 20, 1}, {"strided", 64 << 20, 8}}

// benchF16 runs fn over all blocks of n rows of a working set and reports the
// share of the plain read bandwidth.
func benchF16(b *testing.B, fn func(rows, d int, k unsafe.Pointer, stride uintptr, n int)) {
	for _, set := range benchSets {
		data := make([]byte, set.bytes)
		for i := 1; i < len(data); i += 2 {
			data[i] = 0x30 | byte(i>>1)&0x87
		}
		for _, d := range []int{64, 128} {
			stride := 2 * d * set.heads
			for _, n := range []int{16, 256} {
				for _, rows := range []int{1, 3, 6, 8} {
					b.Run(fmt.Sprintf("%s/d=%d/n=%d/rows=%d", set.name, d, n, rows), func(b *testing.B) {
						limit := readBandwidth(data)
						b.SetBytes(int64(2 * d * n))
						off, head := 0, 0
						for b.Loop() {
							fn(rows, d, unsafe.Pointer(&data[off+2*d*head]), uintptr(stride), n)
							if off += n * stride; off == len(data) {
								off, head = 0, (head+1)%set.heads
							}
						}
						b.ReportMetric(float64(2*d*n)*float64(b.N)/b.Elapsed().Seconds()/limit, "bw_share")
					})
				}
			}
		}
	}
}

// BenchmarkPages is DotF16 on pages of 16 tokens at random places, with and
// without prefetching the page after the next.
func BenchmarkPages(b *testing.B) {
	const d, n, rows, heads = 64, 16, 3, 8
	const stride = 2 * d * heads
	data := make([]byte, 64<<20)
	for i := range data {
		data[i] = 0x30
	}
	rng := rand.New(rand.NewPCG(1, 1))
	pages := make([]unsafe.Pointer, 1<<14)
	for i := range pages {
		pages[i] = unsafe.Pointer(&data[rng.IntN(len(data)/(n*stride))*n*stride+2*d*rng.IntN(heads)])
	}
	dst, q := make([]float32, rows*n), benchFloats(rows*d)
	for _, ahead := range []int{0, 2} {
		b.Run(fmt.Sprintf("ahead=%d", ahead), func(b *testing.B) {
			b.SetBytes(2 * d * n)
			i := 0
			for b.Loop() {
				if ahead > 0 {
					Prefetch(pages[(i+ahead)%len(pages)], stride, d, n)
				}
				DotF16(dst, n, q, rows, d, pages[i], stride, n)
				i = (i + 1) % len(pages)
			}
		})
	}
}

// readBandwidth is in bytes per second, the best of several readings since
// other load only ever slows it down.
func readBandwidth(data []byte) float64 {
	const volume = 64 << 20
	var best float64
	for range 6 {
		start := time.Now()
		for n := 0; n < volume; n += len(data) {
			readbw.Read(data)
		}
		best = max(best, volume/time.Since(start).Seconds())
	}
	return best
}

func BenchmarkRead(b *testing.B) {
	for _, set := range benchSets[:2] {
		data := make([]byte, set.bytes)
		for i := range data {
			data[i] = byte(i) // untouched pages would all be the zero page
		}
		b.Run(set.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				readbw.Read(data)
			}
		})
	}
}

func BenchmarkDotF16(b *testing.B) {
	dst, q := make([]float32, 8*256), benchFloats(8*128)
	benchF16(b, func(rows, d int, k unsafe.Pointer, stride uintptr, n int) {
		DotF16(dst, n, q, rows, d, k, stride, n)
	})
}

func BenchmarkAccF16(b *testing.B) {
	acc, p := make([]float32, 8*128), make([]float32, 8*256)
	benchF16(b, func(rows, d int, v unsafe.Pointer, stride uintptr, n int) {
		AccF16(acc, d, p, n, rows, d, v, stride, n)
	})
}

func BenchmarkStats(b *testing.B) {
	const d, n = 128, 16
	k := make([]uint16, d*n)
	x, y := make([]float32, d), make([]float32, d)
	b.Run("SumSqF16", func(b *testing.B) {
		b.SetBytes(2 * d * n)
		for b.Loop() {
			SumSqF16(x, y, unsafe.Pointer(&k[0]), 2*d, d, n)
		}
	})
	b.Run("MinMaxF16", func(b *testing.B) {
		b.SetBytes(2 * d * n)
		for b.Loop() {
			MinMaxF16(x, y, unsafe.Pointer(&k[0]), 2*d, d, n)
		}
	})
}

func BenchmarkSoftmaxRow(b *testing.B) {
	for _, n := range []int{16, 64, 512} {
		src, x := benchFloats(n), make([]float32, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				copy(x, src)
				SoftmaxRow(x, 0.5)
			}
		})
	}
}

func BenchmarkVectors(b *testing.B) {
	const n = 128
	x, y, h := benchFloats(n), benchFloats(n), make([]uint16, n)
	run := func(name string, fn func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				fn()
			}
		})
	}
	run("Scale", func() { Scale(x, 1) })
	run("Axpby", func() { Axpby(x, 0.5, y, 0.5) })
	run("ToF16", func() { ToF16(h, x) })
	run("FromF16", func() { FromF16(x, h) })
}

func BenchmarkExp32(b *testing.B) {
	var s float32
	for b.Loop() {
		s += Exp32(s*0x1p-20 - 3)
	}
}

func benchFloats(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17)/16 - 0.5
	}
	return x
}
