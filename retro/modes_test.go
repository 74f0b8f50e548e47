package retro

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// decodeChecked decodes n steps of one sequence after a prefill, checks every output, and returns
// the statistics.
func decodeChecked(t *testing.T, opt options.Options, sh shape, prefill, n int) stats.Stats {
	h := newHost(t, sh, opt, 2, 5)
	h.prefill(0, prefill)
	for range n {
		h.decode([]int32{0}, checkUnion(h))
	}
	return h.e.Stats()
}

// Who scores all pages keeps the groups with the best ones, and the next token, here with the same
// queries, chooses of these.
func TestKeptGroupsHoldTheBest(t *testing.T) {
	opt := testOptions()
	opt.Page, opt.Budget, opt.Groups, opt.Window, opt.Period = kernels.CodeTokens, 64, 8, 1, 1
	sh := shape{layers: 1, seqs: 1, cells: 8000, heads: 4, kv: 2, dk: 32, dv: 32, tk: kernels.F16,
		tv: kernels.F16}
	h := newHost(t, sh, opt, 1, 5)
	h.prefill(0, 6000)
	q, out := h.vector(3, 0, 1, 0, sh.heads*sh.dk), make([]float32, sh.heads*sh.dv)
	var chosen [2][][]int32
	for i := range chosen {
		require.NoError(t, h.e.StepBegin(h.lone([]int32{0}), 1))
		a := h.attn(0, 1, q, out)
		require.NoError(t, h.e.Select(&a, 0, 1))
		for kv := range sh.kv {
			require.Equal(t, i == 1, h.e.jobs[0].claims[kv].reuse)
			chosen[i] = append(chosen[i], slices.Clone(h.e.items[kv].entries))
		}
		require.NoError(t, h.e.Attend(&a, 0, 1))
		require.NoError(t, h.e.StepEnd(true))
	}
	for kv := range sh.kv {
		kept := h.e.seqs[0].kept[kv].groups.of
		require.Len(t, kept, opt.Groups)
		kept = append(slices.Clone(kept), int32(h.e.localAt(6001)/groupPages)) // what is behind the last whole one
		for _, x := range chosen[1][kv] {
			require.Contains(t, kept, x/int32(opt.Page)/groupPages)
		}
		same := 0
		for _, x := range chosen[0][kv] {
			if slices.Contains(chosen[1][kv], x) {
				same++
			}
		}
		require.Greater(t, same, len(chosen[0][kv])*3/4, "the kept groups hold most of the best tokens")
	}
}

// The scan grows slower than the context: at 128k it reads less than 2.5 times what it reads at
// 32k.
func TestScanGrowsSlowly(t *testing.T) {
	scanned := func(tokens int) uint64 {
		opt := options.Default()
		h := newHost(t, shape{layers: 1, seqs: 1, cells: 132000, heads: 1, kv: 1, dk: 8, dv: 8,
			tk: kernels.F16, tv: kernels.F16}, opt, 1, 5)
		pos, cell := make([]int32, tokens), make([]int32, tokens)
		for i := range pos {
			pos[i], cell[i] = int32(i), int32(i)
			h.table[0] = append(h.table[0], entry{pos: int32(i), cell: int32(i)})
		}
		require.NoError(t, h.e.SeqExtend(0, pos, cell))
		h.free = h.free[tokens:]
		for i := range h.free {
			h.free[i] = int32(tokens + i)
		}
		before := h.e.Stats().ScanBytes
		for range keepSteps {
			h.decode([]int32{0}, nil)
		}
		return h.e.Stats().ScanBytes - before
	}
	short, long := scanned(32<<10), scanned(128<<10)
	t.Logf("%d bytes at 32k, %d at 128k", short, long)
	require.NotZero(t, short)
	require.Less(t, float64(long), 2.5*float64(short))
}

func TestLayerBudgets(t *testing.T) {
	opt := testOptions()
	opt.LayerBudget = "0:32/1:all/2-3:0.2"
	sh := plainShape
	sh.layers = 5
	h := newHost(t, sh, opt, 2, 5)
	h.prefill(0, 500)
	for range 8 {
		h.decode([]int32{0}, func(layer int, rows []Row, out []float32) {
			checkUnion(h)(layer, rows, out)
			fifth := (len(h.table[0]) + 4) / 5
			require.Len(t, h.e.items[0].entries, []int{32, 0, fifth, fifth, 64}[layer])
			require.Equal(t, layer == 1, h.e.items[0].exact)
		})
	}
	require.NotZero(t, h.e.Stats().CorrectedTokens)
	for _, bad := range []string{"x:1", "0:0", "0:all/", "3-1:5", "0-2000:5", "0", "0:1.5",
		"-1:all"} {
		_, err := options.Parse("layer_budget=" + bad)
		require.ErrorIs(t, err, failure.Argument, bad)
		require.Contains(t, err.Error(), "option layer_budget="+bad)
	}
}

