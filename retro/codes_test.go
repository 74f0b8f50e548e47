package retro

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// estimates calls f for each step and KV head of a host that decodes some tokens after 3000, with
// the item while it holds the selection, and the true logits per query head.
func estimates(t *testing.T, opt options.Options, sh shape, f func(it *item, logits [][]float64)) {
	h := newHost(t, sh, opt, 1, 5)
	h.prefill(0, 3000)
	for range 3 {
		h.decode([]int32{0}, func(layer int, rows []Row, _ []float32) {
			for kv := range sh.kv {
				var logits [][]float64
				for g := range sh.heads / sh.kv {
					logits = append(logits, h.logits(key{0, rows[len(rows)-1].Pos, int32(layer)},
						kv*sh.heads/sh.kv+g))
				}
				f(&h.e.items[kv], logits)
			}
		})
	}
}

func largest(logits [][]float64, entry int) float64 {
	best := math.Inf(-1)
	for _, l := range logits {
		best = max(best, l[entry])
	}
	return best
}

// The estimates of candidates follow the logits, with 2 bits better than with 1, and what is read
// is mostly of the best of all far tokens. Rotated and quantised keys do as well.
func TestEstimates(t *testing.T) {
	for _, sh := range []shape{
		{layers: 1, seqs: 1, cells: 4000, heads: 6, kv: 2, dk: 64, dv: 16, tk: kernels.F16,
			tv: kernels.F16},
		{layers: 1, seqs: 1, cells: 4000, heads: 2, kv: 1, dk: 128, dv: 16, tk: kernels.Q8_0,
			tv: kernels.F16, rotation: 64},
	} {
		last := 0.0
		for _, bits := range []int{1, 2} {
			opt := testOptions()
			opt.Window, opt.Budget, opt.CodeBits = 1, 128, bits
			var xy, xx, yy, x1, y1, n float64
			hits, all := 0, 0
			estimates(t, opt, sh, func(it *item, logits [][]float64) {
				for i, p := range it.pages {
					for j := range opt.Page {
						x, y := float64(it.tokens[i*opt.Page+j]), largest(logits, int(p)*opt.Page+j)
						xy, xx, yy, x1, y1, n = xy+x*y, xx+x*x, yy+y*y, x1+x, y1+y, n+1
					}
				}
				var far []float64
				for e := opt.Page; e < len(logits[0])-opt.Local-opt.Page; e++ {
					far = append(far, largest(logits, e))
				}
				slices.Sort(far)
				limit := far[len(far)-2*len(it.entries)]
				for _, e := range it.entries {
					if all++; largest(logits, int(e)) >= limit {
						hits++
					}
				}
			})
			r := (xy - x1*y1/n) / math.Sqrt((xx-x1*x1/n)*(yy-y1*y1/n))
			t.Logf("%v, heads of %d, %d bits: correlation %.3f, %d of %d tokens among the best twice as many", sh.tk, sh.dk, bits, r, hits, all)
			require.Greater(t, r, []float64{0, 0.75, 0.9}[bits])
			require.Greater(t, hits, all*6/10, "by chance it would be a tenth")
			require.Greater(t, r, last)
			last = r
		}
	}
}

// With all tokens chosen, attention is exact.
func TestAllTokensAreExact(t *testing.T) {
	for _, bits := range []int{1, 2} {
		opt := testOptions()
		opt.CodeBits, opt.Candidates, opt.Window, opt.Period, opt.CorrectBudget = bits, 1, 2, 2,
			options.Everything
		h := newHost(t, plainShape, opt, 2, 5)
		h.prefill(0, 600)
		exact := 0
		for range 6 {
			h.decode([]int32{0}, func(layer int, rows []Row, out []float32) {
				checkUnion(h)(layer, rows, out)
				if len(rows) < 2 {
					return
				}
				exact++
				for hd := range plainShape.heads {
					want := h.exact(key{0, rows[1].Pos, int32(layer)}, hd,
						func(int) bool { return true })
					requireClose(t, want, out[(plainShape.heads+hd)*plainShape.dv:][:plainShape.dv],
						2e-5, fmt.Sprint("head ", hd))
				}
			})
		}
		require.NotZero(t, exact)
	}
}

// At the same tokens read, single tokens keep more of the attention than the best pages by their
// true scores, and far more than pages by their summaries.
func TestTokensKeepMost(t *testing.T) {
	kept := func(text string) float64 {
		o, err := options.Parse("budget=64,min_ctx=0,local=32,window=1,audit=1," + text)
		require.NoError(t, err)
		st := decodeChecked(t, o, plainShape, 600, 12)
		share := st.Figures().MassKept
		require.NotZero(t, st.AuditedHeads)
		t.Logf("%-25s %.3f", text, share)
		return share
	}
	oracle, tokens := kept("select=oracle"), kept("select=tokens")
	require.Greater(t, tokens, oracle)
	require.Greater(t, tokens, kept("select=tokens,code_bits=1"))
	require.Greater(t, oracle, kept("select=pages"))
}

// More candidates are more pages that are scored, and no more tokens that are read.
func TestCandidates(t *testing.T) {
	opt := testOptions()
	opt.Window, opt.Budget = 1, 64
	all := map[int]stats.Stats{}
	for _, c := range []int{1, 2, 8} {
		opt.Candidates = c
		all[c] = decodeChecked(t, opt, plainShape, 1000, 4)
	}
	require.Equal(t, all[1].SelectedTokens, all[8].SelectedTokens)
	items := all[1].SparseTokens * uint64(plainShape.layers*plainShape.kv)
	page := uint64(kernels.CodeBytes(opt.CodeBits, plainShape.dk))
	require.Equal(t, 4*page*items, all[2].ScanBytes-all[1].ScanBytes)
	require.Equal(t, 24*page*items, all[8].ScanBytes-all[2].ScanBytes)
}
