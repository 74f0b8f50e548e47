package options

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/retroattn/retroattn/retro/failure"
)

// Selector names the rule that chooses far tokens.
type Selector int

// The selectors.
const (
	// Tokens scores pages as Pages does, and reads the tokens of the best that have the largest
	// logits, as their residual codes tell. The others read whole pages.
	Tokens Selector = iota
	// Pages scores q.mean + Beta*sqrt(sum (q*sd)^2): the expected logit plus a
	// share of its spread over the page.
	Pages
	// MinMax is Quest's upper bound: sum over channels of max(q*min, q*max).
	MinMax
	// Streaming reads no far page at all (StreamingLLM: sink + local).
	Streaming
	// Oracle scores the log-sum-exp of the page's true logits, for which it reads every key. It has
	// no summaries, and no groups. For study only: it says how much better a selector could be.
	Oracle
)

var selectorNames = [...]string{Tokens: "tokens", Pages: "pages", MinMax: "minmax",
	Streaming: "streaming", Oracle: "oracle"}

func (s Selector) String() string { return selectorNames[s] }

// Options are what a user can choose. Build them with Default or
// Parse; the engine checks them again.
type Options struct {
	// Budget is how much of the far context a token reads per layer and KV head. Where it, Window
	// or Period is 0, a plan chooses what is; see package plan.
	Budget Budget
	// LayerBudget gives layers budgets of their own, for example "0-1:all/5:1024/10-12:0.2".
	LayerBudget string
	// Window is the newest token and the ones before it that are embedded again, 1..16. 1: no
	// correction.
	Window int
	// Period embeds the window again on every Period-th token, 1..Window.
	Period int
	// CorrectBudget is the budget of steps that embed the window again; they are then chosen by the
	// queries of all its tokens. 0: like any other step.
	CorrectBudget Budget
	// Page is the number of tokens per page: 16, or 8 or 32 where whole pages are read.
	Page   int
	Select Selector
	// Groups is how many groups of 16 pages, at least, a token that scores all pages keeps for the
	// next three, which choose of these only, with Tokens. 0: each scores all.
	Groups int
	// CodeBits is the size of a token's code per channel, 1 or 2, and Candidates how many times the
	// budget of tokens are scored by their codes, for Tokens.
	CodeBits, Candidates int
	// Need, with Tokens, reads what has enough of the attention, and the budget in the mean; false:
	// the budget, always.
	Need bool
	// SummaryBits is the precision of page summaries: 8, with a scale per page and KV head, or 16.
	// Tokens has 5 for means and 3 for spreads.
	SummaryBits int
	// MinCtx is the context length, in tokens, below which attention is exact.
	MinCtx int
	// Local is the exact local window in tokens, at least Window and Page.
	Local int
	// Beta weighs the spread in Tokens and Pages.
	Beta float64
	// Audit measures the share of the attention that sparse tokens keep (MassKept in the
	// statistics): of Audit KV heads of layers one is audited, in rotation, which reads the keys
	// that were left out. 1: every one. 0: none. It changes no result.
	Audit int
	// Always embeds the window again even while attention is exact. It changes
	// no result, costs time, and exists to verify the rewriting of cells in place.
	Always bool
	// Planning is how a plan chooses what was not set.
	Planning Planning

	// Whole is of the model, and set by the engine: past tokens are embedded again only all at
	// once, period = window.
	Whole bool
}

// settings are the options by the names that users know, in the order in which they are written.
var settings = []struct {
	name string
	at   func(*Options) any
}{
	{"budget", func(o *Options) any { return &o.Budget }},
	{"layer_budget", func(o *Options) any { return &o.LayerBudget }},
	{"window", func(o *Options) any { return &o.Window }},
	{"period", func(o *Options) any { return &o.Period }},
	{"correct_budget", func(o *Options) any { return &o.CorrectBudget }},
	{"code_bits", func(o *Options) any { return &o.CodeBits }},
	{"candidates", func(o *Options) any { return &o.Candidates }},
	{"need", func(o *Options) any { return &o.Need }},
	{"page", func(o *Options) any { return &o.Page }},
	{"select", func(o *Options) any { return &o.Select }},
	{"groups", func(o *Options) any { return &o.Groups }},
	{"summary_bits", func(o *Options) any { return &o.SummaryBits }},
	{"min_ctx", func(o *Options) any { return &o.MinCtx }},
	{"local", func(o *Options) any { return &o.Local }},
	{"beta", func(o *Options) any { return &o.Beta }},
	{"audit", func(o *Options) any { return &o.Audit }},
	{"always", func(o *Options) any { return &o.Always }},
	{"target", func(o *Options) any { return &o.Planning.Target }},
	{"prompts", func(o *Options) any { return &o.Planning.Prompts }},
	{"plan", func(o *Options) any { return &o.Planning.File }},
	{"plan_cache", func(o *Options) any { return &o.Planning.Cache }},
}

