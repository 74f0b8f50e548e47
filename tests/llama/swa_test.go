package llama

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Gemma 3 has a sliding window of 512 tokens in five of six layers. Its attention is the host's
// when nothing is left out, and its past tokens are embedded again in the caches of both kinds of
// layers: of several sequences, and after more tokens than the window holds, when its cells are
// taken for new ones.
func TestSlidingWindow(t *testing.T) {
	harness.Slow(t)
	const env = "RETRO_MODEL_SWA"
	m := model(t, env)
	long := scriptCase{"longer than the window", 2, true, nil}
	text := prose(t, m, 3000)
	w := newWriter(text)
	w.prefill(0, 450)
	w.prefill(1, 1000)
	w.decode(130, 0)
	w.decode(10, 0, 1)
	for _, c := range []scriptCase{long, cases[3], cases[6]} {
		t.Run(c.name, func(t *testing.T) {
			p := contextParams(c.seqs, c.unified)
			s := w.script
			if c.script != nil {
				s = c.script(text)
			}
			p.SmallSWA = !s.shifts() // as in llama.cpp's programs
			off, err := s.play(newContext(t, m, p))
			require.NoError(t, err)

			exact, st := playRetro(t, m, p, "budget=100000,min_ctx=0", s)
			e, worst := nmse(t, off, exact)
			t.Logf("exact: NMSE %.2g, worst token %.2g", e, worst)
			require.Less(t, e, 5e-3)
			require.Zero(t, st.SparseTokens)

			window, st := playRetro(t, m, p, "budget=100000,min_ctx=0,always=1,window=4", s)
			e, worst = nmse(t, exact, window)
			t.Logf("window in place: NMSE %.2g, worst token %.2g; %d tokens, %d embedded again", e,
				worst, st.Tokens, st.RewrittenTokens)
			require.Less(t, e, 5e-3)
			require.Greater(t, st.RewrittenTokens, st.Tokens)

			sparse, st := playRetro(t, m, p, "budget=128,min_ctx=0", s)
			d := kl(off, sparse)
			t.Logf("sparse: KL %.3g, %d of %d tokens sparse, %.0f %% of KV read", d,
				st.SparseTokens, st.Tokens,
				100*float64(st.KVReadBytes+st.ScanBytes)/float64(st.KVFullBytes))
			require.Less(t, d, 0.1)
			require.Greater(t, st.SparseTokens, st.Tokens/8)
			require.NotZero(t, st.CorrectedTokens)
		})
	}
}
