package report

import "fmt"

// tally counts points at which a corrected family and a larger budget were compared.
type tally struct{ correction, budget, unclear int }

func (t tally) points() int { return t.correction + t.budget + t.unclear }

func (t *tally) add(o tally) {
	t.correction, t.budget, t.unclear = t.correction+o.correction, t.budget+o.budget,
		t.unclear+o.unclear
}

func (t tally) String() string {
	if t.points() == 0 {
		return "nothing to compare, the ranges do not overlap"
	}
	return fmt.Sprintf("of %d points correction is better at %d, a larger budget at %d, no clear "+
		"difference at %d",
		t.points(), t.correction, t.budget, t.unclear)
}

// terms are what two policies can be equal in.
var terms = []struct {
	name   string // "At equal ..."
	of     func(Point) float64
	points func(*Curve) []Point
	at     func(float64) string
}{
	{"bytes read", byShare, func(c *Curve) []Point { return c.Points },
		func(v float64) string { return percent(v, 1) + " % of KV read" }},
	{"time per token", byTime, func(c *Curve) []Point { return c.bytime },
		func(v float64) string { return figure(v) + " ms per token" }},
}

// budgetVerdicts answer, for every family that corrects, whether its bytes or its time
// were better spent on a larger budget without correction.
func budgetVerdicts(all []*setup) []Verdict {
	const question = "Is a larger budget better than correction?"
	var out, details []Verdict
	for _, term := range terms {
		var total tally
		for _, s := range all {
			if !s.decodes() {
				continue
			}
			curves := s.curves()
			for i := range curves {
				c := &curves[i]
				r := uncorrected(curves, c)
				if r == nil {
					continue
				}
				t, points := compare(term.points(c), term.points(r), term.of, term.at)
				total.add(t)
				text := fmt.Sprintf("%s against %s at equal %s: %s.", c.Family, r.Family, term.name,
					t)
				details = append(details, Verdict{Question: question, Setup: s.title(), Text: text,
					Points: points})
			}
		}
		out = append(out, Verdict{Question: question,
			Text:  fmt.Sprintf("At equal %s, everything counted: %s.", term.name, total),
			Brief: true})
	}
	if len(details) == 0 {
		return nil
	}
	return append(out, details...)
}

// uncorrected is the curve with the same selection that does not correct; nil if c does
// not correct or there is none.
func uncorrected(curves []Curve, c *Curve) *Curve {
	opt := c.Points[0].policy.opt
	except := append([]string{"budget"}, correction...)
	if !opt.corrects() {
		return nil
	}
	for i := range curves {
		if r := curves[i].Points[0].policy.opt; !r.corrects() &&
			r.without(except...) == opt.without(except...) {
			return &curves[i]
		}
	}
	return nil
}

func compare(points, budget []Point, of func(Point) float64, at func(float64) string,
) (t tally, lines []string) {
	for _, p := range points {
		r, ok := p.against(budget, of)
		if !ok {
			continue
		}
		says := ""
		switch {
		case r.ratio.Hi < 1:
			t.correction++
			says = "correction is better"
		case r.ratio.Lo > 1:
			t.budget++
			says = "reading more pages is better"
		default:
			t.unclear++
			says = "no clear difference"
		}
		where := ""
		if r.x != of(p) {
			where = " at " + at(r.x)
		}
		lines = append(lines, fmt.Sprintf("At %s (%s) %s: KL %s with correction against %s with "+
			"a larger budget%s, ratio %s.",
			at(of(p)), p.Policy, says, figure(p.KL.Value), figure(r.kl), where, r.ratio))
	}
	return t, lines
}
