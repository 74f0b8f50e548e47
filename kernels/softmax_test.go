package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// expUlps is what Exp32 and SoftmaxRow promise.
const expUlps = 2

func checkSoftmax(t *testing.T, name string, old, x []float32, oldMax float32) {
	t.Helper()
	copy(x, old)
	m, sum := SoftmaxRow(x, oldMax)
	want := oldMax
	for _, v := range old {
		if v > want {
			want = v
		}
	}
	if !sameBits(m, want) && m != want { // -0 may stand for 0
		t.Fatalf("%s %s: n=%d: max %g, want %g", ISA(), name, len(old), m, want)
	}
	ref := 0.0
	for j, v := range old {
		e := math.Exp(float64(v - want))
		masked := math.IsInf(float64(want), -1)
		if masked && v == v {
			e = 0
		}
		switch {
		case e != e:
			if x[j] == x[j] {
				t.Fatalf("%s %s: n=%d: exp(%g-%g) = %g, want NaN", ISA(), name, len(old), v, want,
					x[j])
			}
		case masked || v-want < expCutoff:
			if e = 0; math.Float32bits(x[j]) != 0 {
				t.Fatalf("%s %s: n=%d: exp(%g-%g) = %g, want 0", ISA(), name, len(old), v, want,
					x[j])
			}
		case ulps(x[j], e) > expUlps:
			t.Fatalf("%s %s: n=%d: exp(%g-%g) = %g, want %g", ISA(), name, len(old), v, want, x[j],
				e)
		}
		ref += e
	}
	// 4 lanes or more, then their sum; and the terms are off by 2 ulp.
	if !matches(sum, ref, ref*eps32*float64(len(old)/8+6)) {
		t.Fatalf("%s %s: n=%d: sum %g, want %g", ISA(), name, len(old), sum, ref)
	}
}

// logits are drawn in many ways.
var logits = map[string]func(*rand.Rand) float32{
	"small":   func(rng *rand.Rand) float32 { return float32(rng.NormFloat64()) },
	"spread":  func(rng *rand.Rand) float32 { return float32(rng.NormFloat64() * 40) },
	"extreme": func(rng *rand.Rand) float32 { return []float32{-1e4, 1e4, 0}[rng.IntN(3)] },
	"high":    func(rng *rand.Rand) float32 { return 1e4 + rng.Float32() },
	"masked":  func(*rand.Rand) float32 { return -inf32 },
	"partly": func(rng *rand.Rand) float32 {
		return []float32{-inf32,
			rng.Float32()}[rng.IntN(2)]
	},
	"nan": func(rng *rand.Rand) float32 {
		return []float32{nan32, rng.Float32(), -1,
			-2}[rng.IntN(4)]
	},
	"all nan": func(*rand.Rand) float32 { return nan32 },
	"nan mask": func(rng *rand.Rand) float32 {
		return []float32{nan32, -inf32, -inf32,
			-inf32}[rng.IntN(4)]
	},
	"inf": func(rng *rand.Rand) float32 {
		return []float32{inf32, 1, 2, 3,
			4}[rng.IntN(5)]
	},
	"tiny": func(rng *rand.Rand) float32 { return rng.Float32() * 1e-40 },
	"huge": func(rng *rand.Rand) float32 { return (rng.Float32() - 0.5) * 2 * math.MaxFloat32 },
	"boundary": func(rng *rand.Rand) float32 {
		return expCutoff +
			float32(rng.IntN(9)-4)*0x1p-17
	},
}

// eachRow calls f for each level with logits of all kinds and lengths, and each old maximum.
func eachRow(t *testing.T, f func(t *testing.T, name string, x, room []float32, oldMax float32)) {
	sizes := []int{255, 256, 1000, 4096}
	for n := range maxTokens + 1 {
		sizes = append(sizes, n)
	}
	eachISA(t, func(t *testing.T) {
		zone := newZone(t, 4*4096)
		for name, draw := range logits {
			for _, n := range sizes {
				rng := newRand(n, len(name))
				x := make([]float32, n)
				for i := range x {
					x[i] = draw(rng)
				}
				for _, oldMax := range []float32{-inf32, 0, -1e4, 1e4, 3, inf32, nan32} {
					p := place(rng.IntN(2) == 0)
					f(t, name, x, in[float32](zone, n, p), oldMax)
				}
			}
		}
	})
}

func TestSoftmaxRow(t *testing.T) { eachRow(t, checkSoftmax) }