// gone are options of the past, and what to use.
var gone = map[string]string{
	"mass":         "set budget, which says how much is read",
	"min_budget":   "set budget, which says how much is read",
	"agg":          "leave it out, the best score of the query heads of a KV head counts",
	"drift":        "set a smaller period, which embeds the window again more often",
	"rectify":      "set window, period and correct_budget=all, which reads everything for the tokens embedded again",
	"dense_layers": "set layer_budget, for example layer_budget=0-1:all for the first two layers",
}

// Fallback is what is taken where nothing was set and nothing could be planned.
var Fallback = Choice{Budget: 1024, Window: 1, Period: 1}

// planned are the options that a plan chooses where they are 0.
var planned = []string{"budget", "window", "period"}

// Default leave budget, window and period to a plan.
func Default() Options {
	return Options{
		Page: 16, Select: Tokens, CodeBits: 2, Candidates: 6, Need: true, Groups: 16,
		SummaryBits: 8,
		MinCtx:      1024, Local: 64, Beta: 2, Audit: 1000,
	}
}

// Limits.
const (
	MaxWindow = 16
	MaxTokens = 1 << 27
	MaxLayers = 1024

	tokensPage = 16 // tokens per page whose codes the engine has
)

// Parse reads "key=value,key=value". Unknown keys and values out of range
// are errors that name the option, the value and the range.
func Parse(text string) (Options, error) {
	o := Default()
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return o, failure.Argumentf("option %q has no value: write key=value, for example budget=512", part)
		}
		if err := o.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return o, err
		}
	}
	return o, o.Validate()
}

func (o *Options) set(key, value string) (err error) {
	if use, ok := gone[key]; ok {
		return failure.Argumentf("option %s is gone: %s", key, use)
	}
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
		if s.name != key {
			continue
		}
		wrong := ""
		switch p := s.at(o).(type) {
		case *int:
			if *p, err = strconv.Atoi(value); err != nil {
				wrong = "must be a whole number"
			} else if *p == 0 && slices.Contains(planned, key) {
				wrong = fmt.Sprintf("must be 1..%d", MaxWindow)
			}
		case *Budget:
			var ok bool
			if *p, ok = parseBudget(value); !ok && (value != "0" || key == "budget") {
				wrong = "must be " + budgetRange
			}
		case *float64:
			if *p, err = strconv.ParseFloat(value, 64); err != nil {
				wrong = "must be a number"
			}
		case *bool:
			if *p = value == "1"; value != "0" && value != "1" {
				wrong = "must be 0 or 1"
			}
		case *string:
			if *p = value; value == "" {
				wrong = "has no value"
			}
		case *Target:
			if wrong = pick(p, value, targetNames[1:]); wrong == "" {
				*p++ // after NoTarget
			}
		case *Prompts:
			wrong = pick(p, value, promptsNames[:])
		case *Selector:
			wrong = pick(p, value, selectorNames[:])
		}
		if wrong != "" {
			return failure.Argumentf("option %s=%s: %s", key, value, wrong)
		}
		return nil
	}
	return failure.Argumentf("option %s=%s is not known: options are %s", key, value,
		strings.Join(names, ", "))
}

// pick finds the value among the names, or says what they are.
func pick[T ~int](p *T, value string, names []string) string {
	i := slices.Index(names, value)
	if i < 0 {
		return "must be one of " + strings.Join(names, ", ")
	}
	*p = T(i)
	return ""
}

// Planned says whether budget, window or period is left to a plan.
func (o *Options) Planned() bool {
	return o.Budget == 0 || o.Window == 0 || o.Period == 0 && o.Window > 1
}

