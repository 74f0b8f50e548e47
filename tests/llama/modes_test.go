package llama

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/harness"
)

// Every way to choose pages and to correct, on the real model and text: each does
// what it is for, by the counters, and stays close to full attention.
func TestModes(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL_F16")
	const prompt, steps = 2048, 128
	k := newComparison(t, m, source(t, m, prompt+steps+1, "docs/build.md", "README.md"), prompt)
	got := map[string]float64{}
	all := map[string]stats.Stats{}
	const deferred = "budget=128,window=8,period=8"
	policies := []string{
		"budget=128,window=1", "budget=128,window=1,code_bits=1",
		"budget=128,window=1,select=pages,audit=1", "budget=128,window=1,select=pages,page=8",
		"budget=128,window=1,select=pages,page=32",
		"budget=32,window=1,groups=0,candidates=1", "budget=32,window=1,groups=2,candidates=1",
		"budget=128,window=1,layer_budget=0-1:all/20-29:64",
		"budget=128,window=1,audit=1", "budget=128,window=1,select=oracle,audit=1",
		deferred, deferred + ",correct_budget=512",
	}
	tokens := map[string][]float32{} // KL of each
	for _, p := range policies {
		r, err := k.Policy(t.Context(), p)
		require.NoError(t, err)
		st := r.Stats
		tokens[p], got[p], all[p] = r.KL, mean(r.KL), st
		t.Logf("%-50s KL %.4f, %4.1f %% of KV read, %.1f %% scanned, %d embedded again, %.3f of attention kept (%d heads)", p, got[p],
			100*share(st.KVReadBytes+st.ScanBytes, st.KVFullBytes),
			100*share(st.ScanBytes, st.KVFullBytes), st.RewrittenTokens,
			kept(st), st.AuditedHeads)
		require.Less(t, got[p], 0.4, p)
		require.Less(t, st.KVReadBytes, st.KVFullBytes*3/4, p)
		require.EqualValues(t, steps, st.SparseTokens, p)
	}
	require.Less(t, all["budget=32,window=1,groups=2,candidates=1"].ScanBytes,
		all["budget=32,window=1,groups=0,candidates=1"].ScanBytes*4/5, "two levels scan less")
	require.Less(t, got["budget=128,window=1,select=pages,page=8"],
		got["budget=128,window=1,select=pages,page=32"],
		"smaller pages are better at the same budget")
	require.Less(t, got[deferred+",correct_budget=512"], got[deferred],
		"a budget for correction helps")

	const base, audited, oracle = "budget=128,window=1", "budget=128,window=1,audit=1",
		"budget=128,window=1,select=oracle,audit=1"
	require.Equal(t, tokens[base], tokens[audited], "an audit changes nothing")
	require.NotZero(t, all[base].AuditedHeads)
	const pages = "budget=128,window=1,select=pages,audit=1"
	require.Less(t, got[base], got[pages]/2, "tokens are better than pages")
	require.Less(t, got[oracle], got[pages], "the oracle is better than the scores of summaries")
	require.Greater(t, kept(all[oracle]), kept(all[pages]), "since it keeps more")
	require.Greater(t, kept(all[audited]), 0.5)
}

// kept is the share of the attention that was kept, as audited.
func kept(st stats.Stats) float64 { return st.Figures().MassKept }

func share(a, b uint64) float64 { return float64(a) / float64(max(1, b)) }

// Invariant 2 on a real model: what a past token has seen adds up. Where steps that
// correct read everything, every token but the first has seen all in the end, some of
// it when it was new and the rest as supplement, and the model computes what dense attention does.
func TestSupplementsAddUp(t *testing.T) {
	m := model(t, "RETRO_MODEL_F16")
	s := oneSequence(prose(t, m, 2000))
	want, err := s.play(newContext(t, m, contextParams(1, false)))
	require.NoError(t, err)
	// On every second token, which then reads all; so do the two before it.
	got, st := playRetro(t, m, contextParams(1, false),
		"budget=16,min_ctx=0,window=3,period=2,correct_budget=100000", s)
	require.NotZero(t, st.CorrectedTokens)
	require.NotZero(t, st.SupplementTokens)
	var dense, sparse [2][][]float32
	for i := 1; i < len(want); i++ {
		to := &sparse
		if i%2 == 0 {
			to = &dense
		}
		to[0], to[1] = append(to[0], want[i]), append(to[1], got[i])
	}
	e, worst := nmse(t, dense[0], dense[1])
	other, _ := nmse(t, sparse[0], sparse[1])
	t.Logf("NMSE %.2g, worst token %.2g; between them %.2g", e, worst, other)
	require.Less(t, e, 1e-4)
	require.Greater(t, other, 1e-3, "the others should have left pages out")
}

// Invariant 3 on a real model: without a window, nothing that concerns correction has an effect.
// Invariant 4: a period of 1 is the plain window.
func TestNoWindowNoCorrection(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT_F16")
	s := oneSequence(prose(t, m, 2000))
	play := func(options string) [][]float32 {
		rows, st := playRetro(t, m, contextParams(1, false), "budget=64,min_ctx=0,"+options, s)
		require.EqualValues(t, 24, st.SparseTokens)
		return rows
	}
	plain := play("window=1")
	require.True(t, same(plain, play("window=1,correct_budget=256")))
	require.False(t, same(plain, play("window=4,period=4")), "correction does nothing")
	require.True(t, same(play("window=4"), play("window=4,period=1")))
}
