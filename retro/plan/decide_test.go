package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// dear is a CPU: a second row costs almost what the first does, and tokens are cheap.
// cheap is dense layers on a GPU and a slow memory.
var (
	dear = measured{Threads: 2, Rows: []int{1, 2, 4, 8}, PassNS: []float64{5e6, 8.5e6, 11e6, 16e6},
		Depth: 4096, Far: 4016, Heads: 90,
		StepNS: 1.2e6, ReadNS: 9, SupplementNS: 5, PastNS: 0.3e6}
	cheap = measured{Threads: 8, Rows: []int{1, 2, 4, 8},
		PassNS: []float64{4e6, 4.01e6, 4.02e6, 4.05e6}, Depth: 16384, Far: 16304, Heads: 64,
		StepNS: 1e6, ReadNS: 94, SupplementNS: 1.25, PastNS: 0.01e6}
)

func parsed(t testing.TB, text string) options.Options {
	o, err := options.Parse(text)
	require.NoError(t, err)
	return o
}

func TestDecide(t *testing.T) {
	o := parsed(t, "target=balanced")
	p := dear.decide(&o, 16)
	require.Equal(t, p, dear.decide(&o, 16))
	require.Equal(t, 1, p.Window)
	require.Greater(t, p.Budget, 512.0, "what correction would cost buys budget")
	require.Contains(t, p.Why, "2 rows cost 1.7x of a pass")
	require.Contains(t, p.Why, "correction would cost more than it brings")

	o = parsed(t, "target=speed")
	p = cheap.decide(&o, 16)
	require.Greater(t, p.Window, 1)
	require.Contains(t, p.Why, "correction brings more")
	require.LessOrEqual(t, cheap.decide(&o, 4).Window, 4, "rows of the host")
}

// Where the user sets neither window nor period only those are tried whose fidelity was measured.
func TestOnlyMeasuredWindowsAreTried(t *testing.T) {
	for _, text := range []string{"target=quality", "budget=700"} {
		o := parsed(t, text)
		for _, c := range cheap.candidates(&o, 16) {
			require.True(t, slices.ContainsFunc(triedWindows, func(w struct{ window, period int }) bool {
				return w.window == c.Window && w.period == c.Period
			}), "%v", c)
		}
	}
}

// A target that allows more time takes no less of it and is no less faithful.
func TestTargetsAreOrdered(t *testing.T) {
	for name, m := range map[string]measured{"dear": dear, "cheap": cheap} {
		var last decision
		for i, target := range []string{"speed", "balanced", "quality"} {
			o := parsed(t, "target="+target)
			p := m.decide(&o, 16)
			t.Logf("%s, %s: %v, %.2f ms, KL %.2f", name, target, p.Choice, p.TokenNS/1e6, p.KL)
			allowed := p.FastestNS * slack(o.Planning.Target)
			if least := options.Budget(m.Depth / 8); target != "speed" {
				require.GreaterOrEqual(t, p.Budget, least)
				allowed = max(allowed, m.tokenNS(&o, options.Choice{Budget: least, Window: 1, Period: 1}))
			}
			require.LessOrEqual(t, p.TokenNS, allowed*1.0001)
			require.LessOrEqual(t, p.Budget, float64(m.Depth)/2)
			require.Equal(t, target, p.Target)
			if i > 0 {
				require.GreaterOrEqual(t, p.TokenNS, last.TokenNS)
				require.LessOrEqual(t, p.KL, last.KL*1.03)
			}
			last = p
		}
	}
}

// What a long text is asked for must be found: only speed may read less than an eighth of the context
// that is planned for, whatever it takes.
func TestLeastBudget(t *testing.T) {
	slow := cheap
	slow.ReadNS *= 20
	budget := func(text string) options.Budget {
		o := parsed(t, text)
		return slow.decide(&o, 16).Budget
	}
	require.Equal(t, options.Budget(2048), budget("target=balanced"))
	require.Equal(t, options.Budget(2048), budget("target=balanced,window=8,period=8"))
	require.Equal(t, options.Budget(256), budget("target=speed"))
	require.Equal(t, options.Budget(300), budget("target=balanced,budget=300"))
}

