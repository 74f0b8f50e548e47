package eval

import (
	"context"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
	"github.com/retroattn/retroattn/tests/lab/eval/tasks"
)

// retrieval is a long text with keys in it that are to be found, in two ways: the question is
// processed at once, as llama.cpp does with a prompt, and only the answer is sparse; or the
// question is decoded sparsely too, which shows what the selection finds by itself.
type retrieval struct {
	lab      *lab
	stack    tasks.Haystack
	text     string // name of the haystack
	prompt   []bridge.Token
	ps       []policy
	contexts *contexts
	answers  [2][]string // under full attention, of both modes
}

func newRetrieval(l *lab, stack tasks.Haystack, ps []policy) (*retrieval, error) {
	tokens, err := l.model.Tokenize(stack.Text, true, false)
	return &retrieval{lab: l, stack: stack, text: "chronicle", prompt: tokens, ps: ps}, err
}

func (s *retrieval) base() report.Record {
	return report.Record{Test: s.stack.Name, Model: s.lab.modelName, Text: s.text, KV: "f16",
		Ctx: len(s.prompt), Streams: 1, N: len(s.stack.Questions)}.Unmeasured()
}

// blanks has a record for each question and mode.
func (s *retrieval) blanks() (rs []report.Record) {
	for _, suffix := range modes {
		for _, q := range s.stack.Questions {
			r := s.base()
			r.Test += suffix
			r.Depth = q.Depth
			rs = append(rs, r)
		}
	}
	return rs
}

func (s *retrieval) policies() []policy { return s.ps }

const questionTokens = 96 // at most, about

func (s *retrieval) cost() (prepare, measure float64) {
	n := float64(len(s.stack.Questions)) * 40
	return 7*float64(len(s.prompt)) + n*25, n * 10
}

func (s *retrieval) prepare(ctx context.Context) (rs []report.Record, err error) {
	room := 0
	for _, q := range s.stack.Questions {
		room = max(room, questionTokens+q.MaxTokens)
	}
	if s.contexts, err = s.lab.contexts(1, len(s.prompt)+room, false); err != nil {
		return nil, err
	}
	if err := s.contexts.load(ctx, [][]bridge.Token{s.prompt}, s.lab.keep); err != nil {
		return nil, err
	}
	s.answers = [2][]string{}
	return s.measure(ctx, full)
}

// modes are added to the name of the test: "-sparse" where the questions are decoded sparsely, too.
var modes = [2]string{"-sparse", ""}

// measure puts every question; there is a record for each, since they lie at different depths.
func (s *retrieval) measure(ctx context.Context, p policy) (rs []report.Record, err error) {
	parts := s.blanks()
	for mode := range modes {
		c, err := s.contexts.use(s.lab, p)
		if err != nil {
			return nil, err
		}
		for i, q := range s.stack.Questions {
			question, err := s.lab.model.Tokenize(q.Text, false, false)
			if err != nil {
				return nil, err
			}
			a, err := s.contexts.generate(ctx, c, []query{{question, mode == 0, q.MaxTokens,
				q.Done}})
			if err != nil {
				return nil, err
			}
			if p == full {
				s.answers[mode] = append(s.answers[mode], a.texts[0])
			}
			r := parts[len(rs)]
			if err := s.lab.fill(&r, p, a, 0); err != nil {
				return nil, err
			}
			r.Total, r.Right, r.Same = 1, count(q.Right(a.texts[0])),
				count(a.texts[0] == s.answers[mode][i])
			rs = append(rs, r)
		}
	}
	return rs, nil
}

// close leaves the stage to the lab.
func (s *retrieval) close() error {
	s.contexts = nil
	return nil
}
