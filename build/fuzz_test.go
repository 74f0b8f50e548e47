package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFuzzTargets(t *testing.T) {
	targets, err := fuzzTargets("..")
	require.NoError(t, err)
	for _, want := range []fuzzTarget{{"./retro", "FuzzParseOptions"}, {"./retro", "FuzzSeqLoad"}, {"./retro", "FuzzPlanFile"}, {"./retro", "FuzzEvents"}, {"./kernels", "FuzzDot"}, {"./tests/eval/tasks", "FuzzReadItems"}} {
		require.Contains(t, targets, want)
	}
}
