package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// about are the verdicts whose question has the word.
func about(verdicts []Verdict, word string) []Verdict {
	return slices.DeleteFunc(slices.Clone(verdicts),
		func(v Verdict) bool { return !strings.Contains(v.Question, word) })
}

func TestVerdictsOfGoals(t *testing.T) {
	verdicts := Verdicts(synthetic)
	for word, pairs := range map[string]int{"default selector": 8, "window=2": 8, "8-bit": 4} {
		got := about(verdicts, word)
		require.Len(t, got, pairs, word)
		for _, v := range got {
			require.NotEmpty(t, v.Goal)
			require.Contains(t, v.Text, "KV read")
			require.Positive(t, v.Ratio.Value)
			require.Equal(t, !v.Met, strings.Contains(v.Text, "missed by"), v.Text)
		}
	}
}

// Pairs are found by the options, whatever the policies are called and however much is
// left to the defaults.
func TestVerdictsReadOptions(t *testing.T) {
	a, b := recordsOf("x", 1), recordsOf("y", 1.5)
	for i := range a {
		a[i].Options, b[i].Options = "budget=512,window=2", "select=minmax, window=2,budget=512"
		for _, r := range []*Record{&a[i], &b[i]} {
			r.SparseTokens, r.CorrectedTokens, r.KVShare = 512, 512, 0.1
		}
	}
	got := Verdicts(append(a, b...))
	require.Len(t, got, 1)
	require.False(t, got[0].Met)
	require.Contains(t, got[0].Text, "missed by 0.1")
}

// More bytes, or nothing sparse, or nothing corrected: the goal is not met, whatever the KL.
func TestVerdictsNeedProof(t *testing.T) {
	for want, spoil := range map[string]func(*Record){
		"more bytes":          func(r *Record) { r.KVShare *= 1.1 },
		"corrected nothing":   func(r *Record) { r.CorrectedTokens = 0 },
		"decoded nothing spa": func(r *Record) { r.SparseTokens = 0 },
	} {
		records := slices.Clone(synthetic)
		for i := range records {
			if records[i].Family == "ours w2" {
				spoil(&records[i])
			}
		}
		for _, v := range about(Verdicts(records), "window=2") {
			if strings.HasPrefix(v.Text, "ours") {
				require.False(t, v.Met)
				require.Contains(t, v.Text, want)
			}
		}
	}
}

func TestNeedleVerdict(t *testing.T) {
	got := about(Verdicts(synth()), "needle")
	require.Len(t, got, 1)
	require.Contains(t, got[0].Text, "ours w2 512: ")
	records := synthTasks()
	for i := range records {
		if records[i].Family == "ours w2" {
			records[i].Right = 0
		}
	}
	got = about(Verdicts(records), "needle")
	require.False(t, got[0].Met)
	require.Contains(t, got[0].Text, "0 of 100 found, full attention 91: missed by 91.")
}

// The synthetic correction is worth its bytes and not its time.
func TestBudgetAgainstCorrection(t *testing.T) {
	got := about(Verdicts(synthetic), "larger budget")
	require.Contains(t, got[0].Text, "At equal bytes read")
	require.Contains(t, got[0].Text, "a larger budget at 0")
	require.Contains(t, got[1].Text, "At equal time per token")
	require.Contains(t, got[1].Text, "correction is better at 0,")
	for _, v := range got[2:] {
		require.NotEmpty(t, v.Points)
		require.NotContains(t, v.Text, "oracle against")
	}
	points := got[2].Points
	require.Regexp(t,
		`^At 8\.\d % of KV read \(ours w2 128\) .*: KL 0\.\d+ with correction against 0\.\d+ with a larger budget, ratio `, points[0])
}

func TestPaperVerdicts(t *testing.T) {
	got := about(Verdicts(synth()), "paper")
	require.Contains(t, got[0].Text, "geometric mean of 12 pairs")
	require.Contains(t, got[len(got)-1].Text, "problems: full attention 85.0 % right, quest 512 "+
		"62.5 %, quest+retro 512 70.0 %: 33 % of the gap closed")
}

func TestPrintVerdicts(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, PrintVerdicts(&b, Verdicts(synth())))
	requireFits(t, b.String())
	require.NotContains(t, b.String(), "NaN")
	require.Contains(t, b.String(), "[met] ")
	require.Empty(t, Verdicts(nil))
}
