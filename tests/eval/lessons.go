package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"retroattn/tests/eval/tasks"
)

// lessons are what the command line asks for.
func (o *options) lessons(l *lab) ([]lesson, error) {
	texts, err := loadTexts(l.model, o.Text, o.Source)
	if err != nil {
		return nil, err
	}
	if o.Paper {
		return o.paper(l, texts)
	}
	middle := o.Budget[len(o.Budget)/3]
	own := o.own()
	with := func(ps []policy) []policy {
		if o.Only {
			return own
		}
		return slices.Concat(ps, own)
	}
	var all []lesson
	for _, test := range o.Tests {
		more, err := []lesson(nil), error(nil)
		switch test {
		case "decode":
			more = o.decode(l, texts, with(matrix(o.Budget)))
		case "cache":
			for _, kv := range o.Cache {
				more = append(more, &forced{lab: l, test: "decode", text: texts[0], kv: kv, prompt: max(o.Ctx/2, 256), steps: o.Tokens, streams: 1,
					ps: with(cachePolicies(middle))})
			}
		case "generate":
			more = []lesson{&forced{lab: l, test: "generate", text: texts[len(texts)-1], kv: "f16", prompt: 64, steps: 4 * o.Tokens, streams: 1,
				ps: with(mainPolicies(middle / 2))}}
		case "retrieval":
			more, err = o.retrieval(l, with(mainPolicies(2*middle)))
		case "pairs":
			more, err = o.pairs(l, with(mainPolicies(2*middle)))
		case "questions":
			more, err = o.questions(l, o.Exam, with(mainPolicies(middle)))
		case "problems":
			more, err = o.problems(l, with(mainPolicies(middle)))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// paper is the set-up of the paper's tables and nothing else.
func (o *options) paper(l *lab, texts []text) ([]lesson, error) {
	all := o.decode(l, texts, paper())
	more, err := o.questions(l, []int{15, 30}, paper())
	if err != nil {
		return nil, err
	}
	all = append(all, more...)
	more, err = o.problems(l, paper())
	return append(all, more...), err
}

func (o *options) decode(l *lab, texts []text, ps []policy) (all []lesson) {
	for _, t := range texts {
		all = append(all, &forced{lab: l, test: "decode", text: t, kv: "f16", prompt: o.Ctx, steps: o.Tokens, streams: o.Streams, ps: ps})
	}
	return all
}

// retrieval asks for keys: several in each text, and a passkey in the middle of the shortest.
func (o *options) retrieval(l *lab, ps []policy) (all []lesson, err error) {
	count := func(text string) int {
		tokens, e := l.model.Tokenize(text, true, false)
		err = errors.Join(err, e)
		return len(tokens)
	}
	stacks := []tasks.Haystack{tasks.Passkey(seed, o.Haystack[0], 0.5, count)}
	for _, n := range o.Haystack {
		stacks = append(stacks, tasks.Needles(seed, n, []float64{0.1, 0.3, 0.5, 0.7, 0.9}, count))
	}
	for _, stack := range stacks {
		s, e := newSought(l, stack, ps)
		err = errors.Join(err, e)
		all = append(all, s)
	}
	return all, err
}

// pairs asks for one of many pairs in each case.
func (o *options) pairs(l *lab, ps []policy) (all []lesson, err error) {
	if o.Pairs == "" {
		return nil, nil
	}
	stacks, err := tasks.ReadPairs(o.Pairs, o.Cases)
	if err != nil {
		return nil, err
	}
	for i, stack := range stacks {
		s, e := newSought(l, stack, ps)
		err = errors.Join(err, e)
		s.text = fmt.Sprintf("pairs %d", i+1)
		all = append(all, s)
	}
	return all, err
}

const seed = 1

// questions makes exams of the user's question sets, or of ours.
func (o *options) questions(l *lab, sizes []int, ps []policy) (all []lesson, err error) {
	sets := map[string][]tasks.Item{"arithmetic": tasks.Arithmetic(seed, 64), "facts": tasks.Facts()}
	if len(o.Items) > 0 {
		clear(sets)
	}
	for name, path := range o.Items {
		if sets[name], err = tasks.ReadItems(path); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		items := sets[name]
		for _, n := range sizes {
			if len(items) < n+examples {
				return nil, fmt.Errorf("question set %s has %d questions: an exam of %d needs %d, with the examples", name, len(items), n, n+examples)
			}
			for i := range min(o.Exams, (len(items)-examples)/n) {
				first := examples + i*n
				e := tasks.NewExam(fmt.Sprintf("%s %d", name, i+1), items[first:first+n], items[:examples])
				x, err := newExam(l, e, ps)
				if err != nil {
					return nil, err
				}
				all = append(all, x)
			}
		}
	}
	return all, nil
}

// examples is how many questions of a set are shown with their answers.
const examples = 4

func (o *options) problems(l *lab, ps []policy) (all []lesson, err error) {
	if o.Problems == "" {
		return nil, nil
	}
	list, err := tasks.ReadProblems(o.Problems)
	if err != nil {
		return nil, err
	}
	set := strings.TrimSuffix(filepath.Base(o.Problems), filepath.Ext(o.Problems))
	for _, p := range list {
		x, err := newProblem(l, set, p, o.AnswerTokens, ps)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// own are the user's policies.
func (o *options) own() (ps []policy) {
	for name, options := range o.Policy {
		ps = append(ps, policy{name, name, options})
	}
	slices.SortFunc(ps, func(a, b policy) int { return cmp.Compare(a.name, b.name) })
	return ps
}

// options are those of a policy, with what holds for all: they are sparse from the first token on, and the attention
// that they keep is measured on every 50th KV head of a layer, which costs about 1 % of the bytes of full attention.
func (l *lab) options(p policy) string { return "min_ctx=0,audit=50," + p.options }
