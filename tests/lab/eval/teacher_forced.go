package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/divergence"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
)

// teacherForced is a text decoded as given.
type teacherForced struct {
	lab        *lab
	test       string // "decode" after a long prompt, "generate" after a short one
	text       text
	kv         string
	prompt     int // tokens
	steps      int
	streams    int
	ps         []policy
	comparison *divergence.Comparison
}

func (f *teacherForced) base() report.Record {
	return report.Record{Test: f.test, Model: f.lab.modelName, Text: f.text.name, KV: f.kv,
		Ctx:    f.prompt,
		Tokens: f.streams * f.steps, Streams: f.streams, Machine: f.lab.machine}.Unmeasured()
}

func (f *teacherForced) blanks() []report.Record { return []report.Record{f.base()} }

func (f *teacherForced) policies() []policy { return f.ps }

// cost counts tokens that are processed, in milliseconds of a small model on two cores.
func (f *teacherForced) cost() (prepare, measure float64) {
	prepare = 7*float64(f.streams*f.prompt) + 30*float64(f.streams*f.steps)
	measure = 12 * float64(f.streams*f.steps)
	return prepare, measure
}

func (f *teacherForced) prepare(ctx context.Context) ([]report.Record, error) {
	streams, err := f.text.streams(f.lab.model, f.streams, f.prompt, f.steps)
	if err != nil {
		return nil, err
	}
	if err := f.lab.closeContexts(); err != nil { // its memory is needed
		return nil, err
	}
	params := divergence.Params{Threads: f.lab.threads, TypeK: f.kv, TypeV: f.kv, HostKV: true,
		Keep: f.lab.keep, Dir: f.lab.dir}
	if slices.ContainsFunc(f.ps, policy.planned) {
		params.Cells = 2 * f.prompt
	}
	if f.comparison, err = divergence.New(ctx, f.lab.model, params, streams); err != nil {
		return nil, err
	}
	run, err := f.comparison.Full(ctx)
	if err != nil {
		return nil, err
	}
	r := f.base()
	r.Policy, r.Family = full.name, full.family
	r.NLL, r.Top1, r.KVShare, r.Mass, r.Exposure = run.NLL, 1, 1, 1, 1
	r.TokS = float64(f.streams) / run.Step.Seconds()
	return []report.Record{r}, nil
}

func (f *teacherForced) measure(ctx context.Context, p policy) ([]report.Record, error) {
	run, err := f.comparison.Policy(ctx, f.lab.options(p))
	if err != nil {
		return nil, err
	}
	if err := proof(run.Stats, f.streams*f.steps); err != nil {
		return nil, err
	}
	r := f.base()
	r.Policy, r.Family, r.Options = p.name, p.family, p.options
	r.SetKL(run.KL)
	r.NLL, r.Top1 = run.NLL, run.Top1
	r.TokS = float64(f.streams) / run.Step.Seconds()
	if p.planned() {
		r.Plan = run.Plan
	}
	addStats(&r, run.Stats)
	return []report.Record{r}, nil
}

func (f *teacherForced) close() error {
	if f.comparison == nil {
		return nil
	}
	t := f.comparison
	f.comparison = nil
	return t.Close()
}

// proof refuses figures of tokens that the library did not decode. A policy that reads everything
// is a control.
func proof(st stats.Stats, tokens int) error {
	if st.Tokens < uint64(tokens) {
		return fmt.Errorf("the library decoded %d of %d tokens", st.Tokens, tokens)
	}
	return nil
}

func addStats(r *report.Record, st stats.Stats) {
	f := st.Figures()
	r.KVShare, r.Exposure, r.Mass = f.KVShare, f.Exposure, f.MassKept
	r.SparseTokens, r.CorrectedTokens = st.SparseTokens, st.CorrectedTokens
}
