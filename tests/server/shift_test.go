package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// A text that outgrows the context goes on: half of it is dropped, again and again. What is left is
// attended to exactly with everything in the budget, window and all, and sparsely with little.
func TestServerContextShift(t *testing.T) {
	harness.Slow(t)
	args := []string{"-c", "384", "--context-shift"}
	off := harness.StartServer(t, 1, append(args, "-fa", "on")...)
	q := counting(t, off.URL, 15, 300) // it shifts twice
	want := q.Must(t, off.URL)
	require.NoError(t, off.Kill())
	require.Equal(t, "truncated", want.End)

	exact := harness.StartServer(t, 1, append(args, exactly...)...)
	got := q.Must(t, exact.URL)
	require.NoError(t, exact.Kill())
	requireAlike(t, want, got, harness.LanguageBounds.Mean)
	require.Equal(t, q.Predict-1, got.Timings.Tokens)
	require.Zero(t, got.Timings.Sparse)

	sparse := harness.StartServer(t, 1, append(args, sparsely...)...)
	got = q.Must(t, sparse.URL)
	require.Equal(t, "truncated", got.End)
	require.Equal(t, q.Predict-1, got.Timings.Sparse, "after a shift, too")
	require.Less(t, got.Timings.KVReadShare, 0.6)
}
