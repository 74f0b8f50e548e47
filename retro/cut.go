package retro

import "github.com/retroattn/retroattn/retro/options"

// cut is how one layer of a sequence is read in a step.
type cut struct {
	exact  bool
	budget int // far tokens to select, at most
	pages  int // pages to choose for that by their scores: to read, or to score their tokens
	groups int // groups that a token keeps for the next ones; 0: all pages are scored for each
	parts  int // parts of the first level of the selection
}

// read sets what a budget of tokens reads of so many far pages.
func (c *cut) read(o *options.Options, budget, far int) {
	pages := (budget + o.Page - 1) / o.Page
	switch o.Select {
	case options.Streaming:
		budget, pages = 0, 0
	case options.Tokens:
		pages = (min(budget, MaxCells)*o.Candidates + o.Page - 1) / o.Page
	default:
		budget = pages * o.Page
	}
	c.exact = far*o.Page <= budget
	c.budget, c.pages = min(budget, far*o.Page), min(pages, far)
}

// viewAt is the view of a token at entry t; correcting is whether its step embeds
// older tokens again. How each layer is read goes to cuts.
func (e *Engine) viewAt(t int, correcting bool, cuts []cut) view {
	n := t + 1
	v := view{entry: t, local: e.localAt(t)}
	far := max(0, v.local-1)
	for i := range cuts {
		c := cut{exact: true, parts: 1}
		if b := e.budgets[i]; n >= e.opt.MinCtx && b < options.Everything {
			budget := b.Tokens(n)
			if c.read(&e.opt, budget, far); !c.exact {
				v.sparse = true
				if wide := e.opt.CorrectBudget.Tokens(n); correcting && wide > budget {
					c.read(&e.opt, wide, far)
					c.exact = false
				}
				e.cutSelection(&c, v.local)
			}
		}
		cuts[i] = c
	}
	return v
}

// localAt is the first page that is local for the token at entry t.
func (e *Engine) localAt(t int) int { return max(0, t+1-e.opt.Local) / e.opt.Page }

// cutSelection decides into how many parts scoring all pages falls, and whether groups are kept.
func (e *Engine) cutSelection(c *cut, local int) {
	if c.pages == 0 {
		return
	}
	c.parts = (local + scanPart - 1) / scanPart
	// With fewer, what somebody asks for is missed: docs/fidelity.md, Groups.
	groups := max(e.opt.Groups, c.pages/3)
	if e.opt.Groups > 0 && e.byTokens() && local/groupPages > groups {
		c.groups = groups
	}
}
