package report

import (
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// DocsCommand writes the plots and tables of the documentation from the lines that are kept there.
type DocsCommand struct {
	Dir string   `arg:"" type:"existingdir" help:"Folder docs of the checkout."`
	Add []string `type:"existingfile" sep:"none" placeholder:"FILE" help:"A results.jsonl of eval whose lines to keep, in place of those of the same measurement; repeat it for several."`
}

// The plots, and the page with the tables.
const (
	modelsPlot    = "quality.svg"
	questionsPlot = "questions.svg"
	docsPage      = "fidelity.md"
)

// Run reads results/*.jsonl, packed by gzip or not.
func (cmd DocsCommand) Run() error {
	for _, path := range cmd.Add {
		if err := keep(filepath.Join(cmd.Dir, "results"), path); err != nil {
			return err
		}
	}
	records, err := readFolder(filepath.Join(cmd.Dir, "results"))
	if err != nil {
		return err
	}
	all := setups(records)
	page := filepath.Join(cmd.Dir, docsPage)
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	written, err := fillTables(string(text), all)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return errors.Join(
		os.WriteFile(page, []byte(written), 0o644),
		writeFigure(filepath.Join(cmd.Dir, modelsPlot), models(all)),
		writeFigure(filepath.Join(cmd.Dir, questionsPlot), questionFigures(all)),
	)
}

// readFolder is Read of every file of lines in a folder.
func readFolder(dir string) (records []Record, err error) {
	for _, pattern := range []string{"*.jsonl", "*.jsonl.gz"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			more, err := readLines(path)
			if err != nil {
				return nil, err
			}
			records = append(records, more...)
		}
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s holds no results", dir)
	}
	return records, nil
}

func writeFigure(path string, figures []figureHTML) error {
	if len(figures) == 0 {
		return fmt.Errorf("%s: the results hold nothing to draw", path)
	}
	return writeSVG(path, figures[0].SVG)
}

func writeSVG(path string, svg template.HTML) error {
	return os.WriteFile(path, []byte(xmlHead+string(svg)+"\n"), 0o644)
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// questionFigures is accuracy over the question number, of the exams with the most answers, and the
// longest of them.
func questionFigures(all []*setup) []figureHTML {
	var most *setup
	answers := func(s *setup) int { return s.policies[0].total }
	for _, s := range all {
		if s.numbered() && (most == nil || answers(s) >= answers(most)) {
			most = s
		}
	}
	if most == nil {
		return nil
	}
	return []figureHTML{most.numberFigure(newStyles([]*setup{most}))}
}

// tableMark begins a table that the results fill, and names it: a setup, or RULER at all lengths.
var tableMark = regexp.MustCompile(`(?s)<!-- results of (.*?) -->\n.*?<!-- end -->`)

// fillTables replaces the tables of a page.
func fillTables(page string, all []*setup) (string, error) {
	var failure error
	page = tableMark.ReplaceAllStringFunc(page, func(old string) string {
		name := tableMark.FindStringSubmatch(old)[1]
		g := namedTable(name, all)
		if g == nil {
			failure = fmt.Errorf("there are no results of %s", name)
			return old
		}
		return fmt.Sprintf("<!-- results of %s -->\n%s<!-- end -->", name, g.markdown())
	})
	return page, failure
}

func namedTable(name string, all []*setup) *grid {
	if s := titled(name, all); s != nil {
		return s.grids()[0]
	}
	if model, ok := strings.CutPrefix(name, "ruler, "); ok {
		return rulerByLength(model, all)
	}
	if model, ok := strings.CutPrefix(name, "ruler of full, "); ok {
		return rulerGoals(model, all)
	}
	switch name {
	case "plans":
		return plansTable(all)
	case "correction":
		return correctionTable(all)
	}
	title, budgets := strings.CutPrefix(name, "budgets, ")
	if s := titled(title, all); s != nil && budgets {
		return s.budgetTable()
	}
	return nil
}

// titled is the setup of a title, or nil.
func titled(title string, all []*setup) *setup {
	for _, s := range all {
		if s.title() == title {
			return s
		}
	}
	return nil
}

// rulerByLength is the mean of RULER's tasks at every length.
func rulerByLength(model string, all []*setup) *grid {
	g := &grid{Head: []string{"policy"}}
	lengths := rulerLengths(model, all)
	if len(lengths) == 0 {
		return nil
	}
	for _, s := range lengths {
		g.Head = append(g.Head, fmt.Sprintf("%dk", s.ctx>>10))
	}
	middle := lengths[(len(lengths)-1)*2/3]
	g.Head = append(g.Head, fmt.Sprintf("KV read %% at %dk", middle.ctx>>10))
	for _, p := range middle.policies {
		row := []string{p.name}
		for _, s := range lengths {
			cell := "-"
			at := slices.IndexFunc(s.policies, func(q *policy) bool { return q.text == p.text })
			if at >= 0 {
				cell = inPercent(resampled(s.scores(s.policies[at], foundShare), meanOwnScore))
			}
			row = append(row, cell)
		}
		g.row(append(row, percent(p.share, 1))...)
	}
	return g
}

// rulerLengths are the setups of RULER of a model, but for those of machines with a name.
func rulerLengths(model string, all []*setup) []*setup {
	return slices.DeleteFunc(slices.Clone(all), func(s *setup) bool {
		return s.test != "ruler" || s.model != model || s.on != ""
	})
}

// rulerGoals says at every length what a policy keeps of full attention's scores, over all tasks and
// in the worst one. Marked: the goal is met.
func rulerGoals(model string, all []*setup) *grid {
	lengths := rulerLengths(model, all)
	if len(lengths) == 0 {
		return nil
	}
	g := &grid{Head: []string{"policy"}}
	for _, s := range lengths {
		g.Head = append(g.Head, fmt.Sprintf("%dk", s.ctx>>10))
	}
	for _, p := range lengths[0].policies {
		if p.full() {
			continue
		}
		row := []cell{{Text: p.name}}
		for _, s := range lengths {
			at := slices.IndexFunc(s.policies, func(q *policy) bool { return q.text == p.text })
			if at < 0 {
				row = append(row, cell{Text: "-"})
				continue
			}
			scores := s.scores(s.policies[at], foundShare)
			e := resampled(scores, ofFull)
			task, share := worst(scores)
			row = append(row, cell{fmt.Sprintf("%s, %s %s", inPercent(e), task, percent(share, 0)),
				rulerMet(e, share)})
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

func meanOwnScore(all []scored) float64 { return meanScore(all, ownScores) }

// markdown is the table as GitHub shows it, without columns in which nothing was measured.
func (g *grid) markdown() string {
	var b strings.Builder
	line := func(text func(i int) string) {
		for i := range g.Head {
			if i == 0 ||
				slices.ContainsFunc(g.Rows, func(r []cell) bool { return r[i].Text != "-" }) {
				fmt.Fprintf(&b, "| %s ", text(i))
			}
		}
		b.WriteString("|\n")
	}
	line(func(i int) string { return g.Head[i] })
	line(func(int) string { return "---" })
	for _, r := range g.Rows {
		line(func(i int) string {
			if i == 0 && strings.Contains(r[i].Text, "=") {
				return "`" + r[i].Text + "`" // options
			}
			if r[i].Best {
				return "**" + r[i].Text + "**"
			}
			return r[i].Text
		})
	}
	return b.String()
}
