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
	//   StepNS + pages*PageNS + supplements*SupplementNS + past rows*WindowNS + those embedded again*PastNS
	// where pages and supplements (pages that past rows read) are counted over Heads,
	// the KV heads of all sparse layers. WideNS is what a step with a budget of its own
	// (correct_budget) costs beyond that, -1 if the engine does not do it.
	Depth        int     `json:"depth"`
	Far          int     `json:"far"` // pages in it that are far
	Heads        int     `json:"heads"`
	StepNS       float64 `json:"step_ns"`
	PageNS       float64 `json:"page_ns"`
	SupplementNS float64 `json:"supplement_ns"`
	WindowNS     float64 `json:"window_ns"`
	PastNS       float64 `json:"past_ns"`
	WideNS       float64 `json:"wide_ns"`
	Error        float64 `json:"error"` // largest relative error of that formula
}

// Choice is what a plan chooses, as in Options.
type Choice struct {
	Budget        float64 `json:"budget"`
	Window        int     `json:"window"`
	Period        int     `json:"period"`
	CorrectBudget int     `json:"correct_budget"`
}

func (o *Options) choice() Choice { return Choice{o.Budget, o.Window, o.Period, o.CorrectBudget} }

// apply sets the options that the user did not.
func (c Choice) apply(o *Options) {
	fixed := o.Planning.Fixed
	if fixed&FixBudget == 0 {
		o.Budget = c.Budget
	}
	if fixed&FixWindow == 0 {
		o.Window = c.Window
	}
	if fixed&FixPeriod == 0 {
		o.Period = min(c.Period, o.Window)
	}
	if fixed&FixCorrectBudget == 0 {
		o.CorrectBudget = c.CorrectBudget
	}
}

func (c Choice) String() string {
	s := fmt.Sprintf("budget %v, window %d", c.Budget, c.Window)
	if c.Period > 1 {
		s += fmt.Sprintf(", period %d", c.Period)
	}
	if c.CorrectBudget > 0 {
		s += fmt.Sprintf(", correct_budget %d", c.CorrectBudget)
	}
	return s
}

// What is tried. Budgets are tokens; a correct_budget is that many times the budget.
var (
	planBudgets = []float64{256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096}
	planWindows = []struct{ window, period, wide int }{{1, 1, 0}, {2, 1, 0}, {4, 4, 0}, {8, 8, 0}, {8, 8, 4}, {4, 1, 0}, {8, 1, 0}}
)

// planDepth is the context, in tokens, that a plan is for: half of what fits, as a
// context fills up from nothing, but no less than 4096, below which attention takes
// little of the time, and no more than 32768, to bound the measurement.
func planDepth(cells int) int { return min(cells, max(4096, min(cells/2, 32768))) }

// pages is the number of far pages of a budget.
func (m *Measured) pages(o *Options, budget float64) float64 {
	if budget < 1 {
		budget *= float64(m.Depth)
	}
	return min(math.Ceil(budget/float64(o.Page)), float64(m.Far))
}

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
	attention := func(budget float64, emitted int) float64 {
		pages := m.pages(o, budget) * float64(m.Heads)
		return m.StepNS + pages*(m.PageNS+(exposure(c.Window)-1)*m.SupplementNS) + float64(c.Window-1)*m.WindowNS + float64(emitted)*m.PastNS
	}
	plain := m.passNS(1) + attention(c.Budget, 0)
	if c.Window == 1 {
		return plain
	}
	correcting := m.passNS(c.Window) + attention(c.Budget, c.Window-1)
	if c.CorrectBudget > 0 {
		correcting = m.passNS(c.Window) + attention(float64(c.CorrectBudget), c.Window-1) + max(0, m.WideNS)
	}
	f := 1 / float64(c.Period)
	return (1-f)*plain + f*correcting
}

// byLog2 interpolates figures given for 1, 2, 4, 8 and 16.
func byLog2(figures [5]float64, n int) float64 {
	x := math.Log2(float64(n))
	i := min(int(x), 3)
	return figures[i] + (x-float64(i))*(figures[i+1]-figures[i])
}

