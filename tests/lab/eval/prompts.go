package eval

import (
	"context"
	"errors"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
	"github.com/retroattn/retroattn/tests/lab/eval/tasks"
)

// promptSet is prompts that the model goes on from, as the sequences of one batch: exams of many
// questions, problems, or trials of RULER.
type promptSet struct {
	lab   *lab
	test  string // "questions", "problems" or "ruler"
	name  string // of the set or task
	ctx   int    // of ruler: the length that the prompts were made for
	n     int    // questions in a prompt
	first int    // number of the first prompt in the set, from 1
	size  int    // prompts
	ps    []policy

	write    func() ([]sample, error) // the prompts; once
	samples  []sample
	contexts *contexts
	answers  []string // of full attention
}

// sample is one prompt, and how its answer is scored.
type sample struct {
	prompt []bridge.Token
	max    int            // tokens to generate
	truth  []bridge.Token // the right answer, where its likelihood is measured
	done   func(text string) bool
	score  func(full, text string, r *report.Record)
}

// chat is the prompt of what a user says, where the model has a template for it, and the beginning
// of the reply.
func (l *lab) chat(user, reply string) ([]bridge.Token, error) {
	prompt, err := l.model.ApplyTemplate([]bridge.Message{{Role: "user", Content: user}}, true)
	if errors.Is(err, bridge.ErrNoTemplate) {
		prompt, err = user, nil
		if reply != "" {
			prompt += "\n"
		}
	}
	if err != nil {
		return nil, err
	}
	return l.model.Tokenize(prompt+reply, true, true)
}

func examSample(l *lab, e tasks.Exam) (sample, error) {
	tokens, err := l.chat(e.Prompt, e.Reply)
	return sample{tokens, e.MaxTokens, nil, e.Done, func(full, text string, r *report.Record) {
		answers, before := e.Answers(text), e.Answers(full)
		r.Total, r.Right, r.Same = len(e.Items), e.Right(answers), tasks.Same(before, answers)
		for i, answer := range answers {
			r.RightAt += digit(answer == e.Items[i].Answer)
			r.SameAt += digit(answer != "" && answer == before[i])
		}
	}}, err
}

func problemSample(l *lab, p tasks.Problem, max int) (sample, error) {
	tokens, err := l.chat(p.Prompt, "")
	return sample{tokens, max, nil, func(string) bool { return false },
		func(full, text string, r *report.Record) {
			r.Total, r.Right, r.Same = 1, count(p.Right(text)),
				count(p.Found(full) == p.Found(text))
		}}, err
}

func trialSample(l *lab, t tasks.Trial) (sample, error) {
	tokens, err := l.chat(t.Prompt, t.Reply)
	if err != nil {
		return sample{}, err
	}
	truth, err := l.model.Tokenize(t.Truth(), false, false)
	return sample{tokens, t.MaxTokens, truth, t.Done, func(full, text string, r *report.Record) {
		r.Total, r.Right, r.Answer = len(t.Want), t.Right(text), text
		for _, want := range t.Want {
			one := tasks.Trial{Want: []string{want}}
			r.Same += count(one.Right(full) == one.Right(text))
		}
	}}, err
}

// digit is a character of Record.RightAt and SameAt.
func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (x *promptSet) base(i int) report.Record {
	r := report.Record{Test: x.test, Model: x.lab.modelName, Text: x.name, KV: "f16", Ctx: x.ctx,
		Streams: x.size, N: x.n, Sample: x.first + i}
	if x.ctx == 0 {
		r.Ctx = len(x.samples[i].prompt)
	}
	return r.Unmeasured()
}

func (x *promptSet) blanks() (rs []report.Record) {
	for i := range x.size {
		rs = append(rs, x.base(i))
	}
	return rs
}

func (x *promptSet) policies() []policy { return x.ps }

// shortAnswer is about what a trial of RULER takes.
const shortAnswer = 40

func (x *promptSet) cost() (prepare, measure float64) {
	prompt, answer := 0, 0
	for i, r := range x.blanks() {
		prompt += r.Ctx
		if x.ctx > 0 {
			answer += 2 * shortAnswer // and the right one
		} else {
			answer += x.samples[i].max
		}
	}
	return 7*float64(prompt) + 10*float64(answer), 8 * float64(answer)
}

func (x *promptSet) prepare(ctx context.Context) (rs []report.Record, err error) {
	if x.samples == nil {
		if x.samples, err = x.write(); err != nil {
			return nil, err
		}
	}
	prompts := make([][]bridge.Token, x.size)
	room := 0
	for i, s := range x.samples {
		prompts[i] = s.prompt[:len(s.prompt)-1] // the last token is decoded, for its prediction
		room = max(room, len(s.prompt)+max(s.max, len(s.truth)))
	}
	if x.contexts, err = x.lab.contexts(x.size, room, false); err != nil {
		return nil, err
	}
	if err := x.contexts.load(ctx, prompts, x.lab.keep); err != nil {
		return nil, err
	}
	return x.measure(ctx, full)
}

func (x *promptSet) measure(ctx context.Context, p policy) (rs []report.Record, err error) {
	library, draft, err := p.split()
	if err != nil {
		return nil, err
	}
	c, err := x.contexts.use(x.lab, policy{p.name, p.family, library})
	if err != nil {
		return nil, err
	}
	queries := make([]query, x.size)
	for i, s := range x.samples {
		queries[i] = query{s.prompt[len(s.prompt)-1:], true, s.max, s.done}
	}
	answer := x.contexts.generate
	if draft > 0 {
		answer = func(ctx context.Context, c *bridge.Context, queries []query) (answers, error) {
			return x.contexts.lossless(ctx, c, queries, draft)
		}
	}
	a, err := answer(ctx, c, queries)
	if err != nil {
		return nil, err
	}
	if p == full {
		x.answers = a.texts
	}
	var nll []float64
	if draft == 0 { // with drafts it is that of full attention
		if nll, err = x.contexts.likelihoods(ctx, c, x.samples); err != nil {
			return nil, err
		}
	}
	for i, s := range x.samples {
		r := x.base(i)
		if draft == 0 {
			r.NLL = nll[i]
		}
		if err := x.lab.fill(&r, p, a, i); err != nil {
			return nil, err
		}
		s.score(x.answers[i], a.texts[i], &r)
		rs = append(rs, r)
	}
	return rs, nil
}

// close forgets the prompts; the stage is the lab's.
func (x *promptSet) close() error {
	if x.write != nil {
		x.samples = nil
	}
	x.contexts, x.answers = nil, nil
	return nil
}

// fill sets what the records of all tasks say, of the i-th answer.
func (l *lab) fill(r *report.Record, p policy, a answers, i int) error {
	r.Policy, r.Family, r.Options, r.Tokens = p.name, p.family, p.options, a.tokens[i]
	if a.total == 0 { // the whole answer came from the prompt
		return nil
	}
	r.TokS = float64(a.total) / a.took.Seconds()
	if p == full {
		r.KVShare, r.Mass, r.Exposure = 1, 1, 1
		return nil
	}
	addStats(r, a.stats)
	// The counters are of all sequences: each record has its share.
	share := float64(a.tokens[i]) / float64(a.total)
	r.SparseTokens, r.CorrectedTokens = uint64(float64(r.SparseTokens)*share),
		uint64(float64(r.CorrectedTokens)*share)
	return proof(a.stats, a.sparse)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
