package eval

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retroattn/retroattn/tests/lab/eval/tasks"
)

// testNames are what --tests takes; the first ones are done without it.
var testNames = []string{"decode", "cache", "generate", "retrieval", "pairs", "questions",
	"problems", "ruler", "free"}

const ownTests = 7

// experiments are what the command line names.
func (o *Command) experiments(l *lab) (all []experiment, err error) {
	var texts []text
	if o.needsTexts() {
		if texts, err = loadTexts(l.model, o.Text, o.Source); err != nil {
			return nil, err
		}
	}
	for _, test := range o.Tests {
		more, err := o.test(l, test, texts)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 && o.First > 1 && (test != "problems" || o.Problems != "") && test != "pairs" {
			return nil, fmt.Errorf("--first %d leaves nothing of %s: there are fewer, by --exams, "+
				"--samples or --prompts or in the file", o.First, test)
		}
		all = append(all, more...)
	}
	if o.Paper {
		more, err := o.paper(l, texts)
		return append(all, more...), err
	}
	return all, nil
}

// needsTexts says whether texts are decoded or go on.
func (o *Command) needsTexts() bool {
	return o.Paper || slices.ContainsFunc(o.Tests,
		func(t string) bool {
			return slices.Contains([]string{"decode", "cache", "generate",
				"free"}, t)
		})
}

func (o *Command) test(l *lab, test string, texts []text) (all []experiment, err error) {
	middle := o.Budget[len(o.Budget)/3]
	own := o.ownPolicies
	with := func(ps []policy) []policy {
		if o.Only {
			return own
		}
		return slices.Concat(ps, own)
	}
	switch test {
	case "decode":
		return o.decode(l, texts, with(matrix(o.Budget))), nil
	case "cache":
		for _, kv := range o.Cache {
			all = append(all, &teacherForced{lab: l, test: "decode", text: texts[0], kv: kv,
				prompt: max(o.Ctx/2, 256), steps: o.Tokens, streams: 1,
				ps: with(cachePolicies(middle))})
		}
		return all, nil
	case "generate":
		return []experiment{&teacherForced{lab: l, test: "generate", text: texts[len(texts)-1],
			kv: "f16", prompt: 64, steps: 4 * o.Tokens, streams: 1,
			ps: with(mainPolicies(middle / 2))}}, nil
	case "retrieval":
		return o.retrieval(l, with(mainPolicies(2*middle)))
	case "pairs":
		return o.pairs(l, with(mainPolicies(2*middle)))
	case "questions":
		return o.questions(l, o.Exam, func(int) []policy { return with(mainPolicies(middle)) })
	case "problems":
		return o.problems(l, with(mainPolicies(middle)))
	case "ruler":
		return o.ruler(l, with(rulerPolicies()))
	case "free":
		return o.free(l, texts, with(freePolicies())), nil
	}
	return nil, fmt.Errorf("--tests %s: must be some of %s", test, strings.Join(testNames, ","))
}

// paper is the set-up of the paper's tables, and ours beside it.
func (o *Command) paper(l *lab, texts []text) ([]experiment, error) {
	of := func(context int, answered bool) []policy {
		if o.Only {
			return o.ownPolicies
		}
		return slices.Concat(paper(context, answered), o.ownPolicies)
	}
	// A question with its answer has about 150 tokens; while they are answered, the context is a
	// little shorter.
	exams, err := o.questions(l, o.Exam, func(n int) []policy { return of(200*n, true) })
	if err != nil {
		return nil, err
	}
	problems, err := o.problems(l, of(o.AnswerTokens, true))
	return slices.Concat(exams, problems, o.decode(l, texts, of(o.Ctx, false))), err
}

func (o *Command) decode(l *lab, texts []text, ps []policy) (all []experiment) {
	for _, t := range texts {
		all = append(all, &teacherForced{lab: l, test: "decode", text: t, kv: "f16", prompt: o.Ctx,
			steps: o.Tokens, streams: o.Streams, ps: ps})
	}
	return all
}

// retrieval is of keys: several in each text, and a passkey in the middle of the shortest.
func (o *Command) retrieval(l *lab, ps []policy) (all []experiment, err error) {
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
		s, e := newRetrieval(l, stack, ps)
		err = errors.Join(err, e)
		all = append(all, s)
	}
	return all, err
}

// pairs is of one of many pairs in each case.
func (o *Command) pairs(l *lab, ps []policy) (all []experiment, err error) {
	if o.Pairs == "" {
		return nil, nil
	}
	stacks, err := tasks.ReadPairs(o.Pairs, o.Cases)
	if err != nil {
		return nil, err
	}
	for i, stack := range stacks {
		s, e := newRetrieval(l, stack, ps)
		err = errors.Join(err, e)
		s.text = fmt.Sprintf("pairs %d", i+1)
		all = append(all, s)
	}
	return all, err
}

// options are those of a policy, with what holds for all: they are sparse from the first token on,
// and the attention that they keep is measured on every 50th KV head of a layer, which costs about
// 1 % of the bytes of full attention.
func (l *lab) options(p policy) string { return "min_ctx=0,audit=50," + p.options }
