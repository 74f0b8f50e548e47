package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The feature with everything in the budget, and with little of it.
var (
	exactly  = []string{"--retro-attn", "--retro-budget", "all", "--retro-min-ctx", "128", "--retro-window", "4", "--retro-period", "1", "--retro-opts", "always=1"}
	sparsely = []string{"--retro-attn", "--retro-budget", "64", "--retro-window", "2", "--retro-period", "1", "--retro-min-ctx", "128", "--retro-opts", "local=32"}
)

// counting is the request to go on with a list that leaves no doubt about the next token.
func counting(t *testing.T, url string, lines, predict int) *asked {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "Step %d: turn the valve to the left and write down the number %d.\n", i+1, i+1)
	}
	return &asked{prompt: tokenize(t, url, b.String()), predict: predict}
}

// must is the answer to a request, to its end.
func (q *asked) must(t *testing.T, url string) reply {
	t.Helper()
	r, err := q.ask(t.Context(), url, 0)
	require.NoError(t, err)
	require.Empty(t, r.message)
	require.Equal(t, q.predict, r.predicted)
	return r
}

// requireAlike fails if answers differ by more than rounding, or by more than so much in the mean.
func requireAlike(t *testing.T, want, got reply, mean float64) {
	t.Helper()
	d, err := differs(want, got)
	require.NoError(t, err)
	t.Logf("%d of %d tokens compared: log-probability off by %.2g in the mean and %.2g at most", d.steps, len(want.steps), d.sum/float64(d.steps), d.worst)
	require.Less(t, d.worst, languageBounds.step)
	require.Less(t, d.sum/float64(d.steps), mean)
}

// A text that outgrows the context goes on: half of it is dropped, again and again. What is left is attended to exactly
// with everything in the budget, window and all, and sparsely with little.
func TestServerContextShift(t *testing.T) {
	args := []string{"-c", "384", "--context-shift"}
	off := startServer(t, 1, append(args, "-fa", "on")...)
	q := counting(t, off.url, 15, 300) // it shifts twice
	want := q.must(t, off.url)
	require.NoError(t, off.kill())
	require.Equal(t, "truncated", want.end)

	exact := startServer(t, 1, append(args, exactly...)...)
	got := q.must(t, exact.url)
	require.NoError(t, exact.kill())
	requireAlike(t, want, got, languageBounds.mean)
	require.Equal(t, q.predict-1, got.timings.Tokens)
	require.Zero(t, got.timings.Sparse)

	sparse := startServer(t, 1, append(args, sparsely...)...)
	got = q.must(t, sparse.url)
	require.Equal(t, "truncated", got.end)
	require.Equal(t, q.predict-1, got.timings.Sparse, "after a shift, too")
	require.Less(t, got.timings.KVReadShare, 0.6)
}
