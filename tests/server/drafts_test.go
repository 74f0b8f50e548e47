package server

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Drafts are verified with full attention, so that what comes without one is sparse. With
// everything in the budget, window and all, the text is that of stock llama.cpp, although tokens
// that the library knows are refused and taken back; so it is with any budget where every token
// comes of a draft.
func TestServerDrafts(t *testing.T) {
	harness.Slow(t)
	var prompt []int
	ask := func(url string) (c harness.Completion) {
		if prompt == nil {
			prompt = counting(t, url, 15, 0).Prompt
		}
		require.NoError(t, harness.Post(url+"/completion",
			map[string]any{"prompt": prompt, "n_predict": 100, "temperature": 0,
				"cache_prompt": false,
				"ignore_eos":   true}, &c))
		return c
	}
	answer := func(args ...string) harness.Completion {
		server := harness.StartServer(t, 1, args...)
		defer server.Kill()
		return ask(server.URL)
	}
	want := answer("-fa", "on").Content
	t.Run("from the text", func(t *testing.T) {
		args := []string{"--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3",
			"--spec-ngram-simple-size-m", "16"}
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
		sparse := answer(append(sparsely, "--spec-type", "draft-simple", "--spec-draft-model",
			harness.Setting(t, "RETRO_MODEL"),
			"--spec-draft-n-max", "3", "--spec-synth-rates", "0,0,0")...)
		require.Equal(t, want, sparse.Content)
		require.Greater(t, sparse.Timings.Drafted, 100)
		require.Zero(t, sparse.Timings.DraftAccepted)
		require.Less(t, sparse.Timings.Tokens, 4, "the last ones have no draft")
	})
}

// A model drafts by its own last layer (MTP), from what is computed for every token. With
// everything read the answers of slots that decode at the same time are stock's without drafts, up
// to where two tokens are as good; with little read the tokens that come without drafts are sparse.
func TestServerMTP(t *testing.T) {
	harness.Slow(t)
	program, _ := harness.Fixtures(t)
	const predict = 32
	together := func(url string, deck []*harness.Request, probs int) []harness.Completion {
		answers := make([]harness.Completion, len(deck))
		var all sync.WaitGroup
		for i, q := range deck {
			all.Go(func() {
				ask := map[string]any{"prompt": q.Prompt, "n_predict": q.Predict, "temperature": 0,
					"cache_prompt": false, "ignore_eos": true, "return_tokens": true,
					"n_probs": probs}
				assert.NoError(t, harness.Post(url+"/completion", ask, &answers[i]))
			})
		}
		all.Wait()
		return answers
	}
	// Of two tokens the last has nothing to draft: alone it is one without, which those of slots
	// together need not be.
	answers := func(url string, deck []*harness.Request, probs int) []harness.Completion {
		last := []*harness.Request{{Prompt: deck[0].Prompt, Predict: 2}}
		return append(together(url, deck, probs), together(url, last, probs)...)
	}
	for _, f := range []harness.Fixture{{Arch: "hy_v3", Kind: "moe"}, {Arch: "step35", Kind: "moe"},
		{Arch: "qwen35", Kind: "dense"}} {
		t.Run(f.Arch, func(t *testing.T) {
			// Drafts of little worth: most are refused, and where none is likely enough there is
			// none.
			args := []string{"-m", f.Make(t, program, "words", "mtp"), "--spec-type", "draft-mtp",
				"--spec-draft-n-max", "3", "--spec-draft-p-min", "0.15"}
			deck := wordsDeck(6, predict)
			// without drafts, as these have no probabilities
			stock := harness.StartServerOf(t, harness.Setting(t, "RETRO_STOCK_DIR"), 1,
				append(args, "--spec-draft-p-min", "1")...)
			want := answers(stock.URL, deck, 2)
			require.NoError(t, stock.Kill())

			for _, options := range []string{"budget=100000,min_ctx=0",
				"budget=32,local=16,min_ctx=0"} {
				exact := strings.HasPrefix(options, "budget=100000")
				server := harness.StartServer(t, 3,
					append(args, "--retro-attn", "--retro-opts", options)...)
				drafted, decoded, compared := 0, 0, 0
				for i, r := range answers(server.URL, deck, 0) {
					drafted, decoded = drafted+r.Timings.Drafted, decoded+r.Timings.Tokens
					require.Zero(t, r.Timings.Corrections)
					if exact {
						compared += harness.RequireSameText(t, want[i].Tokens, want[i].Gaps(t),
							r.Tokens, 0.02)
						require.Zero(t, r.Timings.Sparse)
					} else {
						require.Equal(t, r.Timings.Tokens, r.Timings.Sparse)
					}
				}
				t.Logf("%d drafts, %d tokens without, %d compared", drafted, decoded, compared)
				require.True(t, !exact || compared > predict*len(deck)/2)
				require.NotZero(t, drafted)
				require.NotZero(t, decoded)
				require.NoError(t, server.Kill())
			}
		})
	}
}
