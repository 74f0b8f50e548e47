package retro

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A thread that comes when all parts are taken helps with those that another opens after it.
func TestLateWorkIsShared(t *testing.T) {
	defer func(n int) { looks = n }(looks)
	looks = 1 << 40 // as long as it takes
	opt := testOptions()
	opt.Window, opt.Budget, opt.Candidates = 1, 64, 8
	h := newHost(t, plainShape, opt, 2, 5)
	h.prefill(0, 800)
	rows := h.lone([]int32{0})
	require.NoError(t, h.e.StepBegin(rows, 2))
	job, l := &h.e.jobs[0], &h.e.layers[0]
	q, out := make([]float32, l.Heads*l.DK), make([]float32, l.Heads*l.DV)
	a := h.attn(0, 1, q, out)

	held := make([]selection, l.KVHeads) // the first level of all items, one part each
	for i := range held {
		s := h.e.selection(&h.e.workers[0], &a, i)
		require.EqualValues(t, 1, s.claim.parts[scanLevel].Load())
		require.Zero(t, s.it.ranges[0].take(s.number(scanLevel), 1, &s.claim.left[scanLevel]))
		held[i] = s
	}
	var done atomic.Bool
	errs := make(chan error)
	go func() {
		err := h.e.Select(&a, 1, 2)
		done.Store(true)
		errs <- err
	}()
	for i := range held {
		require.False(t, done.Load(), "it left before the last item was filled")
		held[i].scoreSome(0)
		held[i].claim.left[scanLevel].Add(-1)
		held[i].done(scanLevel) // opens the codes, which are the other's
	}
	require.NoError(t, <-errs)
	require.Zero(t, job.unfilled.Load())
	require.NotZero(t, h.e.workers[1].stats.SelectedTokens)
	require.Zero(t, h.e.workers[0].stats.SelectedTokens)
}
