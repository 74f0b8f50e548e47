package plan

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/retroattn/retroattn/retro/options"
)

// measured is what a plan is made from: times in nanoseconds of this model on this
// machine.
type measured struct {
	Threads int `json:"threads"`

	// A pass of Rows[i] tokens through the model at next to no context takes PassNS[i].
	Rows   []int     `json:"rows"`
	PassNS []float64 `json:"pass_ns"`

	// The attention of a step over Depth tokens takes
	//   StepNS + tokens*ReadNS + least(tokens, Knee)*ChooseNS +
	//   supplements*SupplementNS + past rows*WindowNS + those embedded again*PastNS
	// where far tokens read and supplements (those that past rows read) are counted over Heads, the
	// KV heads of the layers that have the budget. From a budget of Knee on all far tokens are
	// candidates, so that a larger one only reads more; 0: there are no candidates.
	Depth        int     `json:"depth"`
	Far          int     `json:"far"` // tokens in it that are far
	Knee         int     `json:"knee"`
	Heads        int     `json:"heads"`
	StepNS       float64 `json:"step_ns"`
	ReadNS       float64 `json:"read_ns"`
	ChooseNS     float64 `json:"choose_ns"`
	SupplementNS float64 `json:"supplement_ns"`
	WindowNS     float64 `json:"window_ns"`
	PastNS       float64 `json:"past_ns"`
	Error        float64 `json:"error"` // largest relative error of that formula
}

// slack is how many times as long as with the fastest choice a token may take, where it reads more
// than the least.
func slack(t options.Target) float64 {
	switch t {
	case options.Speed:
		return 1.05
	case options.Quality:
		return 2
	}
	return 1.2
}

// What is tried: budgets in steps of so many tokens, up to half of the context, as more saves too
// little to be called sparse, and the ways to correct whose fidelity was measured.
const budgetStep, leastBudget = 64, 256

var triedWindows = []struct{ window, period int }{{1, 1}, {2, 1}, {4, 1}, {8, 8}}

// leastPart of the context that a plan is for, a sixteenth of its size from 8k to 64k, is read at
// least, for any target but speed. With less, what a long text is asked for is missed
// (docs/fidelity.md, RULER), which the KL of prose does not tell.
const leastPart = 8

// floor is how many far tokens that is.
func (m *measured) floor(o *options.Options) float64 {
	if o.Budget != 0 || o.Planning.Target == options.Speed {
		return 0
	}
	return min(float64(m.Depth)/leastPart, float64(m.Far))
}

// read is the number of far tokens that a budget reads.
func (m *measured) read(b options.Budget) float64 { return float64(min(b.Tokens(m.Depth), m.Far)) }

// passNS interpolates the time of a pass of n rows; beyond what was measured it
// goes on with the last slope.
func (m *measured) passNS(n int) float64 {
	if len(m.Rows) == 1 {
		return m.PassNS[0] * float64(n) // unknown: as if nothing were shared
	}
	i := min(max(1, sort.SearchInts(m.Rows, n)), len(m.Rows)-1)
	f := float64(n-m.Rows[i-1]) / float64(m.Rows[i]-m.Rows[i-1])
	return m.PassNS[i-1] + f*(m.PassNS[i]-m.PassNS[i-1])
}

// attentionNS is the time of the attention of a step that reads so many tokens for the newest one,
// in a window where some are embedded again.
func (m *measured) attentionNS(tokens float64, window, again int) float64 {
	heads := float64(m.Heads)
	return m.StepNS + heads*(tokens*m.ReadNS+min(tokens, float64(m.Knee))*m.ChooseNS+
		tokens*(exposure(window)-1)*m.SupplementNS) +
		float64(window-1)*m.WindowNS + float64(again)*m.PastNS
}

// tokenNS is the predicted time per token, over a period.
func (m *measured) tokenNS(o *options.Options, c options.Choice) float64 {
	tokens := m.read(c.Budget)
	plain := m.passNS(1) + m.attentionNS(tokens, c.Window, 0)
	if c.Window == 1 {
		return plain
	}
	correcting := m.passNS(c.Window) +
		m.attentionNS(max(tokens, m.read(o.CorrectBudget)), c.Window, c.Window-1)
	f := 1 / float64(c.Period)
	return (1-f)*plain + f*correcting
}

