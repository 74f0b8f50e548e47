package speed

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Goal is something to reach, and how far it was.
type Goal struct {
	Test    string `json:"test"`
	Name    string `json:"name"`
	Want    string `json:"want"`
	Got     figure `json:"got"`
	By      string `json:"by"` // the policy, where there is a choice
	Verdict string `json:"verdict"`
}

// limit makes a goal of what was got: at least, or at most, so much.
func limit(name string, got figure, by string, want float64, atMost bool, format string) Goal {
	sign, missed := ">=", figure(want)/got-1
	if atMost {
		sign, missed = "<=", got/figure(want)-1
	}
	g := Goal{Test: "goal", Name: name, Want: sign + " " + fmt.Sprintf(format, want), Got: got,
		By: by, Verdict: "reached"}
	if !got.known() {
		g.Verdict = "not measured"
	} else if missed > 0 {
		g.Verdict = fmt.Sprintf("missed by %.0f %%", 100*missed)
		if missed < 0.01 {
			g.Verdict = "missed by less than 1 %"
		}
	}
	return g
}

// checkGoals compares results with the goals: of our policies, the best one counts.
func checkGoals(results []Result, prefill *Prefill) (goals []Goal) {
	for _, g := range []struct {
		seqs, depth int
		want        float64
	}{{1, 0, 0.97}, {1, 2048, 1.5}, {1, 8192, 4}, {1, 32768, 12}, {1, 131072, 30}, {16, 4096, 3}} {
		name := "depth " + depthName(g.depth) + ", times stock"
		if g.seqs > 1 {
			name = count(g.seqs, "sequence") + " at " + depthName(g.depth) + ", times stock"
		}
		got, by := best(results, g.seqs, g.depth)
		goals = append(goals, limit(name, got, by, g.want, false, "%gx"))
	}
	got, by := flattest(results)
	goals = append(goals, limit("time of a step at 128k, of that at 8k", got, by, 1.5, true, "%gx"))
	got = unknown
	if r := find(results, denseName, 1, 8192); r != nil {
		got = r.Ratio
	}
	goals = append(goals, limit("everything read at 8k, times stock", got, denseName, 2, false,
		"%gx"))
	got = unknown
	if prefill != nil {
		got = figure(prefill.Ratio)
	}
	goals = append(goals, limit("prompt, times stock", got, "", 0.98, false, "%gx"))
	got, by = largest(results, "w1")
	return append(goals, limit("memory beside the KV cache, % of it, from 8k on", got*100, by, 8.5,
		true, "%g %%"))
}

// ours says whether a line counts for the goals of F16.
func (r Result) ours() bool {
	return r.Error == "" && r.KV == "f16" && r.Policy != stockName && r.Policy != stockGPUName
}

// best is the highest ratio to stock.
func best(results []Result, seqs, depth int) (ratio figure, by string) {
	ratio = unknown
	for _, r := range results {
		if r.ours() && r.Seqs == seqs && r.Depth == depth && r.Ratio.known() &&
			!(r.Ratio <= ratio) {
			ratio, by = r.Ratio, r.Policy
		}
	}
	return ratio, by
}

// flattest is the policy whose steps grow least from 8k to 128k.
func flattest(results []Result) (growth figure, by string) {
	growth = unknown
	for _, r := range results {
		short := find(results, r.Policy, 1, 8192)
		if !r.ours() || r.Seqs != 1 || r.Depth != 131072 || short == nil {
			continue
		}
		if g := r.StepMS / short.StepMS; g.known() && !(g >= growth) {
			growth, by = g, r.Policy
		}
	}
	return growth, by
}

// largest is the most that a policy holds beside the cache, as a share of it.
func largest(results []Result, policy string) (share figure, by string) {
	share = unknown
	for _, r := range results {
		counts := r.ours() && r.Policy == policy && r.Depth >= 8192 && r.Extra.known()
		if counts && !(r.Extra <= share) {
			share, by = r.Extra, fmt.Sprintf("%s, %s at %s", r.Policy, count(r.Seqs, "sequence"),
				depthName(r.Depth))
		}
	}
	return share, by
}

func find(results []Result, policy string, seqs, depth int) *Result {
	i := slices.IndexFunc(results, func(r Result) bool {
		return r.KV == "f16" && r.Policy == policy && r.Seqs == seqs && r.Depth == depth &&
			r.Error == ""
	})
	if i < 0 {
		return nil
	}
	return &results[i]
}

func writeGoals(out io.Writer, goals []Goal) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, g := range goals {
		got := "-"
		if g.Got.known() {
			got = fmt.Sprintf("%.3g", float64(g.Got))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", g.Name, g.Want, got, cmp.Or(g.By, "-"), g.Verdict)
	}
	w.Flush()
}