func TestExpSum(t *testing.T) { eachRow(t, checkExpSum) }

func checkExpSum(t *testing.T, name string, old, x []float32, oldMax float32) {
	t.Helper()
	copy(x, old)
	m, sum := ExpSum(x, oldMax)
	want, ref := oldMax, 0.0
	for j, v := range old {
		if v > want {
			want = v
		}
		if !sameBits(x[j], v) {
			t.Fatalf("%s %s: n=%d: changed %g to %g", ISA(), name, len(old), v, x[j])
		}
	}
	if !sameBits(m, want) && m != want { // -0 may stand for 0
		t.Fatalf("%s %s: n=%d: max %g, want %g", ISA(), name, len(old), m, want)
	}
	for _, v := range old {
		if e := math.Exp(float64(v - want)); e == e {
			ref += e
		}
	}
	share := 0.04
	if name == "small" && len(old) == 4096 && want < 10 {
		share = 0.01
	}
	// what is below the cutoff counts as there
	if !(math.Abs(float64(sum)-ref) <= share*ref+4e-38*float64(len(old)+1)) {
		t.Fatalf("%s %s: n=%d: sum %g, want %g", ISA(), name, len(old), sum, ref)
	}
}

// Two steps merged must equal one over all.
func TestSoftmaxRunning(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		x := make([]float32, 100)
		fillFloats(newRand(7), x, 20)
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
	})
}

// All exponents, and magnitudes that matter densely.
func TestExpAccuracy(t *testing.T) {
	steps := [2]uint32{99_991, 67}
	if raceEnabled || testing.Short() {
		steps[1] *= 50
	}
	eachISA(t, func(t *testing.T) {
		const dense = 0x39800000 // 2^-12
		limit := math.Float32bits(-expCutoff)
		var x, old [1024]float32
		var worst, worstRow float64
		for b := uint32(0); b <= limit; {
			n := 0
			for ; n < len(old) && b <= limit; n++ {
				old[n] = -math.Float32frombits(b)
				step := steps[0]
				if b >= dense {
					step = steps[1]
				}
				b += step
			}
			x = old
			SoftmaxRow(x[:n], 0)
			for i, v := range old[:n] {
				want := math.Exp(float64(v))
				worst = max(worst, ulps(Exp32(v), want))
				worstRow = max(worstRow, ulps(x[i], want))
			}
		}
		t.Logf("largest error: Exp32 %.3f ulp, SoftmaxRow %.3f ulp", worst, worstRow)
		if !(worst <= expUlps && worstRow <= expUlps) {
			t.Fatal("too large")
		}
	})
}

func TestExp32Edges(t *testing.T) {
	for _, tc := range []struct{ x, want float32 }{
		{0, 1},
		{negZ, 1},
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
	for x := float32(0); x <= 88; x += 0.037 {
		if u := ulps(Exp32(x), math.Exp(float64(x))); !(u <= expUlps) {
			t.Errorf("Exp32(%g): %g ulp", x, u)
		}
	}
}

func TestSoftCap(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		zone := newZone(t, 4*(maxTokens+1))
		for _, limit := range []float32{30, 50, 1, 1e-3, 12345, 1e-30, 1e30, 0.7} {
			for n := range maxTokens + 1 {
				rng := newRand(n)
				p := place(rng.IntN(2) == 0)
				x, old := in[float32](zone, n, p), make([]float32, n)
				for i := range old {
					old[i] = limit * float32(math.Exp(rng.Float64()*25-20)) * float32(rng.IntN(2)*2-1)
				}
				sprinkle(rng, old, 8, inf32, -inf32, nan32, 0, negZ, tiny32, -1e-40,
					math.MaxFloat32, -math.MaxFloat32, 1e4, -1e4)
				copy(x, old)
				SoftCap(x, limit)
				got := slices.Clone(x)
				for i, v := range old {
					want := float64(limit) * math.Tanh(float64(v)/float64(limit))
					tol := float64(limit) * 0x1p-21
					if math.IsInf(float64(v), 0) {
						tol = 0
					}
					if !matches(got[i], want, tol) {
						t.Fatalf("n=%d: %g to within %g is %g, want %g", n, v, limit, got[i], want)
					}
					x[i] = -v
				}
				SoftCap(x, limit)
				for i := range x {
					if !sameBits(x[i], -got[i]) {
						t.Fatalf("n=%d: %g to within %g is %g, its negative %g", n, old[i], limit,
							got[i], x[i])
					}
				}
			}
		}
	})
}
