package report

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// autoregressive is a stream of mean 1 whose neighbours correlate.
func autoregressive(seed string, streams, tokens int) []float32 {
	g := rng(seed)
	out := make([]float32, 0, streams*tokens)
	a := g.NormFloat64()
	for range streams * tokens {
		a = 0.6*a + 0.8*g.NormFloat64() // variance 1
		out = append(out, float32(1+0.5*a))
	}
	return out
}

// The interval holds the true mean about as often as it says, and far more often than
// one that takes tokens for independent (whose coverage here is about 0.67).
func TestIntervalCoverage(t *testing.T) {
	const trials = 200
	held := 0
	for i := range trials {
		_, lo, hi := Interval(autoregressive(fmt.Sprint("coverage", i), 2, 256), 2)
		if lo <= 1 && 1 <= hi {
			held++
		}
	}
	require.InDelta(t, 0.92, float64(held)/trials, 0.06)
}

func TestIntervalOfConstantsAndShortStreams(t *testing.T) {
	mean, lo, hi := Interval([]float32{2, 2, 2, 2, 2, 2}, 2)
	require.InDeltaSlice(t, []float64{2, 2, 2}, []float64{mean, lo, hi}, 1e-12)
	mean, lo, hi = Interval([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1)
	require.Equal(t, 4.5, mean)
	require.True(t, lo < 4.5 && 4.5 < hi)
	mean, lo, hi = Interval(nil, 4)
	require.True(t, math.IsNaN(mean) && math.IsNaN(lo) && math.IsNaN(hi))
}

// A report has hundreds of intervals; each is to take less than 20 ms.
func BenchmarkInterval(b *testing.B) {
	x := autoregressive("fast", 4, 256)
	for b.Loop() {
		Interval(x, 4)
	}
}

func recordsOf(policy string, factor float64) (out []Record) {
	for _, text := range []string{"prose", "code"} {
		r := Record{Test: "decode", Policy: policy, Options: "window=1", Text: text, Streams: 2,
			Tokens: 512}
		r.SetKL(synthKL(0.05*factor, text, policy, 2, 256))
		out = append(out, r)
	}
	return out
}

// What is hard for both cancels: the paired interval is narrower than the quotient of two.
func TestRatioIsPaired(t *testing.T) {
	a, b := recordsOf("a", 0.8), recordsOf("b", 1)
	e, ok := Ratio(a, b)
	require.True(t, ok)
	require.InDelta(t, 0.8, e.Value, 0.08)
	require.True(t, e.Lo < e.Value && e.Value < e.Hi)
	width := func(r Record) float64 { return (r.KLHi - r.KLLo) / r.KL }
	unpaired := math.Hypot(width(a[0]), width(b[0])) / math.Sqrt2 // two texts
	require.Less(t, (e.Hi-e.Lo)/e.Value, 0.7*unpaired)

	same, ok := Ratio(a, a)
	require.True(t, ok)
	require.Equal(t, Estimate{1, 1, 1}, same)
}

// Only texts that both have count, each as much as another.
func TestRatioPairsTexts(t *testing.T) {
	a, b := recordsOf("a", 1), recordsOf("b", 1)
	a[0].SetKL(make([]float32, 512))
	e, ok := Ratio(a, b)
	require.True(t, ok)
	require.InDelta(t, a[1].KL/(b[0].KL+b[1].KL), e.Value, 1e-6)
	e, ok = Ratio(a[1:], b)
	require.True(t, ok)
	require.InDelta(t, a[1].KL/b[1].KL, e.Value, 1e-6)
	_, ok = Ratio(a[:1], b[1:])
	require.False(t, ok)
}

func TestQuarters(t *testing.T) {
	// Two streams of eight.
	x := []float32{1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4, 5, 5, 6, 6}
	require.Equal(t, [4]float64{2, 3, 4, 5}, Quarters(x, 2))
}

func TestWilson(t *testing.T) {
	e := wilson(10, 10)
	require.Equal(t, 1.0, e.Value)
	require.InDelta(t, 0.722, e.Lo, 0.001)
	require.InDelta(t, 1, e.Hi, 1e-9)
	require.True(t, math.IsNaN(wilson(0, 0).Value))
}

func TestFigure(t *testing.T) {
	for v, text := range map[float64]string{0: "0", 0.07123: "0.0712", 0.09996: "0.100",
		0.5: "0.500", 3.14159: "3.14", 31.4159: "31.4", 314.159: "314"} {
		require.Equal(t, text, figure(v))
	}
	require.Equal(t, "0.0700 [0.0600, 0.1200]", Estimate{0.07, 0.06, 0.12}.String())
}
