package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// program runs a program of the patched build to its end. What it says is the same each time.
func program(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"), name),
		append([]string{"-m", harness.Setting(t, "RETRO_MODEL"), "-t", "2", "--seed", "1"},
			args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The flags and the environment variable switch the feature on, and each
// program says what it did where people look.
func TestProgramsReport(t *testing.T) {
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)), 0o644))
	common := []string{"-m", harness.Setting(t, "RETRO_SHORT"), "-f", prompt, "-n", "24",
		"--temp", "0", "-c", "4096"}
	flags := []string{"--retro-attn", "--retro-budget", "128", "--retro-window", "2",
		"--retro-period", "1",
		"--retro-min-ctx", "256", "--retro-opts", "local=64,layer_budget=0:all"}
	for _, c := range []struct {
		name, program string
		args, env     []string
	}{
		{"llama-cli", "llama-cli", append([]string{"-st"}, flags...), nil},
		{"llama-completion", "llama-completion", append([]string{"-no-cnv", "-st"}, flags...), nil},
		{"environment", "llama-completion", []string{"-no-cnv", "-st"},
			[]string{"LLAMA_RETRO_ATTN=budget=128,window=2,period=1,min_ctx=256"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := program(t, c.env, c.program, append(c.args, common...)...)
			require.NoError(t, err, out)
			m := harness.SparseLine.FindStringSubmatch(out)
			require.NotNil(t, m, out)
			require.Equal(t, m[1], m[2], "all tokens are sparse")
			require.NotEqual(t, "0", m[1])
			require.NotEqual(t, "0", m[4])
		})
	}
}

// What a flag asks for and cannot have stops the program with one sentence; from
// the environment it is a warning, and the program goes on.
func TestProgramsRefuse(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--retro-budget", "0"}, "option budget=0: must be a whole number of tokens"},
		{[]string{"--retro-window", "17"}, "option window=17: must be 1..16"},
		{[]string{"--retro-opts", "page=20"}, "option page=20: must be 8, 16 or 32"},
		{[]string{"--retro-opts", "select=best"},
			"option select=best: must be one of tokens, pages, minmax, streaming"},
		{[]string{"--retro-target", "best"}, "option target=best: must be one of speed, balanced, quality"},
		{[]string{"--retro-plan", "a,b"}, "the name must not contain a comma"},
		{[]string{"--retro-opts", "colour=red"}, "option colour=red is not known"},
		{[]string{"--retro-attn", "-ctk", "q5_0"},
			"has K or V of q5_0: supported are f32, f16, bf16, q8_0 and q4_0"},
		{[]string{"--retro-attn", "--override-kv", "llama.attention.causal=bool:false"},
			"encoders and non-causal attention are not supported"},
		{[]string{"--retro-lib", "/nonexistent/libretroattn.so.1"},
			"/nonexistent/libretroattn.so.1 cannot be loaded"},
		{[]string{"--retro-opts", "layer_budget=99:all"},
			"option layer_budget=99:all: there is no layer 99, the attention layers are 0.."},
		{[]string{"--retro-window", "2", "--retro-period", "3"},
			"option period=3: must be 1..2, as window=2 limits it"},
		{[]string{"--retro-opts", "dense_layers=2"},
			"option dense_layers is gone: set layer_budget"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			out, err := program(t, nil, "llama-completion",
				append(c.args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "512")...)
			require.Error(t, err, out)
			require.Contains(t, out, c.want)
		})
	}
	for _, c := range []struct {
		env  string
		args []string
		want string
	}{
		{"LLAMA_RETRO_ATTN=window=17", nil, "option window=17: must be 1..16"},
		{"LLAMA_RETRO_ATTN=", []string{"-fa", "off"}, "flash attention is disabled"},
		{"LLAMA_RETRO_ATTN=", []string{"-ctk", "q5_0"},
			"supported are f32, f16, bf16, q8_0 and q4_0"},
	} {
		t.Run(c.env+" "+strings.Join(c.args, " "), func(t *testing.T) {
			out, err := program(t, []string{c.env}, "llama-completion",
				append(c.args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "512")...)
			require.NoError(t, err, out)
			require.Contains(t, out, c.want)
		})
	}
}

// The server decodes sparsely, alone and with parallel slots, tells so in the
// timings, and answers the same when asked again.
func TestServer(t *testing.T) {
	prompt := harness.LongPrompt(t)
	url := harness.Serve(t, 2, "-m", harness.Setting(t, "RETRO_SHORT"))
	ask := func(slot int) harness.Completion {
		c, err := harness.Complete(url, prompt, slot)
		require.NoError(t, err)
		return c
	}
	alone := ask(0)
	m := harness.SparseLine.FindStringSubmatch(alone.Retro.Summary)
	require.NotNil(t, m, alone.Retro.Summary)
	require.Equal(t, m[1], m[2])
	require.NotEmpty(t, alone.Content)

	require.Equal(t, alone.Content, ask(0).Content)
	require.Equal(t, alone.Content, ask(1).Content)

	var wg sync.WaitGroup
	var both [2]harness.Completion
	var errs [2]error
	for i := range both {
		wg.Go(func() { both[i], errs[i] = harness.Complete(url, prompt[i*100:], i) })
	}
	wg.Wait()
	for i, c := range both {
		require.NoError(t, errs[i])
		require.NotEmpty(t, c.Content)
		require.Regexp(t, harness.SparseLine, c.Retro.Summary)
	}
}

