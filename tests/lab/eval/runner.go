package eval

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/retroattn/retroattn/tests/lab/eval/report"
)

// experiment is something to measure policies on. What they share, such as a prompt and what full
// attention makes of it, is prepared once, and only if a policy is left to measure.
type experiment interface {
	// blanks are the records that each policy yields, without what it yields.
	blanks() []report.Record
	policies() []policy
	// cost is how long preparing and measuring a policy take, in any unit that is the same for all
	// experiments.
	cost() (prepare, measure float64)
	// prepare returns the records of full attention.
	prepare(ctx context.Context) ([]report.Record, error)
	measure(ctx context.Context, p policy) ([]report.Record, error)
	close() error
}

// runner works through experiments, keeps what they yield in a file, and tells how far it is.
type runner struct {
	out     io.Writer
	path    string          // of results.jsonl
	done    map[string]bool // keys of the records there are, false of those that failed
	records []report.Record
	begun   time.Time
	total   float64 // cost of all that was to do
	spent   float64
}

// add takes in a record, in place of one that failed.
func (s *runner) add(r report.Record) {
	if _, known := s.done[r.Key()]; known {
		s.records = slices.DeleteFunc(s.records,
			func(old report.Record) bool { return old.Key() == r.Key() })
	}
	s.records = append(s.records, r)
	s.done[r.Key()] = r.Error == "" // what failed is measured again
}

// missing are the policies of an experiment that lack a record.
func (s *runner) missing(l experiment) (ps []policy) {
	parts := l.blanks()
	for _, p := range l.policies() {
		if slices.ContainsFunc(parts, func(r report.Record) bool {
			r.Policy, r.Options = p.name, p.options
			return !s.done[r.Key()]
		}) {
			ps = append(ps, p)
		}
	}
	return ps
}

// run does the experiments. A policy that this model or cache cannot have becomes a record with an
// error; other errors end the run.
func (s *runner) run(ctx context.Context, experiments []experiment) error {
	s.begun, s.total, s.spent = time.Now(), 0, 0
	for _, l := range experiments {
		if n := len(s.missing(l)); n > 0 {
			prepare, measure := l.cost()
			s.total += prepare + float64(n)*measure
		}
	}
	for _, l := range experiments {
		if err := s.experiment(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (s *runner) experiment(ctx context.Context, l experiment) (err error) {
	ps := s.missing(l)
	if len(ps) == 0 {
		return nil
	}
	defer func() {
		if e := l.close(); err == nil {
			err = e
		}
	}()
	prepare, measure := l.cost()
	b := l.blanks()[0]
	s.say("%s, %s, %s cache: preparing %d tokens", b.Test, b.Text, b.KV, b.Ctx*max(1, b.Streams))
	records, err := l.prepare(ctx)
	if err == nil {
		err = s.keep(records, prepare)
	}
	if err != nil {
		return err
	}
	for _, p := range ps {
		records, err := l.measure(ctx, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r := b
			r.Policy, r.Family, r.Options, r.Error = p.name, p.family, p.options, err.Error()
			records = []report.Record{r}
		}
		if err := s.keep(records, measure); err != nil {
			return err
		}
	}
	return nil
}

// keep writes records down and shows them.
func (s *runner) keep(records []report.Record, cost float64) error {
	s.spent += cost
	for _, r := range records {
		if s.done[r.Key()] && r.Full() { // full attention's, when a run goes on after an interrupt
			continue
		}
		if err := report.Append(s.path, r); err != nil {
			return err
		}
		s.add(r)
	}
	for _, line := range lines(records) {
		s.say("%s", line)
	}
	return nil
}

func (s *runner) say(format string, args ...any) {
	left := ""
	if passed := time.Since(s.begun); s.spent > 0 && s.spent < s.total {
		rest := time.Duration(float64(passed) * (s.total - s.spent) / s.spent)
		left = fmt.Sprintf(", about %s left", clock(rest))
	}
	fmt.Fprintf(s.out, "[%s%s] %s\n", clock(time.Since(s.begun)), left,
		fmt.Sprintf(format, args...))
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// lines say what a policy yielded: the many answers of a task, or texts of a batch, in one line.
func lines(records []report.Record) (out []string) {
	total, right, same := 0, 0, 0
	kl, nll := 0.0, 0.0
	for _, r := range records {
		if r.Error != "" {
			out = append(out, fmt.Sprintf("%-28s %s", r.Policy, r.Error))
		}
		total, right, same = total+r.Total, right+r.Right, same+r.Same
		kl, nll = kl+r.KL/float64(len(records)), nll+r.NLL/float64(len(records))
	}
	if len(records) == 0 || len(out) > 0 {
		return out
	}
	last := records[len(records)-1]
	line := fmt.Sprintf("%-28s ", last.Policy)
	switch {
	case total > 0:
		line += fmt.Sprintf("%d of %d right, %d as full attention", right, total, same)
	case last.Full():
		line += fmt.Sprintf("NLL %.3f", nll)
	default:
		line += fmt.Sprintf("KL %.4f, %.1f %% of KV read", kl, 100*last.KVShare)
	}
	if last.TokS > 0 {
		line += fmt.Sprintf(", %.1f tokens/s", last.TokS)
	}
	return append(out, line)
}
