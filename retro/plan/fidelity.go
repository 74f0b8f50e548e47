package plan

import (
	"math"

	"github.com/retroattn/retroattn/retro/options"
)

// fidelity is what is known of a way to select: how the KL divergence from full attention depends
// on the options that a plan chooses. Its few figures are fitted to measurements; TestFidelity
// prints what was measured beside what is predicted.
type fidelity struct {
	// The KL falls as 1/budget^power.
	power float64
	// gain is the share of the KL that correction on every token takes off, for windows of 1, 2, 4,
	// 8 and 16. Embedding the window again once per window keeps the share once of it.
	gain [5]float64
	once float64
	// A budget of its own for correcting steps is worth this share of what the same tokens are
	// worth as budget.
	wide float64
	// exposure is how many tokens one has seen when it leaves the window, per token that it
	// selected, by the same windows.
	exposure [5]float64
}

var (
	// SmolLM2-135M and Qwen2.5-Coder-0.5B at 4k and 12k in a simulation; of the gain, half is
	// taken, as in llama.cpp a window of 2 brought 0 to 7 %.
	byPages = fidelity{power: 0.9, gain: [5]float64{0, 0.04, 0.07, 0.10, 0.12}, once: 0.5,
		wide: 0.8, exposure: [5]float64{1, 1.28, 1.66, 2.05, 2.43}}
	// Qwen2.5-Coder-1.5B at 16k and SmolLM2-135M at 4k, the budget by need. Of need=0 is what a
	// window of 2 brings; assumed are the gains of 8 and 16 on every token, wide, and the exposure
	// of 16.
	byTokens = fidelity{power: 1, gain: [5]float64{0, 0.13, 0.20, 0.24, 0.27}, once: 0.67,
		wide: 0.8, exposure: [5]float64{1, 1.48, 2.1, 3.0, 3.9}}
)

func fidelityOf(s options.Selector) *fidelity {
	if s == options.Tokens {
		return &byTokens
	}
	return &byPages
}

// byLog2 interpolates figures given for 1, 2, 4, 8 and 16.
func byLog2(figures *[5]float64, n int) float64 {
	x := math.Log2(float64(n))
	i := min(int(x), 3)
	return figures[i] + (x-float64(i))*(figures[i+1]-figures[i])
}

// divergence is the predicted KL, relative to that of a budget of 512 without correction. tokens
// and wide are what a step without and with correction reads.
func (f *fidelity) divergence(c options.Choice, tokens, wide float64) float64 {
	kl := func(tokens float64) float64 { return math.Pow(max(1, tokens)/512, -f.power) }
	d := kl(tokens)
	if c.Window == 1 {
		return d
	}
	gain := byLog2(&f.gain, c.Window)
	// From 0, on every token, to 1, once per window.
	deferred := float64(c.Period-1) / float64(c.Window-1)
	gain *= 1 - deferred*(1-f.once)
	if wide > tokens {
		mean := tokens + (wide-tokens)/float64(c.Period)
		gain = max(gain, f.wide*(1-kl(mean)/d))
	}
	return d * (1 - gain)
}

// Predicted is the KL divergence that a plan expects of options that leave nothing open, after a
// prompt of n tokens and up to a factor that is the model's.
func Predicted(o options.Options, n int) float64 {
	m := measured{Depth: n, Far: max(0, n-o.Local-o.Page)}
	return m.divergence(&o, o.Choice())
}
