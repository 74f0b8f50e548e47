package retro

import (
	"math"
	"strconv"
	"strings"
)

const budgetRange = "a whole number of tokens (1..134217728) or a share of the context (above 0, below 1)"

func validBudget(b float64) bool {
	return b > 0 && b <= maxTokens && (b < 1 || b == math.Trunc(b))
}

// layerBudget is one rule of Options.LayerBudget.
type layerBudget struct {
	first, last int
	budget      float64 // +Inf: everything is read
}

// parseLayerBudgets reads rules such as "0-1:all/5:1024/10-12:0.2".
func parseLayerBudgets(text string) ([]layerBudget, error) {
	if text == "" {
		return nil, nil
	}
	var rules []layerBudget
	for part := range strings.SplitSeq(text, "/") {
		layers, value, _ := strings.Cut(part, ":")
		from, to, ok := strings.Cut(layers, "-")
		if !ok {
			to = from
		}
		r := layerBudget{budget: math.Inf(1)}
		var err1, err2, err3 error
		r.first, err1 = strconv.Atoi(from)
		r.last, err2 = strconv.Atoi(to)
		if value != "all" {
			r.budget, err3 = strconv.ParseFloat(value, 64)
		}
		switch {
		case err1 != nil || err2 != nil || r.first < 0 || r.last < r.first || r.last >= maxLayers:
			return nil, argumentf("option layer_budget=%s: %q does not name layers, write for example 0-1:all/5:1024", text, layers)
		case err3 != nil || value != "all" && !validBudget(r.budget):
			return nil, argumentf("option layer_budget=%s: a budget must be all, %s", text, budgetRange)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// layerBudgets are the budgets of all layers.
func (e *Engine) layerBudgets() []float64 {
	budgets := make([]float64, len(e.layers))
	for i := range budgets {
		budgets[i] = e.opt.Budget
	}
	rules, _ := parseLayerBudgets(e.opt.LayerBudget) // Open has checked it
	for _, r := range rules {
		for i := r.first; i <= min(r.last, len(budgets)-1); i++ {
			budgets[i] = r.budget
		}
	}
	return budgets
}

// cut is how one layer of a sequence is read in a step.
type cut struct {
	exact  bool
	budget int // far tokens to select, at most
	pages  int // pages to choose for that by their scores
	groups int // groups whose pages are scored; 0: all pages are
	cols   int // pages that get a score
	parts  int // parts of the first level of the selection
}

// tokens is what a budget of tokens, or a share of n tokens, is.
func tokens(budget float64, n int) int {
	if budget < 1 {
		budget *= float64(n)
	}
	return int(math.Ceil(budget))
}

// read sets what a budget of tokens reads of so many far pages.
func (c *cut) read(o *Options, budget, far int) {
	c.pages = (budget + o.Page - 1) / o.Page
	if o.Select == Streaming {
		c.pages = 0
	}
	c.exact = far <= c.pages
	c.pages = min(far, c.pages)
	c.budget = c.pages * o.Page
}

// viewAt is the view of a token at entry t; correcting is whether its step embeds
// older tokens again. How each layer is read goes to cuts.
func (e *Engine) viewAt(t int, correcting bool, cuts []cut) view {
	n := t + 1
	v := view{entry: t, local: max(0, n-e.opt.Local) / e.opt.Page}
	far := max(0, v.local-1)
	for i := range cuts {
		c := cut{exact: true, parts: 1}
		if b := e.budgets[i]; n >= e.opt.MinCtx && b <= maxTokens {
			budget := tokens(b, n)
			if c.read(&e.opt, budget, far); !c.exact {
				v.sparse = true
				if correcting && e.opt.CorrectBudget > budget {
					c.read(&e.opt, e.opt.CorrectBudget, far)
					c.exact = false
				}
				e.cutSelection(&c, v.local)
			}
		}
		cuts[i] = c
	}
	return v
}

// cutSelection decides on one level of pages or two, and into how many parts the first falls.
func (e *Engine) cutSelection(c *cut, local int) {
	if c.pages == 0 {
		return
	}
	chunks := (local + chunkPages - 1) / chunkPages
	c.parts, c.cols = chunks, local
	// The best pages may each lie in a group of its own; twice as many groups leave a choice.
	if groups := max(e.opt.Groups, 2*c.pages); e.opt.Groups > 0 && e.opt.Select != Oracle && local/groupPages > groups {
		c.groups, c.cols = groups, groups*groupPages+local%groupPages
		c.parts = (chunks + groupChunks - 1) / groupChunks
	}
}
