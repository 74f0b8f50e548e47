package llama

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

var architectures = []harness.Architecture{
	{Name: "llama"},
	{Name: "qwen2", Bias: true},
	{Name: "qwen2vl", Bias: true, MRoPE: true},
	{Name: "qwen3", QkNorm: true},
	{Name: "qwen3moe", QkNorm: true, MoE: true},
	{Name: "gemma2", Gemma: true, SoftCap: true, SWA: true},
	{Name: "gemma3", Gemma: true, QkNorm: true, SWA: true},
	{Name: "gpt-oss", Bias: true, MoE: true, SWA: true, Sinks: true},
	{Name: "deci", Gaps: true},
	{Name: "deepseek2", Latent: true},
}

// caches has an architecture for each kind of cache.
var caches = []harness.Architecture{{Name: "llama"},
	{Name: "gemma3", Gemma: true, QkNorm: true, SWA: true}, {Name: "deepseek2", Latent: true}}

// Of each architecture, a small random model: exact attention by the library is the host's own, the
// window changes nothing in place as long as attention is exact, and sparse attention is sparse. Of
// models with a sliding window only the other layers are the library's; the micro-batches are so
// small that the window's cache evicts, unless it has the size of the other.
func TestAttentionKinds(t *testing.T) {
	harness.Slow(t)
	for _, a := range architectures {
		t.Run(a.Name, func(t *testing.T) {
			m, _, text := random(t, a)
			sizes := []bool{false}
			if a.SWA {
				sizes = []bool{false, true}
			}
			which := few
			if a.SWA || a.Latent || a.Name == "llama" { // a kind of cache of its own
				which = slices.Concat(cases[:1], cases[2:4], cases[5:])
			}
			for _, c := range which {
				for _, small := range sizes {
					name := c.name
					if small {
						name += ", small"
					}
					s := c.script(text)
					if (small || a.MRoPE) && s.shifts() {
						continue // llama.cpp cannot
					}
					t.Run(name, func(t *testing.T) {
						p := contextParams(c.seqs, c.unified)
						p.UBatch, p.SmallSWA = 64, small
						testArchitecture(t, m, a, p, s)
					})
				}
			}
		})
	}
}

func testArchitecture(t *testing.T, m *bridge.Model, a harness.Architecture, p bridge.ContextParams,
	s script) {
	off, err := s.play(newContext(t, m, p))
	require.NoError(t, err)
	exact, st := playRetro(t, m, p, "budget=100000,min_ctx=0", s)
	e, worst := nmse(t, off, exact)
	t.Logf("exact: NMSE %.2g, worst token %.2g", e, worst)
	require.Less(t, e, 1e-4)
	require.Zero(t, st.SparseTokens)
	require.Equal(t, st.KVFullBytes, st.KVReadBytes)
	require.Greater(t, int(st.Tokens), 20)

	if p.Seqs == 1 {
		full := 0
		for _, o := range s {
			if len(o.Batch) == 1 {
				full += (o.Batch[0].Pos + 1) * a.FullLayers() * a.KVBytes()
			}
		}
		require.EqualValues(t, full, st.KVFullBytes, "all layers but those of the sliding window")
	}

	window, st := playRetro(t, m, p, "budget=100000,min_ctx=0,always=1,window=4", s)
	require.Greater(t, st.RewrittenTokens, st.Tokens, "the window was not embedded again")
	e, worst = nmse(t, exact, window)
	t.Logf("window in place: NMSE %.2g, worst token %.2g; %d of %d", e, worst, st.RewrittenTokens,
		st.Tokens)
	require.Less(t, e, 1e-4)

	nothing, _ := playRetro(t, m, p, "select=streaming,min_ctx=0", s)
	far, _ := nmse(t, exact, nothing)
	sparse, st := playRetro(t, m, p, "budget=128,min_ctx=0", s)
	e, worst = nmse(t, exact, sparse)
	t.Logf("sparse: NMSE %.2g, worst token %.2g, %.0f %% of KV read; %.2g without far pages", e,
		worst,
		100*float64(st.KVReadBytes)/float64(st.KVFullBytes), far)
	require.Greater(t, st.SparseTokens, st.Tokens/8)
	require.NotZero(t, st.CorrectedTokens)
	require.Less(t, st.KVReadBytes, st.KVFullBytes)
	require.Greater(t, e, 1e-5, "leaving pages out changes nothing")
	require.Less(t, e, 0.8*far, "the selected pages are no better than none")
}
