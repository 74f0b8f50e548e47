package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Of what fails off only that is excused which stock fails, too.
func TestStockExcuses(t *testing.T) {
	off := []serverVerdict{{Test: "a", Outcome: "failed", Reason: "ours"}, {Test: "b", Outcome: "failed"},
		{Test: "c", Outcome: "passed"}}
	require.Equal(t, []string{"a", "b"}, failedTests(off))
	excuse(off, []serverVerdict{{Test: "a", Outcome: "passed"}, {Test: "b", Outcome: "failed"}})
	require.Equal(t, []serverVerdict{{Test: "a", Outcome: "failed", Reason: "ours"},
		{Test: "b", Outcome: "skipped", Reason: "stock llama.cpp fails it here, too"},
		{Test: "c", Outcome: "passed"}}, off)
}
