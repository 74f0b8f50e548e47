package main

import (
	"context"

	"retroattn/bridge"
	"retroattn/tests/eval/report"
	"retroattn/tests/eval/tasks"
)

// sought is a long text with keys in it that are asked for, in two ways: the question is processed at once, as
// llama.cpp does with a prompt, and only the answer is sparse; or the question is decoded sparsely too, which shows
// what the selection finds by itself.
type sought struct {
	lab     *lab
	stack   tasks.Haystack
	text    string // name of the haystack
	prompt  []bridge.Token
	ps      []policy
	player  *player
	answers [2][]string // under full attention, of both ways
}

func newSought(l *lab, stack tasks.Haystack, ps []policy) (*sought, error) {
	tokens, err := l.model.Tokenize(stack.Text, true, false)
	return &sought{lab: l, stack: stack, text: "chronicle", prompt: tokens, ps: ps}, err
}

func (s *sought) base() report.Record {
	return report.Record{Test: s.stack.Name, Model: s.lab.modelName, Text: s.text, KV: "f16", Ctx: len(s.prompt), Streams: 1, N: len(s.stack.Questions)}.Unmeasured()
}

func (s *sought) policies() []policy { return s.ps }

const questionTokens = 96 // at most, about

func (s *sought) cost() (prepare, try float64) {
	n := float64(len(s.stack.Questions)) * 40
	return 7*float64(len(s.prompt)) + n*25, n * 10
}

func (s *sought) prepare(ctx context.Context) (rs []report.Record, err error) {
	room := 0
	for _, q := range s.stack.Questions {
		room = max(room, questionTokens+q.MaxTokens)
	}
	if s.player, err = newPlayer(ctx, s.lab, s.prompt, room); err != nil {
		return nil, err
	}
	s.answers = [2][]string{}
	return s.try(ctx, full)
}

// sparseQuestions is added to the name of the test whose questions are decoded sparsely.
const sparseQuestions = "-sparse"

// try asks every question; there is a record for each, since they lie at different depths.
func (s *sought) try(ctx context.Context, p policy) (rs []report.Record, err error) {
	for way, suffix := range []string{sparseQuestions, ""} {
		if err := s.player.use(p); err != nil {
			return nil, err
		}
		for i, q := range s.stack.Questions {
			question, err := s.lab.model.Tokenize(q.Text, false, false)
			if err != nil {
				return nil, err
			}
			a, err := s.player.ask(ctx, question, way == 0, q.MaxTokens, q.Done)
			if err != nil {
				return nil, err
			}
			if p == full {
				s.answers[way] = append(s.answers[way], a.text)
			}
			r := s.base()
			r.Test += suffix
			r.Depth = q.Depth
			if err := s.lab.fill(&r, p, a); err != nil {
				return nil, err
			}
			r.Asked, r.Right, r.Same = 1, count(q.Right(a.text)), count(a.text == s.answers[way][i])
			rs = append(rs, r)
		}
	}
	return rs, nil
}

func (s *sought) close() error { return s.player.close() }

// fill sets what the records of all tasks say.
func (l *lab) fill(r *report.Record, p policy, a answer) error {
	r.Policy, r.Family, r.Options, r.Tokens = p.name, p.family, p.options, a.tokens
	if a.tokens == 0 { // the whole answer came from the prompt
		return nil
	}
	r.TokS = float64(a.tokens) / a.took.Seconds()
	if p == full {
		r.KVShare, r.Mass, r.Exposure = 1, 1, 1
		return nil
	}
	addStats(r, a.stats)
	return proof(a.stats, a.tokens)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