// With completes what was not set.
func (o Options) With(c Choice) Options {
	if o.Budget == 0 {
		o.Budget = c.Budget
	}
	if o.Window == 0 {
		// a period asks for a window that holds it
		o.Window = max(c.Window, min(o.Period, MaxWindow))
	}
	if o.Period == 0 {
		o.Period = min(c.Period, o.Window)
		if o.Whole && c.Period == c.Window {
			o.Period = o.Window
		}
	}
	return o
}

// Validate says what Parse would say about the same options as text.
func (o Options) Validate() error {
	o = o.With(Fallback)
	return o.Check()
}

// Check is Validate for options that leave nothing to a plan.
func (o *Options) Check() error {
	if !o.Budget.valid() {
		return failure.Argumentf("option budget=%v: must be %s", o.Budget, budgetRange)
	}
	if o.CorrectBudget != 0 && !o.CorrectBudget.valid() {
		return failure.Argumentf("option correct_budget=%v: must be %s", o.CorrectBudget,
			budgetRange)
	}
	if o.Period > o.Window && o.Period <= MaxWindow {
		return failure.Argumentf("option period=%d: must be 1..%d, as window=%d limits it",
			o.Period, o.Window, o.Window)
	}
	if o.Whole && o.Period != o.Window {
		return failure.Unsupportedf("option period=%d: must be window=%d with this model, whose recurrent state goes back only to where the last window ended: leave period out", o.Period, o.Window)
	}
	if _, err := parseLayerBudgets(o.LayerBudget); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		v    int
		of   []int
	}{{"page", o.Page, []int{8, 16, 32}}, {"summary_bits", o.SummaryBits, []int{8, 16}},
		{"code_bits", o.CodeBits, []int{1, 2}}} {
		if !slices.Contains(c.of, c.v) {
			text := strings.Trim(fmt.Sprint(c.of), "[]")
			at := strings.LastIndex(text, " ")
			return failure.Argumentf("option %s=%d: must be %s or %s", c.name, c.v,
				strings.ReplaceAll(text[:at], " ", ", "), text[at+1:])
		}
	}
	if !(o.Beta >= 0 && o.Beta <= 100) {
		return failure.Argumentf("option beta=%v: must be 0..100", o.Beta)
	}
	if o.Select < 0 || int(o.Select) >= len(selectorNames) {
		return failure.Argumentf("selector %d: there are %d", int(o.Select), len(selectorNames))
	}
	if o.Select == Tokens && o.Page != tokensPage {
		return failure.Argumentf("option page=%d: select=tokens has pages of %d, only select=pages and minmax others", o.Page, tokensPage)
	}
	for _, c := range []struct {
		name      string
		v, lo, hi int
	}{
		{"window", o.Window, 1, MaxWindow},
		{"period", o.Period, 1, max(1, o.Window)},
		{"candidates", o.Candidates, 1, 64},
		{"groups", o.Groups, 0, MaxTokens},
		{"min_ctx", o.MinCtx, 0, MaxTokens},
		{"local", o.Local, max(o.Window, o.Page), 4096},
		{"audit", o.Audit, 0, MaxTokens},
	} {
		if c.v < c.lo || c.v > c.hi {
			return failure.Argumentf("option %s=%d: must be %d..%d", c.name, c.v, c.lo, c.hi)
		}
	}
	return o.Planning.check()
}

// String writes the options in the form Parse reads, without those that are left to a plan. They
// must be valid.
func (o Options) String() string {
	var parts []string
	for _, s := range settings {
		switch p := s.at(&o).(type) {
		case *int:
			if *p != 0 || !slices.Contains(planned, s.name) {
				parts = append(parts, fmt.Sprintf("%s=%d", s.name, *p))
			}
		case *Budget:
			if *p != 0 {
				parts = append(parts, fmt.Sprintf("%s=%v", s.name, *p))
			}
		case *float64:
			parts = append(parts, fmt.Sprintf("%s=%v", s.name, *p))
		case *string:
			if *p != "" {
				parts = append(parts, s.name+"="+*p)
			}
		case *bool:
			on := "0"
			if *p {
				on = "1"
			}
			parts = append(parts, s.name+"="+on)
		case *Target:
			if *p != NoTarget {
				parts = append(parts, s.name+"="+p.String())
			}
		case *Prompts:
			if *p != PromptsPlanned {
				parts = append(parts, s.name+"="+p.String())
			}
		case fmt.Stringer:
			parts = append(parts, s.name+"="+p.String())
		}
	}
	return strings.Join(parts, ",")
}
