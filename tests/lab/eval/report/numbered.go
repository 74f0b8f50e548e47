package report

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// numberParts is in how many parts the questions of an exam are told apart.
const numberParts = 5

// byNumber is the share of answers in each part of an exam that were right, and that were those of
// full attention.
func (p *policy) byNumber(n int) (right, same []float64) {
	parts := min(n, numberParts)
	count := func(marks func(Record) string) []float64 {
		hits, total := make([]float64, parts), make([]float64, parts)
		for _, r := range p.records {
			for i, m := range marks(r) {
				if part := i * parts / n; part < parts {
					total[part]++
					hits[part] += float64(m - '0')
				}
			}
		}
		for i := range hits {
			hits[i] /= total[i]
		}
		return hits
	}
	return count(func(r Record) string { return r.RightAt }),
		count(func(r Record) string { return r.SameAt })
}

// numbered says whether the setup knows which question was answered how.
func (s *setup) numbered() bool {
	return s.n > 1 && slices.ContainsFunc(s.policies, func(p *policy) bool {
		return slices.ContainsFunc(p.records, func(r Record) bool { return len(r.RightAt) == s.n })
	})
}

// numbers is a table by question number, over all sets.
func (s *setup) numbers() *grid {
	g := &grid{Caption: "Right, and as full attention, by question number, %",
		Head: []string{"policy"}}
	parts := min(s.n, numberParts)
	for i := range parts {
		from, to := (i*s.n+parts-1)/parts, ((i+1)*s.n+parts-1)/parts
		g.Head = append(g.Head, fmt.Sprintf("%d to %d", from+1, to))
	}
	for _, p := range s.policies {
		right, same := p.byNumber(s.n)
		row := []string{p.name}
		for i := range right {
			cell := percent(right[i], 0)
			if !p.full() {
				cell += " / " + percent(same[i], 0)
			}
			row = append(row, cell)
		}
		g.row(row...)
	}
	return g
}

// numberFigure plots accuracy over the question number.
func (s *setup) numberFigure(looks styles) figureHTML {
	p := newPlot("question", "right, %")
	var legend []entry
	for _, q := range s.policies {
		right, _ := q.byNumber(s.n)
		var xys plotter.XYs
		for i, v := range right {
			if v == v { // total
				xys = append(xys, plotter.XY{X: (float64(i) +
					0.5) * float64(s.n) / float64(len(right)), Y: 100 * v})
			}
		}
		look := looks[q.family]
		if q.full() {
			look = style(len(looks))
		}
		line, dots := &plotter.Line{XYs: xys, LineStyle: look.line()},
			&plotter.Scatter{XYs: xys, GlyphStyle: look.glyph()}
		p.Add(line, dots)
		legend = append(legend, entry{q.name, []plot.Thumbnailer{line, dots}})
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, float64(s.n), 0, 100
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(evenTicks), plot.TickerFunc(evenTicks)
	return figureHTML{
		Caption: "Answers right over the number of the question, all sets, in equal parts.",
		SVG: svg(p, legend, plotWidth, plotHeight,
			s.title()+": answers right by question number"),
	}
}
