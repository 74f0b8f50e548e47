package bridge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the first draft of a context prepares, summaries and graphs, says nothing of later ones.
func TestDraftsAreMeasuredWarm(t *testing.T) {
	d := &drafter{max: 16, exact: make([]cost, 18), tested: 10, accepted: 8, often: 32}
	require.Zero(t, d.length(100), "a token without drafts comes first")
	d.exact[1] = 0.090
	for _, verified := range []cost{0.500, 0.110} {
		require.Equal(t, 4, d.length(100))
		d.sparse, d.exact[5] = 0.012, verified
	}
	require.Greater(t, d.length(100), 2)

	d.exact[5] = 0.500
	require.Zero(t, d.length(100), "none pays where verifying costs that much")
}

// Where a device verifies more than some tokens at once, what fewer take says nothing of more, and
// the other way round: drafts of both are tried, and their times decide.
func TestDraftsForADevice(t *testing.T) {
	d := &drafter{max: 16, exact: make([]cost, 18), tested: 100, accepted: 98, often: 32, here: 3}
	d.exact[1], d.sparse, d.first = 0.035, 0.010, firstDrafts
	d.exact[5] = 0.150 // on a line from the first 17 would take 0.5 s, and none paid
	require.Equal(t, 2, d.length(100))
	d.exact[3] = 0.080
	require.Equal(t, 16, d.length(100))
	d.exact[17] = 0.162
	require.Equal(t, 16, d.length(100))
	require.InDelta(t, 0.154, float64(d.batch(9)), 1e-9)
	require.InDelta(t, 0.0575, float64(d.batch(2)), 1e-9)
	d.exact[17] = 1
	require.Less(t, d.length(100), 16)
}
