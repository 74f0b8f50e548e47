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
