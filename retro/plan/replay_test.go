package plan

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// curve are the lines of one way to correct, by budget.
type curve []record

func (l *record) ms() float64 { return 1000 / l.PerSecond }

// between interpolates y over x, both rising or y falling, as powers; false outside.
func (c curve) between(at float64, x, y func(*record) float64) (float64, bool) {
	for i := range len(c) - 1 {
		a, b := &c[i], &c[i+1]
		if x(a) <= at && at <= x(b) {
			f := math.Log(at/x(a)) / math.Log(x(b)/x(a))
			return math.Exp((1-f)*math.Log(y(a)) + f*math.Log(y(b))), true
		}
	}
	return 0, false
}

func budgetOf(l *record) float64 { return float64(l.options.Budget) }
func klOf(l *record) float64     { return l.KL }

// within is the lowest KL in so many ms per token.
func (c curve) within(ms float64) float64 {
	best := math.Inf(1)
	if kl, ok := c.between(ms, (*record).ms, klOf); ok {
		best = kl
	}
	for i := range c {
		if c[i].ms() <= ms {
			best = min(best, c[i].KL)
		}
	}
	return best
}

// grids are the budgets and windows that were tried on each machine, by text.
func grids(t *testing.T) map[string]map[string]curve {
	all := map[string]map[string]curve{}
	for _, l := range results(t) {
		if !l.usual() || l.PerSecond == 0 || l.Machine == "" ||
			strings.HasPrefix(l.Machine, "2 processors") { // whose times are rough
			continue
		}
		of, by := l.Machine+", "+l.Text, windowOf(l.options.Choice())
		if all[of] == nil {
			all[of] = map[string]curve{}
		}
		all[of][by] = append(all[of][by], l)
		slices.SortFunc(all[of][by], func(a, b record) int {
			return cmp.Compare(a.options.Budget, b.options.Budget)
		})
	}
	maps.DeleteFunc(all, func(_ string, grid map[string]curve) bool {
		return len(grid) < len(triedWindows) // a curve of budgets only
	})
	require.GreaterOrEqual(t, len(all), 3)
	return all
}

func windowOf(c options.Choice) string {
	return fmt.Sprintf("window=%d,period=%d", c.Window, max(1, c.Period))
}

// measuredBy is what a measurement without error would have found on the machine of a grid. The
// dense layers are in the costs of a step and of a token that is embedded again.
func measuredBy(grid map[string]curve) *measured {
	first := grid["window=1,period=1"][0]
	m := &measured{Rows: []int{1, 2, 4, 8}, PassNS: []float64{1, 1, 1, 1}, Depth: first.Ctx,
		Far: first.Ctx - 80, Heads: 1}
	then := first.options
	then.Candidates = 8 // the default when these were measured
	m.Knee = knee(&then, m.Far)
	var s series
	for _, c := range grid {
		for i := range c {
			o := &c[i].options
			if o.Window == 8 {
				continue // embeds them on some steps only
			}
			read := float64(o.Budget)
			s.kinds = append(s.kinds, sample{Step: Step{Window: 1, Past: o.Window - 1}, runs: 1,
				layerNS: [][]float64{{1e6 * c[i].ms()}}, tokens: read,
				supplements: read * (c[i].Exposure - 1)})
		}
	}
	m.fit([]series{s})
	return m
}

// What the plan would have chosen on the machines of the grids, had it measured their times: within
// 10 % of the lowest KL that any line of the grid has in that time.
func TestReplay(t *testing.T) {
	for of, grid := range grids(t) {
		m := measuredBy(grid)
		worst := 0.0
		for by, c := range grid {
			for i := range c {
				p := m.tokenNS(&c[i].options, c[i].options.Choice()) / 1e6
				worst = max(worst, math.Abs(math.Log(p/c[i].ms())))
				t.Logf("%s, budget %v, %s: %.1f ms, by the formula %.1f", of, c[i].options.Budget, by,
					c[i].ms(), p)
			}
		}
		require.Less(t, worst, math.Log(1.25), "the formula does not fit the times")
		for _, target := range []string{"speed", "balanced", "quality"} {
			o := parsed(t, "target="+target)
			p := m.decide(&o, 16)
			c := grid[windowOf(p.Choice)]
			most := c[len(c)-1]
			kl, inside := c.between(float64(p.Budget), budgetOf, klOf)
			ms, _ := c.between(float64(p.Budget), budgetOf, (*record).ms)
			if !inside { // KL and time are not known, but no line has a larger budget
				require.Greater(t, p.Budget, most.options.Budget)
				kl, ms = most.KL, most.ms()
			}
			best, allowed, fastest := math.Inf(1), math.Inf(1), math.Inf(1)
			for _, other := range grid {
				fastest = min(fastest, other[0].ms())
			}
			for _, other := range grid {
				best = min(best, other.within(ms))
				allowed = min(allowed, other.within(slack(o.Planning.Target)*fastest))
			}
			t.Logf("%s, %s: %v, %.1f ms, KL %.4f, %.2f of the best in that time, %.2f of the best "+
				"that is allowed", of, target, p.Choice, ms, kl, kl/best, kl/allowed)
			require.LessOrEqual(t, kl, 1.1*best, "%s, %s", of, target)
			require.LessOrEqual(t, kl, 1.25*allowed, "%s, %s", of, target)
		}
	}
}
