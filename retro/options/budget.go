package options

import (
	"math"
	"strconv"
	"strings"

	"github.com/retroattn/retroattn/retro/failure"
)

// Budget is how much of the far context is read: tokens from 1 on, a share of the context below.
type Budget float64

// Everything is more tokens than any cache has: attention is exact.
const Everything Budget = MaxTokens

const budgetRange = "a whole number of tokens (1..134217728), a share of the context such as 0.15 or 15%, or all"

// parseBudget reads "512", "0.15", "15%" or "all". A number with a point is a share: 1.0 is
// everything, 1 is one token.
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
		case err1 != nil || err2 != nil || r.first < 0 || r.last < r.first || r.last >= MaxLayers:
			return nil, failure.Argumentf("option layer_budget=%s: %q does not name layers, write for example 0-1:all/5:1024", text, layers)
		case !ok:
			return nil, failure.Argumentf("option layer_budget=%s: a budget must be %s", text,
				budgetRange)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// CheckLayers finds rules for layers that do not exist.
func (o *Options) CheckLayers(layers int) error {
	rules, _ := parseLayerBudgets(o.LayerBudget)
	for _, r := range rules {
		if r.last >= layers {
			return failure.Argumentf("option layer_budget=%s: there is no layer %d, the attention layers are 0..%d", o.LayerBudget, r.last, layers-1)
		}
	}
	return nil
}

// LayerBudgets are the budgets of all layers.
func (o *Options) LayerBudgets(layers int) []Budget {
	budgets := make([]Budget, layers)
	for i := range budgets {
		budgets[i] = o.Budget
	}
	rules, _ := parseLayerBudgets(o.LayerBudget) // CheckLayers has been called
	for _, r := range rules {
		for i := r.first; i <= r.last; i++ {
			budgets[i] = r.budget
		}
	}
	return budgets
}
