package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The comparison bears what rounding does, and sees another request's answer, a lost one, and what
// is no number.
func TestSoakSeesWrongAnswers(t *testing.T) {
	answer := func(logprob float64, ids ...int) (r harness.Reply) {
		for _, id := range ids {
			s := harness.Step{ID: id, Logprob: logprob,
				Top: make([]harness.Likely, harness.SoakTop)}
			for i := range s.Top {
				s.Top[i] = harness.Likely{ID: id + i, Logprob: logprob - 0.3*float64(i)}
			}
			r.Steps = append(r.Steps, s)
		}
		r.End, r.Predicted = "limit", len(ids)
		return r
	}
	alone := answer(-1, 10, 20, 30)
	cancelled := answer(-1, 10, 20)
	cancelled.End = "cancelled"
	null := answer(-1, 10, 20, 30)
	null.Steps[1].Logprob = 0
	clear(null.Steps[1].Top)
	for name, c := range map[string]struct {
		got   harness.Reply
		wrong bool
	}{
		"the same":  {alone, false},
		"rounded":   {answer(-1.2, 10, 20, 30), false},
		"cancelled": {cancelled, false},
		// 20 is not among what the other might have said
		"an unlikely one": {answer(-1, 10, 21, 99), true},
		"another answer":  {answer(-1, 50, 60, 70), true},
		"less sure":       {answer(-4, 10, 20, 30), true},
		"too short":       {answer(-1, 10, 20), true},
		"too long":        {answer(-1, 10, 20, 30, 40), true},
		"no number":       {null, true},
	} {
		d, err := harness.Differs(alone, c.got)
		require.Equal(t, c.wrong, err != nil || d.Worst > harness.LanguageBounds.Step, "%s: %v %v",
			name, d, err)
	}
}
