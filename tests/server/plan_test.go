package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// planned runs llama-completion and returns the plan's choice and the rest of its line.
func planned(t *testing.T, cache string, args ...string) (choice, rest string) {
	t.Helper()
	args = append([]string{"-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "4096"}, args...)
	out, err := program(t, []string{"LLAMA_CACHE=" + cache}, "llama-completion", args...)
	require.NoError(t, err, out)
	m := harness.PlanLine.FindStringSubmatch(out)
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
	harness.Slow(t)
	var cache, first, rest string
	for range 5 { // a busy machine may have no time to measure several rows, and the plan is kept
		cache = t.TempDir()
		first, rest = measured(t, cache, "--retro-attn")
		t.Log(first, rest)
		if strings.Contains(rest, " 2 rows cost ") {
			break
		}
	}
	require.Regexp(t, `^balanced: [\d.e+]+ ms per token expected, .*2 rows cost [\d.]+x of a pass, .*1000 tokens of context `, rest)
	files, err := filepath.Glob(filepath.Join(cache, "retroattn-plan-*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	second, rest := planned(t, cache, "--retro-attn")
	require.Equal(t, first, second)
	require.Contains(t, rest, "measured in an earlier run")

	choice, rest := planned(t, cache, "--retro-window", "4")
	require.Contains(t, choice, "window 4")
	require.Regexp(t, "^balanced, with what was set: |too busy to measure", rest)
	require.NotContains(t, rest, "measured in an earlier run", "other options")
}

// The environment plans as the flags do.
func TestPlanByEnvironment(t *testing.T) {
	out, err := program(t, []string{"LLAMA_RETRO_ATTN=window=2"}, "llama-completion", "-p", "Hello",
		"-n", "4", "-no-cnv", "-st", "-c", "4096")
	require.NoError(t, err, out)
	m := harness.PlanLine.FindStringSubmatch(out)
	require.NotNil(t, m, out)
	require.Contains(t, m[1], "window 2")
	require.Regexp(t, "^balanced, with what was set: |too busy to measure", m[2])
}

// Where all of it is set, nothing is planned, whatever is said of plans.
func TestPlanNotWanted(t *testing.T) {
	cache := t.TempDir()
	for _, args := range [][]string{{"--retro-window", "1"},
		{"--retro-window", "2", "--retro-period", "2", "--retro-target", "quality"}} {
		args = append([]string{"--retro-budget", "256"}, args...)
		out, err := program(t, []string{"LLAMA_CACHE=" + cache}, "llama-completion",
			append(args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "4096")...)
		require.NoError(t, err, out)
		require.NotContains(t, out, "plan: ")
	}
	files, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, files)
}

// What was surely not meant is done, and told.
func TestPlanWarns(t *testing.T) {
	for args, want := range map[string]string{
		"--retro-budget 1 --retro-window 1":    "warning: a budget of 1 in layer 0 is so little that texts fall apart",
		"--retro-budget 1.0":                   "plan: budget all, window 1 (everything is read: attention is exact)",
		"--retro-budget 100% --retro-window 1": "plan: budget all, window 1 (everything is read: attention is exact)",
	} {
		out, err := program(t, nil, "llama-completion",
			append(strings.Fields(args), "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c",
				"4096")...)
		require.NoError(t, err, out)
		require.Contains(t, out, want)
	}
}

// A plan file is made once and then used as it is, or refused.
func TestPlanFile(t *testing.T) {
	harness.Slow(t)
	cache, file := t.TempDir(), filepath.Join(t.TempDir(), "plan.json")
	first, rest := measured(t, cache, "--retro-plan", file)
	require.Contains(t, rest, "written to "+file)
	made, err := os.ReadFile(file)
	require.NoError(t, err)
	second, rest := planned(t, cache, "--retro-plan", file)
	require.Equal(t, first, second)
	require.Contains(t, rest, "as "+file+" says")
	choice, _ := planned(t, cache, "--retro-plan", file, "--retro-window", "4", "--retro-budget",
		"300")
	require.Contains(t, choice, "budget 300, window 4")

	refused := func(want string, args ...string) {
		args = append([]string{"-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "4096",
			"--retro-plan", file}, args...)
		out, err := program(t, []string{"LLAMA_CACHE=" + cache}, "llama-completion", args...)
		require.Error(t, err, out)
		require.Contains(t, out, "plan "+file+" "+want)
	}
	refused("was made for a context of 4096 tokens, this one has 2048", "-c", "2048")
	refused("was made for target=balanced, not for speed", "--retro-target", "speed")
	require.NoError(t, os.WriteFile(file, made[:len(made)/2], 0o644))
	refused("is damaged or no plan of libretroattn: remove it to have it made anew, or name another")
}
