package main

import (
	"encoding/json"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is a line of "go test -json".
type event struct {
	Action      string
	Package     string
	Test        string
	Output      string
	Elapsed     float64 // seconds
	ImportPath  string  // of a build failure
	FailedBuild string
}

// tally counts the leaves of a test run: a test with subtests counts only if it fails for a reason
// of its own.
type tally struct {
	passed, failed, skipped int
	skips                   map[string][]string // reason -> tests, in order of appearance
	reasons                 []string            // the keys of skips, in order
	failures                []string            // a heading and the full output of each failure
	timed                   []timed             // the tests that are no subtests
	seen                    []sighting          // what tests have logged, see parseSighting
	notes                   []string            // and what they have logged as "note: LINE"
	// tests that were begun, by how many others they are in
	found map[int]int
	used  time.Duration // of processors, by the tests and what they ran

	tests   map[string]map[string]*testRun // package -> test
	output  map[string]*strings.Builder    // package or build -> what belongs to no test
	running string
}

type testRun struct {
	verdict string // pass, fail, skip, or empty while it runs
	seconds float64
	output  strings.Builder
}

func newTally() *tally {
	return &tally{skips: map[string][]string{}, found: map[int]int{},
		tests: map[string]map[string]*testRun{}, output: map[string]*strings.Builder{}}
}

// line takes one line of "go test -json".
func (t *tally) line(text string) {
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		// The go command itself speaks in plain text, such as about a package that does not exist.
		t.outputOf("go").WriteString(text + "\n")
		return
	}
	switch {
	case e.Action == "build-output":
		t.outputOf(e.ImportPath).WriteString(e.Output)
	case e.Test != "":
		t.testEvent(e)
	case e.Action == "output":
		t.outputOf(e.Package).WriteString(e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		t.closePackage(e)
	}
}

func (t *tally) outputOf(name string) *strings.Builder {
	if t.output[name] == nil {
		t.output[name] = &strings.Builder{}
	}
	return t.output[name]
}

func (t *tally) testEvent(e event) {
	tests := t.tests[e.Package]
	if tests == nil {
		tests = map[string]*testRun{}
		t.tests[e.Package] = tests
	}
	if tests[e.Test] == nil {
		tests[e.Test] = &testRun{}
	}
	switch e.Action {
	case "run", "cont":
		t.running = e.Test
	case "output":
		tests[e.Test].output.WriteString(e.Output)
		if s, ok := parseSighting(e.Output); ok {
			t.seen = addSighting(t.seen, s)
		}
		if m := noteLine.FindStringSubmatch(e.Output); m != nil {
			t.notes = append(t.notes, m[1])
		}
	case "pass", "fail", "skip":
		tests[e.Test].verdict, tests[e.Test].seconds = e.Action, e.Elapsed
	}
}

// closePackage counts the tests of a finished package.
func (t *tally) closePackage(e event) {
	tests := t.tests[e.Package]
	names := make([]string, 0, len(tests))
	for name := range tests {
		names = append(names, name)
	}
	slices.Sort(names)
	failedBefore := t.failed
	for _, name := range names {
		t.count(e, name, names)
		depth := strings.Count(name, "/")
		if t.found[depth]++; depth == 0 {
			t.timed = append(t.timed, timed{path.Base(e.Package) + " " + name, tests[name].seconds})
		}
	}
	delete(t.tests, e.Package)
	// A build failure, a panic outside of a test, or a failing TestMain.
	if e.Action == "fail" && t.failed == failedBefore {
		t.fail(e.Package, t.outputOf(e.FailedBuild).String()+t.outputOf(e.Package).String())
	}
}

func (t *tally) count(e event, name string, names []string) {
	run := t.tests[e.Package][name]
	verdict := run.verdict
	if verdict == "" {
		// It never ended: a panic, a timeout or os.Exit.
		verdict = e.Action
	}
	isBelow := func(n string) bool { return strings.HasPrefix(n, name+"/") }
	leaf := !slices.ContainsFunc(names, isBelow)
	childFailed := slices.ContainsFunc(names, func(n string) bool {
		v := t.tests[e.Package][n].verdict
		return isBelow(n) && (v == "fail" || v == "" && e.Action == "fail")
	})
	switch {
	case verdict == "fail" && !childFailed:
		text := run.output.String()
		if run.verdict == "" {
			text += t.outputOf(e.Package).String()
		}
		t.fail(e.Package+" "+name, t.ancestors(e.Package, name)+text)
	case !leaf:
	case verdict == "skip":
		t.skip(name, skipReason(run.output.String()))
	case verdict == "pass":
		t.passed++
	}
}

// ancestors returns what the tests around a subtest printed.
func (t *tally) ancestors(pkg, name string) string {
	var b strings.Builder
	for i, c := range name {
		if c == '/' && t.tests[pkg][name[:i]] != nil {
			b.WriteString(t.tests[pkg][name[:i]].output.String())
		}
	}
	return b.String()
}

func (t *tally) fail(what, text string) {
	t.failed++
	t.failures = append(t.failures, "--- "+what+"\n"+strings.TrimRight(text, "\n"))
}

func (t *tally) skip(name, reason string) {
	t.skipped++
	if t.skips[reason] == nil {
		t.reasons = append(t.reasons, reason)
	}
	t.skips[reason] = append(t.skips[reason], name)
}

// add takes over what another has counted.
func (t *tally) add(o *tally) {
	t.passed, t.failed, t.failures = t.passed+o.passed, t.failed+o.failed,
		append(t.failures, o.failures...)
	t.timed, t.used = append(t.timed, o.timed...), t.used+o.used
	for _, reason := range o.reasons {
		for _, name := range o.skips[reason] {
			t.skip(name, reason)
		}
	}
}

// spend adds what a command used that has ended, with its children.
func (t *tally) spend(cmd *exec.Cmd) {
	if s := cmd.ProcessState; s != nil {
		t.used += s.UserTime() + s.SystemTime()
	}
}

// matched says how many tests a pattern of go test has chosen: those within as many others as it
// has slashes.
func (t *tally) matched(pattern string) int { return t.found[strings.Count(pattern, "/")] }

// ran says how many tests came to a verdict that means something.
func (t *tally) ran() int { return t.passed + t.failed }

var noteLine = regexp.MustCompile(`^\s+\S+\.go:\d+: note: (.+)\n$`)

var logPrefix = regexp.MustCompile(`^\s+\S+\.go:\d+: `)

// skipReason is what t.Skip was given, the last that was logged.
func skipReason(output string) string {
	var reason []string
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(strings.TrimSpace(line), "--- ") {
			continue
		}
		if logPrefix.MatchString(line) {
			reason = nil
		}
		reason = append(reason, strings.TrimSpace(logPrefix.ReplaceAllString(line, "")))
	}
	if len(reason) == 0 {
		return "no reason given"
	}
	return strings.Join(reason, " ")
}

// finish closes a run whose go command ended with an error that no package accounts for.
func (t *tally) finish(err error, stderr string) {
	if err != nil && t.failed == 0 {
		for _, output := range t.output {
			stderr += output.String()
		}
		t.fail("go test: "+err.Error(), stderr)
	}
}