// A layer that was exact while others were sparse has no far partial; its tokens leave the window
// when it turns sparse.
func TestLayersTurnSparseOneByOne(t *testing.T) {
	opt := testOptions()
	opt.Window, opt.LayerBudget = 4, "0:64/1:96"
	h := newHost(t, plainShape, opt, 1, 5)
	h.prefill(0, 100)
	for range 60 {
		h.decode([]int32{0}, checkUnion(h))
	}
	require.NotZero(t, h.e.Stats().CorrectedTokens)
}

// Steps that correct read more, by the queries of all their rows.
func TestCorrectBudget(t *testing.T) {
	opt := testOptions()
	opt.Window, opt.Period, opt.Budget = 4, 4, 64
	plain := decodeChecked(t, opt, plainShape, 500, 40)
	opt.CorrectBudget = 192
	more := decodeChecked(t, opt, plainShape, 500, 40)
	require.Greater(t, more.SelectedTokens, plain.SelectedTokens*5/4)
	require.Greater(t, more.RetiredSeen, plain.RetiredSeen*5/4)
	require.Equal(t, plain.RewrittenTokens, more.RewrittenTokens)
}

// Beside the F16 cache of a context, summaries, codes and windows take little memory.
func TestMemory(t *testing.T) {
	for text, most := range map[string]float64{"code_bits=2": 0.085, "code_bits=1": 0.053,
		"select=pages": 0.05} {
		opt, err := options.Parse(text)
		require.NoError(t, err)
		for _, d := range []int{64, 128} {
			for _, n := range []int{4300, 8000, 16000} {
				sh := shape{layers: 2, seqs: 1, cells: 16384, heads: 6, kv: 2, dk: d, dv: d,
					tk: kernels.F16, tv: kernels.F16}
				h := newHost(t, sh, opt, 1, 5)
				pos, cell := make([]int32, n), make([]int32, n)
				for i := range pos {
					pos[i], cell[i] = int32(i), h.free[i]
					h.table[0] = append(h.table[0], entry{pos: pos[i], cell: cell[i]})
				}
				h.free = h.free[n:]
				require.NoError(t, h.e.SeqExtend(0, pos, cell))
				h.decode([]int32{0}, nil)
				st := h.e.Stats()
				kv := float64(n) / float64(sh.cells) * float64(sh.layers*(len(h.k[0])+len(h.v[0])))
				t.Logf("%s, heads of %d, %d tokens: summaries %.2f %%, windows %.2f %% of the KV cache", text, d, n, 100*float64(st.SummaryBytes)/kv, 100*float64(st.RingBytes)/kv)
				require.NotZero(t, st.SparseTokens)
				if n >= 8000 {
					require.Less(t, float64(st.SummaryBytes+st.RingBytes)/kv, most)
				}
			}
		}
	}
}

// With keys and queries rotated the same pages are chosen, nearly, as without: summaries know keys
// as they were.
func TestRotatedKeysChooseTheSame(t *testing.T) {
	chosen := func(rotation int) (pages []map[int32]bool) {
		opt := testOptions()
		opt.Window, opt.Budget = 1, 128
		sh := shape{layers: 1, seqs: 1, cells: 2000, heads: 4, kv: 2, dk: 64, dv: 32,
			tk: kernels.Q8_0, tv: kernels.F16, rotation: rotation}
		h := newHost(t, sh, opt, 1, 5)
		for range 10 {
			h.prefill(0, 100)
			h.decode([]int32{0}, func(int, []Row, []float32) {
				for kv := range sh.kv {
					set := map[int32]bool{}
					for _, p := range h.e.items[kv].entries {
						set[p] = true
					}
					pages = append(pages, set)
				}
			})
		}
		return pages
	}
	plain, rotated := chosen(0), chosen(64)
	same, all := 0, 0
	for i := range plain {
		for p := range plain[i] {
			all++
			if rotated[i][p] {
				same++
			}
		}
	}
	t.Logf("%d of %d pages are the same", same, all)
	require.Greater(t, same, all*9/10)
}
