package speed

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	opt "github.com/retroattn/retroattn/retro/options"
)

// policy is a way to attend.
type policy struct{ name, options string }

// Names that mean something here.
const (
	stockName    = "stock"
	stockGPUName = "stock-gpu-kv" // the cache on a GPU, which the library cannot read
	denseName    = "dense"
	planName     = "plan"
)

var policies = []policy{
	{stockName, ""},
	{denseName, "budget=all,window=1"},
	{"quest", "budget=512,window=1,select=minmax"},
	{"w1", "budget=512,window=1"},
	{"paper", "budget=512,window=2,period=1"},
	{"w8", "budget=512,window=8,period=8"},
	{planName, "target=balanced"},
	{losslessName, "budget=1024,window=1"},
}

// stock says whether llama.cpp alone is measured.
func (p policy) stock() bool { return p.name == stockName || p.name == stockGPUName }

// choosePolicies reads --policies: names with commas, or NAME=OPTIONS. Stock is always among them.
func choosePolicies(words []string) ([]policy, error) {
	if len(words) == 0 {
		return slices.Clone(policies), nil
	}
	chosen := []policy{policies[0]}
	for _, word := range words {
		name, options, own := strings.Cut(word, "=")
		if own {
			if _, err := opt.Parse(options); err != nil {
				return nil, fmt.Errorf("--policies %s: %w", word, err)
			}
			chosen = append(chosen, policy{name, options})
			continue
		}
		for name := range strings.SplitSeq(word, ",") {
			i := slices.IndexFunc(policies, func(p policy) bool { return p.name == name })
			if i < 0 {
				return nil, fmt.Errorf("--policies %s: there are %s; one of your own is "+
					"NAME=OPTIONS", name, names(policies))
			}
			if i > 0 {
				chosen = append(chosen, policies[i])
			}
		}
	}
	seen := map[string]bool{stockGPUName: true}
	for _, p := range chosen {
		if seen[p.name] || p.name == "" {
			return nil, fmt.Errorf("--policies: two are called %q", p.name)
		}
		seen[p.name] = true
	}
	return chosen, nil
}

func names(ps []policy) string {
	var all []string
	for _, p := range ps {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}

// only keeps the policies of these names, and those of the user's own.
func only(ps []policy, names ...string) []policy {
	return slices.DeleteFunc(slices.Clone(ps), func(p policy) bool {
		return slices.Contains(policies, p) && !slices.Contains(names, p.name)
	})
}

// cell is a point of the matrix: what is measured together.
type cell struct {
	kv       string
	seqs     int
	depth    int
	policies []policy
}

func (c cell) String() string {
	return fmt.Sprintf("%s, %s, depth %s", c.kv, count(c.seqs, "sequence"), depthName(c.depth))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// depthName writes 8192 as 8k.
func depthName(depth int) string {
	if depth >= 1024 && depth%1024 == 0 {
		return fmt.Sprintf("%dk", depth/1024)
	}
	return fmt.Sprint(depth)
}

var allDepths = []int{0, 2048, 4096, 8192, 16384, 32768, 65536, 131072}

// matrix is what is measured: what the flags name, everything, or what fits into some ten minutes.
func matrix(kvs []string, seqs, depths []int, long bool, ps []policy) []cell {
	if long || len(kvs)+len(seqs)+len(depths) > 0 {
		return product(orElse(kvs, long, []string{"f16"}, []string{"f16", "q8_0"}),
			orElse(seqs, long, []int{1}, []int{1, 4, 16}),
			orElse(depths, long, allDepths, allDepths), ps)
	}
	cells := product([]string{"f16"}, []int{1}, allDepths, ps)
	cells = append(cells, product([]string{"q8_0"}, []int{1}, []int{0, 8192, 32768},
		only(ps, stockName, denseName, "w1", planName))...)
	return append(cells, product([]string{"f16"}, []int{4, 16}, []int{4096}, ps)...)
}

func orElse[T any](given []T, long bool, short, all []T) []T {
	switch {
	case len(given) > 0:
		return given
	case long:
		return all
	}
	return short
}

// product is every combination; drafts are measured with 1 sequence.
func product(kvs []string, seqs, depths []int, ps []policy) (cells []cell) {
	for _, kv := range kvs {
		for _, n := range seqs {
			for _, depth := range depths {
				ps := ps
				if n > 1 {
					ps = slices.DeleteFunc(slices.Clone(ps), policy.lossless)
				}
				cells = append(cells, cell{kv, n, depth, ps})
			}
		}
	}
	return cells
}

// rowsOf is how many rows each token of a period takes through the model, once there is enough
// context to leave something out: the window is embedded again on the last.
func rowsOf(o opt.Options) []int {
	period := max(1, o.Period)
	rows := make([]int, period)
	for i := range rows {
		rows[i] = 1
		if (i+1)%max(1, o.Period) == 0 {
			rows[i] = o.Window
		}
	}
	return rows
}

var planLine = regexp.MustCompile(`^plan: (budget \S+(?:, [a-z_]+ [^ ,]+)*) \(`)

// planOptions are the options that a plan's line names.
func planOptions(line string) (string, error) {
	m := planLine.FindStringSubmatch(line)
	if m == nil {
		return "", fmt.Errorf("the library says of its plan %q, which names no choice", line)
	}
	choice := strings.ReplaceAll(strings.ReplaceAll(m[1], ", ", ","), " ", "=")
	if !strings.Contains(choice, "period=") {
		choice += ",period=1"
	}
	return choice, nil
}

// mustSkip says whether a policy has to leave something out at a depth: else its figures are not of
// sparse attention.
func mustSkip(o opt.Options, depth int) bool {
	// The far pages begin behind the local window, and the last one may not be full.
	return depth > o.MinCtx && depth-o.Local-3*o.Page > o.Budget.Tokens(depth) &&
		o.LayerBudget == ""
}
