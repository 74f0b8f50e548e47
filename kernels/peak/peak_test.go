package peak

import (
	"slices"
	"testing"
	"unsafe"
)

func TestRead(t *testing.T) {
	b := make([]byte, 1000)
	for i := range b {
		b[i] = byte(i * i)
	}
	for n := range b {
		var want byte
		for _, x := range b[:n] {
			want ^= x
		}
		s := Read(b[:n])
		s ^= s >> 32
		s ^= s >> 16
		s ^= s >> 8
		if byte(s) != want {
			t.Fatalf("n=%d: %#x, want %#x", n, byte(s), want)
		}
	}
}

// Whatever byte of a row changes, so does what comes out.
func TestReadRows(t *testing.T) {
	const stride = 321
	b := make([]byte, 11*stride)
	read := func(size int, rows []int32) uint64 {
		return ReadRows(unsafe.Pointer(&b[1]), stride, size, rows)
	}
	for _, size := range []int{1, 31, 32, 33, 64, 68, 128, 136, 256, 299} {
		for _, rows := range [][]int32{{0}, {3, 1}, slices.Repeat([]int32{9, 8, 1}, 99)} {
			if got := read(size, rows); got != 0 {
				t.Fatalf("size %d, rows %v of zeros: %#x", size, rows, got)
			}
			for i := range b {
				b[i] = 1
				got := read(size, rows) != 0
				b[i] = 0
				row, at := (i-1)/stride, (i-1)%stride
				if want := i > 0 && at < size && slices.Contains(rows, int32(row)); got != want {
					t.Fatalf("size %d, rows %v, byte %d: %v, want %v", size, rows, i, got, want)
				}
			}
		}
	}
	if got := ReadRows(nil, 1, 0, []int32{0}) | ReadRows(nil, 1, 1, nil); got != 0 {
		t.Errorf("nothing to read: %#x", got)
	}
}

var isas = []string{"amx", "avx512", "avx2", "neon", "generic"}

// Every lane counts the rounds, so the sum tells how many operations were done.
func TestFMA(t *testing.T) {
	for _, isa := range isas {
		for n := 1; n < 100; n++ {
			if sum, lanes := fma(isa, n); sum != float32(n*lanes) {
				t.Fatalf("%s, n=%d: %v, want %v", isa, n, sum, n*lanes)
			}
		}
		_, lanes := fma(isa, 1)
		if got := FMA(isa, 7); got != 14*lanes {
			t.Errorf("%s, 7 rounds: %d operations, want %d", isa, got, 14*lanes)
		}
		if got := FMA(isa, 0) + FMA(isa, -1); got != 0 {
			t.Errorf("%s, no rounds: %d operations", isa, got)
		}
	}
	if _, lanes := fma("generic", 1); lanes != lanesGeneric {
		t.Errorf("generic has %d lanes, want %d", lanes, lanesGeneric)
	}
}

// The benchmarks tell whether a change brings the peaks up or down.

func BenchmarkRead(b *testing.B) {
	data := make([]byte, 512<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Read(data)
	}
}

func BenchmarkFMA(b *testing.B) {
	const rounds = 10000
	for _, isa := range isas {
		b.Run(isa, func(b *testing.B) {
			flops := 0
			for b.Loop() {
				flops += FMA(isa, rounds)
			}
			b.ReportMetric(float64(flops)/b.Elapsed().Seconds()/1e9, "Gflop/s")
		})
	}
}
