package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tallyOf runs real tests, so that the counting is checked against what the go command says today.
func tallyOf(t *testing.T, files map[string]string, args ...string) *tally {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"go.mod": "module small\n\ngo 1.26\n"})
	writeFiles(t, dir, files)
	cmd := exec.CommandContext(t.Context(), "go",
		append(append([]string{"test", "-json"}, args...), "./...")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var complaint strings.Builder
	counted := newTally()
	cmd.Stdout, cmd.Stderr = &lineWriter{line: counted.line}, &complaint
	counted.finish(cmd.Run(), complaint.String())
	return counted
}

const testHead = "package p\n\nimport \"testing\"\n\n"

func TestTallyCountsLeaves(t *testing.T) {
	c := tallyOf(t, map[string]string{"a/a_test.go": testHead + `
func TestPlain(t *testing.T) {}
func TestParent(t *testing.T) {
	t.Log("said by the parent")
	t.Run("good", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) { t.Error("said by the child") })
	t.Run("skipped", func(t *testing.T) { t.Log("said before"); t.Skip("no such\nprocessor") })
}
func TestOwnFault(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Error("said afterwards")
}
func TestSkipped(t *testing.T) { t.Skip("not today") }
`, "b/b.go": "package p\n"})
	assert.Equal(t, []int{3, 2, 2}, []int{c.passed, c.failed, c.skipped})
	assert.Equal(t, []string{"no such processor", "not today"}, c.reasons)
	assert.Equal(t, []string{"TestParent/skipped"}, c.skips["no such processor"])
	all := strings.Join(c.failures, "\n")
	for _, want := range []string{"small/a TestParent/bad", "said by the parent",
		"said by the child", "small/a TestOwnFault", "said afterwards"} {
		assert.Contains(t, all, want)
	}
}

func TestTallyCountsPackagesThatNeverRan(t *testing.T) {
	c := tallyOf(t, map[string]string{
		"broken/a_test.go": testHead + "func TestA(t *testing.T) { undefined() }\n",
		"panics/a_test.go": testHead + "func TestGood(t *testing.T) {}\nfunc TestBad(t *testing.T) { panic(\"at the disco\") }\n",
		"main/a_test.go":   "package p\n\nimport (\"os\"; \"testing\")\n\nfunc TestMain(m *testing.M) { println(\"no set-up\"); os.Exit(3) }\n",
		"exits/a_test.go":  "package p\n\nimport (\"os\"; \"testing\")\n\nfunc TestExit(t *testing.T) { os.Exit(3) }\n",
	})
	assert.Equal(t, []int{1, 4, 0}, []int{c.passed, c.failed, c.skipped},
		strings.Join(c.failures, "\n"))
	all := strings.Join(c.failures, "\n")
	for _, want := range []string{"undefined: undefined", "at the disco", "TestBad", "no set-up",
		"TestExit"} {
		assert.Contains(t, all, want)
	}
}

func TestTallyOfNothing(t *testing.T) {
	c := tallyOf(t, map[string]string{"a.go": "package small\n"})
	assert.Equal(t, 0, c.ran())
	assert.Equal(t, 0, c.failed)

	c = newTally()
	c.line("no packages to speak of")
	c.finish(errors.New("exit status 1"), "")
	assert.Equal(t, 1, c.failed)
	assert.Contains(t, c.failures[0], "no packages to speak of")
}

func TestTallySeesMatchesAndFigures(t *testing.T) {
	files := map[string]string{"a/a_test.go": testHead + `
func TestSlow(t *testing.T) {
	t.Run("one", func(t *testing.T) { t.Logf("seen: ubatches per step: 1.5") })
	t.Log("note: a line: as it is")
	t.Run("two", func(t *testing.T) { t.Log("seen: ubatches per step: 1"); t.Log("seen: memory per sequence: 3e6 bytes") })
}
func TestQuick(t *testing.T) { t.Log("it has seen: nothing: at all") }
`}
	c := tallyOf(t, files, "-run", "Slow/t")
	assert.Equal(t, 1, c.matched("Slow/t"))
	assert.Equal(t, 1, c.matched("Slow"))
	c = tallyOf(t, files, "-run", "Slow/none")
	assert.Zero(t, c.matched("Slow/none"))
	c = tallyOf(t, files, "-run", "None")
	assert.Zero(t, c.matched("None"))
	assert.Equal(t, []string{"a line: as it is"}, tallyOf(t, files).notes)

	var sum totals
	for range 2 {
		sum.add(stage{name: "tests"}, tallyOf(t, files))
	}
	require.Len(t, sum.timed, 4)
	text := sum.details()
	assert.Contains(t, text, "\nubatches per step: 1.25 in the mean, 1.5 at most, seen 4 times\n")
	assert.Contains(t, text, "\nmemory per sequence: 3000000 bytes in the mean, 3000000 bytes at most, seen 2 times\n")
	assert.NotContains(t, text, "nothing")
}

// tallyOfEvents counts what the go command might say.
func tallyOfEvents(t *testing.T, events ...event) *tally {
	c := newTally()
	for _, e := range events {
		text, err := json.Marshal(e)
		require.NoError(t, err)
		c.line(string(text))
	}
	return c
}

func TestTallyTimesTests(t *testing.T) {
	c := tallyOfEvents(t, event{Action: "pass", Package: "m/a", Test: "TestQuick", Elapsed: 0.3},
		event{Action: "pass", Package: "m/a", Test: "TestSlow/one", Elapsed: 1.2},
		event{Action: "pass", Package: "m/a", Test: "TestSlow", Elapsed: 1.5},
		event{Action: "pass", Package: "m/a", Elapsed: 2})
	var sum totals
	for range 2 {
		sum.add(stage{name: "tests"}, c)
	}
	assert.Equal(t, `
the 4 slowest of 4 tests:
         1.5 s  tests: a TestSlow
         1.5 s  tests: a TestSlow
         0.3 s  tests: a TestQuick
         0.3 s  tests: a TestQuick
`, sum.details())
}

func TestTallyOfMalformedEvents(t *testing.T) {
	c := tallyOfEvents(t, event{Action: "fail", Package: "p", Test: "T"},
		event{Action: "fail", Package: "p"})
	c.line("")
	assert.Equal(t, 1, c.failed)
}

func TestTotals(t *testing.T) {
	assert.Equal(t, "tests: 3 passed, 0 failed, 1 skipped",
		(&totals{passed: 3, skipped: 1}).String())
	assert.Equal(t, "tests: 3 passed, 0 failed, 0 skipped, 1 stage not run (arm64: install qemu-user-static)",
		(&totals{passed: 3, notRun: []string{"arm64: install qemu-user-static"}}).String())
}

func TestEmptyIntegrationIsAFailure(t *testing.T) {
	var out strings.Builder
	a := &app{ctx: t.Context(), root: t.TempDir(), out: &out}
	var sum totals
	a.runStage(stage{name: "llama.cpp", must: true, run: func(*app, *tally) error { return nil }},
		&sum)
	assert.Equal(t, 1, sum.failed)
	assert.Contains(t, out.String(), "no test was run")
	a.runStage(stage{name: "vet", run: func(*app, *tally) error {
		return errors.New("tool " + filepath.Join("x"))
	}}, &sum)
	assert.Equal(t, 2, sum.failed)
}
