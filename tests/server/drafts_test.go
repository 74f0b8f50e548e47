package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/tests/harness"
)

// Drafts are verified with full attention, so that what comes without one is sparse. With everything in the budget, window
// and all, the text is that of stock llama.cpp, although tokens that the library knows are refused and taken back; so it is
// with any budget where every token comes of a draft.
func TestServerDrafts(t *testing.T) {
	var prompt []int
	ask := func(url string) (c harness.Completion) {
		if prompt == nil {
			prompt = counting(t, url, 15, 0).Prompt
		}
		require.NoError(t, harness.Post(url+"/completion", map[string]any{"prompt": prompt, "n_predict": 100, "temperature": 0, "cache_prompt": false,
			"ignore_eos": true}, &c))
		return c
	}
	answer := func(args ...string) harness.Completion {
		server := harness.StartServer(t, 1, args...)
		defer server.Kill()
		return ask(server.URL)
	}
	want := answer("-fa", "on").Content
	t.Run("from the text", func(t *testing.T) {
		args := []string{"--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3", "--spec-ngram-simple-size-m", "16"}
		exact := answer(append(exactly, args...)...)
		require.Equal(t, want, exact.Content)
		require.NotZero(t, exact.Timings.DraftAccepted)
		require.Less(t, exact.Timings.DraftAccepted, exact.Timings.Drafted, "no draft was refused")
		require.NotZero(t, exact.Timings.Tokens)

		server := harness.StartServer(t, 1, append(sparsely, args...)...)
		sparse, again := ask(server.URL), ask(server.URL)
		require.NotZero(t, sparse.Timings.DraftAccepted)
		require.NotZero(t, sparse.Timings.Sparse)
		require.Equal(t, sparse.Timings.Tokens, sparse.Timings.Sparse)
		require.Equal(t, sparse.Content, again.Content)
		require.Equal(t, sparse.Timings.Corrections, again.Timings.Corrections)
	})
	t.Run("of a model, all refused", func(t *testing.T) {
		sparse := answer(append(sparsely, "--spec-type", "draft-simple", "--spec-draft-model", harness.Setting(t, "RETRO_MODEL"),
			"--spec-draft-n-max", "3", "--spec-synth-rates", "0,0,0")...)
		require.Equal(t, want, sparse.Content)
		require.Greater(t, sparse.Timings.Drafted, 100)
		require.Zero(t, sparse.Timings.DraftAccepted)
		require.Less(t, sparse.Timings.Tokens, 4, "the last ones have no draft")
	})
}
