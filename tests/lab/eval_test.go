package main

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/lab/eval/report"
)

// The laboratory runs through in small: it can be interrupted and goes on, what it
// reports was sparse, and nothing is measured twice.
func TestEval(t *testing.T) {
	program := program(t, "RETRO_PATCHED_DIR", "RETRO_SHORT", "RETRO_SOURCE")
	dir := t.TempDir()
	eval := func(args ...string) *exec.Cmd {
		return exec.Command(program, append([]string{"eval", "--quick", "--threads", "2",
			"--model", os.Getenv("RETRO_SHORT"),
			"--policy", "mine=budget=96,window=4,period=1",
			"--policy", "control=budget=all,window=1", "--out", dir}, args...)...)
	}

	// Interrupted after a few results.
	cmd := eval()
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; n < 6 && lines.Scan(); n++ {
		t.Log(lines.Text())
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, out)
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	require.Contains(t, complaint.String(), "interrupted")
	results := filepath.Join(dir, "results.jsonl")
	first, err := report.Read(results)
	require.NoError(t, err)
	require.NotEmpty(t, first)

	text, err := eval().CombinedOutput()
	require.NoError(t, err, string(text))
	t.Log(string(text))
	records, err := report.Read(results)
	require.NoError(t, err)
	require.Greater(t, len(records), len(first))
	checkRecords(t, records)
	for i, r := range first { // NaN, which is what was not measured, is unequal to itself
		require.Equal(t, r.Key(), records[i].Key())
	}
	require.True(t, slices.ContainsFunc(records, func(r report.Record) bool {
		return r.Policy == "mine" && r.Options == "budget=96,window=4,period=1"
	}))
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "<svg")

	text, err = eval().CombinedOutput()
	require.NoError(t, err, string(text))
	again, err := report.Read(results)
	require.NoError(t, err)
	require.Len(t, again, len(records))
	require.NotContains(t, string(text), "preparing", "measured twice")

	text, err = eval("--streams", "99").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(text), "--streams 99")

	text, err = exec.Command(program, "eval", "--tests", "problems,questions", "--first", "2",
		"--out", t.TempDir()).CombinedOutput()
	require.Error(t, err, "the second of one exam")
	require.Contains(t, string(text), "--first 2 leaves nothing of questions")
}

// RULER and texts that go on freely: all tasks at their length, several prompts in a batch, and a
// policy that reads everything does what full attention does.
func TestEvalInBatches(t *testing.T) {
	program, dir := program(t, "RETRO_PATCHED_DIR", "RETRO_SHORT", "RETRO_SOURCE"), t.TempDir()
	text, err := exec.Command(program, "eval", "--quick", "--tests", "ruler,free", "--threads", "2",
		"--only", "--model", os.Getenv("RETRO_SHORT"),
		"--policy", "mine=budget=64,window=2,period=1", "--policy", "control=budget=all,window=1",
		"--out", dir).CombinedOutput()
	require.NoError(t, err, string(text))
	t.Log(string(text))
	records, err := report.Read(filepath.Join(dir, "results.jsonl"))
	require.NoError(t, err)
	tasks, same, total, corrected := map[string]int{}, 0, 0, uint64(0)
	likelihoods := map[string]float64{} // under full attention, which comes first
	apart := map[string]float64{}       // from these, of all tasks
	for _, r := range records {
		require.Empty(t, r.Error, r.Policy)
		if r.Policy == "mine" {
			require.NotZero(t, r.SparseTokens, r.Text)
			require.Less(t, r.KVShare, 1.0)
			corrected += r.CorrectedTokens
		}
		if r.Policy == "control" {
			require.Zero(t, r.SparseTokens)
		}
		switch {
		case r.Test == "ruler":
			tasks[r.Text]++
			require.Greater(t, r.NLL, 0.0, r.Text)
			if r.Policy == "full" {
				likelihoods[r.Text] = r.NLL
			}
			if r.Policy == "control" {
				same, total = same+r.Same, total+r.Total
			}
			apart[r.Policy] += math.Abs(r.NLL - likelihoods[r.Text])
		case r.Policy == "control":
			require.Less(t, r.KL, 1e-2)
		case r.Policy == "mine":
			require.Greater(t, r.KL, 0.0)
		}
	}
	require.NotZero(t, corrected)
	require.Greater(t, apart["mine"], 5*apart["control"])
	require.Len(t, tasks, 13)
	for task, n := range tasks {
		require.Equal(t, 3, n, task) // one prompt, two policies and full attention
	}
	// rounding may tip a greedy choice
	require.GreaterOrEqual(t, same, total-2, "of %d answers", total)
}

// Lossless decoding gives the answers of full attention, by drafts that were sparse; where no prompt
// is answered, it is refused.
func TestEvalLossless(t *testing.T) {
	program, dir := program(t, "RETRO_PATCHED_DIR", "RETRO_MODEL", "RETRO_SOURCE"), t.TempDir()
	text, err := exec.Command(program, "eval", "--quick", "--tests", "questions,decode",
		"--exams", "2", "--threads", "2", "--only", "--policy",
		"lossless=budget=64,window=1,draft=4", "--out", dir).CombinedOutput()
	require.NoError(t, err, string(text))
	records, err := report.Read(filepath.Join(dir, "results.jsonl"))
	require.NoError(t, err)
	answers, same, mayBe := 0, 0, 0
	for _, r := range records {
		switch {
		case r.Test == "decode":
			require.Equal(t, r.Full(), r.Error == "", r.Error)
		case r.Full():
			mayBe += r.Same
		default:
			require.Empty(t, r.Error)
			require.NotZero(t, r.SparseTokens, r.Text)
			answers, same = answers+r.Total, same+r.Same
		}
	}
	require.Equal(t, 8, answers)
	require.NotZero(t, mayBe)
	require.GreaterOrEqual(t, same, mayBe-1) // rounding may tip a greedy choice
}

// checkRecords: every policy ran, was sparse, and was compared with full attention.
func checkRecords(t *testing.T, records []report.Record) {
	t.Helper()
	seen, tests := map[string]bool{}, map[string]int{}
	for _, r := range records {
		require.Empty(t, r.Error, r.Policy)
		require.False(t, seen[r.Key()], "twice: %s", r.Key())
		seen[r.Key()] = true
		tests[r.Test]++
		if r.Full() {
			continue
		}
		if r.Policy == "control" { // reads everything: full attention by the library
			require.Zero(t, r.SparseTokens)
			require.Equal(t, 1.0, r.KVShare)
			if r.Total == 0 {
				// Quantised weights round activations, so that any two ways to compute full
				// attention differ by some thousandths, stock's own with and without flash
				// attention, too. TestBudgetCoversContext bounds F16 weights.
				require.Less(t, r.KL, 1e-2)
			}
			continue
		}
		require.NotZero(t, r.SparseTokens, r.Policy)
		require.Less(t, r.KVShare, 1.0, r.Policy)
		require.Greater(t, r.TokS, 0.0, r.Policy)
		if strings.Contains(r.Options, "window=2") {
			require.NotZero(t, r.CorrectedTokens, r.Policy)
		}
		if r.Total == 0 {
			require.Greater(t, r.KL, 0.0, r.Policy)
			require.LessOrEqual(t, r.KLLo, r.KL)
			require.GreaterOrEqual(t, r.KLHi, r.KL)
		}
	}
	for _, test := range []string{"decode", "generate", "needle", "passkey", "questions"} {
		require.NotZero(t, tests[test], "no results of %s", test)
	}
}
