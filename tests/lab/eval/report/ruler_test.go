package report

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rulerRecords are two tasks of unlike size, four prompts each: right says how many of the answers
// a policy has.
func rulerRecords(policy, options string, right func(task string, sample int) int) (out []Record) {
	for _, task := range []string{"niah_single_1", "niah_multivalue"} {
		for sample := 1; sample <= 4; sample++ {
			r := Record{Test: "ruler", Policy: policy, Family: policy, Options: options, Model: "m",
				Text: task, KV: "f16", Ctx: 4096, Sample: sample,
				Total: 1, SparseTokens: 9, KVShare: 0.1, TokS: 10}.Unmeasured()
			r.KVShare, r.TokS = 0.1, 10
			if task == "niah_multivalue" {
				r.Total = 4
			}
			r.Right = right(task, sample)
			out = append(out, r)
		}
	}
	return out
}

func allRight(task string, _ int) int {
	if task == "niah_multivalue" {
		return 4
	}
	return 1
}

// Tasks weigh the same, however many answers they have, and only prompts that full attention has as
// well are compared with it.
func TestRulerScores(t *testing.T) {
	full := rulerRecords("full", "", allRight)
	half := func(task string, sample int) int { return allRight(task, sample) * (sample % 2) }
	ours := rulerRecords("tokens w1 512", "budget=512,window=1", func(task string, sample int) int {
		if task == "niah_multivalue" {
			return 3
		}
		return half(task, sample)
	})
	records := append(full, ours...)
	s := setups(records)
	require.Len(t, s, 1)
	scores := s[0].scores(s[0].policies[1], foundShare)
	require.InDelta(t, (0.5+0.75)/2, meanScore(scores, ownScores), 1e-9)
	require.InDelta(t, (0.5+0.75)/2, ofFull(scores), 1e-9)
	task, share := worst(scores)
	require.Equal(t, "niah_single_1", task)
	require.InDelta(t, 0.5, share, 1e-9)
	e := resampled(scores, ofFull)
	require.Less(t, e.Lo, e.Value)
	require.Greater(t, e.Hi, e.Value)

	text := table(t, records)
	requireFits(t, text)
	require.Contains(t, text, "niah_single_1 50")
	require.Contains(t, text, "62.5 [")
	verdicts := about(Verdicts(records), "RULER")
	require.Len(t, verdicts, 1)
	require.False(t, verdicts[0].Met)
	require.Contains(t, verdicts[0].Text, "lowest is niah_single_1 with 50 %")

	short := append(full[:4:4], full[5:]...) // full attention lacks a prompt
	s = setups(append(short, ours...))
	scores = s[0].scores(s[0].policies[1], foundShare)
	require.True(t, math.IsNaN(scores[1].full[0]))
	scores[1].own[0] = 0 // counts no more
	require.InDelta(t, (0.5+0.75)/2, ofFull(scores), 1e-9)
}

// How likely the right answers are is compared prompt by prompt, where both are known.
func TestRulerLikelihoods(t *testing.T) {
	full := rulerRecords("full", "", allRight)
	ours := rulerRecords("tokens w1 512", "budget=512,window=1", allRight)
	for i := range full {
		full[i].NLL, ours[i].NLL = float64(i), float64(i)+0.25
	}
	full[0].NLL, ours[1].NLL = math.NaN(), math.NaN()
	ours[0].NLL, full[1].NLL = 90, 80
	s := setups(append(full, ours...))
	e := resampled(s[0].scores(s[0].policies[1], unlikelihood), aboveFull)
	require.InDelta(t, 0.25, e.Value, 1e-9)
	require.InDelta(t, 0.25, e.Lo, 1e-9)
	require.Contains(t, table(t, append(full, ours...)), "0.250 [0.250, 0.250]")
	ours[3].NLL = 5
	s = setups(append(full, ours...))
	e = resampled(s[0].scores(s[0].policies[1], unlikelihood), aboveFull)
	require.Greater(t, e.Hi, e.Value)
}

