package eval

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/divergence"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
)

// free lets the model go on from long prompts by itself, greedily, the prompts as sequences of one
// batch. What a policy writes is given to full attention token by token in the same step, so that
// each prediction is compared on the policy's own text.
type free struct {
	lab      *lab
	text     text
	ctx      int // tokens of a prompt
	max      int // tokens to generate
	first    int // number of the first prompt, from 1
	size     int
	ps       []policy
	prompts  [][]bridge.Token
	contexts *contexts
	own      [][]bridge.Token // the texts under full attention
}

// close leaves the stage to the lab.
func (f *free) close() error {
	f.contexts, f.prompts, f.own = nil, nil, nil
	return nil
}

// line is a text that grows.
type line struct {
	tokens []bridge.Token
	kl     []float32
	nll    float64 // under full attention
	same   int     // tokens that full attention would have chosen
	next   bridge.Token
	over   bool
}

func (f *free) blanks() (rs []report.Record) {
	for i := range f.size {
		rs = append(rs, report.Record{Test: "free", Model: f.lab.modelName, Text: f.text.name,
			KV: "f16", Ctx: f.ctx, Streams: f.size, Sample: f.first + i}.Unmeasured())
	}
	return rs
}

func (f *free) policies() []policy { return f.ps }

func (f *free) cost() (prepare, measure float64) {
	tokens := float64(f.size * f.max)
	return 7*float64(f.size*f.ctx) + 20*tokens, 35 * tokens
}

func (f *free) prepare(ctx context.Context) (rs []report.Record, err error) {
	streams, err := f.text.streams(f.lab.model, f.first-1+f.size, f.ctx, 1)
	if err != nil {
		return nil, err
	}
	f.prompts = nil
	var most [][]bridge.Token // without the last token, which is decoded
	for _, s := range streams[f.first-1:] {
		f.prompts = append(f.prompts, s.Prompt)
		most = append(most, s.Prompt[:f.ctx-1])
	}
	if f.contexts, err = f.lab.contexts(f.size, f.ctx+f.max, true); err != nil {
		return nil, err
	}
	if err := f.contexts.load(ctx, most, f.lab.keep); err != nil {
		return nil, err
	}
	return f.measure(ctx, full)
}

func (f *free) measure(ctx context.Context, p policy) (rs []report.Record, err error) {
	c, err := f.contexts.use(f.lab, p)
	if err != nil {
		return nil, err
	}
	reference := c
	if p != full {
		if reference, err = f.contexts.use(f.lab, full); err != nil {
			return nil, err
		}
	}
	lines, tokens, err := f.write(ctx, c, reference)
	if err != nil {
		return nil, err
	}
	if p == full {
		f.own = nil
		for _, l := range lines {
			f.own = append(f.own, l.tokens)
		}
	}
	for i, r := range f.blanks() {
		r.Policy, r.Family, r.Options = p.name, p.family, p.options
		lines[i].fill(&r, f.own[i])
		if p == full {
			r.KVShare, r.Mass, r.Exposure = 1, 1, 1
		} else {
			stats, err := c.RetroStats()
			if err == nil {
				err = proof(stats, tokens)
			}
			if err != nil {
				return nil, err
			}
			addStats(&r, stats)
			r.SparseTokens, r.CorrectedTokens = r.SparseTokens/uint64(f.size),
				r.CorrectedTokens/uint64(f.size)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// write generates the texts in c, and compares them in the other context, unless it is the same. It
// returns how many tokens were decoded.
func (f *free) write(ctx context.Context, c, reference *bridge.Context,
) (lines []*line, decoded int, err error) {
	runtime.LockOSThread() // OpenMP keeps threads for each thread that calls
	defer runtime.UnlockOSThread()
	for _, p := range f.prompts {
		lines = append(lines, &line{next: p[len(p)-1]})
	}
	b := bridge.NewBatch(f.size)
	for step := range f.max {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		b.Clear()
		var live []*line
		for seq, l := range lines {
			if !l.over {
				live = append(live, l)
				b.Add(l.next, f.ctx-1+step, seq, true)
			}
		}
		if len(live) == 0 {
			break
		}
		decoded += len(live)
		err := c.Decode(b)
		if err == nil && reference != c {
			err = reference.Decode(b)
		}
		if err == nil {
			err = choose(c, reference, live)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return lines, decoded, nil
}

// choose takes the next token of each text, all at once: vocabularies are large.
func choose(c, reference *bridge.Context, live []*line) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, l := range live {
		row, err := c.Logits(i)
		truth, err2 := reference.Logits(i)
		if err = errors.Join(err, err2); err != nil {
			return err
		}
		wg.Go(func() { l.choose(c.Model(), row, truth) })
	}
	return nil
}

func (l *line) choose(m *bridge.Model, row, truth []float32) {
	l.next = bridge.Argmax(row)
	l.kl = append(l.kl, float32(divergence.KL(truth, row)))
	l.nll += divergence.NLL(truth, l.next)
	l.same += count(bridge.Argmax(truth) == l.next)
	if l.over = m.IsEOG(l.next); !l.over {
		l.tokens = append(l.tokens, l.next)
	}
}

// fill says what the text is like, beside the one under full attention.
func (l *line) fill(r *report.Record, own []bridge.Token) {
	n := float64(len(l.kl)) // the end, if there was one, included
	r.Tokens = len(l.tokens)
	r.KL, r.KLLo, r.KLHi = report.Interval(l.kl, 1)
	r.NLL, r.Top1 = l.nll/n, float64(l.same)/n
	for r.Common < min(len(own), len(l.tokens)) && own[r.Common] == l.tokens[r.Common] {
		r.Common++
	}
	r.Repeated = repeated(l.tokens)
}

// repeated is the share of the tokens that end four which were in the text before.
func repeated(tokens []bridge.Token) float64 {
	seen := map[[4]bridge.Token]bool{}
	again := 0
	for i := 4; i <= len(tokens); i++ {
		four := [4]bridge.Token(tokens[i-4 : i])
		again += count(seen[four])
		seen[four] = true
	}
	return float64(again) / float64(max(1, len(tokens)-3))
}
