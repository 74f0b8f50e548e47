package retro

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
)

// Where no token was sparse, the line for people says why.
func TestSummaryTellsWhyNothingIsSparse(t *testing.T) {
	opt := testOptions()
	opt.MinCtx, opt.Window = 210, 1
	sh := shape{layers: 1, seqs: 1, cells: 400, kv: 1, heads: 1, dk: 32, dv: 32, tk: kernels.F16,
		tv: kernels.F16}
	summary := func(h *host) string {
		st := h.e.Stats()
		return st.Figures().String()
	}
	h := newHost(t, sh, opt, 1, 1)
	require.Equal(t, "0 of 0 tokens sparse", summary(h), "only the host knows why")
	h.prefill(0, 208)
	h.decode([]int32{0}, nil)
	require.Equal(t, "0 of 1 tokens sparse: the context was shorter than min_ctx", summary(h))
	h.compute(h.exactRows(0, 3), nil)
	require.Equal(t, "0 of 1 tokens sparse, 3 of prompts and drafts exact: the context was shorter than min_ctx", summary(h))
	h.decode([]int32{0}, nil)
	require.Regexp(t, "^1 of 2 tokens sparse, .* MiB beside the KV cache, 3 of prompts and drafts exact$", summary(h))

	opt.Budget = 1000
	h = newHost(t, sh, opt, 1, 1)
	h.prefill(0, 300)
	h.decode([]int32{0}, nil)
	require.Equal(t, "0 of 1 tokens sparse: the budget held the whole context", summary(h))
}