func TestRulerVerdictNeedsProof(t *testing.T) {
	records := append(rulerRecords("full", "", allRight),
		rulerRecords("tokens w1 512", "budget=512,window=1", allRight)...)
	require.True(t, about(Verdicts(records), "RULER")[0].Met)
	for i := range records {
		records[i].SparseTokens = 0
	}
	got := about(Verdicts(records), "RULER")[0]
	require.False(t, got.Met)
	require.Contains(t, got.Text, "proves nothing")
}

// A policy that was interrupted says so.
func TestRulerUnfinished(t *testing.T) {
	records := append(rulerRecords("full", "", allRight),
		rulerRecords("tokens w1 512", "budget=512,window=1", allRight)[:2]...)
	require.Contains(t, table(t, records), "tokens w1 512 (1 of 2 tasks)")
	single := append(rulerRecords("full", "", allRight)[:1],
		rulerRecords("tokens w1 512", "budget=512,window=1", allRight)[0])
	require.NotContains(t, table(t, single), "NaN")
}

// Lengths are tables of their own; prompts are not one another.
func TestRulerSetups(t *testing.T) {
	a := rulerRecords("full", "", allRight)
	b := rulerRecords("full", "", allRight)
	for i := range b {
		b[i].Ctx = 8192
	}
	require.Len(t, setups(append(a, b...)), 2)
	keys := map[string]bool{}
	for _, r := range append(a, b...) {
		keys[r.Key()] = true
	}
	require.Len(t, keys, 16)
	other := a[0]
	other.Streams = 7
	require.Equal(t, a[0].Key(), other.Key(), "a prompt may be tried in any batch")
}

func examRecords(n int) (out []Record) {
	for _, p := range [][3]string{{"full", "", "1111100000"},
		{"quest", "select=minmax,window=1", "1010101010"}} {
		for sample := 1; sample <= 2; sample++ {
			r := Record{Test: "questions", Policy: p[0], Family: p[0], Options: p[1], Model: "m",
				Text: "set", KV: "f16", Ctx: 900, Sample: sample, N: n,
				Total: n, Right: 5, Same: 5, RightAt: p[2], SameAt: "1111011110",
				SparseTokens: 9}.Unmeasured()
			r.KVShare, r.TokS = 0.1, 10
			out = append(out, r)
		}
	}
	return out
}

func TestByQuestionNumber(t *testing.T) {
	s := setups(examRecords(10))[0]
	require.True(t, s.numbered())
	right, same := s.policies[1].byNumber(10)
	require.Equal(t, []float64{0.5, 0.5, 0.5, 0.5, 0.5}, right)
	require.Equal(t, []float64{1, 1, 0.5, 1, 0.5}, same)
	text := table(t, examRecords(10))
	require.Contains(t, text, "9 to 10")
	require.Contains(t, text, "50 / 100")
	require.Contains(t, page(t, examRecords(10)), "over the number of the question")
	for n := 2; n < 40; n++ { // each question is in one part, in order
		g := (&setup{n: n}).numbers()
		last := 0
		for _, head := range g.Head[1:] {
			var from, to int
			fmt.Sscanf(head, "%d to %d", &from, &to)
			require.Equal(t, last+1, from)
			require.GreaterOrEqual(t, to, from)
			last = to
		}
		require.Equal(t, n, last)
	}
}

func TestFreeTable(t *testing.T) {
	var records []Record
	for _, p := range [][2]string{{"full", ""}, {"tokens w1 512", "budget=512,window=1"}} {
		for sample := 1; sample <= 3; sample++ {
			r := Record{Test: "free", Policy: p[0], Family: p[0], Options: p[1], Model: "m",
				Text: "book", Ctx: 8192, Tokens: 100 * sample, Sample: sample,
				Common: 10 * sample, Repeated: 0.25, SparseTokens: 9}.Unmeasured()
			r.KL, r.NLL, r.Top1, r.KVShare = 0.01*float64(sample), 0.3, 0.9, 0.1
			records = append(records, r)
		}
	}
	text := table(t, records)
	requireFits(t, text)
	row := text[strings.Index(text, "\ntokens"):]
	for _, want := range []string{"200", " 20 ", "0.0200 [", "90.0", "0.300", "25.0"} {
		require.Contains(t, row, want)
	}
	require.NotContains(t, text, "NaN")
	require.NotContains(t, page(t, records), "NaN")
}
