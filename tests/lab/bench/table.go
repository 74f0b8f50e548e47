package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// benchTable is a group of results: a line for each type and shape, panels of columns side by side.
type benchTable struct {
	title   string
	keys    []string // titles of the columns that name a line
	panels  []string
	lines   [][]string // names, in order
	results map[string]result
	bare    bool   // there are bare reads of the same rows
	last    string // what the last column of a panel compares with: ggml, sort or nothing
}

// place says where a result is shown. What is compared by eye stands side by side: numbers of
// threads, or kernels.
func place(r result) (title string, keys, line []string, panel string) {
	keys, line = []string{"type", "dim", "rows"}, []string{r.Type, strconv.Itoa(r.HeadDim),
		strconv.Itoa(r.Rows)}
	switch r.Name {
	case "dot", "acc":
		return fmt.Sprintf("dot and acc, %s, %s", r.Set, threadCount(r.Threads)), keys, line, r.Name
	case "scan", "scan4":
		return fmt.Sprintf("scan of 8 and 4 bits, %s, %s", r.Set, threadCount(r.Threads)),
			keys[1:], line[1:], r.Name
	case "codes":
		return "codes, " + threadCount(r.Threads), keys, line, r.Set
	case "topk":
		return "topk of 65536 scores", []string{"k"}, []string{strconv.Itoa(r.K)},
			threadCount(r.Threads)
	}
	return r.Name + ", " + r.Set, keys, line, threadCount(r.Threads)
}

// panelsAcross is how many panels fit a terminal.
const panelsAcross = 2

func arrange(results []result) []*benchTable {
	var tables []*benchTable
	find := func(title string) *benchTable {
		for _, t := range tables {
			if t.title == title {
				return t
			}
		}
		tables = append(tables, &benchTable{title: title, results: map[string]result{}})
		return tables[len(tables)-1]
	}
	for _, r := range results {
		title, keys, line, panel := place(r)
		t := find(title)
		t.keys = keys
		if !slices.Contains(t.panels, panel) {
			t.panels = append(t.panels, panel)
		}
		if !slices.ContainsFunc(t.lines, func(l []string) bool { return slices.Equal(l, line) }) {
			t.lines = append(t.lines, line)
		}
		t.results[cellKey(line, panel)] = r
		t.bare = t.bare || r.BareShare != nil
		switch {
		case r.GGMLGBps != nil:
			t.last = "ggml"
		case r.RatioToSort != nil:
			t.last = "sort"
		}
	}
	slices.SortStableFunc(tables, func(a, b *benchTable) int {
		return strings.Compare(a.order(),
			b.order())
	})
	return tables
}

// order puts what matters most first.
func (t *benchTable) order() string {
	for i, name := range []string{"dense", "attend", "gather", "rows", "dot", "scan", "codes", "topk"} {
		if strings.HasPrefix(t.title, name) {
			return strconv.Itoa(i)
		}
	}
	return "9"
}

func cellKey(line []string, panel string) string { return strings.Join(line, "/") + "/" + panel }

const legend = `
GB/s of K and V: median, min and max of the runs. read: share of a plain read of the same bytes (gather: of as many
lines), bare: of a bare read of the same rows. FMA: share of the multiply-add peak. xggml, xsort: times as fast as
ggml's flash attention, as sorting. These compare best runs.
`

func writeTables(out io.Writer, results []result) {
	if len(results) == 0 {
		return
	}
	fmt.Fprint(out, legend)
	for _, t := range arrange(results) {
		for panels := range slices.Chunk(t.panels, panelsAcross) {
			t.write(out, panels)
		}
	}
}

func (t *benchTable) write(out io.Writer, panels []string) {
	fmt.Fprintf(out, "\n%s\n", t.title)
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.AlignRight)
	columns := []string{"GB/s", "min", "max", "read"}
	if t.bare {
		columns = append(columns, "bare")
	}
	columns = append(columns, "GFLOP/s", "FMA")
	if t.last != "" {
		columns = append(columns, "x"+t.last)
	}
	titles, heads := make([]string, len(t.keys)), slices.Clone(t.keys)
	for _, p := range panels {
		titles = append(append(titles, "|", p), make([]string, len(columns)-1)...)
		heads = append(append(heads, "|"), columns...)
	}
	row := func(cells []string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	row(titles)
	row(heads)
	for _, line := range t.lines {
		cells, any := slices.Clone(line), false
		for _, p := range panels {
			r, ok := t.results[cellKey(line, p)]
			any = any || ok
			if cells = append(cells, "|"); !ok {
				cells = append(cells, make([]string, len(columns))...)
				continue
			}
			cells = append(cells, r.cells(t)...)
		}
		if any {
			row(cells)
		}
	}
	w.Flush()
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
}

func (r *result) cells(t *benchTable) []string {
	cells := []string{number(r.GBps), number(r.GBpsMin), number(r.GBpsMax), share(&r.BWShare)}
	if t.bare {
		cells = append(cells, share(r.BareShare))
	}
	cells = append(cells, optional(r.GFlops), share(r.FlopShare))
	switch last := t.last; {
	case last == "ggml" && r.GGMLGBps != nil && r.RatioToGGML == nil:
		return append(cells, "differs")
	case last == "ggml":
		return append(cells, optional(r.RatioToGGML))
	case last == "sort":
		return append(cells, optional(r.RatioToSort))
	}
	return cells
}

// number shows three digits.
func number(x float64) string {
	digits := 2
	switch {
	case x >= 99.95:
		digits = 0
	case x >= 9.995:
		digits = 1
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}

func optional(x *float64) string {
	if x == nil {
		return "-"
	}
	return number(*x)
}

func share(x *float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**x)
}
