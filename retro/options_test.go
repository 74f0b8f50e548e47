package retro

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"retroattn/kernels"
)

func TestParseOptions(t *testing.T) {
	o, err := ParseOptions(" budget=0.15, window=8,period=4,page=32,select=minmax,summary_bits=16,min_ctx=0,local=128,beta=1.5,audit=7,always=1,")
	require.NoError(t, err)
	require.Equal(t, Options{Budget: 0.15, Groups: 128, Window: 8, Period: 4, Page: 32, Select: MinMax, SummaryBits: 16, Local: 128, Beta: 1.5, Audit: 7, Always: true}, o)
	again, err := ParseOptions(o.String())
	require.NoError(t, err)
	require.Equal(t, o, again)
	o, err = ParseOptions("")
	require.NoError(t, err)
	require.Equal(t, DefaultOptions(), o)
}

// Every refusal names the option, the value and what is allowed.
func TestParseOptionsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"budget=0":          "option budget=0: must be a whole number of tokens (1..134217728) or a share of the context (above 0, below 1)",
		"budget=-1":         "option budget=-1:",
		"budget=NaN":        "option budget=NaN:",
		"budget=1.5":        "option budget=1.5:",
		"budget=lots":       "option budget=lots: must be a number",
		"window=17":         "option window=17: must be 1..16",
		"window=0":          "option window=0: must be 1..16",
		"window=2.5":        "option window=2.5: must be a whole number",
		"window=4,period=5": "option period=5: must be 1..4",
		"summary_bits=4":    "option summary_bits=4: must be 8 or 16",
		"page=12":           "option page=12: must be 8, 16 or 32",
		"select=quest":      "option select=quest: must be one of meanstd, minmax, streaming, oracle",
		"min_ctx=-1":        "option min_ctx=-1: must be 0..134217728",
		"local=8":           "option local=8: must be 16..4096",
		"audit=-1":          "option audit=-1: must be 0..134217728",
		"beta=101":          "option beta=101: must be 0..100",
		"always=yes":        "option always=yes: must be 0 or 1",
		"bugdet=5":          "option bugdet=5 is not known: options are budget, layer_budget, window",
		"budget":            `option "budget" has no value: write key=value`,
	} {
		_, err := ParseOptions(text)
		require.ErrorIs(t, err, ErrArgument, text)
		require.Contains(t, err.Error(), want)
	}
}

// A struct filled by hand and a text mean the same, also what is left to a plan.
func TestOptionsOfAPlan(t *testing.T) {
	set := func(change func(*Options)) Options {
		o := DefaultOptions()
		change(&o)
		return o
	}
	for _, c := range []struct {
		o    Options
		want Fixed
		text string // what String must not contain
	}{
		{set(func(o *Options) { o.Planning.Target = Quality }), FixTarget, "budget=512"},
		{set(func(o *Options) { o.Planning = Planning{Target: Speed, Fixed: FixPeriod}; o.Period = 4 }), FixPeriod | FixTarget, "window"},
		{set(func(o *Options) { o.Planning = Planning{Target: Speed, Fixed: FixBudget | FixWindow}; o.Budget = 0.2 }), FixBudget | FixWindow | FixTarget, "period"},
		{set(func(o *Options) { o.Planning.File = "a" }), 0, "none"},
		{set(func(o *Options) { o.Planning = Planning{Target: Balanced, Cache: "a"} }), 0, "target"},
		{set(func(o *Options) { o.Planning = Planning{Target: Balanced, Cache: "a", Fixed: FixTarget} }), FixTarget, "none"},
		{set(func(o *Options) { o.Planning.Fixed = FixBudget }), 0, "target"},
	} {
		require.NoError(t, c.o.Validate())
		got, err := ParseOptions(c.o.String())
		require.NoError(t, err)
		require.Equal(t, c.want, got.Planning.Fixed, c.o)
		require.NotContains(t, c.o.String(), c.text)
		again, err := ParseOptions(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
		got.Planning.Fixed, got.Window = c.o.Planning.Fixed, c.o.Window
		if got.Planning.Target == Balanced {
			got.Planning.Target = c.o.Planning.Target // implied by the file
		}
		require.Equal(t, c.o, got)
	}
	for _, bad := range []Options{
		{}, set(func(o *Options) { o.Select = 99 }), set(func(o *Options) { o.Planning.Target = 9 }),
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
		func(c *Config) { c.Cells = 1<<27 + 1 }, func(c *Config) { c.Rows = 1 }, func(c *Config) { c.Threads = -1 },
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
	require.ErrorIs(t, e.StepBegin([]Row{{0, 0, 0}}, 1), ErrState, "layers are missing")
	require.NoError(t, e.AddLayer(0, layer))

	require.ErrorIs(t, e.SeqExtend(1, nil, nil), ErrArgument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0, 0}, []int32{0, 1}), ErrArgument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0}, []int32{64}), ErrArgument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0}, nil), ErrArgument)
	for _, rows := range [][]Row{nil, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}}, {{0, -1, 0}}, {{0, 0, 64}}, {{5, 0, 0}}, {{0, 0, 0}, {0, 1, 1}}} {
		require.ErrorIs(t, e.StepBegin(rows, 1), ErrArgument)
	}
	require.ErrorIs(t, e.StepBegin([]Row{{0, 0, 0}}, 2), ErrArgument)
	require.ErrorIs(t, e.StepEnd(true), ErrState)
	require.ErrorIs(t, e.Attend(&Attn{}, 0, 1), ErrState)
	require.NoError(t, e.StepBegin([]Row{{0, 0, 0}}, 1))
	for _, a := range []Attn{{Layer: -1}, {Layer: 1}, {Rows: 2}, {Rows: 1}} {
		require.ErrorIs(t, e.Select(&a, 0, 1), ErrArgument)
		require.ErrorIs(t, e.Attend(&a, 0, 1), ErrArgument)
	}
	var q, out [64]float32
	early := Attn{Rows: 1, Q: unsafe.Pointer(&q[0]), Out: unsafe.Pointer(&out[0]), QRow: 256, QHead: 64, OutRow: 256}
	require.ErrorIs(t, e.Attend(&early, 0, 1), ErrState, "nothing was selected")
	require.ErrorIs(t, e.Attend(&Attn{}, 1, 1), ErrArgument)
	require.ErrorIs(t, e.StepBegin([]Row{{0, 0, 0}}, 1), ErrState)
	require.ErrorIs(t, e.SeqTruncate(0, 0), ErrState)
	require.NoError(t, e.StepEnd(false))
	next, err := e.SeqNext(0)
	require.NoError(t, err)
	require.Zero(t, next)
}

// Scores against their definition in float64.
func TestScores(t *testing.T) {
	for _, sel := range []Selector{MeanStd, MinMax} {
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
	if sel == MeanStd {
		score += h.e.opt.Beta * math.Sqrt(spread)
		bound += h.e.opt.Beta * (math.Sqrt(spread+sqQ*topVar/(2*255)*1.01) - math.Sqrt(spread))
		bound += h.e.opt.Beta * (math.Sqrt(spread) - math.Sqrt(max(0, spread-sqQ*topVar/(2*255)*1.01)))
	}
	return score, bound
}
