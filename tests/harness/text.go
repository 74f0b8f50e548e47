package harness

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Gaps are by how much each token of an answer was likelier than the second best one, for which it
// is asked with n_probs 2. Servers tell it only of tokens that were not drafted.
func (c *Completion) Gaps(t *testing.T) (gaps []float32) {
	t.Helper()
	for _, s := range c.Steps {
		require.Len(t, s.Top, 2)
		gaps = append(gaps, float32(s.Top[0].Logprob-s.Top[1].Logprob))
	}
	require.Len(t, gaps, len(c.Tokens))
	return gaps
}

// RequireSameText fails unless a text is that of full attention, up to a choice that was none: the
// tokens there are as good as each other, up to tie. It returns how many tokens were compared, of
// which the caller should demand some.
func RequireSameText[T comparable](t *testing.T, want []T, gaps []float32, got []T,
	tie float32) int {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			require.Less(t, gaps[i], tie, "token %d is %v, full attention has %v", i,
				got[i], want[i])
			return i
		}
	}
	require.Len(t, got, len(want))
	return len(want)
}
