package retro

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"retroattn/kernels"
)

func TestParseOptions(t *testing.T) {
	o, err := ParseOptions(" budget=0.15, window=8,period=4,code_bits=1,candidates=3,page=32,select=minmax,summary_bits=16,min_ctx=0,local=128,beta=1.5,audit=7,always=1,")
	require.NoError(t, err)
	require.Equal(t, Options{Budget: 0.15, Groups: 128, Window: 8, Period: 4, CodeBits: 1, Candidates: 3, Need: true, Page: 32, Select: MinMax, SummaryBits: 16, Local: 128, Beta: 1.5, Audit: 7, Always: true}, o)
	again, err := ParseOptions(o.String())
	require.NoError(t, err)
	require.Equal(t, o, again)
	o, err = ParseOptions("need=0")
	require.NoError(t, err)
	require.False(t, o.Need)
	again, err = ParseOptions(o.String())
	require.NoError(t, err)
	require.Equal(t, o, again)
	o, err = ParseOptions("")
	require.NoError(t, err)
	require.Equal(t, DefaultOptions(), o)
}

// Every refusal names the option, the value and what is allowed.
func TestParseOptionsErrors(t *testing.T) {
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
		_, err := ParseOptions(text)
		require.ErrorIs(t, err, ErrArgument, text)
		require.Contains(t, err.Error(), want)
	}
}

// One token is a number without a point, everything one with.
func TestBudgets(t *testing.T) {
	for text, want := range map[string]struct {
		b    Budget
		text string
	}{
		"1": {1, "1"}, "512": {512, "512"}, "1000000": {1000000, "1000000"}, "0.15": {0.15, "0.15"}, "15%": {0.15, "0.15"}, "0.5%": {0.005, "0.005"},
		"all": {Everything, "all"}, "1.0": {Everything, "all"}, "100%": {Everything, "all"}, "134217728": {Everything, "all"},
	} {
		for _, key := range []string{"budget=", "correct_budget=", "layer_budget=3:"} {
			o, err := ParseOptions(key + text)
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
	o, err := ParseOptions("correct_budget=0")
	require.NoError(t, err)
	require.Zero(t, o.CorrectBudget)
}

func TestLayersThatDoNotExist(t *testing.T) {
	o, err := ParseOptions("layer_budget=0:all/2-7:64")
	require.NoError(t, err)
	_, err = Open(Config{Layers: 7, Seqs: 1, Cells: 64, Rows: 2, Threads: 1}, o)
	require.ErrorIs(t, err, ErrArgument)
	require.EqualError(t, err, "option layer_budget=0:all/2-7:64: there is no layer 7, the attention layers are 0..6")
	_, err = Open(Config{Layers: 8, Seqs: 1, Cells: 64, Rows: 2, Threads: 1}, o)
	require.NoError(t, err)
}

// A struct filled by hand and a text mean the same, also what is left to a plan.
func TestOptionsOfAPlan(t *testing.T) {
	set := func(change func(*Options)) Options {
		o := DefaultOptions()
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
		{set(func(o *Options) { o.Planning = Planning{Target: Balanced, Cache: "a"} }), true, "window"},
	} {
		require.NoError(t, c.o.Validate())
		require.Equal(t, c.planned, c.o.Planned(), c.o)
		got, err := ParseOptions(c.o.String())
		require.NoError(t, err)
		require.Equal(t, c.o, got)
		require.NotContains(t, strings.ReplaceAll(c.o.String(), "correct_budget", ""), c.without)
	}
	for _, bad := range []Options{
		{}, set(func(o *Options) { o.Select = 99 }), set(func(o *Options) { o.Planning.Target = 9 }), set(func(o *Options) { o.Budget = 1.5 }),
		set(func(o *Options) { o.Budget = Budget(math.NaN()) }), set(func(o *Options) { o.CorrectBudget = -1 }), set(func(o *Options) { o.Window = -1 }),
		set(func(o *Options) { o.Planning.File = "a,b" }), set(func(o *Options) { o.Planning.Cache = "a " }), set(func(o *Options) { o.LayerBudget = "0:1,window=3" }),
	} {
		require.ErrorIs(t, bad.Validate(), ErrArgument)
	}
}

func FuzzParseOptions(f *testing.F) {
	f.Add("budget=512,window=2")
	f.Add("budget=1e300,,=,select")
	f.Add("target=speed,period=4")
	f.Add("plan=a b")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOptions(text)
		if err != nil {
			return
		}
		again, err := ParseOptions(o.String())
		require.NoError(t, err)
		require.Equal(t, o, again)
	})
}

