package report

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// machineRecords are budgets with and without correction on a machine, and a plan's choice. Their KL
// is without noise, so that what follows is known.
func machineRecords(machine string, planKL, planMS float64) []Record {
	base := Record{Test: "decode", Model: "m", Text: "a", KV: "f16", Ctx: 16384, Tokens: 64,
		Streams: 1, Machine: machine, KVShare: 1, SparseTokens: 64}
	full := base
	full.Policy, full.Family, full.TokS = "full", "full", 10
	out := []Record{full}
	add := func(name, family, options, plan string, kl, ms float64) {
		r := base
		r.Policy, r.Family, r.Options, r.Plan, r.TokS = name, family, options, plan, 1000/ms
		tokens := make([]float32, 64)
		for i := range tokens {
			tokens[i] = float32(kl)
		}
		r.SetKL(tokens)
		out = append(out, r)
	}
	for i, b := range []int{256, 1024} {
		add(fmt.Sprint("a", b), "window=1", fmt.Sprintf("budget=%d,window=1", b), "",
			[]float64{0.04, 0.01}[i], []float64{10, 40}[i])
		add(fmt.Sprint("b", b), "window=4,period=1", fmt.Sprintf("budget=%d,window=4,period=1", b),
			"", []float64{0.03, 0.008}[i], []float64{15, 60}[i])
	}
	add("plan", "target=balanced", "target=balanced",
		"plan: budget 512, window 1 (balanced: 20 ms per token expected)", planKL, planMS)
	return out
}

// Tables at equal time are of machines with names only, and a plan is held against the best that
// anything of the grid has in its time.
func TestEqualTime(t *testing.T) {
	all := setups(append(machineRecords("small", 0.021, 20), machineRecords("big", 0.03, 20)...))
	require.Len(t, all, 2)
	require.Contains(t, all[1].title(), ", on small")

	// In 20 ms: window=1 has 0.02, halfway between 10 and 40 ms, window=4 0.0228.
	plans := plansTable(all)
	require.Len(t, plans.Rows, 2)
	text := plans.markdown()
	require.Contains(t, text, "| big | m | balanced | budget 512, window 1 | 50.0 | 0.0300 | "+
		"0.0200 | window=1 | 1.50 | no |")
	require.Contains(t, text, "| small | m | balanced | budget 512, window 1 | 50.0 | 0.0210 | "+
		"0.0200 | window=1 | 1.05 | yes |")

	// At 15 ms window=1 has 0.0267 and window=4 0.03; at 60 ms window=1 has nothing to compare with.
	require.Contains(t, correctionTable(all).markdown(), "| small | m | window=4,period=1 | 0 | 1 | 0 |")

	budgets := all[1].budgetTable().markdown()
	require.Contains(t, budgets, "| KL, tokens/s | 256 | 1024 |")
	require.Contains(t, budgets, "| `window=1` | **0.0400, 100** | **0.0100, 25.0** |")
	require.Contains(t, budgets, "| `window=4,period=1` | **0.0300, 66.7** | **0.0080, 16.7** |")

	unnamed := machineRecords("", 0.02, 20)
	require.Empty(t, plansTable(setups(unnamed)).Rows)
	require.Empty(t, correctionTable(setups(unnamed)).Rows)
}

// A plan that is faster than all of the grid is held against nothing.
func TestPlanFasterThanTheGrid(t *testing.T) {
	text := plansTable(setups(machineRecords("x", 0.05, 5))).markdown()
	require.Contains(t, text, "| 200 | 0.0500 | yes |")
}