// budgets are those that are tried.
func (m *measured) budgets(o *options.Options) []options.Budget {
	if o.Budget != 0 {
		return []options.Budget{o.Budget}
	}
	tried := []options.Budget{leastBudget}
	for b := leastBudget + budgetStep; b <= m.Depth/2; b += budgetStep {
		tried = append(tried, options.Budget(b))
	}
	return tried
}

// candidates are the choices that keep what the user set and that the engine can do.
func (m *measured) candidates(o *options.Options, maxRows int) []options.Choice {
	maxRows = min(maxRows, o.Local)
	var all []options.Choice
	add := func(budget options.Budget, window, period int) {
		switch {
		case o.Window != 0 && window != o.Window, o.Period != 0 && period != o.Period:
		case window < 1, period < 1, window > maxRows, period > window:
		case o.Window == 0 && window > m.Rows[len(m.Rows)-1]: // not measured
		case o.Whole && period != window:
		default:
			all = append(all, options.Choice{Budget: budget, Window: window, Period: period})
		}
	}
	for _, b := range m.budgets(o) {
		for _, w := range triedWindows {
			add(b, w.window, w.period)
		}
		if o.Window == 0 && o.Period == 0 {
			continue
		}
		// What the user set may be none of these.
		for _, w := range []int{o.Window, max(o.Period, 4), max(o.Period, 8)} {
			for _, p := range []int{o.Period, 1, w} {
				add(b, w, p)
			}
		}
	}
	if len(all) == 0 { // nothing but what the user set fits
		for _, b := range m.budgets(o) {
			full := o.With(options.Choice{Budget: b, Window: 1, Period: 1})
			all = append(all, full.Choice())
		}
	}
	return all
}

// decision is what was chosen, and what was predicted of it.
type decision struct {
	options.Choice
	Target    string  `json:"target"`
	TokenNS   float64 `json:"token_ns"`   // time per token
	FastestNS float64 `json:"fastest_ns"` // of the fastest choice
	KL        float64 `json:"kl"`         // relative, see divergence
	Why       string  `json:"why"`
}

// decide makes the plan: the best predicted fidelity in the time that the target allows, or that the
// least budget takes. Correction must bring 3 % beyond what the largest budget does, as that is far
// below what the predictions are good for.
func (m *measured) decide(o *options.Options, maxRows int) decision {
	all, floor := m.candidates(o, maxRows), m.floor(o)
	predicted, fastest, least := make([]decision, len(all)), math.Inf(1), math.Inf(1)
	for i, c := range all {
		predicted[i] = decision{Choice: c, TokenNS: m.tokenNS(o, c), KL: m.divergence(c)}
		fastest = min(fastest, predicted[i].TokenNS)
		if m.read(c.Budget) >= floor {
			least = min(least, predicted[i].TokenNS)
		}
	}
	limit := max(fastest*slack(o.Planning.Target), least) * (1 + 1e-9)
	best := decision{KL: math.Inf(1)}
	plain := best
	for _, p := range predicted {
		if p.TokenNS > limit || m.read(p.Budget) < floor {
			continue
		}
		if p.KL < best.KL {
			best = p
		}
		if p.Window == 1 && p.KL < plain.KL {
			plain = p
		}
	}
	if plain.KL <= best.KL*1.03 {
		best = plain
	}
	best.Target, best.FastestNS = o.Planning.Target.String(), fastest
	best.Why = m.why(o, best.Choice, all)
	return best
}

// why is the reason in words.
func (m *measured) why(o *options.Options, chosen options.Choice, all []options.Choice) string {
	var parts []string
	for i, rows := range m.Rows[1:] {
		if rows == 2 || i == len(m.Rows)-2 {
			parts = append(parts, fmt.Sprintf("%d rows cost %sx of a pass", rows,
				digits(m.PassNS[i+1]/m.PassNS[0], 2)))
		}
	}
	parts = append(parts, fmt.Sprintf("1000 tokens of context %s ms",
		digits((m.ReadNS+m.ChooseNS)*float64(m.Heads)/1000, 2)))
	choice := false
	for _, c := range all {
		choice = choice || (c.Window > 1) != (chosen.Window > 1)
	}
	switch {
	case !choice:
	case chosen.Window > 1:
		parts = append(parts, "correction brings more than a larger budget would")
	default:
		parts = append(parts, "correction would cost more than it brings")
	}
	return strings.Join(parts, ", ")
}

// noisy tells that something else kept the machine busy during the measurement: the
// formula was within 2 % on a machine shared with a few others.
func (m *measured) noisy() bool { return m.Error > 0.4 || m.ReadNS+m.ChooseNS == 0 }
