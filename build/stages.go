package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// stage is one line of the report.
type stage struct {
	name  string
	run   func(a *app, t *tally) error // an error is a failure that is no test's
	skip  string                       // why it is not run, if it is not
	short bool                         // it is run with --short, too
	must  bool                         // running no test at all is a failure
	basis bool                         // those that follow run what it builds
}

func (cmd testCmd) Run(a *app) error {
	if _, err := regexp.Compile(cmd.Match); err != nil {
		return fmt.Errorf("--run %s is no regular expression: %w", cmd.Match, err)
	}
	if !cmd.Short {
		a.wish = pageIfPossible
	}
	var sum totals
	for _, side := range cmd.stages() {
		a.runSide(side, &sum)
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
	}
	a.say("%s\n%s", sum.details(), &sum)
	if sum.failed > 0 {
		return errSaid
	}
	return nil
}

// errSaid needs no words of its own: the last lines tell what failed.
var errSaid = errors.New("failed")

// lanes is how many stages run at once: most tests have two threads, which wait for each other,
// and tests of servers wait for answers.
func lanes() int { return max(2, runtime.NumCPU()/2) }

// runSide runs stages side by side, in their order, as many at once as there are lanes.
func (a *app) runSide(side []stage, sum *totals) {
	queue := make(chan stage, len(side))
	for _, g := range side {
		if g.skip == "" {
			g.skip = sum.missing
		}
		if g.skip == "" {
			queue <- g
			continue
		}
		a.say("NOT RUN  %s: %s", g.name, g.skip)
		sum.notRun = append(sum.notRun, g.name+": "+g.skip)
	}
	close(queue)
	if len(queue) == 1 { // which has a terminal for itself
		a.runStage(<-queue, sum)
		return
	}
	lane := *a
	lane.out = &lockedWriter{out: a.out}
	var wg sync.WaitGroup
	for range lanes() {
		wg.Go(func() {
			for g := range queue {
				if a.ctx.Err() == nil {
					lane.runStage(g, sum)
				}
			}
		})
	}
	wg.Wait()
}

// lockedWriter takes what several write, one after another.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

func (a *app) runStage(g stage, sum *totals) {
	begun := time.Now()
	t := newTally()
	if err := g.run(a, t); err != nil {
		t.fail(g.name, err.Error())
	}
	if g.must && t.ran() == 0 {
		t.fail(g.name, "no test was run, where there must be some")
	}
	sum.add(g, t)
	verdict := "ok"
	if t.failed > 0 {
		verdict = "FAILED"
	}
	lines := []string{fmt.Sprintf("%-8s %s: %d passed, %d failed, %d skipped in %s, of which tests used %s of processor time",
		verdict, g.name, t.passed, t.failed, t.skipped, seconds(time.Since(begun)),
		seconds(t.used))}
	for _, reason := range t.reasons {
		lines = append(lines, fmt.Sprintf("         skipped (%s): %s", reason,
			strings.Join(t.skips[reason], ", ")))
	}
	a.say("%s", strings.Join(slices.Concat(lines, t.failures, t.notes), "\n"))
}
