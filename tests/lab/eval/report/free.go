package report

import (
	"fmt"
	"slices"
)

// free is the table of texts that went on by themselves.
func (s *setup) free() *grid {
	g := &grid{
		Caption: s.title(),
		Head: []string{"policy", "texts", "tokens", "as full's until, median", "KL [95 %]",
			"same token %", "NLL", "repeated %", "KV read %"},
		Notes: append(s.inactive(), "Greedy. KL, same token and NLL are of each policy's own "+
			"text, given to full attention token by token; "+
			"repeated are tokens that end four which the text had before; their means are over "+
			"texts."),
	}
	for _, p := range s.policies {
		mean := func(f func(Record) float64) float64 { return average(p.records, f) }
		common := make([]int, len(p.records))
		kl := make([]float64, len(p.records))
		for i, r := range p.records {
			common[i], kl[i] = r.Common, r.KL
		}
		slices.Sort(common)
		texts := []scored{{own: kl, full: kl}}
		row := []string{p.name, fmt.Sprint(len(p.records)),
			figure(mean(func(r Record) float64 { return float64(r.Tokens) })),
			fmt.Sprint(common[len(common)/2]),
			resampled(texts, meanOwnScore).String(), percent(p.top1, 1),
			figure(mean(func(r Record) float64 { return r.NLL })),
			percent(mean(func(r Record) float64 { return r.Repeated }), 1), percent(p.share, 1)}
		if p.full() {
			row[3], row[4], row[5] = "-", "-", "-"
		}
		g.row(row...)
	}
	return g
}
