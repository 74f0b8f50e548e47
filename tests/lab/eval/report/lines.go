package report

import (
	"io"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// Line is a line of a plot with logarithmic axes, with error bars.
type Line struct {
	Name   string
	Points []LinePoint
}

// LinePoint is a value and its range, all above 0.
type LinePoint struct{ X, Y, Lo, Hi float64 }

// WriteLines draws lines as an SVG document; at names the places on the x axis.
func WriteLines(w io.Writer, x, y, label string, at map[float64]string, lines []Line) error {
	p := newPlot(x, y)
	lo, hi := math.Inf(1), math.Inf(-1)
	var legend []entry
	for i, l := range lines {
		var points plotter.XYs
		var errors plotter.YErrors
		for _, v := range l.Points {
			logY := math.Log10(v.Y)
			points = append(points, plotter.XY{X: math.Log10(v.X), Y: logY})
			errors = append(errors, struct{ Low, High float64 }{math.Log10(v.Lo) - logY,
				math.Log10(v.Hi) - logY})
			lo, hi = min(lo, math.Log10(v.Lo)), max(hi, math.Log10(v.Hi))
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(struct {
			plotter.XYs
			plotter.YErrors
		}{points, errors})
		if err != nil {
			return err
		}
		s := style(i)
		line.LineStyle, dots.GlyphStyle = s.line(), s.glyph()
		bars.LineStyle.Color, bars.LineStyle.Width = s.colour(), 0.8
		p.Add(bars, line, dots)
		legend = append(legend, entry{l.Name, []plot.Thumbnailer{line, dots}})
	}
	if len(legend) > 0 {
		logAxis(&p.Y, lo, hi)
	}
	var ticks []plot.Tick
	for _, v := range slices.Sorted(maps.Keys(at)) {
		ticks = append(ticks, plot.Tick{Value: math.Log10(v), Label: at[v]})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	_, err := io.WriteString(w, xmlHead+string(svg(p, legend, plotWidth, plotHeight, label)))
	return err
}
