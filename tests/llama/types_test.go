package llama

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"

	"github.com/retroattn/retroattn/tests/harness"
)

// Every type that the kernels read, also mixed, and rotated as llama.cpp rotates
// quantised keys and values: exact attention is stock's with the same cache, and
// sparse attention stays close to it.
func TestCacheTypes(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT_F16")
	text := prose(t, m, 2000)
	for _, c := range []struct {
		k, v string
		// NMSE to stock, which rounds queries to the type of K and, for F16, sums values in F16.
		// Prompts are multiplied without that rounding here; with K and V of 4 bits it turns values
		// over in the next layers (seen: 0.011).
		bound float64
	}{
		{"f32", "f32", 1e-4}, {"bf16", "bf16", 1e-3}, {"q8_0", "q8_0", 1e-3},
		{"q4_0", "q4_0", 2e-2}, {"q8_0", "f16", 1e-3}, {"f16", "q4_0", 1e-3},
	} {
		t.Run(c.k+"/"+c.v, func(t *testing.T) {
			p := contextParams(1, false)
			p.TypeK, p.TypeV = c.k, c.v
			exact, sparse := typeScripts(text)
			stock := func(s script) [][]float32 {
				rows, err := s.play(newContext(t, m, p))
				require.NoError(t, err)
				return rows
			}
			got, st := playRetro(t, m, p, "budget=100000,min_ctx=0", exact)
			e, worst := nmse(t, stock(exact), got)
			t.Logf("exact: NMSE %.2g, worst token %.2g", e, worst)
			require.Less(t, e, c.bound)
			require.Zero(t, st.SparseTokens)
			require.Equal(t, st.KVFullBytes, st.KVReadBytes)

			got, st = playRetro(t, m, p, "budget=128,min_ctx=0", sparse)
			d := kl(stock(sparse), got)
			t.Logf("sparse: KL %.4f, %.1f %% of KV read", d,
				100*float64(st.KVReadBytes+st.ScanBytes)/float64(st.KVFullBytes))
			require.Less(t, d, 0.1)
			require.EqualValues(t, 24, st.SparseTokens)
			require.EqualValues(t, 23, st.CorrectedTokens)
			require.Less(t, st.KVReadBytes, st.KVFullBytes/2)
		})
	}
}

func typeScripts(text []bridge.Token) (exact, sparse script) {
	a, b := newWriter(text), newWriter(text)
	a.prefill(0, 300)
	a.decode(24, 0)
	b.prefill(0, 700)
	b.decode(24, 0)
	return a.script, b.script
}
