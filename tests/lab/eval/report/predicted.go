package report

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
)

// planned are the options that a plan chooses; policies that differ in others are not what it
// predicts.
var planned = []string{"budget", "window", "period", "select"}

// PrintPredicted prints, for the selectors of each setup, the KL that a plan would predict beside
// the KL that was measured. Only ratios are predicted: the scale is what fits best.
func PrintPredicted(w io.Writer, records []Record) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range setups(records) {
		if s.test != "decode" {
			continue
		}
		for _, sel := range []string{"tokens", "pages"} {
			var found []*policy
			var kl []float64
			scale := 0.0
			for _, p := range s.policies {
				o, err := options.Parse(p.text)
				if err != nil || o.Planned() || p.sparse == 0 || !(p.kl.Value > 0) ||
					p.opt["select"] != sel ||
					p.opt.without(planned...) != parseOptions("").without(planned...) {
					continue
				}
				found, kl = append(found, p), append(kl, plan.Predicted(o, s.ctx))
				scale += math.Log(p.kl.Value / kl[len(kl)-1])
			}
			if len(found) < 2 {
				continue
			}
			scale = math.Exp(scale / float64(len(found)))
			fmt.Fprintf(t, "What a plan predicts: %s, "+
				"select=%s\nmeasured\tpredicted\tratio\tpolicy\n", s.title(), sel)
			for i, p := range found {
				fmt.Fprintf(t, "%s\t%s\t%.2f\t%s\n", figure(p.kl.Value), figure(scale*kl[i]),
					p.kl.Value/(scale*kl[i]), p.text)
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}
