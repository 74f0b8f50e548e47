package plan

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// earlier are KL divergences of other ways to select, whose lines were not kept.
var earlier = []struct {
	model   string
	depth   int
	options string
	kl      float64
}{
	{"Qwen2.5-Coder-1.5B", 16384, "need=0,budget=256,window=1", 0.0472},
	{"Qwen2.5-Coder-1.5B", 16384, "need=0,budget=512,window=1", 0.0286},
	{"Qwen2.5-Coder-1.5B", 16384, "need=0,budget=512,window=2,period=1", 0.0245},
	{"Qwen2.5-Coder-1.5B", 16384, "need=0,budget=512,window=4,period=1", 0.0221},
	{"Qwen2.5-Coder-1.5B", 16384, "need=0,budget=512,window=8,period=8", 0.0235},
	{"Qwen2.5-Coder-1.5B", 16384, "need=0,budget=1024,window=1", 0.0145},
	{"SmolLM2-135M", 4096, "select=pages,budget=256,window=1", 0.078},
	{"SmolLM2-135M", 4096, "select=pages,budget=256,window=2,period=1", 0.073},
	{"SmolLM2-135M", 4096, "select=pages,budget=512,window=1", 0.036},
	{"SmolLM2-135M", 4096, "select=pages,budget=512,window=2,period=1", 0.033},
	{"SmolLM2-135M", 4096, "select=pages,budget=1024,window=1", 0.016},
	{"Qwen2.5-Coder-0.5B", 8192, "select=pages,budget=512,window=1", 0.083},
	{"Qwen2.5-Coder-0.5B", 8192, "select=pages,budget=1024,window=1", 0.034},
}

// setups are the grids and curves that the model is fitted to: of one text, each.
func setups(t testing.TB) map[string][]record {
	all := map[string][]record{}
	for _, l := range results(t) {
		if l.KV != "q4_0" && l.usual() { // such a cache has more noise of its own than the budget
			of := fmt.Sprint(l.Model, ", ", l.Ctx, " ", l.KV, ", ", l.Text, ", ", l.Machine)
			all[of] = append(all[of], l)
		}
	}
	for _, e := range earlier {
		o := parsed(t, e.options)
		of := fmt.Sprint(e.model, ", ", e.depth, ", earlier, ", o.Select, o.Need)
		all[of] = append(all[of], record{Model: e.model, Ctx: e.depth, KL: e.kl, options: o})
	}
	return all
}

func (f fidelity) kl(l *record) float64 {
	m := measured{Depth: l.Ctx, Far: l.Ctx - 80}
	c := l.options.Choice()
	return f.divergence(c, m.read(c.Budget), float64(l.Ctx))
}

// off are the logarithms of measured over predicted. Only what falls with the budget is predicted,
// up to a factor that is the model's: factor and rest are those that fit best.
func (f fidelity) off(lines []record) (best []float64, factor, rest float64) {
	least, lowest := math.Inf(1), math.Inf(1)
	for _, l := range lines {
		lowest = min(lowest, l.KL)
	}
	for i := range 20 {
		r, mean := lowest*float64(i)/20, 0.0
		for j := range lines {
			mean += math.Log((lines[j].KL-r)/f.kl(&lines[j])) / float64(len(lines))
		}
		// The factor for what remains is refined by a few steps of Newton's method.
		s := math.Exp(mean)
		for range 4 {
			g, h := 0.0, 0.0
			for j := range lines {
				p := s * f.kl(&lines[j])
				w := p / (r + p)
				g, h = g+w*math.Log(lines[j].KL/(r+p)), h+w*w
			}
			s *= math.Exp(max(-1, min(1, g/h)))
		}
		off, sum := make([]float64, len(lines)), 0.0
		for j := range lines {
			off[j] = math.Log(lines[j].KL / (r + s*f.kl(&lines[j])))
			sum += off[j] * off[j]
		}
		if sum < least {
			least, best, factor, rest = sum, off, s, r
		}
	}
	return best, factor, rest
}

// error is the mean error over setups, as a logarithm.
func (f fidelity) error(all map[string][]record) float64 {
	sum, n := 0.0, 0
	for _, lines := range all {
		off, _, _ := f.off(lines)
		for _, x := range off {
			sum, n = sum+x*x, n+1
		}
	}
	return math.Sqrt(sum / float64(n))
}

// fitted is what fits best.
func fitted(all map[string][]record) fidelity {
	f, least := known, known.error(all)
	for step := 0.2; step > 0.01; step /= 2 {
		for better := true; better; {
			better = false
			for _, g := range []fidelity{{f.power + step, f.gain, f.once}, {f.power - step, f.gain, f.once},
				{f.power, f.gain + step/5, f.once}, {f.power, f.gain - step/5, f.once},
				{f.power, f.gain, f.once + step}, {f.power, f.gain, f.once - step}} {
				if e := g.error(all); g.gain >= 0 && g.once >= 0 && g.once <= 1 && e < least {
					f, least, better = g, e, true
				}
			}
		}
	}
	return f
}