func TestOpenAndAddLayerErrors(t *testing.T) {
	good := Config{Layers: 1, Seqs: 1, Cells: 64, Rows: 2, Threads: 1}
	for _, bad := range []func(*Config){
		func(c *Config) { c.Layers = 0 }, func(c *Config) { c.Layers = 1025 }, func(c *Config) { c.Seqs = 257 },
		func(c *Config) { c.Cells = 1<<27 + 1 }, func(c *Config) { c.Rows = 0 }, func(c *Config) { c.Threads = -1 },
	} {
		c := good
		bad(&c)
		_, err := Open(c, DefaultOptions())
		require.ErrorIs(t, err, ErrArgument)
	}
	e, err := Open(good, DefaultOptions())
	require.NoError(t, err)
	mem := make([]uint16, 64*2*16)
	layer := Layer{TypeK: kernels.F16, TypeV: kernels.F16, Heads: 4, KVHeads: 2, DK: 16, DV: 16, K: unsafe.Pointer(&mem[0]), V: unsafe.Pointer(&mem[0]),
		KSize: 64 * 64, VSize: 64 * 64, KRow: 64, VRow: 64, KHead: 32, VHead: 32}
	for _, c := range []struct {
		kind error
		bad  func(*Layer)
	}{
		{ErrUnsupported, func(l *Layer) { l.TypeK = 3 }}, {ErrUnsupported, func(l *Layer) { l.TypeV = kernels.Q8_0 }},
		{ErrArgument, func(l *Layer) { l.TypeK = kernels.F32 }}, {ErrArgument, func(l *Layer) { l.SoftCap = -1 }},
		{ErrArgument, func(l *Layer) { l.Sinks = make([]float32, 3) }}, {ErrUnsupported, func(l *Layer) { l.DK = 12 }},
		{ErrUnsupported, func(l *Layer) { l.DV = 2048 }}, {ErrArgument, func(l *Layer) { l.Heads = 5 }},
		{ErrArgument, func(l *Layer) { l.KVHeads = 0 }}, {ErrArgument, func(l *Layer) { l.K = nil }},
		{ErrArgument, func(l *Layer) { l.KSize-- }}, {ErrArgument, func(l *Layer) { l.VRow = 1 << 60 }},
		{ErrArgument, func(l *Layer) { l.VHead = 1 << 60 }}, {ErrArgument, func(l *Layer) { l.KRow = 32 }},
	} {
		l := layer
		c.bad(&l)
		require.ErrorIs(t, e.AddLayer(0, l), c.kind)
	}
	require.ErrorIs(t, e.AddLayer(1, layer), ErrArgument)
	require.ErrorIs(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1), ErrState, "layers are missing")
	require.NoError(t, e.AddLayer(0, layer))

	require.ErrorIs(t, e.SeqExtend(1, nil, nil), ErrArgument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{1, 0}, []int32{0, 1}), ErrArgument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0}, []int32{64}), ErrArgument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0}, nil), ErrArgument)
	for _, rows := range [][]Row{nil, {{Seq: 0, Pos: 0, Cell: 0}, {Seq: 0, Pos: 1, Cell: 1}, {Seq: 0, Pos: 2, Cell: 2}}, {{Seq: 0, Pos: -1, Cell: 0}}, {{Seq: 0, Pos: 0, Cell: 64}}, {{Seq: 5, Pos: 0, Cell: 0}}, {{Seq: 0, Pos: 0, Cell: 0}, {Seq: 0, Pos: 1, Cell: 1}}} {
		require.ErrorIs(t, e.StepBegin(rows, 1), ErrArgument)
	}
	require.ErrorIs(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 2), ErrArgument)
	require.ErrorIs(t, e.StepEnd(true), ErrState)
	require.ErrorIs(t, e.Attend(&Attn{}, 0, 1), ErrState)
	require.NoError(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1))
	for _, a := range []Attn{{Layer: -1}, {Layer: 1}, {Rows: 2}, {Rows: 1}} {
		require.ErrorIs(t, e.Select(&a, 0, 1), ErrArgument)
		require.ErrorIs(t, e.Attend(&a, 0, 1), ErrArgument)
	}
	var q, out [64]float32
	early := Attn{Rows: 1, Q: unsafe.Pointer(&q[0]), Out: unsafe.Pointer(&out[0]), QRow: 256, QHead: 64, OutRow: 256}
	require.ErrorIs(t, e.Attend(&early, 0, 1), ErrState, "nothing was selected")
	require.ErrorIs(t, e.Attend(&Attn{}, 1, 1), ErrArgument)
	require.ErrorIs(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1), ErrState)
	require.ErrorIs(t, e.SeqTruncate(0, 0), ErrState)
	require.NoError(t, e.StepEnd(false))
	next, err := e.SeqNext(0)
	require.NoError(t, err)
	require.Zero(t, next)
}

