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
	//   StepNS + tokens*ReadNS + supplements*SupplementNS + past rows*WindowNS + those embedded again*PastNS
	// where far tokens read and supplements (those that past rows read) are counted over Heads, the
	// KV heads of the layers that have the budget. WideNS is what a step with a budget of its own
	// (correct_budget) costs beyond that, -1 if the engine does not do it.
	Depth        int     `json:"depth"`
	Far          int     `json:"far"` // tokens in it that are far
	Heads        int     `json:"heads"`
	StepNS       float64 `json:"step_ns"`
	ReadNS       float64 `json:"read_ns"`
	SupplementNS float64 `json:"supplement_ns"`
	WindowNS     float64 `json:"window_ns"`
	PastNS       float64 `json:"past_ns"`
	WideNS       float64 `json:"wide_ns"`
	Error        float64 `json:"error"` // largest relative error of that formula
}

// slack is how many times as long as with the fastest choice a token may take.
func slack(t options.Target) float64 {
	switch t {
	case options.Speed:
		return 1.05
	case options.Quality:
		return 2
	}
	return 1.2
}

// What is tried. Budgets are tokens; a correct_budget is that many times the budget.
var (
	triedBudgets = []options.Budget{256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096}
	triedWindows = []struct {
		window, period int
		wide           float64
	}{{1, 1, 0}, {2, 1, 0}, {4, 4, 0}, {8, 8, 0}, {8, 8, 4}, {4, 1, 0}, {8, 1, 0}}
)

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

// tokenNS is the predicted time per token, over a period.
func (m *measured) tokenNS(o *options.Options, c options.Choice) float64 {
	exposure := byLog2(&fidelityOf(o.Select).exposure, c.Window)
	attention := func(tokens float64, emitted int) float64 {
		tokens *= float64(m.Heads)
		return m.StepNS + tokens*(m.ReadNS+(exposure-1)*m.SupplementNS) +
			float64(c.Window-1)*m.WindowNS + float64(emitted)*m.PastNS
	}
	tokens := m.read(c.Budget)
	plain := m.passNS(1) + attention(tokens, 0)
	if c.Window == 1 {
		return plain
	}
	correcting := m.passNS(c.Window) + attention(tokens, c.Window-1)
	if c.CorrectBudget > 0 {
		correcting = m.passNS(c.Window) + attention(max(tokens, m.read(c.CorrectBudget)),
			c.Window-1) + max(0, m.WideNS)
	}
	f := 1 / float64(c.Period)
	return (1-f)*plain + f*correcting
}

// divergence is the predicted fidelity, see there.
func (m *measured) divergence(o *options.Options, c options.Choice) float64 {
	return fidelityOf(o.Select).divergence(c, m.read(c.Budget), m.read(c.CorrectBudget))
}

// candidates are the choices that keep what the user set and that the engine can do.
func (m *measured) candidates(o *options.Options, maxRows int) []options.Choice {
	budgets := triedBudgets
	if o.Budget != 0 {
		budgets = []options.Budget{o.Budget}
	}
	maxRows = min(maxRows, o.Local)
	var all []options.Choice
	add := func(budget options.Budget, window, period int, wide options.Budget) {
		switch {
		case o.Window != 0 && window != o.Window, o.Period != 0 && period != o.Period:
		case window < 1, period < 1, window > maxRows, period > window:
		case o.Window == 0 && window > m.Rows[len(m.Rows)-1]: // not measured
		case o.Whole && period != window:
		case o.CorrectBudget != 0 && wide != o.CorrectBudget, o.CorrectBudget == 0 && wide > 0 &&
			m.WideNS < 0:
		default:
			all = append(all, options.Choice{Budget: budget, Window: window, Period: period,
				CorrectBudget: wide})
		}
	}
	for i, b := range budgets {
		// More than half of the depth saves too little to be called sparse.
		if i > 0 && float64(b) > float64(m.Depth)/2 {
			break
		}
		for _, w := range triedWindows {
			add(b, w.window, w.period, options.Budget(math.Floor(w.wide*m.read(b))))
		}
		// What the user set may be none of these.
		for _, w := range []int{o.Window, max(o.Period, 4), max(o.Period, 8)} {
			for _, p := range []int{o.Period, 1, w} {
				add(b, w, p, o.CorrectBudget)
			}
		}
	}
	if len(all) == 0 { // nothing but what the user set fits
		full := o.With(options.Fallback)
		all = append(all, full.Choice())
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

// decide makes the plan. Where two are equal within 3 %, far below what the
// predictions are good for, the one without correction or the faster is taken.
func (m *measured) decide(o *options.Options, maxRows int) decision {
	all := m.candidates(o, maxRows)
	fastest := math.Inf(1)
	for _, c := range all {
		fastest = min(fastest, m.tokenNS(o, c))
	}
	limit := fastest * slack(o.Planning.Target) * (1 + 1e-9)
	best := math.Inf(1)
	for _, c := range all {
		if m.tokenNS(o, c) <= limit {
			best = min(best, m.divergence(o, c))
		}
	}
	var p decision
	for _, c := range all {
		ns, kl := m.tokenNS(o, c), m.divergence(o, c)
		if ns > limit || kl > best*1.03 {
			continue
		}
		simpler := (c.Window == 1) != (p.Window == 1)
		if p.TokenNS == 0 || simpler && c.Window == 1 || !simpler && ns < p.TokenNS {
			p = decision{Choice: c, TokenNS: ns, KL: kl}
		}
	}
	p.Target, p.FastestNS, p.Why = o.Planning.Target.String(), fastest, m.why(o, p.Choice, all)
	return p
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
		digits(m.ReadNS*float64(m.Heads)/1000, 2)))
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
func (m *measured) noisy() bool { return m.Error > 0.4 || m.ReadNS == 0 }
