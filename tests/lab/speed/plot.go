package speed

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/retroattn/retroattn/tests/lab/eval/report"
)

// writePlot draws tokens/s over depth: of the first type and number of sequences that has several
// depths.
func writePlot(path string, results []Result) error {
	shown := plotted(results)
	if len(shown) == 0 {
		return fmt.Errorf("--plot %s: nothing was measured to be drawn", path)
	}
	lowest := 0
	for _, r := range shown {
		if r.Depth > 0 && (lowest == 0 || r.Depth < lowest) {
			lowest = r.Depth
		}
	}
	at := map[float64]string{}
	var lines []report.Line
	for _, r := range shown {
		x := float64(r.Depth)
		if r.Depth == 0 { // which has no logarithm
			x = max(1, float64(lowest)/4)
		}
		at[x] = depthName(r.Depth)
		i := slices.IndexFunc(lines, func(l report.Line) bool { return l.Name == r.Policy })
		if i < 0 {
			i = len(lines)
			lines = append(lines, report.Line{Name: r.Policy})
		}
		lines[i].Points = append(lines[i].Points, report.LinePoint{X: x, Y: float64(r.TokS),
			Lo: float64(r.TokSMin), Hi: float64(r.TokSMax)})
	}
	for _, l := range lines {
		slices.SortFunc(l.Points, func(a, b report.LinePoint) int { return int(a.X - b.X) })
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	y := fmt.Sprintf("tokens/s (%s, %s)", shown[0].KV, count(shown[0].Seqs, "sequence"))
	return errors.Join(report.WriteLines(file, "depth, tokens", y, "Tokens per second over depth",
		at, lines), file.Close())
}

// plotted are the results of the type and number of sequences with the most depths.
func plotted(results []Result) (shown []Result) {
	type group struct {
		kv   string
		seqs int
	}
	depths := map[group]map[int]bool{}
	var most group
	for _, r := range results {
		if r.Error != "" {
			continue
		}
		g := group{r.KV, r.Seqs}
		if depths[g] == nil {
			depths[g] = map[int]bool{}
		}
		depths[g][r.Depth] = true
		if len(depths[g]) > len(depths[most]) {
			most = g
		}
	}
	for _, r := range results {
		if r.Error == "" && (group{r.KV, r.Seqs}) == most {
			shown = append(shown, r)
		}
	}
	return shown
}