// Whatever the user set stays; the rest is chosen around it.
func TestDecideKeepsWhatIsSet(t *testing.T) {
	for _, text := range []string{"budget=700", "budget=0.3", "window=4", "window=3", "window=16",
		"window=1", "period=4", "period=12", "window=8,period=3",
		"period=5", "correct_budget=4096", "correct_budget=0",
		"budget=512,window=2,period=1,correct_budget=0", "window=2,period=2,budget=100000"} {
		for _, target := range []string{"speed", "balanced", "quality"} {
			for _, m := range []measured{dear, cheap} {
				o := parsed(t, text+",target="+target)
				c := &Case{Asked: o, Rows: 16}
				complete, err := c.complete(m.decide(&o, 16).Choice)
				require.NoError(t, err, text)
				for part := range strings.SplitSeq(text, ",") {
					require.Contains(t, complete.String()+",correct_budget=0", part)
				}
			}
		}
	}
	o := parsed(t, "target=quality,budget=512")
	require.Greater(t, dear.decide(&o, 16).Window, 1, "correction is what is left to spend time on")
	o = parsed(t, "target=quality,budget=2048")
	require.Equal(t, 1, dear.decide(&o, 16).Window, "nothing is, where half of the context is read")
}

// Where time is left after half of the context, it is not spent on correction.
func TestLargestBudget(t *testing.T) {
	o := parsed(t, "target=quality")
	p := dear.decide(&o, 16)
	require.InEpsilon(t, dear.Depth/2, float64(p.Budget), 0.03)
	require.Equal(t, 1, p.Window)
}

// From the knee on a larger budget costs less, and more of it is taken.
func TestDecideKnowsTheKnee(t *testing.T) {
	o, m := parsed(t, "target=quality"), cheap
	m.Knee, m.ChooseNS, m.ReadNS = 800, 70, 24
	require.Greater(t, m.decide(&o, 16).Budget, cheap.decide(&o, 16).Budget)
}

func TestLeastSquares(t *testing.T) {
	want := [costs]float64{1e6, 50, 100, 80, 2e4, 3e5}
	var rows [][costs]float64
	var y []float64
	for _, r := range [][costs]float64{{1, 1440, 1440}, {1, 11520, 5000},
		{1, 1440, 1440, 9000, 7}, {1, 1440, 1440, 9000, 7, 7}, {1, 5000, 5000, 40000, 7},
		{1, 5000, 5000, 40000, 7, 7}, {1, 5000, 5000}} {
		sum := 0.0
		for i, x := range r {
			sum += want[i] * x
		}
		rows, y = append(rows, r), append(y, sum)
	}
	got := leastSquares(rows, y)
	for i := range want {
		require.InEpsilon(t, want[i], got[i], 1e-6)
	}
	pages := [][costs]float64{{1, 1440}, {1, 11520}} // no candidates
	got = leastSquares(pages, []float64{1e6 + 1440*50, 1e6 + 11520*50})
	require.InEpsilon(t, want[1], got[1], 1e-6)
	require.Zero(t, got[2])
	y[3] = y[2] * 0.8 // rows that cost nothing
	y[5] = y[4] * 0.9
	got = leastSquares(rows, y)
	require.Zero(t, got[5])
	for _, x := range got {
		require.GreaterOrEqual(t, x, 0.0)
	}
}

// Where recurrent state goes back only to where the last window ended, a plan knows.
func TestWholeWindows(t *testing.T) {
	c := newCase(t, "")
	c.Rows, c.Asked.Whole = 16, true
	for name, m := range map[string]measured{"dear": dear, "cheap": cheap} {
		for _, target := range []options.Target{options.Speed, options.Balanced, options.Quality} {
			o := c.Asked
			o.Planning.Target = target
			p := m.decide(&o, 16)
			require.Equal(t, p.Window, p.Period, name)
			_, err := c.complete(p.Choice)
			require.NoError(t, err)
			require.True(t, name == "dear" || target != options.Speed || p.Window > 1)
			o.Period = 2 // the window that it asks for is none of those that are tried
			_, err = c.complete(m.decide(&o, 16).Choice)
			require.NoError(t, err)
		}
	}
	_, err := c.complete(choose(512, 4, 1))
	require.ErrorContains(t, err, "option period=1")
	other := *c
	other.Asked.Whole = false
	require.NotEqual(t, c.made(), other.made())
}

// Slow machines take seconds for a token, which are not told as 4.49e+03.
func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{4487: "4490", 43.21: "43.2", 3: "3", 0.01234: "0.0123", 0: "0"} {
		require.Equal(t, want, digits(v, 3))
	}
}
