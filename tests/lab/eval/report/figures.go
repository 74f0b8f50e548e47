package report

import (
	"cmp"
	"fmt"
	"html/template"
	"image/color"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// figureHTML is a plot in the page.
type figureHTML struct {
	Caption string
	SVG     template.HTML
}

// styles gives every family its looks.
type styles map[string]style

func newStyles(all []*setup) styles {
	s := styles{}
	for _, setup := range all {
		for _, p := range setup.policies {
			if _, ok := s[p.family]; !ok && !p.full() {
				s[p.family] = 0
			}
		}
	}
	for i, family := range slices.Sorted(maps.Keys(s)) {
		s[family] = style(i)
	}
	return s
}

// figures are the plots of a setup.
func (s *setup) figures(looks styles) []figureHTML {
	switch {
	case s.decodes():
	case s.retrieves():
		return s.heatMaps()
	case s.byLength():
		return nil
	case s.numbered():
		return append(s.bars(), s.numberFigure(looks))
	default:
		return s.bars()
	}
	curves := s.curves()
	if len(curves) == 0 {
		return nil
	}
	title := s.title()
	out := []figureHTML{{
		Caption: "Quality over bytes read. Bars: 95 % intervals over all texts. Lower left is " +
			"better.",
		SVG: looks.quality(curves, "KV bytes read, % of full attention",
			"KL to full attention, nats per token",
			func(c *Curve) []Point { return c.Points },
			func(p Point) float64 { return 100 * p.Share }, title+": quality over bytes read"),
	}}
	if slices.ContainsFunc(curves, func(c Curve) bool { return len(c.bytime) > 0 }) {
		out = append(out, figureHTML{
			Caption: "Quality over time. Lower left is better.",
			SVG: looks.quality(curves, "time per token, ms", "KL to full attention, nats per token",
				func(c *Curve) []Point { return c.bytime }, byTime,
				title+": quality over time per token"),
		})
	}
	return append(out, looks.position(curves, title)...)
}

// scatter is the points of a curve with their intervals, for gonum's plotters.
type scatter struct {
	plotter.XYs
	plotter.YErrors
}

// quality plots KL over x, both logarithmic.
func (looks styles) quality(curves []Curve, x, y string, points func(*Curve) []Point,
	of func(Point) float64, label string,
) template.HTML {
	p := newPlot(x, y)
	var legend []entry
	var xs, ys []float64
	for i := range curves {
		c := &curves[i]
		var data scatter
		for _, pt := range points(c) {
			x, kl := math.Log10(of(pt)), math.Log10(pt.KL.Value)
			lo, hi := kl, kl
			if pt.KL.Lo > 0 && pt.KL.Hi > 0 {
				lo, hi = min(kl, math.Log10(pt.KL.Lo)), max(kl, math.Log10(pt.KL.Hi))
			}
			data.XYs = append(data.XYs, plotter.XY{X: x, Y: kl})
			data.YErrors = append(data.YErrors, struct{ Low, High float64 }{kl - lo, hi - kl})
			xs, ys = append(xs, x), append(ys, lo, hi)
		}
		if len(data.XYs) == 0 {
			continue
		}
		look := looks[c.Family]
		line, dots := &plotter.Line{XYs: data.XYs, LineStyle: look.line()},
			&plotter.Scatter{XYs: data.XYs, GlyphStyle: look.glyph()}
		bars, err := plotter.NewYErrorBars(data)
		if err == nil {
			bars.LineStyle = draw.LineStyle{Color: look.colour(), Width: 0.8}
			bars.CapWidth = 5
			p.Add(bars)
		}
		p.Add(line, dots)
		legend = append(legend, entry{c.Family, []plot.Thumbnailer{line, dots}})
	}
	logAxis(&p.X, slices.Min(xs), slices.Max(xs))
	logAxis(&p.Y, slices.Min(ys), slices.Max(ys))
	return svg(p, legend, plotWidth, plotHeight, label)
}

// position plots KL over the position of the decoded token, one policy per family, all
// of one budget.
func (looks styles) position(curves []Curve, title string) []figureHTML {
	chosen, budget := sameBudget(curves)
	p := newPlot("decoded token", "KL to full attention, nats per token")
	var legend []entry
	var ys []float64
	last := 0.0
	for _, pt := range chosen {
		xys := pt.policy.positions()
		if len(xys) == 0 {
			continue
		}
		for _, xy := range xys {
			ys, last = append(ys, xy.Y), max(last, xy.X)
		}
		look := looks[pt.policy.family]
		line, dots := &plotter.Line{XYs: xys, LineStyle: look.line()},
			&plotter.Scatter{XYs: xys, GlyphStyle: look.glyph()}
		dots.GlyphStyle.Radius = 2.2
		p.Add(line, dots)
		legend = append(legend, entry{pt.Policy, []plot.Thumbnailer{line, dots}})
	}
	if len(ys) == 0 {
		return nil
	}
	p.X.Min, p.X.Max = 0, last*1.05
	p.X.Tick.Marker = plot.TickerFunc(evenTicks)
	logAxis(&p.Y, slices.Min(ys), slices.Max(ys))
	return []figureHTML{{
		Caption: fmt.Sprintf("KL over position, mean of all streams and texts in equal parts of "+
			"the decoded tokens; policies with a budget of %s.", budget),
		SVG: svg(p, legend, plotWidth, plotHeight, title+": KL over position"),
	}}
}

// sameBudget picks a point of each curve that has the budget which most curves have, the
// middle one of several; and policies without a far budget.
func sameBudget(curves []Curve) (points []Point, budget string) {
	// Families of a single point are variations, and too many to be told apart, unless there is
	// nothing else.
	several := slices.ContainsFunc(curves, func(c Curve) bool { return len(c.Points) > 1 })
	count := map[string]int{}
	for _, c := range curves {
		for _, p := range c.Points {
			if len(c.Points) > 1 || !several {
				count[p.policy.opt["budget"]]++
			}
		}
	}
	if len(count) == 0 {
		return nil, ""
	}
	most := slices.Max(slices.Collect(maps.Values(count)))
	maps.DeleteFunc(count, func(_ string, n int) bool { return n < most })
	budgets := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Compare(optionSet{"": a}.number(""), optionSet{"": b}.number(""))
	})
	budget = budgets[(len(budgets)-1)/2]
	for _, c := range curves {
		if several && len(c.Points) == 1 && c.Points[0].policy.opt["select"] != "streaming" {
			continue
		}
		for _, p := range c.Points {
			if p.policy.opt["budget"] == budget || p.policy.opt["select"] == "streaming" {
				points = append(points, p)
				break
			}
		}
	}
	return points, budget
}

