package speed

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	opt "github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// line is a result of which the goals are made.
func line(policy string, seqs, depth int, ratio, ms, extra figure) Result {
	return Result{KV: "f16", Policy: policy, Seqs: seqs, Depth: depth, Ratio: ratio, StepMS: ms,
		Extra: extra,
		TokS:  1000 / ms, TokSMin: 900 / ms, TokSMax: 1100 / ms}
}

func TestGoals(t *testing.T) {
	results := []Result{
		line(stockName, 1, 0, 1, 5, unknown), line("w1", 1, 0, 0.9, 6, 0.5),
		line("paper", 1, 0, 0.98, 5, 0.5), line("w8", 1, 8192, 1, 50, 0.9),
		line(stockName, 1, 8192, 1, 50, unknown), line(denseName, 1, 8192, 1.5, 30, 0),
		line("w1", 1, 8192, 4.5, 10, 0.04),
		line(stockName, 1, 131072, 1, 450, unknown), line("w1", 1, 131072, 29, 18, 0.102),
		line(denseName, 1, 131072, 3, 150, 0),
	}
	failed := line("plan", 1, 131072, 99, 1, 0)
	failed.Error = "not sparse"
	other := line("w1", 1, 8192, 99, 1, 0.9)
	other.KV = "q8_0"
	goals := checkGoals(append(results, failed, other), &Prefill{Ratio: 0.975})
	verdicts := map[string]Goal{}
	for _, g := range goals {
		verdicts[g.Name] = g
	}
	require.Len(t, verdicts, 10)
	require.Equal(t, "reached", verdicts["depth 0, times stock"].Verdict)
	require.Equal(t, "paper", verdicts["depth 0, times stock"].By)
	require.Equal(t, "not measured", verdicts["depth 2k, times stock"].Verdict)
	require.Equal(t, "reached", verdicts["depth 8k, times stock"].Verdict)
	require.Equal(t, "missed by 3 %", verdicts["depth 128k, times stock"].Verdict)
	growth := verdicts["time of a step at 128k, of that at 8k"]
	require.Equal(t, "w1", growth.By)
	require.InDelta(t, 1.8, float64(growth.Got), 1e-9)
	require.Equal(t, "missed by 20 %", growth.Verdict)
	require.Equal(t, "missed by 33 %", verdicts["everything read at 8k, times stock"].Verdict)
	require.Equal(t, "missed by less than 1 %", verdicts["prompt, times stock"].Verdict)
	memory := verdicts["memory beside the KV cache, % of it, from 8k on"]
	require.Equal(t, "w1, 1 sequence at 128k", memory.By)
	require.Equal(t, "missed by 20 %", memory.Verdict)

	var text bytes.Buffer
	writeGoals(&text, goals)
	require.Equal(t, 10, strings.Count(text.String(), "\n"))
	for _, g := range checkGoals(nil, nil) {
		require.Equal(t, "not measured", g.Verdict, g.Name)
	}
}

func TestFigureJSON(t *testing.T) {
	data, err := json.Marshal(Result{TokS: 2.5, Ratio: unknown})
	require.NoError(t, err)
	require.Contains(t, string(data), `"tok_s":2.5`)
	require.Contains(t, string(data), `"ratio":null`)
	var r Result
	require.NoError(t, json.Unmarshal(data, &r))
	require.False(t, r.Ratio.known())
	require.EqualValues(t, 2.5, r.TokS)
}

// ran is a run of so many steps of 10 ms.
func ran(steps int, s *stats.Stats) Ran {
	return Ran{FirstNS: 5e7, NS: int64(steps) * 1e7, Steps: steps, Stats: s, Extra: 1000}
}

