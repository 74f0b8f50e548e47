package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Fuzzing takes a few seconds per target, to see that the targets work and to find what is easy to
// find, or, with
// --long, an hour in all: events through the C interface (tests/library/events_test.go) a fifth of it, the Go targets the rest.
const (
	fuzzBrief = 2 * time.Second
	fuzzLong  = 48 * time.Minute // of all Go targets
	eventsFor = 12 * time.Minute
)

// fuzzTarget is a fuzz function and the package it is in, as a path.
type fuzzTarget struct{ folder, name string }

var fuzzLine = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// fuzzTargets are all in the checkout, so that none is forgotten.
func fuzzTargets(root string) (targets []fuzzTarget, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range fuzzLine.FindAllSubmatch(text, -1) {
			targets = append(targets, fuzzTarget{"./" + filepath.ToSlash(folder), string(m[1])})
		}
		return err
	})
	return targets, err
}

// fuzz runs every target for its share of the time. What fails is saved by the go command
// in the package's testdata/fuzz and named in the report; from then on it is a test.
func (cmd testCmd) fuzz(a *app, t *tally) error {
	targets, err := fuzzTargets(a.root)
	if err != nil {
		return err
	}
	share, workers := fuzzBrief, 1
	if cmd.Long {
		share, workers = fuzzLong/time.Duration(len(targets)), runtime.NumCPU()
	}
	cmd.Short = false // the time is what counts
	for _, target := range targets {
		// Inputs are made smaller by few tries only: that takes most of a short run's time
		// otherwise.
		run := cmd.goTestIn(target.folder, "fuzz "+target.name, nil, "-run", "^$", "-fuzz",
			"^"+target.name+"$", "-fuzztime", fmt.Sprint(share), "-parallel",
			fmt.Sprint(workers), "-fuzzminimizetime", "10x", ".")
		one := newTally()
		if err := run(a, one); err != nil || a.ctx.Err() != nil {
			return err
		}
		one.forgiveDeadline()
		t.add(one)
	}
	return nil
}

// forgiveDeadline makes a pass of a target that ended when its time was over, while an input was
// tried. The go command sometimes calls that a failure; a real one has an input that it wrote to a
// file.
func (t *tally) forgiveDeadline() {
	if t.failed == 1 && strings.Contains(t.failures[0], "context deadline exceeded") &&
		!strings.Contains(t.failures[0], "Failing input written") {
		t.passed, t.failed, t.failures = t.passed+1, 0, nil
	}
}
