package retro

import (
	"math"
	"strconv"
	"strings"
)

// Budget is how much of the far context is read: tokens from 1 on, a share of the context below.
type Budget float64

// Everything is more tokens than any cache has: attention is exact.
const Everything Budget = maxTokens

const budgetRange = "a whole number of tokens (1..134217728), a share of the context such as 0.15 or 15%, or all"

// parseBudget reads "512", "0.15", "15%" or "all". A number with a point is a share: 1.0 is everything, 1 is one token.
func parseBudget(text string) (b Budget, ok bool) {
	if text == "all" {
		return Everything, true
	}
	if n, err := strconv.Atoi(text); err == nil {
		return Budget(n), Budget(n).valid()
	}
	number, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if x == 1 {
		return Everything, err == nil
	}
	return Budget(x), err == nil && x > 0 && x < 1
}

func (b Budget) valid() bool {
	return b > 0 && b <= Everything && (b < 1 || b == Budget(math.Trunc(float64(b))))
}

func (b Budget) String() string {
	switch {
	case b == Everything:
		return "all"
	case b >= 1:
		return strconv.FormatFloat(float64(b), 'f', -1, 64)
	}
	return strconv.FormatFloat(float64(b), 'g', -1, 64)
}

// Tokens is the budget in a context of n tokens.
func (b Budget) Tokens(n int) int {
	if b < 1 {
		b *= Budget(n)
	}
	return int(math.Ceil(float64(b)))
}

// layerBudget is one rule of Options.LayerBudget.
type layerBudget struct {
	first, last int
	budget      Budget
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
		var r layerBudget
		var err1, err2 error
		r.first, err1 = strconv.Atoi(from)
		r.last, err2 = strconv.Atoi(to)
		r.budget, ok = parseBudget(value)
		switch {
		case err1 != nil || err2 != nil || r.first < 0 || r.last < r.first || r.last >= maxLayers:
			return nil, argumentf("option layer_budget=%s: %q does not name layers, write for example 0-1:all/5:1024", text, layers)
		case !ok:
			return nil, argumentf("option layer_budget=%s: a budget must be %s", text, budgetRange)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// checkLayers finds rules for layers that do not exist.
func (o *Options) checkLayers(layers int) error {
	rules, _ := parseLayerBudgets(o.LayerBudget)
	for _, r := range rules {
		if r.last >= layers {
			return argumentf("option layer_budget=%s: there is no layer %d, the attention layers are 0..%d", o.LayerBudget, r.last, layers-1)
		}
	}
	return nil
}

// layerBudgets are the budgets of all layers.
func (e *Engine) layerBudgets() []Budget {
	budgets := make([]Budget, len(e.layers))
	for i := range budgets {
		budgets[i] = e.opt.Budget
	}
	rules, _ := parseLayerBudgets(e.opt.LayerBudget) // Open has checked it
	for _, r := range rules {
		for i := r.first; i <= r.last; i++ {
			budgets[i] = r.budget
		}
	}
	return budgets
}

// cut is how one layer of a sequence is read in a step.
type cut struct {
	exact  bool
	budget int // far tokens to select, at most
	pages  int // pages to choose for that by their scores: to read, or to score their tokens
	groups int // groups whose pages are scored; 0: all pages are
	cols   int // pages that get a score
	parts  int // parts of the first level of the selection
}

// read sets what a budget of tokens reads of so many far pages.
func (c *cut) read(o *Options, budget, far int) {
	pages := (budget + o.Page - 1) / o.Page
	switch o.Select {
	case Streaming:
		budget, pages = 0, 0
	case Tokens:
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
	v := view{entry: t, local: max(0, n-e.opt.Local) / e.opt.Page}
	far := max(0, v.local-1)
	for i := range cuts {
		c := cut{exact: true, parts: 1}
		if b := e.budgets[i]; n >= e.opt.MinCtx && b < Everything {
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

// cutSelection decides on one level of pages or two, and into how many parts the first falls.
func (e *Engine) cutSelection(c *cut, local int) {
	if c.pages == 0 {
		return
	}
	chunks := (local + chunkPages - 1) / chunkPages
	c.parts, c.cols = chunks, local
	// The best pages may each lie in a group of its own; twice as many groups leave a choice. Of
	// candidates there are many more than are needed.
	groups := 2 * c.pages
	if e.opt.Select == Tokens {
		groups = c.pages / 4
	}
	if groups = max(e.opt.Groups, groups); e.opt.Groups > 0 && e.opt.Select != Oracle && local/groupPages > groups {
		c.groups, c.cols = groups, groups*groupPages+local%groupPages
		c.parts = (chunks + groupChunks - 1) / groupChunks
	}
}