// What a plan predicts against what was measured.
func TestFidelity(t *testing.T) {
	all := setups(t)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, of := range slices.Sorted(maps.Keys(all)) {
		off, factor, rest := known.off(all[of])
		fmt.Fprintf(w, "%s, beside %.4f\noptions\tmeasured\tpredicted\tratio\n", of, rest)
		worst := 0.0
		for i := range all[of] {
			l := &all[of][i]
			worst = max(worst, math.Abs(off[i]))
			fmt.Fprintf(w, "%v\t%.4f\t%.4f\t%.2f\n", l.options.Choice(), l.KL,
				rest+factor*known.kl(l), math.Exp(off[i]))
		}
		require.Less(t, worst, math.Log(1.4), "%s is predicted badly", of)
	}
	require.NoError(t, w.Flush())
	t.Logf("predicted against measured:\n%s", table.String())
	mean := known.error(all)
	t.Logf("mean error %.3f; the best fit is %+v", mean, fitted(all))
	require.Less(t, mean, 0.11)
	for _, by := range []float64{-0.3, 0.3} {
		other := fidelity{known.power + by, known.gain, known.once}
		require.Greater(t, other.error(all), 1.2*mean, "%+v is as good", other)
	}
}

// What correction was measured to take off at the same budget, and what is predicted.
func TestGain(t *testing.T) {
	measured, predicted, n := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, lines := range setups(t) {
		for i := range lines {
			c := lines[i].options.Choice()
			plain := slices.IndexFunc(lines, func(l record) bool {
				return l.options.Budget == c.Budget && l.options.Window == 1
			})
			if c.Window == 1 || plain < 0 {
				continue
			}
			of := fmt.Sprintf("window %d, period %d", c.Window, c.Period)
			measured[of] += math.Log(lines[i].KL / lines[plain].KL)
			predicted[of] += math.Log(known.kl(&lines[i]) / known.kl(&lines[plain]))
			n[of]++
		}
	}
	require.Len(t, n, 3)
	for of := range n {
		m, p := math.Exp(measured[of]/n[of]), math.Exp(predicted[of]/n[of])
		t.Logf("%s, %v pairs: KL times %.3f, predicted %.3f", of, n[of], m, p)
		require.InDelta(t, m, p, 0.04)
	}
}

// Fitted without the lines of a model or of a machine, the power is about the same, and predicts
// these lines. What correction gains is too little to be told from the lines of one model.
func TestFidelityHeldOut(t *testing.T) {
	all := setups(t)
	for _, held := range []string{"SmolLM2", "1.5B", "0.5B", "H200", "Xeon", "2 processors"} {
		rest, out := map[string][]record{}, map[string][]record{}
		for of, lines := range all {
			if strings.Contains(of, held) {
				out[of] = lines
			} else {
				rest[of] = lines
			}
		}
		f := fitted(rest)
		t.Logf("without %s: %+v; its mean error %.3f, by all lines %.3f", held, f, f.error(out),
			known.error(out))
		require.InDelta(t, known.power, f.power, 0.3, held)
		require.Less(t, f.error(out), 0.2, held)
	}
}

func choose(budget options.Budget, window, period int) options.Choice {
	return options.Choice{Budget: budget, Window: window, Period: period}
}

// What a plan relies on: more is better, and so is correction where little is read.
func TestMoreIsBetter(t *testing.T) {
	m, last := measured{Depth: 16384, Far: 16304}, math.Inf(1)
	for _, c := range []options.Choice{choose(256, 1, 1), choose(256, 8, 8), choose(256, 8, 1),
		choose(512, 1, 1), choose(512, 2, 1), choose(512, 4, 1), choose(512, 16, 1),
		choose(1024, 1, 1)} {
		d := m.divergence(c)
		require.Less(t, d, last, c)
		last = d
	}
	require.Equal(t, m.divergence(choose(8192, 1, 1)), m.divergence(choose(8192, 8, 1)))
}

// How many tokens one has seen when it leaves the window.
func TestExposure(t *testing.T) {
	n := 0
	for _, l := range results(t) {
		if l.usual() && l.options.Window > 1 && l.options.Budget < options.Budget(l.Ctx)/8 {
			n++
			require.InEpsilon(t, l.Exposure, exposure(l.options.Window), 0.3, l.Options)
		}
	}
	require.Greater(t, n, 10)
}