// positions are means over equal parts of the positions, of 16 tokens or more, 16 parts
// at most; the KL as a logarithm.
func (p *policy) positions() (xys plotter.XYs) {
	tokens := math.MaxInt
	for _, r := range p.records {
		tokens = min(tokens, len(r.KLTokens)/max(1, r.Streams))
	}
	parts := min(16, tokens/blockTokens)
	if parts < 2 || len(p.records) == 0 {
		return nil
	}
	mean := make([]float64, parts)
	for _, r := range p.records {
		for i, v := range byPosition(r.KLTokens, r.Streams, parts) {
			mean[i] += v / float64(len(p.records))
		}
	}
	for i, v := range mean {
		if v > 0 {
			xys = append(xys, plotter.XY{X: (float64(i) + 0.5) * float64(tokens) / float64(parts),
				Y: math.Log10(v)})
		}
	}
	return xys
}

// bars plots how many answers were right, and how many those of full attention.
func (s *setup) bars() []figureHTML {
	shown := slices.DeleteFunc(slices.Clone(s.policies),
		func(p *policy) bool { return p.total == 0 })
	slices.Reverse(shown) // the first on top
	if len(shown) == 0 {
		return nil
	}
	p := newPlot("% of answers", "")
	right, same := make(plotter.Values, len(shown)), make(plotter.Values, len(shown))
	var ends rightEnds
	var names []string
	for i, q := range shown {
		e := wilson(q.right, q.total).scaled(100)
		right[i], same[i] = e.Value, 100*float64(q.same)/float64(q.total)
		if q.full() {
			same[i] = 100
		}
		ends.XYs = append(ends.XYs, plotter.XY{X: e.Value, Y: float64(i) + 0.19})
		ends.XErrors = append(ends.XErrors, struct{ Low, High float64 }{e.Value - e.Lo,
			e.Hi - e.Value})
		names = append(names, q.name)
	}
	const rowHeight = 34
	var legend []entry
	for i, b := range []struct {
		name   string
		values plotter.Values
	}{{"right, 95 % interval", right}, {"same as full attention", same}} {
		bar := &plotter.BarChart{Values: b.values, Width: 11, Color: colours[i], Horizontal: true,
			XMin: 0}
		bar.XMin = 0.19 - 0.38*float64(i) // rows are one apart
		p.Add(bar)
		legend = append(legend, entry{b.name, []plot.Thumbnailer{bar}})
	}
	if errs, err := plotter.NewXErrorBars(ends); err == nil {
		errs.CapWidth = 5
		p.Add(errs)
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.5, float64(len(shown))-0.5
	p.X.Min, p.X.Max = 0, 100
	p.X.Tick.Marker = plot.TickerFunc(evenTicks)
	return []figureHTML{{
		Caption: "Answers right, and the same as with full attention.",
		SVG: svg(p, legend, plotWidth, vg.Length(60+rowHeight*len(shown)),
			s.title()+": answers"),
	}}
}

type rightEnds struct {
	plotter.XYs
	plotter.XErrors
}

// shades goes from nothing found to all found, light to dark.
type shades struct{}

// Colors implements palette.Palette.
func (shades) Colors() []color.Color {
	out := make([]color.Color, 101)
	from, to := rgb(0xF6E8D8), colours[0]
	mix := func(a, b uint8, w float64) uint8 { return uint8(float64(a)*(1-w) + float64(b)*w + 0.5) }
	for i := range out {
		w := float64(i) / 100
		out[i] = color.RGBA{mix(from.R, to.R, w), mix(from.G, to.G, w), mix(from.B, to.B, w), 255}
	}
	return out
}
