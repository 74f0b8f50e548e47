package options

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/failure"
)

func TestParse(t *testing.T) {
	o, err := Parse(" budget=0.15, window=8,period=4,code_bits=1,candidates=3,page=32,select=minmax,summary_bits=16,min_ctx=0,local=128,beta=1.5,audit=7,always=1,")
	require.NoError(t, err)
	require.Equal(t, Options{Budget: 0.15, Groups: 16, Window: 8, Period: 4, CodeBits: 1,
		Candidates: 3, Need: true, Page: 32, Select: MinMax, SummaryBits: 16, Local: 128, Beta: 1.5,
		Audit: 7, Always: true}, o)
	again, err := Parse(o.String())
	require.NoError(t, err)
	require.Equal(t, o, again)
	o, err = Parse("need=0")
	require.NoError(t, err)
	require.False(t, o.Need)
	again, err = Parse(o.String())
	require.NoError(t, err)
	require.Equal(t, o, again)
	o, err = Parse("")
	require.NoError(t, err)
	require.Equal(t, Default(), o)
}

// Every refusal names the option, the value and what is allowed.
func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"budget=0":          "option budget=0: must be a whole number of tokens (1..134217728), a share of the context such as 0.15 or 15%, or all",
		"budget=-1":         "option budget=-1:",
		"budget=NaN":        "option budget=NaN:",
		"budget=1.5":        "option budget=1.5:",
		"budget=512.0":      "option budget=512.0:",
		"budget=101%":       "option budget=101%:",
		"budget=0%":         "option budget=0%:",
		"budget=inf":        "option budget=inf:",
		"budget=200000000":  "option budget=200000000:",
		"budget=lots":       "option budget=lots: must be a whole number of tokens",
		"correct_budget=-1": "option correct_budget=-1: must be a whole number of tokens",
		"window=17":         "option window=17: must be 1..16",
		"window=0":          "option window=0: must be 1..16",
		"window=2.5":        "option window=2.5: must be a whole number",
		"window=4,period=5": "option period=5: must be 1..4, as window=4 limits it",
		"period=17":         "option period=17: must be 1..16",
		"period=0":          "option period=0: must be 1..16",
		"summary_bits=4":    "option summary_bits=4: must be 8 or 16",
		"page=12":           "option page=12: must be 8, 16 or 32",
		"select=quest":      "option select=quest: must be one of tokens, pages, minmax, streaming, oracle",
		"min_ctx=-1":        "option min_ctx=-1: must be 0..134217728",
		"local=8":           "option local=8: must be 16..4096",
		"audit=-1":          "option audit=-1: must be 0..134217728",
		"beta=101":          "option beta=101: must be 0..100",
		"always=yes":        "option always=yes: must be 0 or 1",
		"mass=0.9":          "option mass is gone: set budget",
		"min_budget=64":     "option min_budget is gone: set budget",
		"agg=sum":           "option agg is gone: leave it out",
		"drift=0.1":         "option drift is gone: set a smaller period",
		"rectify=32":        "option rectify is gone: set window, period and correct_budget=all",
		"dense_layers=2":    "option dense_layers is gone: set layer_budget, for example layer_budget=0-1:all",
		"bugdet=5":          "option bugdet=5 is not known: options are budget, layer_budget, window",
		"budget":            `option "budget" has no value: write key=value`,
	} {
		_, err := Parse(text)
		require.ErrorIs(t, err, failure.Argument, text)
		require.Contains(t, err.Error(), want)
	}
}

