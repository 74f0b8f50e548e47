package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/retroattn/retroattn/retro/options"
)

// policy is a way to attend. Policies of one family differ in their budget only.
type policy struct {
	name, family string
	options      string // "" is full attention
}

// ownFamily joins the user's policies that differ in their budget only.
func ownFamily(name, text string) string {
	parts := slices.DeleteFunc(strings.Split(text, ","), func(part string) bool {
		return strings.HasPrefix(strings.TrimSpace(part), "budget=")
	})
	return cmp.Or(strings.Join(parts, ","), name)
}

// split takes draft=N out of the options, which is not the library's: so many tokens are drafted at
// a time, and full attention decides. It is for prompts that are answered.
func (p policy) split() (library string, draft int, err error) {
	var rest []string
	for part := range strings.SplitSeq(p.options, ",") {
		value, found := strings.CutPrefix(strings.TrimSpace(part), "draft=")
		if !found {
			rest = append(rest, part)
			continue
		}
		if draft, err = strconv.Atoi(value); err != nil || draft < 1 || draft > maxDraft {
			return "", 0, fmt.Errorf("draft=%s: must be 1..%d", value, maxDraft)
		}
	}
	return strings.Join(rest, ","), draft, nil
}

const maxDraft = 64

// planned says whether the options leave something to a plan.
func (p policy) planned() bool {
	o, err := options.Parse(p.options)
	return err == nil && p.options != "" && o.Planned()
}

var full = policy{name: "full", family: "full"}

// family makes a policy for each budget.
func family(name, options string, budgets ...int) []policy {
	var ps []policy
	for _, b := range budgets {
		ps = append(ps, policy{fmt.Sprintf("%s %d", name, b), name,
			fmt.Sprintf("budget=%d,%s", b, options)})
	}
	return ps
}

// The options of each family. window=2 is the paper's choice.
const (
	questOptions     = "select=minmax,window=1"
	pageOptions      = "select=pages,window=1"
	plainOptions     = "window=1"
	correctOptions   = "window=2,period=1"
	deferredOptions  = "window=8,period=8"
	streamingOptions = "select=streaming,window=1"
	oracleOptions    = "select=oracle,window=1"
)

// matrix is what is measured after a long prompt: the default over all budgets, and what it is to be
// compared with at one or two of them.
func matrix(budgets []int) []policy {
	rest := budgets[len(budgets)/3:]
	middle, few := rest[:1], rest[:min(2, len(rest))]
	var ps []policy
	add := func(name, options string, budgets ...int) {
		ps = append(ps, family(name, options, budgets...)...)
	}
	add("tokens w1", plainOptions, budgets...)
	add("tokens w2", correctOptions, few...)
	add("tokens w8c8", deferredOptions, few...)
	add("1 bit w1", "code_bits=1,window=1", middle...)
	add("pages w1", pageOptions, few...)
	add("minmax w1 (Quest)", questOptions, few...)
	add("minmax w2 (paper)", "select=minmax,window=2,period=1", middle...)
	add("streaming", streamingOptions, middle...)
	add("oracle w1", oracleOptions, middle...)
	add("2 dense layers w1", "layer_budget=0-1:all,window=1", middle...)
	return ps
}

// main policies are measured where every run is long: after short prompts, on other cache types, on
// tasks.
func mainPolicies(budget int) []policy {
	var ps []policy
	for _, f := range [][2]string{
		{"tokens w1", plainOptions}, {"tokens w2", correctOptions},
		{"pages w1", pageOptions}, {"minmax w1 (Quest)", questOptions},
		{"streaming", streamingOptions},
	} {
		ps = append(ps, family(f[0], f[1], budget)...)
	}
	return ps
}

// cachePolicies are for other types of the KV cache.
func cachePolicies(budget int) []policy {
	return slices.Concat(family("tokens w1", plainOptions, budget),
		family("tokens w2", correctOptions, budget),
		family("minmax w1 (Quest)", questOptions, budget))
}

// rulerBudgets are those of RULER and of free running, of whatever length.
var rulerBudgets = []int{1024, 512}

func rulerPolicies() (ps []policy) {
	for _, f := range [][2]string{{"tokens w1", plainOptions}, {"minmax w1 (Quest)", questOptions},
		{"pages w1", pageOptions}} {
		ps = append(ps, family(f[0], f[1], rulerBudgets...)...)
	}
	return ps
}

func freePolicies() []policy {
	return slices.Concat(family("tokens w1", plainOptions, rulerBudgets...),
		family("minmax w1 (Quest)", questOptions, 512),
		family("pages w1", pageOptions, 512), family("tokens w4", "window=4,period=1", 512))
}

// paper is the set-up of RetroAttention's tables (arXiv 2508.09001, section 4): a budget of 0.15 of
// the context, window 2, pages of 16, the first two layers dense, page bounds in 16 bits, no local
// window beyond the last page; and beside it our selection with as many bytes: its codes take a
// little more than Quest's bounds. StreamingLLM knows no share of the context, so it gets the
// tokens whose bytes Quest reads in a context of about so many. Where prompts are answered there is
// lossless decoding as well, whose budget is only for drafts.
func paper(context int, answered bool) []policy {
	const (
		same  = "layer_budget=0-1:all,"
		quest = "budget=0.15,select=minmax,summary_bits=16,groups=0,local=16," + same
		ours  = "budget=0.14,local=16," + same
	)
	local := min(max(context/5/16*16, 16), 4096)
	ps := []policy{
		{"quest", "quest", quest + "window=1"},
		{"quest+retro", "quest+retro", quest + "window=2,period=1"},
		{"tokens w1", "tokens w1", ours + "window=1"},
		{"tokens w2", "tokens w2", ours + "window=2,period=1"},
		{"tokens w8c8", "tokens w8c8", ours + "window=8,period=8"},
		{"streaming", "streaming", fmt.Sprintf("budget=0.15,%sselect=streaming,local=%d,window=1",
			same, local)},
	}
	if answered {
		ps = append(ps, policy{"lossless", "lossless", "budget=0.14,local=16,window=1,draft=8"})
	}
	return ps
}
