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

// Every lane counts the rounds, so the sum tells how many operations were done.
func TestFMA(t *testing.T) {
	for n := 1; n < 100; n++ {
		if sum, lanes := fma(n); sum != float32(n*lanes) {
			t.Fatalf("n=%d: %v, want %v", n, sum, n*lanes)
		}
		if sum := fmaGeneric(n, 1, 1); sum != float32(n*lanesGeneric) {
			t.Fatalf("generic, n=%d: %v, want %v", n, sum, n*lanesGeneric)
		}
	}
	_, lanes := fma(1)
	if got := FMA(7); got != 14*lanes {
		t.Errorf("7 rounds: %d operations, want %d", got, 14*lanes)
	}
	if got := FMA(0) + FMA(-1); got != 0 {
		t.Errorf("no rounds: %d operations", got)
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
	flops := 0
	for b.Loop() {
		flops += FMA(rounds)
	}
	b.ReportMetric(float64(flops)/b.Elapsed().Seconds()/1e9, "Gflop/s")
}
