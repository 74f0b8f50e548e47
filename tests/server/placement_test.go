package server

import (
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// What cannot be sparse keeps its cache where it is without the feature, and it is said why: a
// server of embeddings, and the context of a draft model beside a target whose cache is in host
// memory.
func TestCachesStayInPlace(t *testing.T) {
	harness.Slow(t)
	remote, host := regexp.MustCompile(`RPC0\S* KV buffer size`),
		regexp.MustCompile(`CPU\S* KV buffer size`)
	for _, c := range []struct {
		name, said   string
		host, remote int
		args         []string
	}{
		{"embeddings", "--retro-attn is off, and the KV cache is where it is without it: embeddings", 0, 1, []string{"--embeddings", "--pooling", "last"}},
		{"draft", "", 1, 1, []string{"--spec-type", "draft-simple", "--spec-draft-model",
			harness.Setting(t, "RETRO_MODEL"), "--spec-draft-ngl", "99"}},
		{"neither", "", 1, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			s := harness.StartServer(t, 1, append(c.args,
				append([]string{"-c", "512", "--rpc", startRPC(t), "-ngl", "99", "--fit", "off",
					"--log-file", file, "-lv", "4", "--no-warmup"}, sparsely...)...)...)
			require.NoError(t, s.Kill())
			log, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Len(t, host.FindAll(log, -1), c.host, "%s", log)
			assert.Len(t, remote.FindAll(log, -1), c.remote, "%s", log)
			assert.Contains(t, string(log), c.said)
		})
	}
}

// Tokens that are sampled in the graph are sparse like others, and so are those of slots beside
// them. With everything in the budget, window and all, they are those of stock llama.cpp.
func TestServerBackendSampling(t *testing.T) {
	harness.Slow(t)
	ask := func(q *harness.Request, url string, slot int, backend bool) (c harness.Completion) {
		assert.NoError(t, harness.Post(url+"/completion",
			map[string]any{"prompt": q.Prompt, "n_predict": q.Predict, "temperature": 0.5,
				"seed":  7,
				"top_k": 5, "samplers": []string{"top_k", "temperature"}, "cache_prompt": false,
				"ignore_eos": true, "return_tokens": true,
				"id_slot": slot, "backend_sampling": backend}, &c))
		assert.Len(t, c.Tokens, q.Predict)
		return c
	}
	off := harness.StartServer(t, 2, "-fa", "on", "-bs")
	q := counting(t, off.URL, 15, 48)
	want := ask(q, off.URL, 0, true)
	require.NoError(t, off.Kill())

	exact := harness.StartServer(t, 2, append(exactly, "-bs")...)
	got := ask(q, exact.URL, 0, true)
	require.NoError(t, exact.Kill())
	require.Equal(t, want.Content, got.Content)
	require.Equal(t, q.Predict-1, got.Timings.Tokens)

	sparse := harness.StartServer(t, 2, append(sparsely, "-bs")...)
	alone := ask(q, sparse.URL, 0, true)
	require.Equal(t, q.Predict-1, alone.Timings.Sparse)
	require.NotZero(t, alone.Timings.Corrections)
	var both [2]harness.Completion
	var wg sync.WaitGroup
	for slot := range both {
		wg.Go(func() { both[slot] = ask(q, sparse.URL, slot, slot == 1) })
	}
	wg.Wait()
	for _, c := range both {
		require.GreaterOrEqual(t, c.Timings.Tokens, q.Predict-1)
		require.Equal(t, c.Timings.Tokens, c.Timings.Sparse, "of both slots")
	}
}

// Keys in BF16 cannot be rotated, which ends stock llama.cpp: a text that outgrows its context
// stops there, and it is said why.
func TestServerShiftOfBF16(t *testing.T) {
	harness.Slow(t)
	file := filepath.Join(t.TempDir(), "log")
	s := harness.StartServer(t, 1, append([]string{"-c", "256", "--context-shift", "-ctk", "bf16",
		"-ctv", "bf16", "--log-file", file}, sparsely...)...)
	q := counting(t, s.URL, 8, 120)
	for range 2 {
		r, err := q.Ask(t.Context(), s.URL, 0)
		require.NoError(t, err)
		require.Less(t, r.Predicted, q.Predict)
		require.NotZero(t, r.Timings.Sparse)
	}
	log, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(log), "positions cannot be shifted, as K is kept in BF16")
}