// exposure is how many pages a token has seen when it leaves a window, per page that
// it selected: 1.24-1.33 for 2, 1.8-2.3 for 8 in experiments that came before this
// code; the others lie on the line through them.
func exposure(window int) float64 { return byLog2([5]float64{1, 1.28, 1.66, 2.05, 2.43}, window) }

// divergence is the predicted KL divergence from full attention, relative to that of
// a budget of 512 without correction.
//
// Budget: it falls as 1/budget^0.9. Those experiments had 0.074 at 16 pages and 0.016 at
// 88 (an exponent of 0.90), and a selector that is as good with 16 pages as another
// is with 32, at 0.074 to 0.143 (0.95).
//
// Correction: on every token -6 to -10 % for a window of 2, -8 to -15 % for 8; every
// eighth token -5 to -10 % (ibid.). Measured in llama.cpp a window of 2 brought 0 to
// -7 % (README), so about half of the former is taken. A correct_budget is worth what
// the same pages are as budget (-25 % for 4 times it on every eighth token), of which
// a fifth is held back.
func (m *Measured) divergence(o *Options, c Choice) float64 {
	pages := max(1, m.pages(o, c.Budget))
	power := func(x float64) float64 { return math.Pow(x, -0.9) }
	d := power(pages * float64(o.Page) / 512)
	if c.Window == 1 {
		return d
	}
	gain := 1 - byLog2([5]float64{1, 0.96, 0.93, 0.90, 0.88}, c.Window)
	if c.CorrectBudget > 0 {
		more := (m.pages(o, float64(c.CorrectBudget)) - pages) / pages / float64(c.Period)
		return d * (1 - max(gain/2, 0.8*(1-power(1+max(0, more)))))
	}
	deferred := float64(c.Period-1) / float64(c.Window-1) // 0: on every token, 1: once per window
	return d * (1 - gain*(1-deferred/2))
}

// candidates are the choices that keep what the user set and that the engine can do.
func (m *Measured) candidates(o *Options, maxRows int) []Choice {
	fixed := o.Planning.Fixed
	budgets := planBudgets
	if fixed&FixBudget != 0 {
		budgets = []float64{o.Budget}
	}
	maxRows = min(maxRows, o.Local)
	var all []Choice
	add := func(budget float64, window, period, wide int) {
		switch c := (Choice{budget, window, period, wide}); {
		case fixed&FixWindow != 0 && window != o.Window, fixed&FixPeriod != 0 && period != o.Period:
		case window > maxRows, period > window:
		case fixed&FixWindow == 0 && window > m.Rows[len(m.Rows)-1]: // not measured
		case fixed&FixCorrectBudget != 0 && wide != o.CorrectBudget, wide > 0 && m.WideNS < 0 && fixed&FixCorrectBudget == 0:
		default:
			all = append(all, c)
		}
	}
	for i, b := range budgets {
		// More than half of the depth saves too little to be called sparse.
		if i > 0 && b > float64(m.Depth)/2 {
			break
		}
		for _, w := range planWindows {
			add(b, w.window, w.period, w.wide*int(m.pages(o, b))*o.Page)
		}
		// What the user set may be none of these.
		if fixed&(FixWindow|FixPeriod|FixCorrectBudget) != 0 {
			for _, w := range []int{o.Window, max(o.Period, 4), max(o.Period, 8)} {
				for _, p := range []int{o.Period, 1, w} {
					add(b, w, p, 0)
					add(b, w, p, o.CorrectBudget)
				}
			}
		}
	}
	if len(all) == 0 { // nothing but what the user set fits
		all = append(all, o.choice())
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
	parts = append(parts, fmt.Sprintf("1000 pages %.2g ms", m.PageNS/1000))
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
func (m *Measured) noisy() bool { return m.Error > 0.4 || m.PageNS == 0 }

// line is the plan for people, with where it comes from.
func (p *Plan) line(o *Options, from string) string {
	set := ""
	if o.Planning.Fixed&^FixTarget != 0 {
		set = ", with what was set"
	}
	return fmt.Sprintf("plan: %v (%s%s: %.3g ms per token expected, %.3g with the fastest; %s%s)",
		o.choice(), p.Target, set, p.TokenNS/1e6, p.FastestNS/1e6, p.Why, from)
}
