package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
)

// Table prints what was measured: for each test, model and KV type a line per policy,
// then the KL at equal bytes and at equal time. It fits 120 columns.
func Table(w io.Writer, records []Record) error {
	b := bufio.NewWriter(w)
	for _, s := range setups(records) {
		for _, g := range s.grids() {
			g.write(b)
		}
		if s.decodes() {
			for _, g := range s.equal() {
				g.write(b)
			}
		}
	}
	return b.Flush()
}

// grids are the tables of a setup's policies.
func (s *setup) grids() []*grid {
	var out []*grid
	if len(s.policies) > 0 {
		switch {
		case s.decodes():
			out = append(out, s.decoded(), s.parts())
		case s.test == "ruler":
			out = append(out, s.ruler())
		case s.test == "free":
			out = append(out, s.free())
		default:
			out = append(out, s.tasks())
		}
		if s.numbered() {
			out = append(out, s.numbers())
		}
	}
	if len(s.failed) > 0 {
		g := &grid{Caption: s.title() + ": could not run"}
		for _, r := range s.failed {
			g.Notes = append(g.Notes, fmt.Sprintf("%s on %s: %s", r.Policy, r.Text, r.Error))
		}
		out = append(out, g)
	}
	return out
}

func (s *setup) decoded() *grid {
	g := &grid{
		Caption: s.title(),
		Head: []string{"policy", "KL [95 %]", "NLL - full", "top-1 %", "KV read %",
			"mass kept %", "exposure", "tokens/s"},
	}
	for _, p := range s.policies {
		row := []string{s.label(p), p.kl.String(), signed(p.dNLL), percent(p.top1, 1),
			percent(p.share, 1),
			percent(p.mass, 1), figure(p.exposure), figure(1000 / p.ms)}
		if p.full() {
			row[1], row[2], row[3], row[5], row[6] = "-", "-", "-", "-", "-"
		}
		g.row(row...)
	}
	g.Notes = s.inactive()
	return g
}

func signed(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%+.4f", v)
}

// label is the policy's name, with the texts it has if some are missing.
func (s *setup) label(p *policy) string {
	if p.complete || !s.decodes() {
		return p.name
	}
	return fmt.Sprintf("%s (%d of %d texts)", p.name, len(p.records), len(s.texts))
}

// inactive warns of figures that do not prove what they seem to.
func (s *setup) inactive() (notes []string) {
	for _, p := range s.policies {
		switch {
		case p.full():
		case p.sparse == 0:
			notes = append(notes, "Beware: "+p.name+" decoded no token sparsely.")
		case p.opt.corrects() && p.opt["select"] != "streaming" && p.corrected == 0:
			notes = append(notes, "Beware: "+p.name+" corrected no token.")
		}
	}
	return notes
}

// parts is the KL of parts of what was decoded: quarters of the positions, and texts.
func (s *setup) parts() *grid {
	g := &grid{Caption: "KL by quarter of the decoded positions",
		Head: []string{"policy", "1st", "2nd", "3rd", "4th"}}
	if len(s.texts) > 1 {
		g.Caption += ", and by text"
		g.Head = append(g.Head, s.texts...)
	}
	for _, p := range s.policies {
		if p.full() {
			continue
		}
		row := []string{s.label(p)}
		for _, q := range p.quarters {
			row = append(row, figure(q))
		}
		for _, text := range g.Head[5:] {
			of := slices.DeleteFunc(slices.Clone(p.records),
				func(r Record) bool { return r.Text != text })
			row = append(row, figure(average(of, func(r Record) float64 { return r.KL })))
		}
		g.row(row...)
	}
	return g
}

// maxColumns of parts of a task: beyond it they are not told apart.
const maxColumns = 8

