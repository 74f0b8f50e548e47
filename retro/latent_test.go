package retro

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
	"github.com/retroattn/retroattn/retro/stats"
)

// latents are layers of latent attention: one KV head for all query heads, whose values are a part
// of its keys.
var latents = []shape{
	{heads: 16, dk: 576, dv: 512, tk: kernels.F16},
	{heads: 128, dk: 576, dv: 512, tk: kernels.Q8_0},
	{heads: 20, dk: 40, dv: 24, tk: kernels.F32, softCap: 3},
	{heads: 64, dk: 72, dv: 64, tk: kernels.BF16, sinks: true},
	{heads: 256, dk: 96, dv: 64, tk: kernels.Q4_0},
	{heads: 3, dk: 1024, dv: 1024, tk: kernels.F16},
}

func (sh shape) asLatent() shape {
	sh.layers, sh.seqs, sh.cells, sh.kv, sh.tv, sh.latent = 1, 2, 1200, 1, sh.tk, true
	return sh
}

func TestLatentAttention(t *testing.T) {
	for i, sh := range latents {
		sh := sh.asLatent()
		for _, window := range []int{1, 4, 16} {
			if sh.heads*sh.dk > 20000 && (testing.Short() || window > 1 &&
				window != []int{4, 16}[i%2]) {
				continue // takes long
			}
			opt := testOptions()
			opt.Window, opt.Period = window, max(1, window/2)
			opt.Need = i%2 == 0
			if window == 1 {
				opt.Select, opt.SummaryBits = []options.Selector{options.Tokens, options.Tokens,
					options.Pages, options.MinMax, options.Tokens, options.Pages}[i],
					[]int{8, 16}[i/3]
			}
			t.Run(fmt.Sprintf("%d heads of %d in %d, %v, window %d", sh.heads, sh.dv, sh.dk, sh.tk,
				window), func(t *testing.T) {
				h := newHost(t, sh, opt, 2, uint64(i))
				h.prefill(0, 330)
				h.prefill(1, 200)
				check := checkUnion(h)
				for range 2 + window/2 {
					h.decode([]int32{0, 1}, check)
				}
				h.compute(append(h.exactRows(0, 5), h.lone([]int32{1})...), check)
				h.decode([]int32{0}, check)
				st := h.e.Stats()
				require.NotZero(t, st.SparseTokens)
				require.Less(t, st.KVReadBytes, st.KVFullBytes)
				if window > 1 {
					require.NotZero(t, st.RewrittenTokens)
				}
			})
		}
	}
}

// What lies in K and V at once is read once.
func TestLatentBytes(t *testing.T) {
	sh := shape{layers: 2, seqs: 1, cells: 200, heads: 8, kv: 1, dk: 48, dv: 32, tk: kernels.F16,
		tv: kernels.F16, latent: true}
	opt := testOptions()
	opt.MinCtx = 1000
	h := newHost(t, sh, opt, 1, 1)
	h.prefill(0, 99)
	h.decode([]int32{0}, nil)
	require.EqualValues(t, sh.layers*100*sh.kRow(), h.e.Stats().KVReadBytes)
	sh.latent = false
	h = newHost(t, sh, opt, 1, 1)
	h.prefill(0, 99)
	h.decode([]int32{0}, nil)
	require.EqualValues(t, sh.layers*100*(sh.kRow()+sh.vRow()), h.e.Stats().KVReadBytes)
}

// The rings of 256 sequences of a model like DeepSeek V3 are more than is allowed with a long
// window: a plan keeps to one that fits, and what was asked for is refused before the first step.
func TestLatentWindow(t *testing.T) {
	open := func(text string) (*Engine, error) {
		opt, err := options.Parse(text)
		require.NoError(t, err)
		e, err := Open(Config{Layers: 61, Seqs: 256, Cells: 1 << 17, Rows: 512, Threads: 16}, opt)
		require.NoError(t, err)
		mem, size := make([]byte, 8), uint64(576*2<<17)
		for i := range 61 {
			p := unsafe.Pointer(&mem[0])
			require.NoError(t, e.AddLayer(i, Layer{TypeK: kernels.F16, TypeV: kernels.F16,
				Heads: 128, KVHeads: 1, DK: 576, DV: 512,
				K: p, V: p, KSize: size, VSize: size, KRow: 1152, VRow: 1152, KHead: 1152,
				VHead: 1152}))
		}
		_, _, err = e.Plan(plan.Passes{Threads: 16})
		return e, err
	}
	e, err := open("budget=1024")
	require.NoError(t, err)
	most := e.window()
	require.Greater(t, most, 4)
	require.Less(t, most, options.MaxWindow)
	require.Equal(t, most, e.planCase(16).Rows, "what a plan keeps to")
	_, err = open(fmt.Sprintf("budget=1024,window=%d,period=1", most))
	require.NoError(t, err)

	_, err = open("budget=1024,window=16,period=1")
	require.ErrorContains(t, err, "a smaller window")
}

// Where the position is a hundred times larger than what a token means, and the queries' as much
// smaller, tokens are still chosen by both. One scale for all channels would see the position
// alone.
func TestLatentScales(t *testing.T) {
	kept := func(position float32, together bool) float64 {
		sh := shape{layers: 1, seqs: 1, cells: 3000, heads: 16, kv: 1, dk: 80, dv: 64,
			tk: kernels.F32, tv: kernels.F32, latent: true, position: position}
		opt := testOptions()
		opt.Audit, opt.Window = 1, 1
		h := newHost(t, sh, opt, 1, 1)
		if together {
			h.e.layers[0].parts = h.e.layers[0].split(false)
		}
		h.prefill(0, 2000)
		for range 20 {
			h.decode([]int32{0}, nil)
		}
		st := h.e.Stats()
		require.EqualValues(t, 20, st.SparseTokens)
		return float64(st.KeptMass) / stats.KeptUnit / float64(st.AuditedHeads)
	}
	even, odd, together := kept(1, false), kept(100, false), kept(100, true)
	t.Logf("kept: %.3f, %.3f where positions are large, %.3f with one scale", even, odd, together)
	require.InDelta(t, even, odd, 0.03)
	require.Greater(t, odd, together+0.1)
}
