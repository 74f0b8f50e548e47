package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/retroattn/retroattn/retro/options"
)

// setup is what policies must share to be compared, and what they measured there.
// Tasks mix prompt lengths, which their tables show as columns.
type setup struct {
	test, model, kv string
	on              string // ", on MACHINE" where it has a name
	ctx, streams, n int    // 0 where the test mixes them

	texts    []string
	policies []*policy // that ran; by family, then budget
	failed   []Record
}

// policy is one policy over all texts of a setup.
type policy struct {
	name, family, text string // text: its options as given
	opt                optionSet
	records            []Record // one per text
	complete           bool     // has all texts of the setup

	kl                    Estimate
	share, mass, exposure float64 // means over texts
	// dNLL: nats above full attention; ms per token, all streams counted
	top1, dNLL, ms              float64
	quarters                    [4]float64
	sparse, corrected           uint64
	total, right, same, decoded int
}

func (p *policy) full() bool { return p.text == "" }

// attainable: the oracle reads the keys to choose, so it bounds what can be had.
func (p *policy) attainable() bool { return p.opt["select"] != "oracle" }

// optionSet is the library's by name, the defaults filled in.
type optionSet map[string]string

func parseOptions(text string) optionSet {
	o := optionSet{}
	for part := range strings.SplitSeq(options.Default().String()+","+text, ",") {
		if key, value, ok := strings.Cut(part, "="); ok {
			o[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return o
}

func (o optionSet) number(key string) float64 {
	v, err := strconv.ParseFloat(o[key], 64)
	switch {
	case o[key] == "all":
		return math.Inf(1)
	case err != nil:
		return 0
	}
	return v
}

// corrects says whether past tokens are embedded again.
func (o optionSet) corrects() bool { return o.number("window") > 1 }

// correction are the options that say how past tokens are corrected.
var correction = []string{"window", "period", "correct_budget", "always"}

// without tells what is left of the options when some are not looked at.
func (o optionSet) without(keys ...string) string {
	var left []string
	for key, value := range o {
		if !slices.Contains(keys, key) {
			left = append(left, key+"="+value)
		}
	}
	slices.Sort(left)
	return strings.Join(left, ",")
}

func (s *setup) title() string {
	title := fmt.Sprintf("%s, %s, KV %s", s.test, s.model, s.kv)
	if s.ctx > 0 {
		title += fmt.Sprintf(", prompt of %d tokens", s.ctx)
		if s.streams > 1 {
			title += fmt.Sprintf(", %d streams", s.streams)
		}
	}
	if s.n > 1 {
		title += fmt.Sprintf(", %d questions per prompt", s.n)
	}
	return title + s.on
}

func (s *setup) decodes() bool { return s.test == "decode" || s.test == "generate" }

// byLength says whether prompts of different lengths are different setups of a task.
func (s *setup) byLength() bool { return s.test == "ruler" || s.test == "free" }

// retrieves says whether keys are retrieved from a long text.
func (s *setup) retrieves() bool {
	return strings.HasPrefix(s.test, "needle") || strings.HasPrefix(s.test, "passkey") ||
		strings.HasPrefix(s.test, "pairs")
}

func (s *setup) full() *policy {
	for _, p := range s.policies {
		if p.full() {
			return p
		}
	}
	return nil
}

var testOrder = []string{"decode", "generate", "free", "ruler", "needle", "passkey", "pairs",
	"needle-sparse", "passkey-sparse", "pairs-sparse", "questions", "problems"}

// setups sorts the records into setups and policies.
func setups(records []Record) []*setup {
	var all []*setup
	for _, r := range records {
		key := setup{test: r.Test, model: r.Model, kv: r.KV, on: r.on()}
		switch {
		case r.decodes():
			key.ctx, key.streams = r.Ctx, max(1, r.Streams)
		case key.byLength():
			key.ctx = r.Ctx
		default:
			key.n = r.N
		}
		i := slices.IndexFunc(all, func(s *setup) bool {
			return s.test == key.test && s.model == key.model && s.kv == key.kv && s.on == key.on &&
				s.ctx == key.ctx && s.streams == key.streams && s.n == key.n
		})
		if i < 0 {
			i = len(all)
			all = append(all, &key)
		}
		all[i].add(r)
	}
	for _, s := range all {
		s.summarize()
	}
	slices.SortStableFunc(all, func(a, b *setup) int {
		return cmp.Or(cmp.Compare(rank(a.test), rank(b.test)), cmp.Compare(a.model, b.model),
			cmp.Compare(a.kv, b.kv), cmp.Compare(a.ctx, b.ctx), cmp.Compare(a.n, b.n),
			cmp.Compare(a.on, b.on))
	})
	return all
}

func rank(test string) int {
	if i := slices.Index(testOrder, test); i >= 0 {
		return i
	}
	return len(testOrder)
}

func (s *setup) add(r Record) {
	if r.Error != "" {
		s.failed = append(s.failed, r)
		return
	}
	if !slices.Contains(s.texts, r.Text) {
		s.texts = append(s.texts, r.Text)
	}
	i := slices.IndexFunc(s.policies, func(p *policy) bool {
		return p.name == r.Policy &&
			p.text == r.Options
	})
	if i < 0 {
		i = len(s.policies)
		s.policies = append(s.policies, &policy{name: r.Policy, family: r.Family, text: r.Options,
			opt: parseOptions(r.Options)})
	}
	s.policies[i].records = append(s.policies[i].records, r)
}

func (s *setup) summarize() {
	nll := map[string]float64{} // of full attention, by text
	if full := s.full(); full != nil {
		for _, r := range full.records {
			nll[r.Text] = r.NLL
		}
	}
	for _, p := range s.policies {
		p.summarize(nll)
		p.complete = len(p.records) >= len(s.texts)
	}
	slices.SortStableFunc(s.policies, func(a, b *policy) int {
		if a.full() != b.full() {
			return map[bool]int{true: -1, false: 1}[a.full()]
		}
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.opt.number("budget"),
			b.opt.number("budget")),
			cmp.Compare(a.share, b.share), cmp.Compare(a.name, b.name))
	})
}

func (p *policy) summarize(fullNLL map[string]float64) {
	mean := func(f func(Record) float64) float64 { return average(p.records, f) }
	p.share = mean(func(r Record) float64 { return r.KVShare })
	p.exposure = mean(func(r Record) float64 { return r.Exposure })
	p.top1 = mean(func(r Record) float64 { return r.Top1 })
	p.mass = mean(func(r Record) float64 {
		if r.Mass <= 0 {
			return math.NaN()
		}
		return r.Mass
	})
	p.ms = mean(func(r Record) float64 {
		if r.TokS <= 0 {
			return math.NaN()
		}
		return 1000 / r.TokS
	})
	p.dNLL = mean(func(r Record) float64 {
		if of, ok := fullNLL[r.Text]; ok {
			return r.NLL - of
		}
		return math.NaN()
	})
	p.kl = p.interval()
	for i := range p.quarters {
		p.quarters[i] = mean(func(r Record) float64 { return Quarters(r.KLTokens, r.Streams)[i] })
	}
	for _, r := range p.records {
		p.total, p.right, p.same, p.decoded = p.total+r.Total, p.right+r.Right, p.same+r.Same,
			p.decoded+r.Tokens
		p.sparse, p.corrected = p.sparse+r.SparseTokens, p.corrected+r.CorrectedTokens
	}
}

// interval is the KL over all texts, from the tokens if all records have them.
func (p *policy) interval() Estimate {
	if s := paired(p.records); s != nil && len(s[0]) == len(p.records) {
		return s[0].estimate()
	}
	return Estimate{
		average(p.records, func(r Record) float64 { return r.KL }),
		average(p.records, func(r Record) float64 { return r.KLLo }),
		average(p.records, func(r Record) float64 { return r.KLHi }),
	}
}
