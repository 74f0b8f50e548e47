package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// expUlps is what Exp32 and SoftmaxRow promise.
const expUlps = 2

type softmaxFunc func(x []float32, oldMax float32) (newMax, sum float32)

func checkSoftmax(t *testing.T, name string, fn softmaxFunc, in, x []float32, oldMax float32) {
	t.Helper()
	copy(x, in)
	m, sum := fn(x, oldMax)
	want := oldMax
	for _, v := range in {
		if v > want {
			want = v
		}
	}
	if !sameBits(m, want) && m != want { // -0 may stand for 0
		t.Fatalf("%s: n=%d: max %g, want %g", name, len(in), m, want)
	}
	ref := 0.0
	for j, v := range in {
		e := math.Exp(float64(v - want))
		masked := math.IsInf(float64(want), -1)
		if masked && v == v {
			e = 0
		}
		switch {
		case e != e:
			if x[j] == x[j] {
				t.Fatalf("%s: n=%d: exp(%g-%g) = %g, want NaN", name, len(in), v, want, x[j])
			}
		case masked || v-want < expCutoff:
			if e = 0; math.Float32bits(x[j]) != 0 {
				t.Fatalf("%s: n=%d: exp(%g-%g) = %g, want 0", name, len(in), v, want, x[j])
			}
		case ulps(x[j], e) > expUlps:
			t.Fatalf("%s: n=%d: exp(%g-%g) = %g, want %g", name, len(in), v, want, x[j], e)
		}
		ref += e
	}
	if !matches(sum, ref, ref*eps32*float64(len(in)/8+6)) {
		t.Fatalf("%s: n=%d: sum %g, want %g", name, len(in), sum, ref)
	}
}

func TestSoftmaxRow(t *testing.T) {
	logISA(t)
	zone := newZone(t, 4*4096)
	sizes := []int{255, 256, 1000, 4096}
	for n := range maxTokens + 1 {
		sizes = append(sizes, n)
	}
	old := []float32{-inf32, 0, -1e4, 1e4, 3, inf32, nan32}
	patterns := map[string]func(*rand.Rand) float32{
		"small":    func(rng *rand.Rand) float32 { return float32(rng.NormFloat64()) },
		"spread":   func(rng *rand.Rand) float32 { return float32(rng.NormFloat64() * 40) },
		"extreme":  func(rng *rand.Rand) float32 { return []float32{-1e4, 1e4, 0}[rng.IntN(3)] },
		"high":     func(rng *rand.Rand) float32 { return 1e4 + rng.Float32() },
		"masked":   func(*rand.Rand) float32 { return -inf32 },
		"partly":   func(rng *rand.Rand) float32 { return []float32{-inf32, rng.Float32()}[rng.IntN(2)] },
		"nan":      func(rng *rand.Rand) float32 { return []float32{nan32, rng.Float32(), -1, -2}[rng.IntN(4)] },
		"all nan":  func(*rand.Rand) float32 { return nan32 },
		"inf":      func(rng *rand.Rand) float32 { return []float32{inf32, 1, 2, 3, 4}[rng.IntN(5)] },
		"tiny":     func(rng *rand.Rand) float32 { return rng.Float32() * 1e-40 },
		"boundary": func(rng *rand.Rand) float32 { return expCutoff + float32(rng.IntN(9)-4)*0x1p-17 },
	}
	for name, draw := range patterns {
		for _, n := range sizes {
			rng := newRand(n, len(name))
			in := make([]float32, n)
			for i := range in {
				in[i] = draw(rng)
			}
			for _, o := range old {
				for _, p := range []place{atStart, atEnd} {
					x := floatsIn(zone, n, p)
					checkSoftmax(t, name, SoftmaxRow, in, x, o)
					if hasAVX2 {
						checkSoftmax(t, name+" generic", softmaxRowGeneric, in, x, o)
					}
				}
			}
		}
	}
}

// Two steps merged must equal one over all.
func TestSoftmaxRunning(t *testing.T) {
	rng := newRand(7)
	x := make([]float32, 100)
	fillFloats(rng, x, 20)
	whole := slices.Clone(x)
	m, sum := SoftmaxRow(whole, -inf32)
	m1, s1 := SoftmaxRow(x[:37], -inf32)
	m2, s2 := SoftmaxRow(x[37:], m1)
	f := Exp32(m1 - m2)
	Scale(x[:37], f)
	if m2 != m || math.Abs(float64(s1*f+s2-sum)) > 1e-5 {
		t.Fatalf("merged %g, %g, want %g, %g", m2, s1*f+s2, m, sum)
	}
	for i := range x {
		if math.Abs(float64(x[i]-whole[i])) > 1e-6 {
			t.Fatalf("[%d] = %g, want %g", i, x[i], whole[i])
		}
	}
}

func TestExpAccuracy(t *testing.T) {
	logISA(t)
	step := uint32(499)
	if testing.Short() {
		step *= 20
	}
	var x, in [1024]float32
	var worst, worstRow, apart float64
	limit := math.Float32bits(expCutoff)
	for b := uint32(1) << 31; b <= limit; {
		n := 0
		for ; n < len(in) && b <= limit; b += step {
			in[n] = math.Float32frombits(b)
			n++
		}
		x = in
		SoftmaxRow(x[:n], 0)
		for i, v := range in[:n] {
			want, e := math.Exp(float64(v)), Exp32(v)
			worst = max(worst, ulps(e, want))
			worstRow = max(worstRow, ulps(x[i], want))
			apart = max(apart, math.Abs(float64(int64(math.Float32bits(e))-int64(math.Float32bits(x[i])))))
		}
	}
	t.Logf("largest error: Exp32 %.3f ulp, SoftmaxRow (%s) %.3f ulp, %g ulp apart", worst, ISA(), worstRow, apart)
	if worst > expUlps || worstRow > expUlps || apart > 2 {
		t.Fatal("too large")
	}
}

func TestExp32Edges(t *testing.T) {
	for _, tc := range []struct{ x, want float32 }{
		{0, 1},
		{float32(math.Copysign(0, -1)), 1},
		{-inf32, 0},
		{-1e4, 0},
		{-87.4, 0},
		{inf32, inf32},
		{89, inf32},
		{nan32, nan32},
	} {
		if got := Exp32(tc.x); !sameBits(got, tc.want) {
			t.Errorf("Exp32(%g) = %g, want %g", tc.x, got, tc.want)
		}
	}
	for x := float32(0); x <= 88; x += 0.37 {
		if u := ulps(Exp32(x), math.Exp(float64(x))); u > expUlps {
			t.Errorf("Exp32(%g): %g ulp", x, u)
		}
	}
}