// A slot that was saved goes on as if it had not been, after a restore into
// another slot, into another server, and out of the server's prompt cache.
func TestServerSlots(t *testing.T) {
	harness.Slow(t)
	prompt, dir := harness.LongPrompt(t), t.TempDir()
	short := []string{"-m", harness.Setting(t, "RETRO_SHORT"), "--slot-save-path", dir}
	url := harness.Serve(t, 2, append(short, "-kvu")...)
	var tokens struct{ Tokens []int }
	require.NoError(t, harness.Post(url+"/tokenize",
		map[string]any{"content": prompt, "add_special": true}, &tokens))
	ask := func(url string, slot, n int, prompt []int) harness.Completion {
		var c harness.Completion
		require.NoError(t, harness.Post(url+"/completion",
			map[string]any{"prompt": prompt, "n_predict": n, "temperature": 0, "id_slot": slot,
				"cache_prompt": true, "ignore_eos": true, "return_tokens": true}, &c))
		return c
	}
	slot := func(url string, slot int, action string) {
		answer, err := harness.SlotFile(url, slot, action, "slot")
		require.NoError(t, err)
		if action != "erase" {
			require.True(t, answer["n_saved"] != nil || answer["n_restored"] != nil, "%v", answer)
		}
	}
	first := ask(url, 0, 24, tokens.Tokens)
	all := append(append([]int(nil), tokens.Tokens...), first.Tokens...)
	require.Len(t, all, len(tokens.Tokens)+24)
	slot(url, 0, "save")
	want := ask(url, 0, 24, all)
	require.Greater(t, want.Timings.CacheN, len(tokens.Tokens), "it did not go on from the cache")

	check := func(what, url string, slot int) {
		got := ask(url, slot, 24, all)
		require.Equal(t, want.Timings.CacheN, got.Timings.CacheN, what)
		require.Equal(t, want.Content, got.Content, what)
		require.Regexp(t, harness.SparseLine, got.Retro.Summary)
	}
	slot(url, 0, "erase")
	slot(url, 0, "restore")
	check("the same slot", url, 0)
	slot(url, 1, "restore")
	check("another slot", url, 1)
	other := harness.Serve(t, 1, short...)
	slot(other, 0, "restore")
	check("another server", other, 0)

	// The restored state again, put away for another prompt and taken back.
	slot(other, 0, "restore")
	ask(other, 0, 4, tokens.Tokens[700:1000])
	check("the prompt cache", other, 0)
}

// Where every second token comes with one that is embedded again, both kinds of steps keep their
// graph.
func TestGraphsTakeTurns(t *testing.T) {
	const tokens = 60
	out, err := program(t, nil, "llama-completion", "--retro-opts",
		"budget=32,local=16,min_ctx=0,window=2,period=2", "-p",
		strings.Repeat("The history of the river. ", 20),
		"-n", fmt.Sprint(tokens), "-no-cnv", "-st", "-c", "512", "--ignore-eos", "--perf")
	require.NoError(t, err, out)
	m := regexp.MustCompile(`graphs reused =\s+(\d+)`).FindStringSubmatch(out)
	require.NotNil(t, m, out)
	reused, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	require.Greater(t, reused, tokens-6, out)
}

// A program that decodes nothing token by token says so; tokens whose positions self-extend changes
// are sparse, and those that are sampled in the graph.
func TestProgramsSayWhy(t *testing.T) {
	harness.Slow(t)
	text := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("The history of the river is long. ", 80)), 0o644))

	short := harness.Setting(t, "RETRO_SHORT")
	out, err := program(t, nil, "llama-perplexity", "-m", short, "-f", text, "-c", "256",
		"--chunks", "1", "--retro-attn")
	require.NoError(t, err, out)
	require.Regexp(t, `0 of 0 tokens sparse, \d+ of prompts and drafts exact: nothing was decoded`,
		out)

	for _, args := range [][]string{{"--grp-attn-n", "2", "--grp-attn-w", "128"}, {"-bs"}} {
		out, err := program(t, nil, "llama-completion",
			append(args, "-m", short, "-f", text, "-n", "20", "-no-cnv", "-st", "-c", "2048", "--ignore-eos",
				"--retro-opts", "budget=32,local=16,min_ctx=0,window=2,period=1")...)
		require.NoError(t, err, out)
		require.Contains(t, out, "19 of 19 tokens sparse", args)
	}
}
