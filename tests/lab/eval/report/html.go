package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Meta is what the report says about itself.
type Meta struct {
	Title   string
	When    string
	Machine string
	Command string   // that made it
	Notes   []string // paragraphs
}

//go:embed report.html
var pageText string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"nobreak": func(s string) string { return strings.ReplaceAll(s, " %", "\u00a0%") },
}).Parse(pageText))

// section is a setup in the page.
type section struct {
	ID, Title string
	Figures   []figureHTML
	Small     bool // panels side by side
	Tables    []*grid
}

// Write writes the report: one HTML file that needs nothing else.
func Write(w io.Writer, records []Record, meta Meta) error {
	all := setups(records)
	looks := newStyles(all)
	page := struct {
		Meta
		Models   []figureHTML
		Summary  []summaryLine
		Groups   []verdictGroup
		Sections []section
	}{Meta: meta, Models: models(all)}
	for i, s := range all {
		sec := section{ID: fmt.Sprintf("s%d", i+1), Title: s.title(), Figures: s.figures(looks)}
		sec.Small = s.retrieves()
		if s.decodes() {
			sec.Tables = s.equal()
		}
		sec.Tables = append(sec.Tables, s.grids()...)
		page.Sections = append(page.Sections, sec)
	}
	page.Groups = groupVerdicts(Verdicts(records))
	for i, g := range page.Groups {
		page.Summary = append(page.Summary, g.summary(fmt.Sprintf("v%d", i+1)))
	}
	return pageTemplate.Execute(w, page)
}

// summaryLine is a question with its answer in short.
type summaryLine struct {
	ID, Question, Goal string
	Answers            []string
	All, None          bool // of the goals were met
}

func (g verdictGroup) summary(id string) summaryLine {
	l := summaryLine{ID: id, Question: g.Question, Goal: g.Goal}
	if g.Goal != "" {
		met := g.met()
		l.All, l.None = met == len(g.Verdicts), met == 0
		l.Answers = []string{g.Count()}
		return l
	}
	for _, v := range g.Verdicts {
		if v.Brief || len(g.Verdicts) <= 3 {
			l.Answers = append(l.Answers, v.Text)
		}
	}
	return l
}
