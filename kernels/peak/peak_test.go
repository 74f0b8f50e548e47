package peak

import "testing"

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

var isas = []string{"avx512", "avx2", "neon", "generic"}

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
