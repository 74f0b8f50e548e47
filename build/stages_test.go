package main

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func passes(n int) func(*app, *tally) error {
	return func(_ *app, t *tally) error { t.passed += n; return nil }
}

// Stages run at once, all are counted, and what one of them says stays together.
func TestStagesSideBySide(t *testing.T) {
	var out strings.Builder
	a := &app{ctx: t.Context(), out: &out}
	var sum totals
	var both sync.WaitGroup
	both.Add(2)
	meet := func(a *app, t *tally) error { // each needs the other
		both.Done()
		both.Wait()
		t.passed++
		t.skip("TestOther", "no such processor")
		return nil
	}
	a.runSide([]stage{{name: "one", run: meet}, {name: "left", skip: "left out"},
		{name: "two", run: meet}, {name: "three", run: passes(3), must: true}}, &sum)
	assert.Equal(t, "tests: 5 passed, 0 failed, 2 skipped, 1 stage not run (left: left out)",
		sum.String())
	for _, name := range []string{"one", "two"} {
		_, rest, _ := strings.Cut(out.String(), "ok       "+name+": ")
		assert.Equal(t, "         skipped (no such processor): TestOther",
			strings.Split(rest, "\n")[1])
	}
}

// Where the programs are missing, nothing is tested that needs them, and that is said.
func TestStagesWithoutTheirBasis(t *testing.T) {
	var out strings.Builder
	a := &app{ctx: t.Context(), out: &out}
	var sum totals
	a.runSide([]stage{{name: "programs", basis: true, run: func(*app, *tally) error {
		return errors.New("no compiler")
	}}}, &sum)
	a.runSide([]stage{{name: "llama", run: passes(1)}, {name: "server", run: passes(1)}}, &sum)
	assert.Equal(t, []int{0, 1}, []int{sum.passed, sum.failed})
	assert.Contains(t, sum.String(), "2 stages not run (llama: the programs are not built; ")
}
