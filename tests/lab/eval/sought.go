package eval

import (
	"context"

	"retroattn/bridge"
	"retroattn/tests/lab/eval/report"
	"retroattn/tests/lab/eval/tasks"
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
	stage   *stage
	answers [2][]string // under full attention, of both ways
}

func newSought(l *lab, stack tasks.Haystack, ps []policy) (*sought, error) {
	tokens, err := l.model.Tokenize(stack.Text, true, false)
	return &sought{lab: l, stack: stack, text: "chronicle", prompt: tokens, ps: ps}, err
}

func (s *sought) base() report.Record {
	return report.Record{Test: s.stack.Name, Model: s.lab.modelName, Text: s.text, KV: "f16", Ctx: len(s.prompt), Streams: 1, N: len(s.stack.Questions)}.Unmeasured()
}

// parts has a record for each question and way.
func (s *sought) parts() (rs []report.Record) {
	for _, suffix := range ways {
		for _, q := range s.stack.Questions {
			r := s.base()
			r.Test += suffix
			r.Depth = q.Depth
			rs = append(rs, r)
		}
	}
	return rs
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
	if s.stage, err = s.lab.stage(1, len(s.prompt)+room, false); err != nil {
		return nil, err
	}
	if err := s.stage.load(ctx, [][]bridge.Token{s.prompt}, s.lab.keep); err != nil {
		return nil, err
	}
	s.answers = [2][]string{}
	return s.try(ctx, full)
}

// ways are added to the name of the test: "-sparse" where the questions are decoded sparsely, too.
var ways = [2]string{"-sparse", ""}

// try asks every question; there is a record for each, since they lie at different depths.
func (s *sought) try(ctx context.Context, p policy) (rs []report.Record, err error) {
	parts := s.parts()
	for way := range ways {
		c, err := s.stage.use(s.lab, p)
		if err != nil {
			return nil, err
		}
		for i, q := range s.stack.Questions {
			question, err := s.lab.model.Tokenize(q.Text, false, false)
			if err != nil {
				return nil, err
			}
			a, err := s.stage.ask(ctx, c, []ask{{question, way == 0, q.MaxTokens, q.Done}})
			if err != nil {
				return nil, err
			}
			if p == full {
				s.answers[way] = append(s.answers[way], a.texts[0])
			}
			r := parts[len(rs)]
			if err := s.lab.fill(&r, p, a, 0); err != nil {
				return nil, err
			}
			r.Asked, r.Right, r.Same = 1, count(q.Right(a.texts[0])), count(a.texts[0] == s.answers[way][i])
			rs = append(rs, r)
		}
	}
	return rs, nil
}

// close leaves the stage to the lab.
func (s *sought) close() error {
	s.stage = nil
	return nil
}