// One token is a number without a point, everything one with.
func TestBudgets(t *testing.T) {
	for text, want := range map[string]struct {
		b    Budget
		text string
	}{
		"1": {1, "1"}, "512": {512, "512"}, "1000000": {1000000, "1000000"}, "0.15": {0.15, "0.15"},
		"15%": {0.15, "0.15"}, "0.5%": {0.005, "0.005"},
		"all": {Everything, "all"}, "1.0": {Everything, "all"}, "100%": {Everything, "all"},
		"134217728": {Everything, "all"},
	} {
		for _, key := range []string{"budget=", "correct_budget=", "layer_budget=3:"} {
			o, err := Parse(key + text)
			require.NoError(t, err, text)
			switch key {
			case "budget=":
				require.Equal(t, want.b, o.Budget, text)
			case "correct_budget=":
				require.Equal(t, want.b, o.CorrectBudget, text)
			default:
				rules, err := parseLayerBudgets(o.LayerBudget)
				require.NoError(t, err)
				require.Equal(t, []layerBudget{{3, 3, want.b}}, rules, text)
			}
		}
		require.Equal(t, want.text, want.b.String())
	}
	o, err := Parse("correct_budget=0")
	require.NoError(t, err)
	require.Zero(t, o.CorrectBudget)
}

// A struct filled by hand and a text mean the same, also what is left to a plan.
func TestOptionsOfAPlan(t *testing.T) {
	set := func(change func(*Options)) Options {
		o := Default()
		change(&o)
		return o
	}
	for _, c := range []struct {
		o       Options
		planned bool
		without string // what String must not contain
	}{
		{set(func(o *Options) { o.Planning.Target = Quality }), true, "budget"},
		{set(func(o *Options) { o.Planning.Target, o.Period = Speed, 4 }), true, "window"},
		{set(func(o *Options) { o.Budget, o.Window = 0.2, 2 }), true, "period"},
		{set(func(o *Options) { o.Budget, o.Window = 0.2, 1 }), false, "period"},
		{set(func(o *Options) { o.Budget, o.Window, o.Period = 64, 4, 2 }), false, "target"},
		{set(func(o *Options) { o.CorrectBudget = Everything }), true, "window"},
		{set(func(o *Options) { o.Planning.File = "a" }), true, "target"},
		{set(func(o *Options) { o.Planning = Planning{Target: Balanced, Cache: "a"} }), true,
			"window"},
	} {
		require.NoError(t, c.o.Validate())
		require.Equal(t, c.planned, c.o.Planned(), c.o)
		got, err := Parse(c.o.String())
		require.NoError(t, err)
		require.Equal(t, c.o, got)
		require.NotContains(t, strings.ReplaceAll(c.o.String(), "correct_budget", ""), c.without)
	}
	for _, bad := range []Options{
		{}, set(func(o *Options) { o.Select = 99 }),
		set(func(o *Options) { o.Planning.Target = 9 }),
		set(func(o *Options) { o.Budget = 1.5 }),
		set(func(o *Options) { o.Budget = Budget(math.NaN()) }),
		set(func(o *Options) { o.CorrectBudget = -1 }), set(func(o *Options) { o.Window = -1 }),
		set(func(o *Options) { o.Planning.File = "a,b" }),
		set(func(o *Options) { o.Planning.Cache = "a " }),
		set(func(o *Options) { o.LayerBudget = "0:1,window=3" }),
	} {
		require.ErrorIs(t, bad.Validate(), failure.Argument)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("budget=512,window=2")
	f.Add("budget=1e300,,=,select")
	f.Add("target=speed,period=4")
	f.Add("plan=a b")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(o.String())
		require.NoError(t, err)
		require.Equal(t, o, again)
	})
}

func parsed(t *testing.T, text string) Options {
	o, err := Parse(text)
	require.NoError(t, err)
	return o
}

func TestPlanning(t *testing.T) {
	require.Equal(t, Planning{File: "x"}, parsed(t, "plan=x").Planning)
	require.Zero(t, parsed(t, "budget=64,window=4").Planning)
	for text, want := range map[string]string{
		"target=best":            "option target=best: must be one of speed, balanced, quality",
		"target=none":            "option target=none: must be one of speed, balanced, quality",
		"plan=":                  "option plan=: has no value",
		"plan=a,plan_cache=b":    "options plan=a and plan_cache=b exclude one another",
		"period=3,window=2":      "option period=3: must be 1..2, as window=2 limits it",
		"period=17,target=speed": "option period=17: must be 1..16",
		"correct_budget=-1":      "option correct_budget=-1: must be a whole number",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, want)
	}
}
