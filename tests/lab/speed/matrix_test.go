package speed

import (
	"testing"

	"github.com/stretchr/testify/require"

	opt "github.com/retroattn/retroattn/retro/options"
)

func TestChoosePolicies(t *testing.T) {
	all, err := choosePolicies(nil)
	require.NoError(t, err)
	require.Equal(t, policies, all)
	some, err := choosePolicies([]string{"w1,plan", "mine=budget=300,window=4"})
	require.NoError(t, err)
	require.Equal(t, "stock, w1, plan, mine", names(some))
	require.Equal(t, "budget=300,window=4", some[3].options)
	for word, want := range map[string]string{
		"w3":              "--policies w3: there are stock, dense",
		"mine=budget=-1":  "budget=-1",
		"mine=bugdet=1":   "bugdet=1 is not known",
		"stock-gpu-kv=":   `two are called "stock-gpu-kv"`,
		"=window=1":       `two are called ""`,
		"w1,w1":           `two are called "w1"`,
		"stock=budget=10": `two are called "stock"`,
	} {
		_, err := choosePolicies([]string{word})
		require.ErrorContains(t, err, want, word)
	}
}

func TestMatrix(t *testing.T) {
	cells := matrix(nil, nil, nil, false, policies)
	require.Len(t, cells, 8+3+2)
	require.Equal(t, "f16, 1 sequence, depth 0", cells[0].String())
	require.Equal(t, "f16, 16 sequences, depth 4k", cells[12].String())
	require.Equal(t, "stock, dense, w1, plan", names(cells[8].policies))
	require.Contains(t, names(cells[7].policies), losslessName)
	require.NotContains(t, names(cells[12].policies), losslessName, "it takes 1 sequence")

	own, err := choosePolicies([]string{"quest", "mine=window=3"})
	require.NoError(t, err)
	cells = matrix(nil, nil, nil, false, own)
	require.Equal(t, "stock, mine", names(cells[8].policies),
		"one of the user's own is measured everywhere")

	require.Len(t, matrix(nil, nil, nil, true, policies), 2*3*8)
	cells = matrix(nil, []int{2}, []int{100, 200}, false, policies)
	require.Len(t, cells, 2)
	require.Equal(t, "f16, 2 sequences, depth 200", cells[1].String())
}

func TestRowsOf(t *testing.T) {
	for options, want := range map[string][]int{
		"window=1":          {1},
		"window=2":          {2},
		"window=4,period=4": {1, 1, 1, 4},
		"window=8,period=3": {1, 1, 8},
	} {
		o, err := opt.Parse(options)
		require.NoError(t, err)
		require.Equal(t, want, rowsOf(o), options)
	}
}

func TestPlanOptions(t *testing.T) {
	for line, want := range map[string]string{
		"plan: budget 1024, window 1 (balanced: 8.06 ms per token expected)":        "budget=1024,window=1,period=1",
		"plan: budget 0.15, window 8, period 8 (balanced, with what was set: 1 ms)": "budget=0.15,window=8,period=8",
	} {
		got, err := planOptions(line)
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = opt.Parse(got)
		require.NoError(t, err)
	}
	_, err := planOptions("no plan")
	require.ErrorContains(t, err, `"no plan"`)
}

func TestMustSkip(t *testing.T) {
	for _, c := range []struct {
		options string
		depth   int
		want    bool
	}{
		{"", 1024, false}, {"", 1025, true}, {"budget=2048", 2048, false},
		{"budget=2048", 4096, true},
		{"budget=100000000", 131072, false}, {"budget=0.5", 2048, true},
		{"layer_budget=0:all", 8192, false}, {"min_ctx=10000", 8192, false},
	} {
		o, err := opt.Parse(c.options)
		require.NoError(t, err)
		require.Equal(t, c.want, mustSkip(o, c.depth), "%+v", c)
	}
}

func TestThreads(t *testing.T) {
	require.Equal(t, []int{1}, threadChoices(1))
	require.Equal(t, []int{2, 1}, threadChoices(2))
	require.Equal(t, []int{64, 32}, threadChoices(64))
	require.Equal(t, 32, bestThreads([]int{64, 32}, []float64{10, 11}))
	require.Equal(t, 64, bestThreads([]int{64, 32}, []float64{11, 11}))
}

func TestOptionsCheck(t *testing.T) {
	good := Command{Lib: t.TempDir(), Model: "m", Runs: 1, Seconds: 1, Fill: 512, Draft: 16,
		Cache: "c"}
	o := good
	require.NoError(t, o.check())
	require.Equal(t, o.Lib, o.Stock, "without a stock build")
	for want, spoil := range map[string]func(*Command){
		"--runs 0: must be 1..1000":         func(o *Command) { o.Runs = 0 },
		"--depths -1":                       func(o *Command) { o.Depths = []int{0, -1} },
		"--seqs 300":                        func(o *Command) { o.Seqs = []int{300} },
		"--seconds 0":                       func(o *Command) { o.Seconds = 0 },
		"folder of libraries":               func(o *Command) { o.Stock = "/no/such/folder" },
		"--gpu-layers -2: must be 0..65536": func(o *Command) { o.GPULayers = -2 },
	} {
		o := good
		spoil(&o)
		require.ErrorContains(t, o.check(), want)
	}
}
