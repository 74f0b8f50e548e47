package server

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// losslessly are flags with which drafts are always made, and some are wrong.
var losslessly = []string{"--spec-type", "draft-retro", "--spec-draft-n-min", "6",
	"--spec-draft-n-max", "6", "--retro-budget", "64", "--retro-min-ctx", "128",
	"--retro-opts", "local=32"}

// The server's slots draft together, each with its own sampler, and say what became of it. The
// texts are those of stock llama.cpp: greedy ones, up to where two tokens are as good, as a batch
// has what slots happen to draft together; and one that is sampled with a seed.
func TestServerLossless(t *testing.T) {
	harness.Slow(t)
	const slots = 3
	ask := func(server harness.Server, slot int, more map[string]any) (c harness.Completion) {
		body := map[string]any{"prompt": counting(t, server.URL, 12+slot, 0).Prompt,
			"n_predict": 60, "temperature": 0, "id_slot": slot, "cache_prompt": false,
			"ignore_eos": true, "return_tokens": true}
		for k, v := range more {
			body[k] = v
		}
		require.NoError(t, harness.Post(server.URL+"/completion", body, &c))
		return c
	}
	all := func(server harness.Server, more map[string]any) []harness.Completion {
		got := make([]harness.Completion, slots)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = ask(server, i, more) })
		}
		wg.Wait()
		return got
	}
	seeded := map[string]any{"temperature": 0.4, "seed": 7,
		"grammar": `root ::= [a-zA-Z0-9 .,:\n]+`}
	stock := harness.StartServer(t, slots, "-fa", "on")
	want, sampled := all(stock, map[string]any{"n_probs": 2}), ask(stock, 0, seeded)
	stock.Kill()
	// answers are those of a server, compared with these
	answers := func(t *testing.T, server harness.Server) []harness.Completion {
		got, compared := all(server, nil), 0
		for i, want := range want {
			compared += harness.RequireSameText(t, want.Tokens, want.Gaps(t), got[i].Tokens, 0.1)
		}
		t.Logf("%d tokens compared", compared)
		require.Greater(t, compared, 60*slots/2)
		return got
	}

	for name, args := range map[string][]string{"unified": {"-kvu"},
		"streams": {"--no-kv-unified"}} {
		t.Run(name, func(t *testing.T) {
			server := harness.StartServer(t, slots, append(args, losslessly...)...)
			defer server.Kill()
			for _, got := range answers(t, server) {
				require.Greater(t, got.Timings.Drafted, 20)
				require.NotZero(t, got.Timings.DraftAccepted)
				require.NotZero(t, got.Timings.Sparse, got.Retro.Summary)
			}
			got := ask(server, 0, seeded)
			require.Equal(t, sampled.Content, got.Content)
			require.NotZero(t, got.Timings.DraftAccepted)
			require.NotContains(t, got.Content, "[")
			t.Logf("%d of %d drafts accepted; %s", got.Timings.DraftAccepted, got.Timings.Drafted,
				got.Retro.Summary)
		})
	}
	t.Run("longer than the batch", func(t *testing.T) {
		args := append([]string{"-b", "32", "-ub", "16", "-kvu"}, losslessly...)
		server := harness.StartServer(t, slots,
			append(args, "--spec-draft-n-min", "64", "--spec-draft-n-max", "64")...)
		defer server.Kill()
		for _, got := range answers(t, server) {
			require.NotZero(t, got.Timings.DraftAccepted)
		}
	})
	t.Run("none where none pays", func(t *testing.T) {
		out, err := program(t, nil, "llama-cli", "-p", "Tell me a story.", "-n", "60", "--temp",
			"0", "-c", "1024", "-st", "--ignore-eos", "-lv", "3",
			"--spec-type", "draft-retro")
		require.NoError(t, err, out)
		// by what was measured; with a clock that is made up the bridge's tests demand one
		require.LessOrEqual(t, strings.Count(out, "decoding exactly, as drafts do not pay"), 1, out)
	})
}

// llama-cli does the same, and --no-retro-attn is refused beside it.
func TestLosslessPrograms(t *testing.T) {
	harness.Slow(t)
	// what a quantised one says depends on the rounding of its activations
	t.Setenv("RETRO_MODEL", harness.Setting(t, "RETRO_MODEL_F16"))
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)), 0o644))
	args := []string{"-f", prompt, "-n", "20", "--temp", "0", "-c", "4096", "-st",
		"--no-display-prompt"}
	answer := func(args ...string) (text, out string) {
		out, err := program(t, nil, "llama-cli", args...)
		require.NoError(t, err, out)
		_, text, _ = strings.Cut(out, "(truncated)") // of the prompt
		text, _, _ = strings.Cut(text, "[ Prompt:")
		require.NotEmpty(t, strings.TrimSpace(text), out)
		return text, out
	}
	want, _ := answer(append(args, "-fa", "on")...)
	got, out := answer(append(args, losslessly...)...)
	require.Equal(t, want, got)
	require.Regexp(t, harness.SparseLine, out)

	out, err := program(t, nil, "llama-cli", "-p", "Hello", "--spec-type", "draft-retro",
		"--no-retro-attn")
	require.Error(t, err)
	require.Contains(t, out, "--spec-type draft-retro needs --retro-attn")
}
