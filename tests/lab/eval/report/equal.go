package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// compared are the setups of machines that have a name, and times, to compare what their time is best
// spent on.
func compared(all []*setup) []*setup {
	return slices.DeleteFunc(slices.Clone(all), func(s *setup) bool {
		return s.on == "" || !s.decodes() || s.full() == nil || math.IsNaN(s.full().ms)
	})
}

func (s *setup) machine() string { return strings.TrimPrefix(s.on, ", on ") }

// plan is what a plan chose, for each text anew; "" if the options left nothing to it.
func (p *policy) plan() string {
	var choices []string
	for _, r := range p.records {
		choice, _, _ := strings.Cut(strings.TrimPrefix(r.Plan, "plan: "), " (")
		if choice != "" && !slices.Contains(choices, choice) {
			choices = append(choices, choice)
		}
	}
	return strings.Join(choices, "; ")
}

// chosen are the curves of a setup that no plan chose.
func (s *setup) chosen() []Curve {
	return slices.DeleteFunc(s.curves(), func(c Curve) bool { return c.Points[0].policy.plan() != "" })
}

// budgetTable has KL and speed of every budget, a row for each way to correct. Marked: no other of
// them is both faster and better.
func (s *setup) budgetTable() *grid {
	g := &grid{Head: []string{"KL, tokens/s"}}
	curves := s.chosen()
	var budgets []float64
	for _, c := range curves {
		for _, p := range c.Points {
			budgets = append(budgets, p.policy.opt.number("budget"))
		}
	}
	slices.Sort(budgets)
	budgets = slices.Compact(budgets)
	for _, b := range budgets {
		g.Head = append(g.Head, fmt.Sprintf("%g", b))
	}
	for _, c := range curves {
		row := make([]cell, len(budgets)+1)
		row[0].Text = c.Family
		for i := range budgets {
			row[i+1].Text = "-"
		}
		for _, p := range c.Points {
			i := slices.Index(budgets, p.policy.opt.number("budget"))
			row[i+1] = cell{figure(p.KL.Value) + ", " + figure(1000/p.MS), !beaten(curves, p)}
		}
		g.Rows = append(g.Rows, row)
	}
	full := s.full()
	row := make([]cell, len(budgets)+1)
	row[0].Text = "full attention"
	for i := range budgets {
		row[i+1].Text = "-"
	}
	row[len(budgets)].Text = "0, " + figure(1000/full.ms)
	g.Rows = append(g.Rows, row)
	return g
}

func beaten(curves []Curve, p Point) bool {
	return slices.ContainsFunc(curves, func(c Curve) bool {
		return slices.ContainsFunc(c.Points, func(q Point) bool {
			return q.MS < p.MS && q.KL.Value < p.KL.Value
		})
	})
}

// withinTime is the lowest KL that a curve has in so many ms per token, between budgets by
// interpolation.
func (c *Curve) withinTime(ms float64) float64 {
	best := math.Inf(1)
	if kl, ok := c.AtTime(ms); ok {
		best = kl
	}
	for _, p := range c.bytime {
		if p.MS <= ms {
			best = min(best, p.KL.Value)
		}
	}
	return best
}

// planGoal is how much more than the best of the grid a plan's choice may diverge in the same time.
const planGoal = 1.1

// plansTable holds what plans chose against the best of the same setup in the time that the choice
// took.
func plansTable(all []*setup) *grid {
	g := &grid{Head: []string{"machine", "model", "target", "the plan's choice", "tokens/s", "KL",
		"best KL in that time", "by", "ratio", "within 10 %"}}
	for _, s := range compared(all) {
		curves := s.chosen()
		for _, p := range s.policies {
			if p.plan() == "" {
				continue
			}
			best, by := math.Inf(1), "-"
			for i := range curves {
				if kl := curves[i].withinTime(p.ms); kl < best {
					best, by = kl, curves[i].Family
				}
			}
			met := "no"
			if p.kl.Value <= planGoal*best {
				met = "yes"
			}
			ratio, least := p.kl.Value/best, figure(best)
			if math.IsInf(best, 1) {
				least, ratio = "-", math.NaN()
			}
			g.row(s.machine(), s.model, strings.TrimPrefix(p.text, "target="), p.plan(),
				figure(1000/p.ms), figure(p.kl.Value), least, by, figure(ratio), met)
		}
	}
	return g
}

// correctionTable counts, for every way to correct, where its time was better spent on a larger
// budget.
func correctionTable(all []*setup) *grid {
	g := &grid{Head: []string{"machine", "model", "correction", "better", "a larger budget is",
		"no clear difference"}}
	for _, s := range compared(all) {
		curves := s.chosen()
		for i := range curves {
			c := &curves[i]
			plain := uncorrected(curves, c)
			if plain == nil {
				continue
			}
			t, _ := compare(c.bytime, plain.bytime, byTime, figure)
			g.row(s.machine(), s.model, c.Family, fmt.Sprint(t.correction), fmt.Sprint(t.budget),
				fmt.Sprint(t.unclear))
		}
	}
	return g
}
