package tests

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/bridge"
)

// Latent attention (MLA) as DeepSeek has it: the cache holds one head of latents for all query heads, whose first
// latentDim channels are the values as well, and which matrices per head take to queries and from values. There are more
// query heads than the engine's kernels take at once.
const (
	latentDim, latentRope = 64, 32
	latentHeads           = 24
	latentKey             = 32 // channels of a key without position, and of a value, once a head has made them of the latent
)

func (g *maker) setLatent() {
	g.head, g.kv, g.dim = latentHeads, 1, latentKey
	for key, value := range map[string]int{
		"attention.q_lora_rank": 0, "attention.kv_lora_rank": latentDim, "rope.dimension_count": latentRope,
		"attention.key_length": latentDim + latentRope, "attention.value_length": latentDim,
		"attention.key_length_mla": latentKey + latentRope, "attention.value_length_mla": latentKey,
		"leading_dense_block_count": smallLayers, "expert_feed_forward_length": g.ff, "expert_shared_count": 0,
	} {
		g.Set(key, value)
	}
}

func (g *maker) latentAttention(layer string, peak float64) {
	g.matrix(layer+"attn_q.weight", peak, g.embd, latentHeads*(latentKey+latentRope))
	g.matrix(layer+"attn_kv_a_mqa.weight", peak, g.embd, latentDim+latentRope)
	g.tensor(layer+"attn_kv_a_norm.weight", 1, 0.1, latentDim)
	g.tensor(layer+"attn_k_b.weight", 0, peak/sqrt(latentDim), latentKey, latentDim, latentHeads)
	g.matrix(layer+"attn_v_b.weight", 1, latentDim, latentKey, latentHeads)
}

// Latents of every type, and without flash attention, which only the layout of V would need: with everything read the
// results are those of the host, and sparse attention is sparse.
func TestLatentTypes(t *testing.T) {
	m, text := random(t, architecture{name: "deepseek2", latent: true})
	for _, c := range []struct {
		kv    string
		flash bridge.FlashAttn
		bound float64 // NMSE, as in TestCacheTypes
	}{
		{"f32", bridge.FlashOn, 1e-4}, {"bf16", bridge.FlashOn, 1e-3}, {"q8_0", bridge.FlashOn, 1e-3}, {"q4_0", bridge.FlashOn, 1e-2},
		{"f32", bridge.FlashOff, 1e-8}, {"f16", bridge.FlashOff, 1e-4},
	} {
		t.Run(fmt.Sprintf("%s, flash %v", c.kv, c.flash == bridge.FlashOn), func(t *testing.T) {
			p := contextParams(1, false)
			p.TypeK, p.TypeV, p.FlashAttn = c.kv, c.kv, c.flash
			w := newWriter(text)
			w.prefill(0, 600)
			w.decode(24, 0)
			off, err := w.script.play(newContext(t, m, p))
			require.NoError(t, err)
			exact, _ := playRetro(t, m, p, "budget=100000,min_ctx=0", w.script)
			e, worst := nmse(t, off, exact)
			t.Logf("exact: NMSE %.2g, worst token %.2g", e, worst)
			require.Less(t, e, c.bound)
			sparse, st := playRetro(t, m, p, "budget=128,min_ctx=0", w.script)
			e, _ = nmse(t, off, sparse)
			nothing, _ := playRetro(t, m, p, "select=streaming,min_ctx=0", w.script)
			far, _ := nmse(t, off, nothing)
			t.Logf("sparse: NMSE %.2g, %.0f %% of KV read; %.2g without far pages", e, 100*float64(st.KVBytesRead)/float64(st.KVBytesFull), far)
			require.EqualValues(t, 24, st.SparseTokens)
			require.Less(t, e, 0.8*far)
		})
	}
}
