package retro

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// A plan is the budget, window, period and correct_budget with the best predicted
// fidelity among those whose predicted time per token is at most Target.slack times
// that of the fastest. Options that the user set are not changed, only planned around.
// It is a function of the measurements, the options and the size of the engine.

// Measured is what a plan is made from: times in nanoseconds of this model on this
// machine.
type Measured struct {
	Threads int `json:"threads"`

	// A pass of Rows[i] tokens through the model at next to no context takes PassNS[i].
	Rows   []int     `json:"rows"`
	PassNS []float64 `json:"pass_ns"`

	// The attention of a step over Depth tokens takes
	//   StepNS + tokens*ReadNS + supplements*SupplementNS + past rows*WindowNS + those embedded again*PastNS
	// where far tokens read and supplements (those that past rows read) are counted over Heads,
	// the KV heads of the layers that have the budget. WideNS is what a step with a budget of its own
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

// Choice is what a plan chooses, as in Options.
type Choice struct {
	Budget        Budget `json:"budget"`
	Window        int    `json:"window"`
	Period        int    `json:"period"`
	CorrectBudget Budget `json:"correct_budget"`
}

func (o *Options) choice() Choice { return Choice{o.Budget, o.Window, o.Period, o.CorrectBudget} }

func (c Choice) String() string {
	s := fmt.Sprintf("budget %v, window %d", c.Budget, c.Window)
	if c.Period > 1 {
		s += fmt.Sprintf(", period %d", c.Period)
	}
	if c.CorrectBudget > 0 {
		s += fmt.Sprintf(", correct_budget %v", c.CorrectBudget)
	}
	return s
}

// What is tried. Budgets are tokens; a correct_budget is that many times the budget.
var (
	planBudgets = []Budget{256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096}
	planWindows = []struct {
		window, period int
		wide           float64
	}{{1, 1, 0}, {2, 1, 0}, {4, 4, 0}, {8, 8, 0}, {8, 8, 4}, {4, 1, 0}, {8, 1, 0}}
)

// planDepth is the context, in tokens, that a plan is for: half of what fits, as a
// context fills up from nothing, but no less than 4096, below which attention takes
// little of the time, and no more than 32768, to bound the measurement.
func planDepth(cells int) int { return min(cells, max(4096, min(cells/2, 32768))) }

// read is the number of far tokens that a budget reads.
func (m *Measured) read(b Budget) float64 { return float64(min(b.Tokens(m.Depth), m.Far)) }

// passNS interpolates the time of a pass of n rows; beyond what was measured it
// goes on with the last slope.
func (m *Measured) passNS(n int) float64 {
	if len(m.Rows) == 1 {
		return m.PassNS[0] * float64(n) // unknown: as if nothing were shared
	}
	i := min(max(1, sort.SearchInts(m.Rows, n)), len(m.Rows)-1)
	f := float64(n-m.Rows[i-1]) / float64(m.Rows[i]-m.Rows[i-1])
	return m.PassNS[i-1] + f*(m.PassNS[i]-m.PassNS[i-1])
}

// tokenNS is the predicted time per token, over a period.
func (m *Measured) tokenNS(o *Options, c Choice) float64 {
	exposure := byLog2(&o.Select.fidelity().exposure, c.Window)
	attention := func(tokens float64, emitted int) float64 {
		tokens *= float64(m.Heads)
		return m.StepNS + tokens*(m.ReadNS+(exposure-1)*m.SupplementNS) + float64(c.Window-1)*m.WindowNS + float64(emitted)*m.PastNS
	}
	tokens := m.read(c.Budget)
	plain := m.passNS(1) + attention(tokens, 0)
	if c.Window == 1 {
		return plain
	}
	correcting := m.passNS(c.Window) + attention(tokens, c.Window-1)
	if c.CorrectBudget > 0 {
		correcting = m.passNS(c.Window) + attention(max(tokens, m.read(c.CorrectBudget)), c.Window-1) + max(0, m.WideNS)
	}
	f := 1 / float64(c.Period)
	return (1-f)*plain + f*correcting
}

// divergence is the predicted fidelity, see there.
func (m *Measured) divergence(o *Options, c Choice) float64 {
	return o.Select.fidelity().divergence(c, m.read(c.Budget), m.read(c.CorrectBudget))
}

// candidates are the choices that keep what the user set and that the engine can do.
func (m *Measured) candidates(o *Options, maxRows int) []Choice {
	budgets := planBudgets
	if o.Budget != 0 {
		budgets = []Budget{o.Budget}
	}
	maxRows = min(maxRows, o.Local)
	var all []Choice
	add := func(budget Budget, window, period int, wide Budget) {
		switch {
		case o.Window != 0 && window != o.Window, o.Period != 0 && period != o.Period:
		case window < 1, period < 1, window > maxRows, period > window:
		case o.Window == 0 && window > m.Rows[len(m.Rows)-1]: // not measured
		case o.whole && period != window:
		case o.CorrectBudget != 0 && wide != o.CorrectBudget, o.CorrectBudget == 0 && wide > 0 && m.WideNS < 0:
		default:
			all = append(all, Choice{budget, window, period, wide})
		}
	}
	for i, b := range budgets {
		// More than half of the depth saves too little to be called sparse.
		if i > 0 && float64(b) > float64(m.Depth)/2 {
			break
		}
		for _, w := range planWindows {
			add(b, w.window, w.period, Budget(math.Floor(w.wide*m.read(b))))
		}
		// What the user set may be none of these.
		for _, w := range []int{o.Window, max(o.Period, 4), max(o.Period, 8)} {
			for _, p := range []int{o.Period, 1, w} {
				add(b, w, p, o.CorrectBudget)
			}
		}
	}
	if len(all) == 0 { // nothing but what the user set fits
		full := o.with(fallback)
		all = append(all, full.choice())
	}
	return all
}

// Plan is what was chosen, and what was predicted of it.
type Plan struct {
	Choice
	Target    string  `json:"target"`
	TokenNS   float64 `json:"token_ns"`   // time per token
	FastestNS float64 `json:"fastest_ns"` // of the fastest choice
	KL        float64 `json:"kl"`         // relative, see divergence
	Why       string  `json:"why"`
}

// decide makes the plan. Where two are equal within 3 %, far below what the
// predictions are good for, the one without correction or the faster is taken.
func (m *Measured) decide(o *Options, maxRows int) Plan {
	all := m.candidates(o, maxRows)
	fastest := math.Inf(1)
	for _, c := range all {
		fastest = min(fastest, m.tokenNS(o, c))
	}
	limit := fastest * o.Planning.Target.slack() * (1 + 1e-9)
	best := math.Inf(1)
	for _, c := range all {
		if m.tokenNS(o, c) <= limit {
			best = min(best, m.divergence(o, c))
		}
	}
	var p Plan
	for _, c := range all {
		ns, kl := m.tokenNS(o, c), m.divergence(o, c)
		if ns > limit || kl > best*1.03 {
			continue
		}
		simpler := (c.Window == 1) != (p.Window == 1)
		if p.TokenNS == 0 || simpler && c.Window == 1 || !simpler && ns < p.TokenNS {
			p = Plan{Choice: c, TokenNS: ns, KL: kl}
		}
	}
	p.Target, p.FastestNS, p.Why = o.Planning.Target.String(), fastest, m.why(o, p.Choice, all)
	return p
}

// why is the reason in words.
func (m *Measured) why(o *Options, chosen Choice, all []Choice) string {
	var parts []string
	for i, rows := range m.Rows[1:] {
		if rows == 2 || i == len(m.Rows)-2 {
			parts = append(parts, fmt.Sprintf("%d rows cost %.2gx of a pass", rows, m.PassNS[i+1]/m.PassNS[0]))
		}
	}
	parts = append(parts, fmt.Sprintf("1000 tokens of context %.2g ms", m.ReadNS*float64(m.Heads)/1000))
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
func (m *Measured) noisy() bool { return m.Error > 0.4 || m.ReadNS == 0 }

// planned is the plan for people, with where it comes from.
func (e *Engine) planned(f *planFile, from string) string {
	set, a, p := "", &e.asked, &f.Plan
	if a.choice() != (Choice{}) {
		set = ", with what was set"
	}
	return e.opt.planLine("%s%s: %.3g ms per token expected, %.3g with the fastest; %s%s", p.Target, set, p.TokenNS/1e6, p.FastestNS/1e6, p.Why, from)
}