func (s *setup) tasks() *grid {
	g := &grid{Caption: s.title(), Head: []string{"policy", "right", "% [95 %]", "same as full %",
		"KV read %", "tokens/s"}}
	columns := s.columns()
	for _, r := range columns {
		g.Head = append(g.Head, s.column(r))
	}
	for _, p := range s.policies {
		e, share := wilson(p.right, p.total).scaled(100), "-"
		if p.total > 0 {
			share = fmt.Sprintf("%.0f [%.0f, %.0f]", e.Value, e.Lo, e.Hi)
		}
		row := []string{p.name, fmt.Sprintf("%d of %d", p.right, p.total), share,
			percent(float64(p.same)/float64(p.total), 0), percent(p.share, 1), figure(1000 / p.ms)}
		if p.full() {
			row[3] = "-"
		}
		for _, c := range columns {
			right, total := 0, 0
			for _, r := range p.records {
				if s.column(r) == s.column(c) {
					right, total = right+r.Right, total+r.Total
				}
			}
			score := "-"
			if total > 0 {
				score = fmt.Sprintf("%d/%d", right, total)
			}
			row = append(row, score)
		}
		g.row(row...)
	}
	g.Notes = s.inactive()
	return g
}

// column names the part of a task that a record is of: a length of the text from which keys are
// retrieved, or a set of questions.
func (s *setup) column(r Record) string {
	if s.retrieves() {
		return fmt.Sprintf("at %d", r.Ctx)
	}
	return r.Text
}

// columns has a record of each part, if there are several and not too many.
func (s *setup) columns() (columns []Record) {
	for _, p := range s.policies {
		for _, r := range p.records {
			if !slices.ContainsFunc(columns,
				func(c Record) bool { return s.column(c) == s.column(r) }) {
				columns = append(columns, r)
			}
		}
	}
	if len(columns) < 2 || len(columns) > maxColumns {
		return nil
	}
	slices.SortFunc(columns, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Ctx, b.Ctx),
			cmp.Compare(a.Text, b.Text))
	})
	return columns
}

// equal are the tables at equal bytes read and at equal time per token.
func (s *setup) equal() []*grid {
	curves := s.curves()
	var out []*grid
	if shares := commonShares(curves); len(shares) > 0 {
		out = append(out, equalGrid("KL at equal bytes read: columns are the share of KV bytes",
			curves, shares,
			func(v float64) string { return fmt.Sprintf("%g %%", round2(100*v)) }, (*Curve).At,
			terms[0].points, byShare))
	}
	if times := commonTimes(curves); len(times) > 0 {
		out = append(out, equalGrid("KL at equal time per token", curves, times,
			func(v float64) string { return fmt.Sprintf("%.4g ms", v) }, (*Curve).AtTime,
			terms[1].points, byTime))
	}
	return out
}

func equalGrid(caption string, curves []Curve, columns []float64, head func(float64) string,
	at func(*Curve, float64) (float64, bool), points func(*Curve) []Point, of func(Point) float64,
) *grid {
	g := &grid{
		Caption: caption,
		Head:    []string{"family"},
		Notes: []string{"Marked: best of its column (the oracle, which cannot be had, aside). " +
			"Between budgets by interpolation. " +
			"≤: the largest budget measured takes less. -: the smallest takes more."},
	}
	for _, x := range columns {
		g.Head = append(g.Head, head(x))
	}
	best := make([]float64, len(columns))
	values := make([][]float64, len(curves))
	for i := range curves {
		c := &curves[i]
		row := []cell{{Text: c.Family}}
		for j, x := range columns {
			kl, ok := at(c, x)
			text := figure(kl)
			if p := points(c); !ok && len(p) > 0 && of(p[len(p)-1]) <= x {
				kl, ok = p[len(p)-1].KL.Value, true
				text = "≤" + figure(kl)
			}
			if !ok {
				kl, text = math.NaN(), "-"
			} else if !c.oracle && (best[j] == 0 || kl < best[j]) {
				best[j] = kl
			}
			values[i] = append(values[i], kl)
			row = append(row, cell{Text: text})
		}
		g.Rows = append(g.Rows, row)
	}
	for i := range curves {
		for j := range columns {
			g.Rows[i][j+1].Best = !curves[i].oracle && values[i][j] == best[j]
		}
	}
	return g
}
