package main

import (
	"context"
	"errors"

	"retroattn/bridge"
	"retroattn/tests/eval/report"
	"retroattn/tests/eval/tasks"
)

// asked is a prompt that the model goes on from at length: an exam of many questions, or one problem.
type asked struct {
	lab    *lab
	test   string // "questions" or "problems"
	name   string
	n      int // questions in the prompt
	prompt []bridge.Token
	max    int // tokens to generate
	ps     []policy

	done func(text string) bool
	// right counts right answers, same those that are as under full attention.
	right func(text string) int
	same  func(full, text string) int

	player *player
	full   string // what full attention answered
}

func newExam(l *lab, e tasks.Exam, ps []policy) (*asked, error) {
	tokens, err := l.model.Tokenize(e.Prompt, true, true)
	return &asked{
		lab: l, test: "questions", name: e.Name, n: len(e.Items), prompt: tokens, max: e.MaxTokens, ps: ps,
		done:  e.Done,
		right: func(text string) int { return e.Right(e.Answers(text)) },
		same:  func(full, text string) int { return tasks.Same(e.Answers(full), e.Answers(text)) },
	}, err
}

func newProblem(l *lab, set string, p tasks.Problem, max int, ps []policy) (*asked, error) {
	prompt, err := l.model.ApplyTemplate([]bridge.Message{{Role: "user", Content: p.Prompt}}, true)
	if errors.Is(err, bridge.ErrNoTemplate) {
		prompt, err = p.Prompt, nil
	}
	if err != nil {
		return nil, err
	}
	tokens, err := l.model.Tokenize(prompt, true, true)
	return &asked{
		lab: l, test: "problems", name: set + " " + p.ID, n: 1, prompt: tokens, max: max, ps: ps,
		done:  func(string) bool { return false },
		right: func(text string) int { return count(p.Right(text)) },
		same:  func(full, text string) int { return count(p.Found(full) == p.Found(text)) },
	}, err
}

func (x *asked) base() report.Record {
	return report.Record{Test: x.test, Model: x.lab.modelName, Text: x.name, KV: "f16", Ctx: len(x.prompt), Streams: 1, N: x.n}.Unmeasured()
}

func (x *asked) policies() []policy { return x.ps }

func (x *asked) cost() (prepare, try float64) {
	return 7*float64(len(x.prompt)) + 10*float64(x.max), 8 * float64(x.max)
}

func (x *asked) prepare(ctx context.Context) (rs []report.Record, err error) {
	last := len(x.prompt) - 1 // is decoded, for its prediction
	if x.player, err = newPlayer(ctx, x.lab, x.prompt[:last], x.max+1); err != nil {
		return nil, err
	}
	return x.try(ctx, full)
}

func (x *asked) try(ctx context.Context, p policy) ([]report.Record, error) {
	if err := x.player.use(p); err != nil {
		return nil, err
	}
	a, err := x.player.ask(ctx, x.prompt[len(x.prompt)-1:], true, x.max, x.done)
	if err != nil {
		return nil, err
	}
	if p == full {
		x.full = a.text
	}
	r := x.base()
	if err := x.lab.fill(&r, p, a); err != nil {
		return nil, err
	}
	r.Asked, r.Right, r.Same = x.n, x.right(a.text), x.same(x.full, a.text)
	return []report.Record{r}, nil
}

func (x *asked) close() error { return x.player.close() }
