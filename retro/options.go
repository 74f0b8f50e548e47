package retro

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Selector names the rule that scores far pages.
type Selector int

// The selectors; see ALGORITHM in doc of each.
const (
	// MeanStd scores q.mean + Beta*sqrt(sum (q*sd)^2): the expected logit plus a
	// share of its spread over the page.
	MeanStd Selector = iota
	// Mean scores q.mean.
	Mean
	// MinMax is Quest's upper bound: sum over channels of max(q*min, q*max).
	MinMax
	// Streaming reads no far page at all (StreamingLLM: sink + local).
	Streaming
)

var selectorNames = [...]string{MeanStd: "meanstd", Mean: "mean", MinMax: "minmax", Streaming: "streaming"}

func (s Selector) String() string { return selectorNames[s] }

// Options are what a user can choose. Build them with DefaultOptions or
// ParseOptions; Open checks them again.
type Options struct {
	// Budget is how much of the far context a token reads per layer and KV head:
	// tokens when >= 1, a share of the context when below.
	Budget float64
	// Window is the newest token and the ones before it that are embedded again, 1..16. 1: no correction.
	Window int
	// Period embeds the window again on every Period-th token, 1..Window.
	Period int
	// Page is the number of tokens per page: 8, 16 or 32.
	Page   int
	Select Selector
	// SummaryBits is the precision of page summaries: 8, with a scale per page and KV head, or 16.
	SummaryBits int
	// MinCtx is the context length, in tokens, below which attention is exact.
	MinCtx int
	// Local is the exact local window in tokens, at least Window and Page.
	Local int
	// DenseLayers is how many of the first layers always attend to everything.
	DenseLayers int
	// Beta weighs the spread in MeanStd.
	Beta float64
	// Always embeds the window again even while attention is exact. It changes
	// no result, costs time, and exists to verify the rewriting of cells in place.
	Always bool
	// CorrectBudget is what Budget is on steps that embed the window again, in tokens; 0: Budget.
	CorrectBudget int
	// Planning asks for a plan of what the user did not set; see plan.go.
	Planning Planning
}

// DefaultOptions are the paper's window and period with the selector and page
// size that ALGORITHM.md measured best.
func DefaultOptions() Options {
	return Options{
		Budget: 512, Window: 2, Period: 1, Page: 16, Select: MeanStd, SummaryBits: 8,
		MinCtx: 1024, Local: 64, DenseLayers: 0, Beta: 2,
	}
}

const (
	maxWindow = 16
	maxTokens = 1 << 27
)

// ParseOptions reads "key=value,key=value". Unknown keys and values out of range
// are errors that name the option, the value and the range.
func ParseOptions(text string) (Options, error) {
	o := DefaultOptions()
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return o, argumentf("option %q has no value: write key=value, for example budget=512", part)
		}
		if err := o.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return o, err
		}
	}
	o.Planning.settle(&o)
	return o, o.check()
}

func (o *Options) set(key, value string) error {
	o.Planning.fixed |= planKeys[key]
	integer := func(dst *int) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return argumentf("option %s=%s: must be a whole number", key, value)
		}
		*dst = n
		return nil
	}
	number := func(dst *float64) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return argumentf("option %s=%s: must be a number", key, value)
		}
		*dst = x
		return nil
	}
	switch key {
	case "budget":
		return number(&o.Budget)
	case "window":
		return integer(&o.Window)
	case "period":
		return integer(&o.Period)
	case "page":
		return integer(&o.Page)
	case "summary_bits":
		return integer(&o.SummaryBits)
	case "min_ctx":
		return integer(&o.MinCtx)
	case "local":
		return integer(&o.Local)
	case "dense_layers":
		return integer(&o.DenseLayers)
	case "beta":
		return number(&o.Beta)
	case "correct_budget":
		return integer(&o.CorrectBudget)
	case "target", "plan", "plan_cache":
		return o.Planning.set(key, value)
	case "always":
		if value != "0" && value != "1" {
			return argumentf("option always=%s: must be 0 or 1", value)
		}
		o.Always = value == "1"
		return nil
	case "select":
		for s, name := range selectorNames {
			if name == value {
				o.Select = Selector(s)
				return nil
			}
		}
		return argumentf("option select=%s: must be one of %s", value, strings.Join(selectorNames[:], ", "))
	}
	return argumentf("option %s=%s is not known: options are budget, window, period, page, select, summary_bits, min_ctx, local, dense_layers, beta, always, correct_budget, target, plan, plan_cache", key, value)
}

func (o *Options) check() error {
	inRange := func(name string, v, lo, hi int) error {
		if v < lo || v > hi {
			return argumentf("option %s=%d: must be %d..%d", name, v, lo, hi)
		}
		return nil
	}
	if !(o.Budget > 0 && o.Budget <= maxTokens) || o.Budget >= 1 && o.Budget != math.Trunc(o.Budget) {
		return argumentf("option budget=%v: must be a whole number of tokens (1..%d) or a share of the context (above 0, below 1)", o.Budget, maxTokens)
	}
	if o.Page != 8 && o.Page != 16 && o.Page != 32 {
		return argumentf("option page=%d: must be 8, 16 or 32", o.Page)
	}
	if o.SummaryBits != 8 && o.SummaryBits != 16 {
		return argumentf("option summary_bits=%d: must be 8 or 16", o.SummaryBits)
	}
	if !(o.Beta >= 0 && o.Beta <= 100) {
		return argumentf("option beta=%v: must be 0..100", o.Beta)
	}
	if o.Select < 0 || int(o.Select) >= len(selectorNames) {
		return argumentf("selector %d: must be 0..%d", int(o.Select), len(selectorNames)-1)
	}
	for _, err := range []error{
		inRange("window", o.Window, 1, maxWindow),
		inRange("period", o.Period, 1, max(1, o.Window)),
		inRange("min_ctx", o.MinCtx, 0, maxTokens),
		inRange("local", o.Local, max(o.Window, o.Page), 4096),
		inRange("dense_layers", o.DenseLayers, 0, maxLayers),
		inRange("correct_budget", o.CorrectBudget, 0, maxTokens),
		o.Planning.check(),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// String writes the options in the form ParseOptions reads.
func (o Options) String() string {
	s := fmt.Sprintf("budget=%v,window=%d,period=%d,page=%d,select=%v,summary_bits=%d,min_ctx=%d,local=%d,dense_layers=%d,beta=%v",
		o.Budget, o.Window, o.Period, o.Page, o.Select, o.SummaryBits, o.MinCtx, o.Local, o.DenseLayers, o.Beta)
	if o.Always {
		s += ",always=1"
	}
	if o.CorrectBudget > 0 {
		s += fmt.Sprintf(",correct_budget=%d", o.CorrectBudget)
	}
	return s + o.Planning.options()
}

// budgetPages is the number of far pages a token may read with n tokens of context.
func (o *Options) budgetPages(n int) int {
	if o.Select == Streaming {
		return 0
	}
	tokens := o.Budget
	if tokens < 1 {
		tokens *= float64(n)
	}
	return int(math.Ceil(tokens / float64(o.Page)))
}
