package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// What fails is run once more, and counts if it fails again, or does not run.
func TestOnlyWhatFailsTwiceCounts(t *testing.T) {
	var ran [][]string
	runs := [][]serverVerdict{
		{{Test: "a", Outcome: "failed", Reason: "late"}, {Test: "b", Outcome: "failed", Reason: "first"},
			{Test: "c", Outcome: "passed"}, {Test: "d", Outcome: "failed"}, {Test: "e", Outcome: "skipped"}},
		{{Test: "a", Outcome: "passed", Sparse: 3}, {Test: "b", Outcome: "failed", Reason: "second"}},
	}
	run := func(tests []string) ([]serverVerdict, error) {
		ran = append(ran, tests)
		return runs[len(ran)-1], nil
	}
	got, err := twice([]string{"file"}, run)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"file"}, {"a", "b", "d"}}, ran)
	require.Equal(t, []serverVerdict{{Test: "a", Outcome: "passed", Sparse: 3,
		Reason: "failed, and passed when it was run again:\nlate"},
		{Test: "b", Outcome: "failed", Reason: "first"}, {Test: "c", Outcome: "passed"},
		{Test: "d", Outcome: "failed"}, {Test: "e", Outcome: "skipped"}}, got)

	ran, runs = nil, [][]serverVerdict{{{Test: "c", Outcome: "passed"}}}
	got, err = twice([]string{"file"}, run)
	require.NoError(t, err)
	require.Equal(t, runs[0], got)
	require.Len(t, ran, 1, "nothing failed")

	_, err = twice(nil, func([]string) ([]serverVerdict, error) { return nil, errors.New("no pytest") })
	require.ErrorContains(t, err, "no pytest")
}

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
