package retro

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// By need, tokens read the budget in the mean, and keep more of their attention for it.
func TestNeed(t *testing.T) {
	play := func(need bool) (tokens, kept float64) {
		opt := testOptions()
		opt.Window, opt.Audit, opt.Need = 1, 1, need
		h := newHost(t, plainShape, opt, 2, 5)
		h.prefill(0, 800)
		for range 20 { // to settle
			h.decode([]int32{0}, nil)
		}
		before := h.e.Stats()
		for range 60 {
			h.decode([]int32{0}, nil)
		}
		st := h.e.Stats()
		return float64(st.SelectedTokens-before.SelectedTokens) / 60 / float64(plainShape.layers*plainShape.kv),
			float64(st.KeptMass-before.KeptMass) / keptUnit / float64(st.AuditedHeads-before.AuditedHeads)
	}
	fixed, plain := play(false)
	mean, kept := play(true)
	t.Logf("%.1f tokens keep %.3f, %.1f by need %.3f", fixed, plain, mean, kept)
	require.Equal(t, 64.0, fixed)
	require.InDelta(t, fixed, mean, 0.1*fixed)
	require.Greater(t, kept, plain)
}

// The same context decodes the same again, after its tail was taken back.
func TestNeedAgain(t *testing.T) {
	opt := testOptions()
	opt.Need, opt.Window, opt.Period = true, 4, 4
	h := newHost(t, plainShape, opt, 1, 7)
	h.prefill(0, 801)
	answer := func() (out [][]float32) {
		for range 40 {
			h.decode([]int32{0}, nil)
			for _, k := range h.emitted {
				out = append(out, h.out[k])
			}
		}
		return out
	}
	first := answer()
	for range 2 {
		h.truncate(0, 800)
		h.prefill(0, 1)
		require.Equal(t, first, answer())
	}
}
