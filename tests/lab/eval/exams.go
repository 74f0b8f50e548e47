package eval

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retroattn/retroattn/tests/lab/eval/tasks"
)

const seed = 1

// batches cuts n prompts into those that are decoded together: their first number, from 1 unless
// another run has some, and how many.
func (o *Command) batches(n int) (out [][2]int) {
	for first := max(o.First, 1) - 1; first < n; first += o.Batch {
		out = append(out, [2]int{first + 1, min(o.Batch, n-first)})
	}
	return out
}

// questionSets are the user's, shuffled, since a set may be sorted by subject; or ours.
func (o *Command) questionSets() (map[string][]tasks.Item, error) {
	if len(o.sets) == 0 {
		return map[string][]tasks.Item{"arithmetic": tasks.Arithmetic(seed, 64),
			"facts": tasks.Facts()}, nil
	}
	sets := map[string][]tasks.Item{}
	for _, set := range o.sets {
		items, err := tasks.ReadItems(set.value)
		if err != nil {
			return nil, err
		}
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		sets[set.name] = items
	}
	return sets, nil
}

// questions makes exams of every set, of each size.
func (o *Command) questions(l *lab, sizes []int, ps func(n int) []policy,
) (all []experiment, err error) {
	sets, err := o.questionSets()
	if err != nil {
		return nil, err
	}
	for _, n := range sizes {
		for _, name := range slices.Sorted(maps.Keys(sets)) {
			items := sets[name]
			if len(items) < n+examples {
				return nil, fmt.Errorf("question set %s has %d questions: an exam of %d needs "+
					"%d, with the examples", name, len(items), n, n+examples)
			}
			for _, part := range o.batches(min(o.Exams, (len(items)-examples)/n)) {
				x := &promptSet{lab: l, test: "questions", name: name, n: n, first: part[0],
					size: part[1], ps: ps(n)}
				for i := range x.size {
					from := examples + (x.first-1+i)*n
					e := tasks.NewExam(name, items[from:from+n], items[:examples])
					s, err := examSample(l, e)
					if err != nil {
						return nil, err
					}
					x.samples = append(x.samples, s)
				}
				all = append(all, x)
			}
		}
	}
	return all, nil
}

// examples is how many questions of a set are shown with their answers.
const examples = 4

func (o *Command) problems(l *lab, ps []policy) (all []experiment, err error) {
	if o.Problems == "" {
		return nil, nil
	}
	list, err := tasks.ReadProblems(o.Problems)
	if err != nil {
		return nil, err
	}
	set := strings.TrimSuffix(filepath.Base(o.Problems), filepath.Ext(o.Problems))
	for _, part := range o.batches(len(list)) {
		x := &promptSet{lab: l, test: "problems", name: set, n: 1, first: part[0], size: part[1],
			ps: ps}
		for _, p := range list[x.first-1:][:x.size] {
			s, err := problemSample(l, p, o.AnswerTokens)
			if err != nil {
				return nil, err
			}
			x.samples = append(x.samples, s)
		}
		all = append(all, x)
	}
	return all, nil
}

// ruler is a batch of each task at each length, then the next ones, so that an interrupted run has
// something of all.
func (o *Command) ruler(l *lab, ps []policy) (all []experiment, err error) {
	hide, err := o.prose()
	if err != nil {
		return nil, err
	}
	for _, part := range o.batches(o.Samples) {
		for _, tokens := range o.Ruler {
			for _, task := range tasks.RulerTasks() {
				if len(o.RulerTasks) > 0 && !slices.Contains(o.RulerTasks, task.Name) {
					continue
				}
				x := &promptSet{lab: l, test: "ruler", name: task.Name, ctx: tokens, first: part[0],
					size: part[1], ps: ps}
				x.write = func() ([]sample, error) { return trialSamples(l, task, x, hide()) }
				all = append(all, x)
			}
		}
	}
	return all, nil
}

// prose is what RULER hides keys in: the first text of the user, or a chronicle.
func (o *Command) prose() (func() tasks.Prose, error) {
	if len(o.Text) == 0 {
		return tasks.ChronicleProse, nil
	}
	text, err := readTexts("", o.Text[0])
	if err != nil {
		return nil, err
	}
	p, err := tasks.NewProse(text)
	return func() tasks.Prose { return p }, err
}

func trialSamples(l *lab, task tasks.RulerTask, x *promptSet, hide tasks.Prose,
) (samples []sample, err error) {
	count := func(t tasks.Trial) int {
		tokens, e := l.chat(t.Prompt, t.Reply)
		if err == nil {
			err = e
		}
		return len(tokens)
	}
	trials, failed := task.Trials(seed, x.first, x.size, x.ctx, hide, count)
	if err == nil {
		err = failed
	}
	for _, t := range trials {
		if err != nil {
			return nil, err
		}
		var s sample
		s, err = trialSample(l, t)
		samples = append(samples, s)
	}
	return samples, err
}

// free lets texts go on: the prompts are spread evenly over the texts.
func (o *Command) free(l *lab, texts []text, ps []policy) (all []experiment) {
	for i, t := range texts {
		for _, part := range o.batches((o.Prompts + len(texts) - 1 - i) / len(texts)) {
			all = append(all, &free{lab: l, text: t, ctx: o.Ctx, max: o.FreeTokens, first: part[0],
				size: part[1], ps: ps})
		}
	}
	return all
}
