package retro

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

func TestLayersThatDoNotExist(t *testing.T) {
	o, err := options.Parse("layer_budget=0:all/2-7:64")
	require.NoError(t, err)
	_, err = Open(Config{Layers: 7, Seqs: 1, Cells: 64, Rows: 2, Threads: 1}, o)
	require.ErrorIs(t, err, failure.Argument)
	require.EqualError(t, err, "option layer_budget=0:all/2-7:64: there is no layer 7, the attention layers are 0..6")
	_, err = Open(Config{Layers: 8, Seqs: 1, Cells: 64, Rows: 2, Threads: 1}, o)
	require.NoError(t, err)
}

func TestOpenAndAddLayerErrors(t *testing.T) {
	good := Config{Layers: 1, Seqs: 1, Cells: 64, Rows: 2, Threads: 1}
	for _, bad := range []func(*Config){
		func(c *Config) { c.Layers = 0 }, func(c *Config) { c.Layers = 1025 },
		func(c *Config) { c.Seqs = 257 },
		func(c *Config) { c.Cells = 1<<27 + 1 }, func(c *Config) { c.Rows = 0 },
		func(c *Config) { c.Threads = -1 },
	} {
		c := good
		bad(&c)
		_, err := Open(c, options.Default())
		require.ErrorIs(t, err, failure.Argument)
	}
	e, err := Open(good, options.Default())
	require.NoError(t, err)
	mem := make([]uint16, 64*2*16)
	layer := Layer{TypeK: kernels.F16, TypeV: kernels.F16, Heads: 4, KVHeads: 2, DK: 16, DV: 16,
		K: unsafe.Pointer(&mem[0]), V: unsafe.Pointer(&mem[0]),
		KSize: 64 * 64, VSize: 64 * 64, KRow: 64, VRow: 64, KHead: 32, VHead: 32}
	for _, c := range []struct {
		kind error
		bad  func(*Layer)
	}{
		{failure.Unsupported, func(l *Layer) { l.TypeK = 3 }},
		{failure.Unsupported, func(l *Layer) { l.TypeV = kernels.Q8_0 }},
		{failure.Argument, func(l *Layer) { l.TypeK = kernels.F32 }},
		{failure.Argument, func(l *Layer) { l.SoftCap = -1 }},
		{failure.Argument, func(l *Layer) { l.Sinks = make([]float32, 3) }},
		{failure.Unsupported, func(l *Layer) { l.DK = 12 }},
		{failure.Unsupported, func(l *Layer) { l.DV = 2048 }},
		{failure.Argument, func(l *Layer) { l.Heads = 5 }},
		{failure.Argument, func(l *Layer) { l.KVHeads = 0 }},
		{failure.Argument, func(l *Layer) { l.K = nil }},
		{failure.Argument, func(l *Layer) { l.KSize-- }},
		{failure.Argument, func(l *Layer) { l.VRow = 1 << 60 }},
		{failure.Argument, func(l *Layer) { l.VHead = 1 << 60 }},
		{failure.Argument, func(l *Layer) { l.KRow = 32 }},
	} {
		l := layer
		c.bad(&l)
		require.ErrorIs(t, e.AddLayer(0, l), c.kind)
	}
	require.ErrorIs(t, e.AddLayer(1, layer), failure.Argument)
	require.ErrorIs(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1), failure.State,
		"layers are missing")
	require.NoError(t, e.AddLayer(0, layer))

	require.ErrorIs(t, e.SeqExtend(1, nil, nil), failure.Argument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{1, 0}, []int32{0, 1}), failure.Argument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0}, []int32{64}), failure.Argument)
	require.ErrorIs(t, e.SeqExtend(0, []int32{0}, nil), failure.Argument)
	for _, rows := range [][]Row{{{Seq: 0, Pos: 0, Cell: 0}, {Seq: 0, Pos: 1, Cell: 1},
		{Seq: 0, Pos: 2, Cell: 2}}, {{Seq: 0, Pos: -1, Cell: 0}}, {{Seq: 0, Pos: 0, Cell: 64}},
		{{Seq: 5, Pos: 0, Cell: 0}}, {{Seq: 0, Pos: 0, Cell: 0}, {Seq: 0, Pos: 1, Cell: 1}}} {
		require.ErrorIs(t, e.StepBegin(rows, 1), failure.Argument)
	}
	require.ErrorIs(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 2), failure.Argument)
	require.ErrorIs(t, e.StepEnd(true), failure.State)
	require.ErrorIs(t, e.Attend(&Attn{}, 0, 1), failure.State)
	require.NoError(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1))
	for _, a := range []Attn{{Layer: -1}, {Layer: 1}, {Rows: 2}, {Rows: 1}} {
		require.ErrorIs(t, e.Select(&a, 0, 1), failure.Argument)
		require.ErrorIs(t, e.Attend(&a, 0, 1), failure.Argument)
	}
	var q, out [64]float32
	early := Attn{Rows: 1, Q: unsafe.Pointer(&q[0]), Out: unsafe.Pointer(&out[0]), QRow: 256,
		QHead: 64, OutRow: 256}
	require.ErrorIs(t, e.Attend(&early, 0, 1), failure.State, "nothing was selected")
	require.ErrorIs(t, e.Attend(&Attn{}, 1, 1), failure.Argument)
	require.ErrorIs(t, e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1), failure.State)
	require.ErrorIs(t, e.SeqTruncate(0, 0), failure.State)
	require.NoError(t, e.StepEnd(false))
	next, err := e.SeqNext(0)
	require.NoError(t, err)
	require.Zero(t, next)
}

// Scores against their definition in float64.
func TestScores(t *testing.T) {
	for _, sel := range []options.Selector{options.Pages, options.MinMax} {
		for _, bits := range []int{8, 16} {
			t.Run(fmt.Sprintf("%v/%d", sel, bits), func(t *testing.T) { testScores(t, sel, bits) })
		}
	}
}

func testScores(t *testing.T, sel options.Selector, bits int) {
	opt := testOptions()
	opt.Select, opt.SummaryBits, opt.Page = sel, bits, 8
	sh := shape{layers: 1, seqs: 1, cells: 2600, heads: 3, kv: 1, dk: 24, dv: 8, tk: kernels.F16,
		tv: kernels.F16}
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
func (h *host) definition(sel options.Selector, p int, q []float32) (score, bound float64) {
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
		absQ, sqQ, topKey, topVar = absQ+math.Abs(qi), sqQ+qi*qi, max(topKey, hi, -lo),
			max(topVar, variance)
		switch sel {
		case options.MinMax:
			score += max(qi*lo, qi*hi)
		default:
			score += qi * mean
			spread += qi * qi * variance
		}
	}
	bound = 1e-3 + absQ*topKey/(2*127)*1.01
	if sel == options.Pages {
		score += h.e.opt.Beta * math.Sqrt(spread)
		bound += h.e.opt.Beta * (math.Sqrt(spread+sqQ*topVar/(2*255)*1.01) - math.Sqrt(spread))
		bound += h.e.opt.Beta * (math.Sqrt(spread) - math.Sqrt(max(0,
			spread-sqQ*topVar/(2*255)*1.01)))
	}
	return score, bound
}
