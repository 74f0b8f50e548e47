package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes in points of the drawing, which the page scales to its width.
const (
	plotWidth  = 560
	plotHeight = 340
	textSize   = 12
	smallSize  = 11
)

// colours are told apart with any kind of colour vision (Okabe and Ito, without their
// yellow, then Tol); markers and dashes tell them apart in print.
var colours = []color.RGBA{
	rgb(0x0072B2), rgb(0xD55E00), rgb(0x009E73), rgb(0xCC79A7), rgb(0xE69F00),
	rgb(0x56B4E9), rgb(0x000000), rgb(0x882255), rgb(0x999933), rgb(0x777777),
}

var markers = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{},
	draw.CrossGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.PlusGlyph{},
}

var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}

var (
	gridColour = rgb(0xDADADA)
	inkColour  = rgb(0x222222)
)

func rgb(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}
}

// style is how the i-th family looks, in every plot of a report.
type style int

func (s style) colour() color.RGBA { return colours[int(s)%len(colours)] }

func (s style) line() draw.LineStyle {
	return draw.LineStyle{Color: s.colour(), Width: 1.6,
		Dashes: dashes[int(s)/len(colours)%len(dashes)]}
}

func (s style) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.colour(), Radius: 3.2, Shape: markers[int(s)%len(markers)]}
}

// newPlot has axes, labels and a grid that can be read on paper and screen.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = textSize
		axis.Label.TextStyle.Font.Variant = "Sans"
		axis.Label.TextStyle.Color = inkColour
		axis.Label.Padding = 4
		axis.Tick.Label.Font.Size = smallSize
		axis.Tick.Label.Font.Variant = "Sans"
		axis.Tick.Label.Color = inkColour
		axis.LineStyle.Color = inkColour
		axis.Padding = 0
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridColour, gridColour
	p.Add(grid)
	return p
}

// logAxis shows lo to hi, with some room, on a logarithmic scale. The data are the decimal
// logarithms: gonum misplaces labels on a scale of its own.
func logAxis(a *plot.Axis, lo, hi float64) {
	room := max(0.02, 0.06*(hi-lo))
	a.Min, a.Max = lo-room, hi+room
	a.Tick.Marker = plot.TickerFunc(logTicks)
}

// logTicks puts labels at round numbers, as dense as the range of logarithms allows.
func logTicks(lo, hi float64) (ticks []plot.Tick) {
	labelled := "1 2 5"
	switch decades := hi - lo; {
	case decades < 0.4: // hardly a logarithmic scale
		ticks = evenTicks(math.Pow(10, lo), math.Pow(10, hi))
		for i := range ticks {
			ticks[i].Value = math.Log10(ticks[i].Value)
		}
		return ticks
	case decades < 1.2:
		labelled = "1 1.5 2 3 4 5 6 8"
	case decades < 2.2:
		labelled = "1 2 3 5"
	case decades > 4:
		labelled = "1"
	}
	for e := math.Floor(lo); e <= hi; e++ {
		for _, m := range strings.Fields(labelled) {
			mantissa, _ := strconv.ParseFloat(m, 64)
			if v := math.Log10(mantissa) + e; v >= lo && v <= hi {
				ticks = append(ticks, plot.Tick{Value: v,
					Label: strconv.FormatFloat(mantissa*math.Pow(10, e), 'g', 3, 64)})
			}
		}
	}
	return ticks
}

// evenTicks are at multiples of a round number, ten at most.
func evenTicks(lo, hi float64) (ticks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/10)))
	for factor := 0; (hi-lo)/step > 10; factor++ {
		step *= []float64{2, 2.5, 2}[factor%3] // 1, 2, 5, 10
	}
	for i := math.Ceil(lo / step); i*step <= hi; i++ {
		v := i*step + 0 // no minus zero
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)})
	}
	return ticks
}

// entry is a line of a legend.
type entry struct {
	name  string
	thumb []plot.Thumbnailer
}

// svg draws the plot with its legend to the right, where it covers no data.
func svg(p *plot.Plot, legend []entry, width, height vg.Length, label string) template.HTML {
	l := plot.NewLegend()
	l.Top, l.Left = true, true
	l.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: smallSize}
	l.TextStyle.Color = inkColour
	l.ThumbnailWidth, l.Padding = 26, 4
	l.YPosition = draw.PosCenter
	longest := vg.Length(0)
	for _, e := range legend {
		l.Add(e.name, e.thumb...)
		longest = max(longest, l.TextStyle.Width(e.name))
	}
	margin := vg.Length(0)
	if len(legend) > 0 {
		margin = longest + l.ThumbnailWidth + 20
	}
	canvas := vgsvg.New(width+margin, height)
	c := draw.New(canvas)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	p.Draw(draw.Crop(c, 6, -margin-10, 6, -8))
	if len(legend) > 0 {
		l.Draw(draw.Crop(c, width+2, -4, 0, -8))
	}
	var b bytes.Buffer
	canvas.WriteTo(&b) // to memory: cannot fail
	return inline(b.String(), label)
}

var (
	svgHead = regexp.MustCompile(`(?s)^.*?<svg width="[^"]*" height="[^"]*"`)
	svgText = regexp.MustCompile(`(?s)<text (x="[^>]*font-size:([0-9.]+)px[^>]*)>(.*?)</text>`)
)

// inline makes the document an element that fills the page's width. Texts keep the width
// that they were laid out with, whatever font the reader has.
func inline(doc, label string) template.HTML {
	head := fmt.Sprintf(`<svg role="img" aria-label="%s"`, template.HTMLEscapeString(label))
	doc = svgHead.ReplaceAllLiteralString(doc, head)
	doc = strings.ReplaceAll(doc, "font-family:Liberation Sans;",
		"font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	style := plot.NewLegend().TextStyle
	style.Font.Variant = "Sans"
	doc = svgText.ReplaceAllStringFunc(doc, func(text string) string {
		m := svgText.FindStringSubmatch(text)
		size, _ := strconv.ParseFloat(m[2], 64)
		style.Font.Size = vg.Length(size)
		width := style.Width(html.UnescapeString(m[3])).Points()
		return fmt.Sprintf(`<text textLength="%.1f" lengthAdjust="spacingAndGlyphs" %s>%s</text>`,
			width, m[1], m[3])
	})
	return template.HTML(doc)
}
