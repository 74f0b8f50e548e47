package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var planLine = regexp.MustCompile(`plan: (budget \S+, window \d+(?:, period \d+)?(?:, correct_budget \d+)?) \((.*)\)`)

// planned runs llama-completion and returns the plan's choice and the rest of its line.
func planned(t *testing.T, cache string, args ...string) (choice, rest string) {
	t.Helper()
	args = append([]string{"-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "4096"}, args...)
	out, err := program(t, []string{"LLAMA_CACHE=" + cache}, "llama-completion", args...)
	require.NoError(t, err, out)
	m := planLine.FindStringSubmatch(out)
	require.NotNil(t, m, out)
	return m[1], m[2]
}

// measured is planned on a machine that is not too busy to measure.
func measured(t *testing.T, cache string, args ...string) (choice, rest string) {
	t.Helper()
	for range 5 {
		choice, rest = planned(t, cache, args...)
		if !strings.Contains(rest, "too busy to measure") {
			return choice, rest
		}
	}
	t.Skip("the machine is too busy to measure")
	return
}

// Without options the programs measure once, say what they chose and why, and keep it.
func TestPlanIsKept(t *testing.T) {
	cache := t.TempDir()
	first, rest := measured(t, cache, "--retro-attn")
	t.Log(first, rest)
	require.Regexp(t, `^balanced: [\d.e+]+ ms per token expected, .*2 rows cost [\d.]+x of a pass, .*1000 pages `, rest)
	files, err := filepath.Glob(filepath.Join(cache, "retroattn-plan-*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	second, rest := planned(t, cache, "--retro-attn")
	require.Equal(t, first, second)
	require.Contains(t, rest, "measured in an earlier run")

	choice, rest := planned(t, cache, "--retro-target", "speed", "--retro-window", "4")
	require.Contains(t, choice, "window 4")
	require.Regexp(t, "^speed, with what was set: |too busy to measure", rest)
	require.NotContains(t, rest, "measured in an earlier run", "other options")
}

// What the user chose is not planned, as before.
func TestPlanNotWanted(t *testing.T) {
	cache := t.TempDir()
	for _, args := range [][]string{{"--retro-budget", "256"}, {"--retro-window", "2"}, {"--retro-period", "1"}} {
		out, err := program(t, []string{"LLAMA_CACHE=" + cache}, "llama-completion", append(args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "4096")...)
		require.NoError(t, err, out)
		require.NotContains(t, out, "plan: ")
	}
	files, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, files)
}

// A plan file is made once and then used as it is, or refused.
func TestPlanFile(t *testing.T) {
	cache, file := t.TempDir(), filepath.Join(t.TempDir(), "plan.json")
	first, rest := measured(t, cache, "--retro-plan", file)
	require.Contains(t, rest, "written to "+file)
	made, err := os.ReadFile(file)
	require.NoError(t, err)
	second, rest := planned(t, cache, "--retro-plan", file)
	require.Equal(t, first, second)
	require.Contains(t, rest, "as "+file+" says")
	choice, _ := planned(t, cache, "--retro-plan", file, "--retro-window", "4", "--retro-budget", "300")
	require.Contains(t, choice, "budget 300, window 4")

	refused := func(want string, args ...string) {
		args = append([]string{"-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "4096", "--retro-plan", file}, args...)
		out, err := program(t, []string{"LLAMA_CACHE=" + cache}, "llama-completion", args...)
		require.Error(t, err, out)
		require.Contains(t, out, "plan "+file+" "+want)
	}
	refused("was made for a context of 4096 tokens, this one has 2048", "-c", "2048")
	refused("was made for target=balanced, not for speed", "--retro-target", "speed")
	require.NoError(t, os.WriteFile(file, made[:len(made)/2], 0o644))
	refused("is damaged or no plan of libretroattn: remove it to have it made anew, or name another")
}

// The measurement leaves a context as it was: empty, with its counters at rest, and it
// decodes as one that was given the same options. In a context that holds tokens
// nothing is measured.
func TestPlanLeavesContext(t *testing.T) {
	m := model(t, "RETRO_MODEL")
	p := contextParams(1, false)
	p.Ctx = 4096
	s := oneSequence(prose(t, m, 2000))
	const options = "window=2,period=1,budget=64,min_ctx=0,correct_budget=0"
	want, _ := playRetro(t, m, p, options, s)
	got, st := playRetro(t, m, p, options+",target=speed", s)
	require.True(t, same(want, got))
	require.EqualValues(t, 24, st.Tokens)

	ctx := newContext(t, m, p)
	w := newWriter(prose(t, m, 2000))
	w.prefill(0, 300)
	_, err := w.script.play(ctx)
	require.NoError(t, err)
	require.NoError(t, ctx.EnableRetro("target=balanced,min_ctx=0"))
	w.script = nil
	w.decode(5, 0)
	_, err = w.script.play(ctx)
	require.NoError(t, err)
	_, err = ctx.RetroStats()
	require.NoError(t, err)
}
