package report

import (
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
)

// models is the plot of our selection, budgets alone, on several models; nil unless there are two
// with two budgets each.
func models(all []*setup) []figureHTML {
	plain := parseOptions("window=1").without("budget", "period")
	looks := styles{}
	var curves []Curve
	for _, s := range all {
		if s.test != "decode" || s.kv != "f16" || s.on != "" {
			continue
		}
		c := Curve{Family: fmt.Sprintf("%s, %d tokens", s.model, s.ctx)}
		for _, p := range s.policies {
			if !p.full() && p.complete && p.kl.Value > 0 && p.share > 0 && p.sparse > 0 &&
				p.opt.without("budget", "period") == plain {
				c.Points = append(c.Points, Point{p.name, p.share, p.ms, p.kl, p})
			}
		}
		slices.SortStableFunc(c.Points, func(a, b Point) int {
			return int(1e6 * (a.Share - b.Share))
		})
		if len(c.Points) > 1 {
			looks[c.Family] = style(len(curves))
			curves = append(curves, c)
		}
	}
	if len(curves) < 2 {
		return nil
	}
	return []figureHTML{{
		Caption: "The default selection on several models, at several budgets: quality over " +
			"bytes read. Bars: 95 % intervals over all texts.",
		SVG: looks.quality(curves, "KV bytes read, % of full attention",
			"KL to full attention, nats per token",
			func(c *Curve) []Point { return c.Points },
			func(p Point) float64 { return 100 * p.Share },
			"Quality over bytes read, by model"),
	}}
}

// WritePlots leaves every plot of the report as an SVG file, named by its section and number;
// models.svg is over all of them.
func WritePlots(dir string, records []Record) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	all := setups(records)
	looks := newStyles(all)
	write := func(name string, svg template.HTML) error {
		return writeSVG(filepath.Join(dir, name+".svg"), svg)
	}
	for _, f := range models(all) {
		if err := write("models", f.SVG); err != nil {
			return err
		}
	}
	for i, s := range all {
		for k, f := range s.figures(looks) {
			if err := write(fmt.Sprintf("s%d-%d", i+1, k+1), f.SVG); err != nil {
				return err
			}
		}
	}
	return nil
}
