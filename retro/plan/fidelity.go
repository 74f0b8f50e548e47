package plan

import (
	"math"

	"github.com/retroattn/retroattn/retro/options"
)

// fidelity is how the KL divergence from full attention depends on what a plan chooses.
type fidelity struct {
	// The KL falls as 1/budget^power, to what rounding leaves.
	power float64
	// Correction on every token takes the share gain off it for each doubling of the window, less
	// the more is read, and nothing where half of the context is; once per window, once of that.
	gain, once float64
}

// known is fitted to the grids of budgets and windows in docs/results. TestFidelity prints what was
// measured beside what it predicts, TestFidelityHeldOut what it is without one model or machine.
var known = fidelity{power: 1.25, gain: 0.06, once: 0.4}

// divergence is the predicted KL of a choice that reads so many tokens of a context of depth,
// relative to that of 512 tokens without correction. A budget of its own for steps that correct is
// not known to change it.
func (f fidelity) divergence(c options.Choice, tokens, depth float64) float64 {
	off := f.gain * math.Log2(float64(c.Window)) * max(0, 1-2*tokens/depth)
	if c.Window > 1 { // deferred is from 0, on every token, to 1, once per window
		deferred := float64(c.Period-1) / float64(c.Window-1)
		off *= 1 - deferred*(1-f.once)
	}
	return math.Pow(max(1, tokens)/512, -f.power) * (1 - off)
}

// exposure is how many tokens one has seen when it leaves the window, per token that it selected:
// half as many more for each doubling of the window.
func exposure(window int) float64 { return 1 + math.Log2(float64(window))/2 }

// divergence is the predicted fidelity.
func (m *measured) divergence(c options.Choice) float64 {
	return known.divergence(c, m.read(c.Budget), float64(m.Depth))
}

// Predicted is the KL divergence that a plan expects of options that leave nothing open, after a
// prompt of n tokens and up to a factor that is the model's.
func Predicted(o options.Options, n int) float64 {
	m := measured{Depth: n, Far: max(0, n-o.Local-o.Page)}
	return m.divergence(o.Choice())
}