// Figures of runs: medians, shares, and what is left of a step; a policy that left nothing out
// where it must is refused.
func TestEvaluate(t *testing.T) {
	b := &runner{o: &Command{Runs: 2}, bandwidth: 1e9, perToken: map[string]float64{"f16": 100},
		passes: map[[2]int]float64{{2, 1}: 2e6, {2, 2}: 4e6}}
	c := cell{kv: "f16", seqs: 2, depth: 4096}
	ours := func(name, options string, sparse uint64, rewritten uint64) *variant {
		o, err := opt.Parse(options)
		require.NoError(t, err)
		s := &stats.Stats{Tokens: 20, SparseTokens: sparse, RewrittenTokens: rewritten,
			KVReadBytes: 150, ScanBytes: 50, KVFullBytes: 1000, AttentionNS: 3e7}
		return &variant{policy: policy{name, options}, parsed: o,
			runs: []Ran{ran(10, s), ran(10, s)}}
	}
	stock := &variant{policy: policies[0], runs: []Ran{{NS: 4e8, Steps: 10}, {NS: 2e8, Steps: 10}}}
	short := ours("short", "window=1", 20, 0)
	short.runs[0].Steps = 11
	results, err := b.evaluate(c, []*variant{stock, ours("w1", "window=1", 20, 0),
		ours("paper", "window=2", 20, 20),
		ours("exact", "window=1", 0, 0), ours(denseName, "budget=100000", 0, 0),
		ours("large", "budget=5000", 0, 0), short})
	require.NoError(t, err)

	require.InDelta(t, (50+100)/2, float64(results[0].TokS), 1e-9, "tokens of both sequences")
	require.InDelta(t, 30-2, float64(results[0].AttendMS), 1e-9)
	require.EqualValues(t, 1, results[0].Ratio)
	w1 := results[1]
	require.InDelta(t, 200.0/75, float64(w1.Ratio), 1e-9)
	require.InDelta(t, 3, float64(w1.AttendMS), 1e-9)
	require.InDelta(t, 2, float64(w1.DenseMS), 1e-9)
	require.InDelta(t, 5, float64(w1.RestMS), 1e-9)
	require.InDelta(t, 0.2, float64(w1.KVShare), 1e-9)
	require.InDelta(t, 4, float64(results[2].DenseMS), 1e-9, "two rows")
	require.Contains(t, results[3].Error, "not sparse: nothing was left out of 4096 tokens")
	require.Empty(t, results[4].Error)
	require.Empty(t, results[4].Note)
	require.Contains(t, results[5].Note, "the budget of 5000 tokens")
	require.Contains(t, results[6].Error, "40 of 42 tokens", "the library missed some")

	b.results = results
	var out bytes.Buffer
	b.out = &out
	b.table(c)
	text := out.String()
	require.Contains(t, text, "KV cache f16, 2 sequences")
	require.Regexp(t, `4k +w1 +200 / 200 / 200 +2\.67 +3\.00 +2\.00 +5\.00`, text)
	require.Contains(t, text, "exact at 4k: FAILED: not sparse")
	require.Contains(t, text, "large at 4k: everything is read")
	require.Equal(t, 2, failures(results))
}

func TestFitting(t *testing.T) {
	var out bytes.Buffer
	b := &runner{o: &Command{Cache: t.TempDir()}, out: &out,
		perToken: map[string]float64{"f16": 23040, "huge": 1e12}}
	fit := b.fitting([]cell{{"f16", 1, 0, nil}, {"huge", 1, 131072, nil}})
	require.Len(t, fit, 1)
	require.Contains(t, out.String(), "Left out: huge, 1 sequence, depth 128k, which needs ")
	need := memoryFor(cell{kv: "f16", seqs: 1, depth: 131072}, 23040)
	require.InEpsilon(t, 3.1*(131072+room)*23040+1<<30, float64(need), 1e-6)
}

func TestPlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.svg")
	require.ErrorContains(t, writePlot(path, nil), "nothing was measured")
	require.NoError(t, writePlot(path, []Result{
		line(stockName, 4, 4096, 1, 5, 0), line(stockName, 1, 0, 1, 5, 0),
		line(stockName, 1, 8192, 1, 50, 0), line("w1", 1, 8192, 4, 12, 0),
	}))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, want := range []string{"<svg", "stock", "w1", ">0<", ">8k<", "f16, 1 sequence"} {
		require.Contains(t, string(data), want)
	}
	require.NotContains(t, string(data), ">4k<")
}
