package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
)

// Verdict is one sentence of what the records say.
type Verdict struct {
	Question string // the same for all verdicts of a kind, which follow one another
	Setup    string // test, model, KV type, prompt; "" for all
	Goal     string // what was to be reached; "" where there is only an answer
	Met      bool
	Text     string
	Ratio    Estimate // of the two KL, where two are compared
	Brief    bool     // belongs into a summary of few lines
	Points   []string // in detail
}

// comparison is a goal for the KL of one policy over that of another which differs in
// the named options only.
type comparison struct {
	question, goal string
	limit          float64 // of the ratio
	differ         []string
	ours, theirs   func(optionSet) bool
	sameBytes      bool // ours must not read more, within 1 %
}

func plainSelection(o optionSet) bool { return !o.corrects() && o["select"] != "streaming" }

var comparisons = []comparison{
	{
		question: "Is the default selector better than Quest's?",
		goal:     "KL at most 0.55 of minmax's",
		limit:    0.55,
		differ:   []string{"select", "beta"},
		ours:     func(o optionSet) bool { return o["select"] == "tokens" },
		theirs:   func(o optionSet) bool { return o["select"] == "minmax" },
	},
	{
		question:  "Does correction with window=2 help at the same bytes?",
		goal:      "KL at least 5 % lower, no more KV bytes",
		limit:     0.95,
		differ:    correction,
		sameBytes: true,
		ours: func(o optionSet) bool {
			return o["window"] == "2" && o.number("correct_budget") == 0 &&
				o["select"] != "streaming"
		},
		theirs: plainSelection,
	},
	{
		question: "Are 8-bit summaries as good as 16-bit ones?",
		goal:     "KL at most 3 % higher",
		limit:    1.03,
		differ:   []string{"summary_bits"},
		ours:     func(o optionSet) bool { return o["summary_bits"] == "8" },
		theirs:   func(o optionSet) bool { return o["summary_bits"] == "16" },
	},
}

// Verdicts answers the laboratory's questions as far as the records can.
func Verdicts(records []Record) []Verdict {
	all := setups(records)
	var out []Verdict
	for _, c := range comparisons {
		for _, s := range all {
			out = append(out, c.verdicts(s)...)
		}
	}
	for _, s := range all {
		out = append(out, s.needles()...)
	}
	out = append(out, rulerVerdicts(all)...)
	out = append(out, budgetVerdicts(all)...)
	return append(out, paperVerdicts(all)...)
}

func (c *comparison) verdicts(s *setup) (out []Verdict) {
	if !s.decodes() {
		return nil
	}
	for _, a := range s.policies {
		for _, b := range s.policies {
			if a.full() || b.full() || !c.ours(a.opt) || !c.theirs(b.opt) ||
				a.opt.without(c.differ...) != b.opt.without(c.differ...) {
				continue
			}
			ratio, ok := Ratio(a.records, b.records)
			if !ok {
				continue
			}
			v := Verdict{Question: c.question, Setup: s.title(), Goal: c.goal,
				Met: ratio.Value <= c.limit, Ratio: ratio}
			v.Text = fmt.Sprintf("%s: KL %s against %s of %s, ratio %s; KV read %s %% against %s %%",
				a.name, figure(a.kl.Value), figure(b.kl.Value), b.name, ratio, percent(a.share, 1),
				percent(b.share, 1))
			v.Text += c.remark(a, b, ratio, &v.Met)
			out = append(out, v)
		}
	}
	return out
}

// remark says by how much the goal was missed, or how sure it is.
func (c *comparison) remark(a, b *policy, ratio Estimate, met *bool) string {
	var s []string
	switch {
	case !*met:
		s = append(s, fmt.Sprintf("missed by %s", figure(ratio.Value-c.limit)))
	case ratio.Hi > c.limit:
		s = append(s, fmt.Sprintf("the interval reaches beyond %g", c.limit))
	}
	if c.sameBytes && a.share > 1.01*b.share {
		*met = false
		s = append(s, fmt.Sprintf("reads %s %% more bytes", percent(a.share/b.share-1, 1)))
	}
	for _, p := range []*policy{a, b} {
		if p.sparse == 0 {
			*met = false
			s = append(s, p.name+" decoded nothing sparsely, so this proves nothing")
		}
	}
	if a.opt.corrects() && a.corrected == 0 {
		*met = false
		s = append(s, a.name+" corrected nothing, so this proves nothing")
	}
	if len(s) == 0 {
		return "."
	}
	return ": " + strings.Join(s, "; ") + "."
}

// needles: whether 512 tokens of budget find what full attention finds.
func (s *setup) needles() (out []Verdict) {
	full := s.full()
	// the question is a prompt, as with llama.cpp
	if (s.test != "needle" && s.test != "passkey") || full == nil {
		return nil
	}
	for _, p := range s.policies {
		if p.full() || p.opt["select"] != "tokens" || p.opt["budget"] != "512" {
			continue
		}
		right, fullRight, total := 0, 0, 0
		for _, r := range p.records {
			for _, f := range full.records {
				if f.Text == r.Text && f.Ctx == r.Ctx && f.Depth == r.Depth && f.Total == r.Total {
					right, fullRight, total = right+r.Right, fullRight+f.Right, total+r.Total
				}
			}
		}
		if total == 0 {
			continue
		}
		v := Verdict{Question: "Does a budget of 512 find the needle?", Setup: s.title(),
			Goal: "as many found as by full attention", Met: right >= fullRight}
		v.Text = fmt.Sprintf("%s: %d of %d found, full attention %d", p.name, right, total,
			fullRight)
		if !v.Met {
			v.Text += fmt.Sprintf(": missed by %d", fullRight-right)
		}
		v.Text += "."
		out = append(out, v)
	}
	return out
}

