package eval

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
)

// batchExperiment yields two records, of which an interrupt may leave one.
type batchExperiment struct{ measured []string }

func (l *batchExperiment) blanks() []report.Record {
	return []report.Record{{Test: "ruler", Text: "a", Sample: 1},
		{Test: "ruler", Text: "a", Sample: 2}}
}
func (l *batchExperiment) policies() []policy {
	return []policy{{"x", "x", "budget=1"}, {"y", "y", "budget=2"}}
}
func (l *batchExperiment) cost() (prepare, measure float64) { return 1, 1 }
func (l *batchExperiment) prepare(ctx context.Context) ([]report.Record, error) {
	return l.measure(ctx, full)
}
func (l *batchExperiment) measure(_ context.Context, p policy) (rs []report.Record, err error) {
	l.measured = append(l.measured, p.name)
	for _, r := range l.blanks() {
		r.Policy, r.Options, r.Total = p.name, p.options, 1
		rs = append(rs, r)
	}
	return rs, nil
}
func (l *batchExperiment) close() error { return nil }

// A batch of which some records are there is measured again, and only that.
func TestResumePartOfABatch(t *testing.T) {
	path := t.TempDir() + "/results.jsonl"
	fresh := func() *runner {
		s := &runner{out: t.Output(), path: path, done: map[string]bool{}}
		require.NoError(t, s.resume(false))
		return s
	}
	require.NoError(t, fresh().run(t.Context(), []experiment{&batchExperiment{}}))
	whole, err := report.Read(path)
	require.NoError(t, err)
	require.Len(t, whole, 6)

	l := &batchExperiment{}
	require.NoError(t, fresh().run(t.Context(), []experiment{l}))
	require.Empty(t, l.measured)

	s := &runner{out: t.Output(), path: t.TempDir() + "/results.jsonl", done: map[string]bool{}}
	for _, r := range whole[:5] { // all but the last record of y
		require.NoError(t, report.Append(s.path, r))
	}
	require.NoError(t, s.resume(false))
	require.NoError(t, s.run(t.Context(), []experiment{l}))
	require.Equal(t, []string{"full", "y"}, l.measured)
	again, err := report.Read(s.path)
	require.NoError(t, err)
	require.Len(t, again, 6)
}

func TestBatches(t *testing.T) {
	o := Command{Batch: 4}
	require.Equal(t, [][2]int{{1, 4}, {5, 4}, {9, 2}}, o.batches(10))
	require.Empty(t, o.batches(0))
	o.First = 5 // another run has those before
	require.Equal(t, [][2]int{{5, 4}, {9, 2}}, o.batches(10))
	require.Empty(t, o.batches(4))
}

// Drafts are the laboratory's; the rest is for the library.
func TestSplitDrafts(t *testing.T) {
	library, draft, err := policy{options: "budget=64,draft=4,window=1"}.split()
	require.NoError(t, err)
	require.Equal(t, "budget=64,window=1", library)
	require.Equal(t, 4, draft)
	library, draft, err = policy{options: "budget=64"}.split()
	require.NoError(t, err)
	require.Equal(t, "budget=64", library)
	require.Zero(t, draft)
	for _, bad := range []string{"draft=0", "draft=65", "draft=x"} {
		_, _, err = policy{options: bad}.split()
		require.ErrorContains(t, err, bad+": must be 1..64")
	}
}

// What a plan chooses is told apart from what is given.
func TestPlannedPolicies(t *testing.T) {
	for text, want := range map[string]bool{"": false, "target=speed": true, "budget=512": true,
		"budget=512,window=1": false, "budget=512,window=4": true} {
		require.Equal(t, want, policy{options: text}.planned(), text)
	}
	for _, p := range paper(4096, true) {
		require.False(t, p.planned(), p.name)
	}
}

func TestRulerTasksThatThereAre(t *testing.T) {
	o := &Command{RulerTasks: []string{"cwe", "cws"}}
	require.ErrorContains(t, o.check(), "--ruler-tasks cws: ")
	require.NotContains(t, o.check().Error(), "--ruler-tasks cwe")
}

func TestRepeated(t *testing.T) {
	require.Zero(t, repeated([]bridge.Token{1, 2, 3}))
	require.Zero(t, repeated([]bridge.Token{1, 2, 3, 4, 5, 6}))
	require.Equal(t, 3.0/6, repeated([]bridge.Token{1, 2, 3, 1, 2, 3, 1, 2, 3}))
	require.Equal(t, 4.0/5, repeated([]bridge.Token{7, 7, 7, 7, 7, 7, 7, 7}))
}

// The texts of a batch may end at different times; what a text is like is told beside full
// attention's.
func TestLineFill(t *testing.T) {
	l := line{tokens: []bridge.Token{1, 2, 9}, kl: []float32{0.1, 0.3, 0.1, 0.3}, nll: 2, same: 3}
	var r report.Record
	l.fill(&r, []bridge.Token{1, 2, 3, 4})
	require.Equal(t, 3, r.Tokens)
	require.Equal(t, 2, r.Common)
	require.InDelta(t, 0.2, r.KL, 1e-6)
	require.InDelta(t, 0.5, r.NLL, 1e-9)
	require.InDelta(t, 0.75, r.Top1, 1e-9)
}

// Policies and sets of the user keep their order; what would hide another, or the library would
// refuse, is refused before anything is measured.
func TestNamedByTheUser(t *testing.T) {
	check := func(policies, items []string) (*Command, error) {
		o := &Command{Policy: policies, Items: items}
		return o, o.checkNamed()
	}
	o, err := check([]string{"z=budget=300,window=4", "a=select=pages"},
		[]string{"mmlu=some/path=1"})
	require.NoError(t, err)
	require.Equal(t, []policy{{"z", "window=4", "budget=300,window=4"}, {"a", "select=pages", "select=pages"}},
		o.ownPolicies)
	require.Equal(t, []named{{"mmlu", "some/path=1"}}, o.sets)

	_, err = check([]string{"b256-window=1=budget=256,window=1"}, nil)
	require.ErrorContains(t, err, "--policy b256-window=1=budget=256,window=1: ")
	_, err = check([]string{"x=budget=1", "y=budget=2", "x=budget=3"}, nil)
	require.ErrorContains(t, err, "--policy x=budget=3: there are two of that name")
	_, err = check(nil, []string{"gsm8k=a", "gsm8k=b"})
	require.ErrorContains(t, err, "--items gsm8k=b: there are two of that name")
	for _, word := range []string{"alone", "=budget=1", "empty="} {
		_, err = check([]string{word}, nil)
		require.ErrorContains(t, err, "--policy "+word+": write NAME=VALUE")
	}
}
