package retro

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/stats"
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
			float64(st.KeptMass-before.KeptMass) / stats.KeptUnit / float64(st.AuditedHeads-before.AuditedHeads)
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

// What drafts read is the budget in the mean, although they are taken back after some steps, before
// it has settled.
func TestNeedOfDrafts(t *testing.T) {
	play := func(draft int32) float64 {
		opt := testOptions()
		opt.Need, opt.Window = true, 1
		h := newHost(t, plainShape, opt, 2, 5)
		h.prefill(0, 800)
		cycles := func(n int) {
			for range n {
				pos := int32(len(h.table[0]))
				for range 5 {
					rows := h.lone([]int32{0})
					rows[0].Draft = draft
					h.compute(rows, nil)
				}
				h.truncate(0, pos)
				h.compute(h.exactRows(0, 3), nil)
			}
		}
		cycles(10)
		before := h.e.Stats()
		cycles(20)
		st := h.e.Stats()
		return float64(st.SelectedTokens-before.SelectedTokens) / 100 / float64(plainShape.layers*plainShape.kv)
	}
	drafts, others := play(1), play(0)
	t.Logf("%.1f tokens read for a draft, %.1f for others that are taken back", drafts, others)
	require.InDelta(t, 64, drafts, 0.1*64)
	require.Greater(t, math.Abs(others-64), math.Abs(drafts-64))
}

// A draft has no past rows.
func TestDraftIsRefused(t *testing.T) {
	opt := testOptions()
	opt.Need, opt.Window, opt.Period = true, 4, 1
	h := newHost(t, plainShape, opt, 1, 5)
	h.prefill(0, 800)
	for range 4 {
		h.decode([]int32{0}, nil)
	}
	rows := h.lone([]int32{0})
	require.Greater(t, len(rows), 1)
	rows[len(rows)-1].Draft = 1
	require.ErrorContains(t, h.e.StepBegin(rows, 1), "must be alone")
	rows[len(rows)-1].Draft = 0
	require.NoError(t, h.e.StepBegin(rows, 1))
}

// What tokens are chosen by is the logarithm of the largest share of any query's attention that
// their estimates give them, beside what is near.
func TestShares(t *testing.T) {
	for _, sh := range []shape{{heads: 6, kv: 2}, {heads: 6, kv: 2, softCap: 5},
		{heads: 40, kv: 2}, {heads: 7, kv: 1, rotation: 64}} { // one part of the queries, or several
		sh.layers, sh.seqs, sh.cells, sh.dk, sh.dv = 1, 1, 4000, 64, 16
		sh.tk, sh.tv = kernels.F16, kernels.F16
		exact := 0.02
		if sh.heads/sh.kv > nearRows { // the largest of many: what kernels.ExpSum is exact to
			exact = 0.04
		}
		opt := testOptions()
		opt.Window, opt.Budget, opt.Need = 1, 128, true
		estimates(t, opt, sh, func(it *item, logits [][]float64) {
			n := len(it.pages) * opt.Page
			want := make([]float64, n)
			for i := range want {
				want[i] = math.Inf(-1)
			}
			for q, near := range logits {
				est, sum := it.est[q*n:][:n], 0.0
				for _, v := range est {
					sum += math.Exp(float64(v))
				}
				local := (len(near) - opt.Local) / opt.Page * opt.Page
				for _, v := range append(near[:opt.Page:opt.Page], near[local:]...) {
					sum += math.Exp(v)
				}
				for i, v := range est {
					want[i] = max(want[i], float64(v)-math.Log(sum))
				}
			}
			for i, v := range want {
				require.InDelta(t, v, it.tokens[i], exact)
			}
		})
	}
}

// What is near is attended to where its shares are summed up, as Attend would do it, bit for bit.
func TestNearInSelect(t *testing.T) {
	for _, sh := range []shape{
		{layers: 2, seqs: 1, cells: 4000, heads: 6, kv: 2, dk: 64, dv: 16, tk: kernels.F16,
			tv: kernels.F16, softCap: 5},
		{layers: 1, seqs: 1, cells: 4000, heads: 3, kv: 3, dk: 32, dv: 32, tk: kernels.Q8_0,
			tv: kernels.Q4_0},
	} {
		opt := testOptions()
		opt.Window, opt.Budget, opt.Need = 1, 128, true
		h := newHost(t, sh, opt, 2, 3)
		h.prefill(0, 900)
		for range 3 {
			h.decode([]int32{0}, func(layer int, _ []Row, _ []float32) {
				l, q := &h.e.layers[layer], &h.e.step.seqs[0]
				for head := range sh.kv {
					it, n := &h.e.items[head], sh.heads/sh.kv
					m, d := slices.Clone(it.m[:n]), slices.Clone(it.l[:n])
					acc := slices.Clone(it.acc[:n*sh.dv])
					it.m[0], it.l[0], it.acc[0] = 1, 2, 3
					h.e.attendChunk(&h.e.workers[0], l, it, q, head, 0, -1, 0)
					require.Equal(t, m, it.m[:n])
					require.Equal(t, d, it.l[:n])
					require.Equal(t, acc, it.acc[:n*sh.dv])
					s := h.e.selection(&h.e.workers[0], &Attn{Layer: layer}, head)
					require.True(t, s.attendsNear())
				}
			})
		}
	}
}
