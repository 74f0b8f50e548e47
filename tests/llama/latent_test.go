package llama

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// Latents of every type, and without flash attention, which only the layout of V would need: with
// everything read the results are those of the host, and sparse attention is sparse.
func TestLatentTypes(t *testing.T) {
	harness.Slow(t)
	m, _, text := random(t, harness.Architecture{Name: "deepseek2", Latent: true})
	for _, c := range []struct {
		kv    string
		flash bridge.FlashAttn
		bound float64 // NMSE, as in TestCacheTypes
	}{
		{"f32", bridge.FlashOn, 1e-4}, {"bf16", bridge.FlashOn, 1e-3},
		{"q8_0", bridge.FlashOn, 1e-3}, {"q4_0", bridge.FlashOn, 1e-2},
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
			t.Logf("sparse: NMSE %.2g, %.0f %% of KV read; %.2g without far pages", e,
				100*float64(st.KVReadBytes)/float64(st.KVFullBytes), far)
			require.EqualValues(t, 24, st.SparseTokens)
			require.Less(t, e, 0.8*far)
		})
	}
}