// Scores against their definition in float64.
func TestScores(t *testing.T) {
	for _, sel := range []Selector{Pages, MinMax} {
		for _, bits := range []int{8, 16} {
			t.Run(fmt.Sprintf("%v/%d", sel, bits), func(t *testing.T) { testScores(t, sel, bits) })
		}
	}
}

func testScores(t *testing.T, sel Selector, bits int) {
	opt := testOptions()
	opt.Select, opt.SummaryBits, opt.Page = sel, bits, 8
	sh := shape{layers: 1, seqs: 1, cells: 2600, heads: 3, kv: 1, dk: 24, dv: 8, tk: kernels.F16, tv: kernels.F16}
	h := newHost(t, sh, opt, 1, 4)
	h.prefill(0, 2500)
	h.decode([]int32{0}, func(int, []Row, []float32) {
		end := h.e.step.seqs[0].newest().local
		require.Greater(t, end, chunkPages+16)
		for p := 1; p < end; p++ {
			want, tol := math.Inf(-1), 0.0
			for r := range 3 {
				score, bound := h.definition(sel, p, h.query(key{pos: 2500}, r))
				want, tol = max(want, score), max(tol, bound)
			}
			if bits == 16 {
				tol = 2e-3 * (1 + math.Abs(want))
			}
			require.InDelta(t, want, float64(h.e.items[0].best[p]), tol)
		}
	})
}

// definition is the score of a page, and how far 8-bit summaries may be off.
func (h *host) definition(sel Selector, p int, q []float32) (score, bound float64) {
	page := h.e.opt.Page
	x := make([]float32, 24)
	keys := h.e.layers[0].keys(0)
	spread, absQ, sqQ, topKey, topVar := 0.0, 0.0, 0.0, 0.0, 0.0
	for i := range q {
		lo, hi, sum, sq := math.Inf(1), math.Inf(-1), 0.0, 0.0
		for _, e := range h.table[0][p*page : (p+1)*page] {
			kernels.Load(x, &keys, []int32{e.cell})
			v := float64(x[i])
			lo, hi, sum, sq = min(lo, v), max(hi, v), sum+v, sq+v*v
		}
		qi := float64(q[i])
		mean := sum / float64(page)
		variance := sq/float64(page) - mean*mean
		absQ, sqQ, topKey, topVar = absQ+math.Abs(qi), sqQ+qi*qi, max(topKey, hi, -lo), max(topVar, variance)
		switch sel {
		case MinMax:
			score += max(qi*lo, qi*hi)
		default:
			score += qi * mean
			spread += qi * qi * variance
		}
	}
	bound = 1e-3 + absQ*topKey/(2*127)*1.01
	if sel == Pages {
		score += h.e.opt.Beta * math.Sqrt(spread)
		bound += h.e.opt.Beta * (math.Sqrt(spread+sqQ*topVar/(2*255)*1.01) - math.Sqrt(spread))
		bound += h.e.opt.Beta * (math.Sqrt(spread) - math.Sqrt(max(0, spread-sqQ*topVar/(2*255)*1.01)))
	}
	return score, bound
}
