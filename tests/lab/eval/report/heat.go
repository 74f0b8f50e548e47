package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// found is the share of needles found by depth (rows) and prompt length (columns).
type found struct {
	lengths []int
	depths  []float64
	cells   map[[2]int]*hits // by row and column
}

type hits struct{ right, total int }

// newFound has the rows and columns of all records, and the cells of some.
func newFound(all, some []Record) *found {
	f := &found{cells: map[[2]int]*hits{}}
	for _, r := range all {
		f.lengths, f.depths = append(f.lengths, r.Ctx), append(f.depths, r.Depth)
	}
	slices.Sort(f.lengths)
	slices.Sort(f.depths)
	f.lengths, f.depths = slices.Compact(f.lengths), slices.Compact(f.depths)
	for _, r := range some {
		row, _ := slices.BinarySearch(f.depths, r.Depth)
		column, _ := slices.BinarySearch(f.lengths, r.Ctx)
		at := [2]int{row, column}
		if f.cells[at] == nil {
			f.cells[at] = &hits{}
		}
		f.cells[at].right += r.Right
		f.cells[at].total += r.Total
	}
	return f
}

// The methods of plotter.GridXYZ; the rows go down with the depth.
func (f *found) Dims() (columns, rows int) { return len(f.lengths), len(f.depths) }
func (f *found) X(column int) float64      { return float64(column) }
func (f *found) Y(row int) float64         { return float64(row) }
func (f *found) Z(column, row int) float64 {
	h := f.cells[[2]int{len(f.depths) - 1 - row, column}]
	if h == nil || h.total == 0 {
		return math.NaN()
	}
	return float64(h.right) / float64(h.total)
}

// heatMaps are one panel per policy: depth over prompt length.
func (s *setup) heatMaps() (out []figureHTML) {
	var all []Record
	for _, p := range s.policies {
		all = append(all, p.records...)
	}
	for _, p := range s.policies {
		if p.total > 0 {
			out = append(out, newFound(all, p.records).panel(p.name, s.title()))
		}
	}
	return out
}

func (f *found) panel(name, title string) figureHTML {
	p := newPlot("prompt, tokens", "depth, %")
	p.Add(&plotter.HeatMap{GridXYZ: f, Palette: shades{}, Min: 0, Max: 1, NaN: rgb(0xEEEEEE)})
	labels := &plotter.Labels{}
	for row := range f.depths {
		for column := range f.lengths {
			style := p.X.Tick.Label
			style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
			z, text := f.Z(column, row), "-"
			if !math.IsNaN(z) {
				text = percent(z, 0)
			}
			style.Color = inkColour
			if z > 0.6 {
				style.Color = color.White
			}
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(column), Y: float64(row)})
			labels.Labels = append(labels.Labels, text)
			labels.TextStyle = append(labels.TextStyle, style)
		}
	}
	p.Add(labels)
	var lengths, depths []string
	for _, n := range f.lengths {
		lengths = append(lengths, fmt.Sprint(n))
	}
	for _, d := range slices.Backward(f.depths) {
		depths = append(depths, percent(d, 0))
	}
	p.NominalX(lengths...)
	p.NominalY(depths...)
	p.X.Min, p.X.Max = -0.5, float64(len(lengths))-0.5
	p.Y.Min, p.Y.Max = -0.5, float64(len(depths))-0.5
	width, height := vg.Length(90+46*len(lengths)), vg.Length(70+24*len(depths))
	return figureHTML{
		Caption: name + ": % found, by prompt length and depth of the needle in it",
		SVG:     svg(p, nil, width, height, title+": needles found by "+name),
	}
}
