package retro

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
)

// Plan chooses the options that were left open, after all layers are there and
// before the first step. Without passes it is a question: done tells that no passes
// are wanted, because there is nothing to plan or a file held the plan. With them it
// measures the attention, for about a second, and decides. line is for people: what is
// chosen, or what is done if no passes come; it is empty if there is nothing to say.
func (e *Engine) Plan(p plan.Passes) (done bool, line string, err error) {
	if e.ready {
		return false, "", failure.Statef("a plan is wanted after the first step or sequence")
	}
	for i := range e.layers {
		if e.layers[i].K == nil {
			return false, "", failure.Statef("a plan is wanted before layer %d was added", i)
		}
	}
	if err := p.Check(e.cfg.Threads, MaxRows); err != nil {
		return false, "", err
	}
	c, o := e.planCase(p.Threads), plan.Outcome{}
	c.Device = p.Device != nil
	if len(p.Rows) == 0 {
		o, err = c.Known()
	} else {
		o, err = c.New(p, e.newTimer)
	}
	if err != nil {
		return false, "", err
	}
	opt, budgets := e.opt, e.budgets
	e.opt, e.budgets = o.Options, o.Options.LayerBudgets(len(e.layers))
	if o.Done {
		if err := e.checkFootprint(); err != nil { // rather than in the first step
			e.opt, e.budgets = opt, budgets
			return false, "", err
		}
	}
	e.host = o.Host
	if warning := e.warning(); warning != "" {
		o.Line = strings.TrimPrefix(o.Line+"; "+warning, "; ")
	}
	return o.Done, o.Line, nil
}

// Host is what the plan chose for a host with a device; zero without one.
func (e *Engine) Host() plan.Host { return e.host }

// planCase is what a plan must know.
func (e *Engine) planCase(threads int) *plan.Case {
	c := &plan.Case{Asked: e.asked, Threads: threads, Cells: e.cfg.Cells, Rows: e.window(),
		Kernels: kernels.ISA()}
	h := sha256.New()
	for i := range e.layers {
		l := &e.layers[i]
		fmt.Fprintln(h, l.TypeK, l.TypeV, l.Heads, l.KVHeads, l.DK, l.DV, l.SoftCap, len(l.Sinks))
		alike := 0
		for !e.layers[alike].sameShape(l) {
			alike++
		}
		c.Layers = append(c.Layers, plan.Layer{KVHeads: l.KVHeads, Alike: alike})
	}
	l := &e.layers[0]
	c.Model = fmt.Sprintf("%d layers, %d heads on %d of %d and %d, K %v, V %v, %.8x",
		len(e.layers), l.Heads, l.KVHeads, l.DK, l.DV, l.TypeK, l.TypeV, h.Sum(nil))
	return c
}

// sameShape tells whether two layers cost the same.
func (l *layer) sameShape(o *layer) bool {
	return l.TypeK == o.TypeK && l.TypeV == o.TypeV &&
		l.Heads == o.Heads && l.KVHeads == o.KVHeads && l.DK == o.DK && l.DV == o.DV
}

// fewTokens is a budget below which texts fall apart.
const fewTokens = 64

// warning is about budgets that were surely not meant.
func (e *Engine) warning() string {
	for i, b := range e.budgets {
		if b.Tokens(e.cfg.Cells) < fewTokens && e.opt.Select != options.Streaming {
			return fmt.Sprintf("warning: a budget of %v in layer %d is so little that texts fall apart: "+
				"give %d tokens or more, or a share such as 15%%", b, i, fewTokens)
		}
	}
	return ""
}