// paperVerdicts compare the paper's rows: full attention, Quest, and Quest with correction.
func paperVerdicts(all []*setup) (out []Verdict) {
	const question = "What does correction add to Quest, as in the paper?"
	lower := 0
	for _, s := range all {
		for _, v := range s.paper() {
			if v.Question = question; v.Ratio.Hi > 0 && v.Ratio.Hi < 1 {
				lower++
			}
			out = append(out, v)
		}
	}
	if mean, n := meanRatio(out); n > 0 {
		text := fmt.Sprintf("KL of Quest with correction over Quest's: %s, the geometric mean of "+
			"%d pairs; %d of them clearly below 1.", figure(mean), n, lower)
		out = append([]Verdict{{Question: question, Text: text, Brief: true}}, out...)
	}
	return out
}

func (s *setup) paper() (out []Verdict) {
	full := s.full()
	for _, retro := range s.policies {
		for _, quest := range s.policies {
			if retro.family != "quest+retro" || quest.family != "quest" ||
				retro.opt.without(correction...) != quest.opt.without(correction...) {
				continue
			}
			v := Verdict{Setup: s.title(), Brief: !s.decodes()}
			if s.decodes() {
				ratio, ok := Ratio(retro.records, quest.records)
				if !ok {
					continue
				}
				v.Ratio = ratio
				v.Text = fmt.Sprintf("%s: KL %s against %s of %s, ratio %s.",
					retro.name, figure(retro.kl.Value), figure(quest.kl.Value), quest.name, ratio)
			} else if full != nil {
				v.Text = gap(s.test, full, quest, retro)
			}
			if v.Text != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

// meanRatio is the geometric mean of the verdicts' ratios, and their number.
func meanRatio(all []Verdict) (mean float64, n int) {
	sum := 0.0
	for _, v := range all {
		if v.Ratio.Value > 0 {
			sum += math.Log(v.Ratio.Value)
			n++
		}
	}
	return math.Exp(sum / float64(n)), n
}

// gap says how much of Quest's loss in a task correction makes good.
func gap(test string, full, quest, retro *policy) string {
	rate := func(p *policy) float64 { return float64(p.right) / float64(p.total) }
	f, q, r := rate(full), rate(quest), rate(retro)
	if math.IsNaN(f + q + r) {
		return ""
	}
	text := fmt.Sprintf("%s: full attention %s %% right, %s %s %%, %s %s %%: ", test, percent(f, 1),
		quest.name, percent(q, 1), retro.name, percent(r, 1))
	if f <= q {
		return text + "there is no gap to close."
	}
	return text + fmt.Sprintf("%s %% of the gap closed (%d answers).", percent((r-q)/(f-q), 0),
		retro.total)
}

// PrintVerdicts prints them for the terminal, grouped by question. Their points are in the page
// only.
func PrintVerdicts(w io.Writer, verdicts []Verdict) error {
	b := bufio.NewWriter(w)
	for _, g := range groupVerdicts(verdicts) {
		wrap(b, "", g.Heading())
		setup := ""
		for _, v := range g.Verdicts {
			if v.Setup != setup {
				setup = v.Setup
				wrap(b, "  ", setup+":")
			}
			wrap(b, "    ", v.mark()+v.Text)
		}
		fmt.Fprintln(b)
	}
	return b.Flush()
}

func (v Verdict) mark() string {
	switch {
	case v.Goal == "":
		return ""
	case v.Met:
		return "[met] "
	default:
		return "[missed] "
	}
}

// verdictGroup is one question with its answers.
type verdictGroup struct {
	Question, Goal string
	Verdicts       []Verdict
}

func groupVerdicts(all []Verdict) (groups []verdictGroup) {
	for _, v := range all {
		if n := len(groups); n == 0 || groups[n-1].Question != v.Question {
			groups = append(groups, verdictGroup{Question: v.Question, Goal: v.Goal})
		}
		g := &groups[len(groups)-1]
		g.Verdicts = append(g.Verdicts, v)
	}
	return groups
}

// Heading is the question, with how often its goal was met.
func (g verdictGroup) Heading() string {
	if g.Goal == "" {
		return g.Question
	}
	return fmt.Sprintf("%s Goal: %s. %s.", g.Question, g.Goal, g.Count())
}

// Count says how often the goal was met.
func (g verdictGroup) Count() string {
	text := fmt.Sprintf("Met in %d of %d", g.met(), len(g.Verdicts))
	if mean, n := meanRatio(g.Verdicts); n > 1 {
		text += fmt.Sprintf(", KL ratio %s in the geometric mean", figure(mean))
	}
	return text
}

func (g verdictGroup) met() (n int) {
	for _, v := range g.Verdicts {
		if v.Met {
			n++
		}
	}
	return n
}
