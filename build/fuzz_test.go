package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFuzzTargets(t *testing.T) {
	targets, err := fuzzTargets("..")
	require.NoError(t, err)
	for _, want := range []fuzzTarget{{"./retro/options", "FuzzParse"}, {"./retro", "FuzzSeqLoad"},
		{"./retro/plan", "FuzzPlanFile"}, {"./retro", "FuzzEvents"}, {"./kernels", "FuzzDot"},
		{"./tests/lab/eval/tasks", "FuzzReadItems"}} {
		require.Contains(t, targets, want)
	}
}

// A target that fails is a failure that names the input, one whose time is over is not.
func TestFuzzVerdicts(t *testing.T) {
	text := testHead + "func FuzzBad(f *testing.F) { f.Add([]byte{1}); f.Fuzz(func(t *testing.T, b []byte) { if len(b) > 3 { t.Error(\"too long\") } }) }\n"
	one := tallyOf(t, map[string]string{"a/a_test.go": text}, "-run", "^$", "-fuzz", "FuzzBad",
		"-fuzztime", "60s")
	one.forgiveDeadline()
	all := newTally()
	all.skip("TestOther", "no such processor")
	all.add(one)
	require.Equal(t, []int{0, 1, 1}, []int{all.passed, all.failed, all.skipped})
	require.Contains(t, all.failures[0], "testdata/fuzz/FuzzBad/")

	over := newTally()
	over.fail("FuzzSlow", "context deadline exceeded")
	over.forgiveDeadline()
	require.Equal(t, []int{1, 0}, []int{over.passed, over.failed})
}
