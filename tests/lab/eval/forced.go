package eval

import (
	"context"
	"fmt"

	"retroattn/bridge"
	"retroattn/tests/divergence"
	"retroattn/tests/lab/eval/report"
)

// forced is a text decoded as given.
type forced struct {
	lab     *lab
	test    string // "decode" after a long prompt, "generate" after a short one
	text    text
	kv      string
	prompt  int // tokens
	steps   int
	streams int
	ps      []policy
	teacher *divergence.Comparison
}

func (f *forced) base() report.Record {
	return report.Record{Test: f.test, Model: f.lab.modelName, Text: f.text.name, KV: f.kv, Ctx: f.prompt,
		Tokens: f.streams * f.steps, Streams: f.streams}.Unmeasured()
}

func (f *forced) parts() []report.Record { return []report.Record{f.base()} }

func (f *forced) policies() []policy { return f.ps }

// cost counts tokens that are processed, in milliseconds of a small model on two cores.
func (f *forced) cost() (prepare, try float64) {
	prepare = 7*float64(f.streams*f.prompt) + 30*float64(f.streams*f.steps)
	try = 12 * float64(f.streams*f.steps)
	return prepare, try
}

func (f *forced) prepare(ctx context.Context) ([]report.Record, error) {
	streams, err := f.text.streams(f.lab.model, f.streams, f.prompt, f.steps)
	if err != nil {
		return nil, err
	}
	if err := f.lab.closeStage(); err != nil { // its memory is needed
		return nil, err
	}
	params := divergence.Params{Threads: f.lab.threads, TypeK: f.kv, TypeV: f.kv, HostKV: true, Keep: f.lab.keep, Dir: f.lab.dir}
	if f.teacher, err = divergence.New(ctx, f.lab.model, params, streams); err != nil {
		return nil, err
	}
	run, err := f.teacher.Full(ctx)
	if err != nil {
		return nil, err
	}
	r := f.base()
	r.Policy, r.Family = full.name, full.family
	r.NLL, r.Top1, r.KVShare, r.Mass, r.Exposure = run.NLL, 1, 1, 1, 1
	r.TokS = float64(f.streams) / run.Step.Seconds()
	return []report.Record{r}, nil
}

func (f *forced) try(ctx context.Context, p policy) ([]report.Record, error) {
	run, err := f.teacher.Policy(ctx, f.lab.options(p))
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
	addStats(&r, run.Stats)
	return []report.Record{r}, nil
}

func (f *forced) close() error {
	if f.teacher == nil {
		return nil
	}
	t := f.teacher
	f.teacher = nil
	return t.Close()
}

// proof refuses figures of tokens that the library did not decode. A policy that reads everything is a control.
func proof(st bridge.Stats, tokens int) error {
	if st.Tokens < uint64(tokens) {
		return fmt.Errorf("the library decoded %d of %d tokens", st.Tokens, tokens)
	}
	return nil
}

func addStats(r *report.Record, st bridge.Stats) {
	f := st.Since(bridge.Stats{})
	r.KVShare, r.Exposure, r.Mass = f.KVShare, f.Exposure, f.MassKept
	r.SparseTokens, r.CorrectedTokens = st.SparseTokens, st.CorrectedTokens
}
