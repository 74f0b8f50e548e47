package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// lineWidth is what tables and sentences in the terminal fit, in columns.
const lineWidth = 120

// grid is a table for the terminal and for HTML: the first column names the row.
type grid struct {
	Caption string
	Head    []string
	Rows    [][]cell
	Notes   []string
}

type cell struct {
	Text string
	Best bool
}

// row appends one of plain cells.
func (g *grid) row(texts ...string) {
	cells := make([]cell, len(texts))
	for i, t := range texts {
		cells[i].Text = t
	}
	g.Rows = append(g.Rows, cells)
}

func (c cell) String() string {
	if c.Best {
		return c.Text + "*"
	}
	return c.Text
}

// write prints the table; columns that do not fit follow below, with the first repeated.
func (g *grid) write(w io.Writer) {
	fmt.Fprintln(w, g.Caption)
	widths := make([]int, len(g.Head))
	for i, h := range g.Head {
		widths[i] = utf8.RuneCountInString(h)
		for _, r := range g.Rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i].String()))
		}
	}
	for from := 1; from < len(widths); {
		to, width := from, widths[0]
		for to < len(widths) && (to == from || width+2+widths[to] <= lineWidth) {
			width += 2 + widths[to]
			to++
		}
		line := func(text func(int) string) {
			fmt.Fprint(w, pad(text(0), -widths[0]))
			for i := from; i < to; i++ {
				fmt.Fprint(w, "  ", pad(text(i), widths[i]))
			}
			fmt.Fprintln(w)
		}
		line(func(i int) string { return g.Head[i] })
		for _, r := range g.Rows {
			line(func(i int) string { return r[i].String() })
		}
		from = to
	}
	for _, n := range g.Notes {
		wrap(w, "", n)
	}
	fmt.Fprintln(w)
}

// pad aligns to the right, or to the left if the width is negative.
func pad(text string, width int) string {
	space := strings.Repeat(" ", max(0, max(width, -width)-utf8.RuneCountInString(text)))
	if width < 0 {
		return text + space
	}
	return space + text
}

// wrap prints a sentence in lines that fit, with the indent and two columns more from
// the second line on.
func wrap(w io.Writer, indent, text string) {
	line := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > lineWidth:
			fmt.Fprintln(w, line)
			line = indent + "  " + word
		default:
			line += " " + word
		}
	}
	fmt.Fprintln(w, line)
}
