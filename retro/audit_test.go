package retro

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// In any n steps each KV head is audited once, whatever n and the heads have in common.
func TestAuditRotation(t *testing.T) {
	for _, heads := range []int{1, 2, 3, 4, 7, 90, 96, 1000, 1030} {
		for _, n := range []int{1, 2, 3, 10, 90, 97, 1000} {
			e := &Engine{kvHeads: heads, opt: options.Options{Audit: n}}
			e.layoutAudits()
			for _, from := range []int{0, 1, 3*n + 2} {
				audits, due := make([]int, heads), 0
				for step := from; step < from+n; step++ {
					for p := range heads {
						if e.audits(uint64(step), p) {
							audits[p]++
							due++
						}
					}
					require.InDelta(t, float64(step-from+1)*float64(heads)/float64(n), due, 1,
						"evenly in time")
				}
				for p := range audits {
					require.Equal(t, 1, audits[p], "head %d of %d, 1 in %d, from step %d", p, heads,
						n, from)
				}
			}
		}
	}
	none := &Engine{kvHeads: 3}
	none.layoutAudits()
	require.False(t, none.audits(0, 0))
}

// The first few audits are spread over the layers.
func TestAuditsAreSpread(t *testing.T) {
	for _, heads := range []int{90, 96, 256, 640} {
		e := &Engine{kvHeads: heads, opt: options.Options{Audit: 1000}}
		e.layoutAudits()
		eighths, due := [8]int{}, 0
		for step := uint64(0); due < 16; step++ {
			for p := range heads {
				if e.audits(step, p) {
					eighths[p*8/heads]++
					due++
				}
			}
		}
		for i := range eighths {
			require.Contains(t, []int{1, 2, 3}, eighths[i], "%d heads, %v", heads, eighths)
		}
	}
}

// audited sums what the workers have counted in this step.
func (h *host) audited() (st stats.Stats) {
	for i := range h.e.workers {
		st.Add(&h.e.workers[i].stats)
	}
	return st
}

// checkAudit holds that what the newest tokens kept of their attention is counted right, layer by
// layer.
func checkAudit(h *host) func(layer int, rows []Row, out []float32) {
	sh, group := h.shape, h.shape.heads/h.shape.kv
	var before stats.Stats
	return func(layer int, rows []Row, _ []float32) {
		if layer == 0 {
			before = stats.Stats{}
		}
		want, heads, bytes := 0.0, 0, 0
		for i := range h.e.step.seqs {
			q := &h.e.step.seqs[i]
			for kv := range sh.kv {
				it := &h.e.items[i*sh.kv+kv]
				if it.exact {
					continue
				}
				v, chosen := q.newest(), map[int]bool{}
				for _, t := range it.entries {
					chosen[int(t)] = true
				}
				t := h.table[int32(q.id)]
				for g := range group {
					k := key{int32(q.id), t[len(t)-1].pos, int32(layer)}
					want += h.share(k, kv*group+g, func(e int) bool {
						p := e / h.e.opt.Page
						return p == 0 || p >= v.local || chosen[e]
					})
					heads++
				}
				bytes += (v.far(h.e.opt.Page) - len(chosen)) * sh.kRow()
			}
		}
		now := h.audited()
		require.EqualValues(h.t, heads, now.AuditedHeads-before.AuditedHeads)
		require.EqualValues(h.t, bytes, now.AuditBytes-before.AuditBytes)
		if heads > 0 {
			require.InDelta(h.t, want/float64(heads),
				float64(now.KeptMass-before.KeptMass)/stats.KeptUnit/float64(heads), 1e-3)
		}
		before = now
	}
}

func TestAuditMeasuresWhatIsKept(t *testing.T) {
	for trial := range trials(24) {
		rng := rand.New(rand.NewPCG(uint64(trial), 31))
		opt := testOptions()
		opt.Select = options.Selector(trial % (int(options.Oracle) + 1))
		opt.Page = []int{8, 16, 32}[rng.IntN(3)]
		opt.Window = []int{1, 2, 8}[trial%3]
		opt.Period = 1 + rng.IntN(opt.Window)
		varySelector(&opt, rng)
		opt.Budget = options.Budget(opt.Page * (1 + rng.IntN(5)))
		varyOptions(&opt, rng)
		opt.Audit = 1
		sh := shape{layers: 2, seqs: 2, cells: 4000, kv: 2, heads: 2 * (1 + rng.IntN(4)),
			dk: 32 * (1 + rng.IntN(2)), dv: 32,
			tk: kernels.Types[trial%5], tv: kernels.F16, sinks: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			sh.softCap = 3
		}
		if rng.IntN(2) == 0 {
			sh.rotation = 32
		}
		t.Run(fmt.Sprintf("%v/%+v", opt, sh), func(t *testing.T) {
			h := newHost(t, sh, opt, 1+trial%3, uint64(trial))
			h.prefill(0, 1400)
			h.prefill(1, 300)
			check := checkAudit(h)
			for range 6 {
				h.decode([]int32{0, 1}, check)
			}
			st := h.e.Stats()
			kept := st.Figures().MassKept
			require.Greater(t, kept, 0.0)
			require.LessOrEqual(t, kept, 1.0)
			require.Contains(t, st.Figures().String(),
				fmt.Sprintf("%.1f %% of attention kept", 100*kept))
		})
	}
}

// An audit changes no bit of an output and no other counter, and threads nothing of it.
func TestAuditChangesNothing(t *testing.T) {
	for _, text := range []string{"window=1", "window=4,period=2",
		"window=4,period=4,correct_budget=160", "select=streaming,window=1",
		"select=oracle", "groups=1", "page=8,groups=1,select=pages", "budget=0.1,select=minmax"} {
		o, err := options.Parse("budget=64,min_ctx=0,local=32," + text)
		require.NoError(t, err)
		play := func(audit, threads int) (stats.Stats, map[key][]float32) {
			o.Audit = audit
			h, out := decodeSteps(t, o, threads, []int32{0, 2, 3}, 12)
			st := h.e.Stats()
			st.AttentionNS = 0
			return st, out
		}
		plain, want := play(0, 1)
		require.Zero(t, plain.AuditedHeads+plain.KeptMass+plain.AuditBytes)
		require.NotContains(t, plain.Figures().String(), "attention kept")
		var one [2]stats.Stats
		for i, audit := range []int{1, 3} {
			for _, threads := range []int{1, 3} {
				st, got := play(audit, threads)
				require.Equal(t, want, got, text)
				if threads > 1 {
					require.Equal(t, one[i], st, "%s with threads", text)
				}
				one[i] = st
				st.AuditedHeads, st.KeptMass, st.AuditBytes = 0, 0, 0
				require.Equal(t, plain, st, text)
			}
		}
		require.EqualValues(t, int(one[0].SparseTokens)*plainShape.layers*plainShape.heads,
			one[0].AuditedHeads, text)
		require.InDelta(t, float64(one[0].AuditedHeads)/3, float64(one[1].AuditedHeads),
			float64(one[0].AuditedHeads)/6, text)
	}
}

// The oracle's scores are the log-sum-exp of the logits that attention sees.
func TestOracleScores(t *testing.T) {
	for _, tk := range kernels.Types {
		for _, softCap := range []float32{0, 3} {
			opt := testOptions()
			opt.Select, opt.Page, opt.Window, opt.Groups = options.Oracle, 8, 1, 1
			sh := shape{layers: 1, seqs: 1, cells: 2600, heads: 3, kv: 1, dk: 32, dv: 8, tk: tk,
				tv: kernels.F16, softCap: softCap, rotation: 32}
			h := newHost(t, sh, opt, 1, 4)
			h.prefill(0, 2500)
			h.decode([]int32{0}, func(int, []Row, []float32) {
				var logits [3][]float64
				for hd := range logits {
					logits[hd] = h.logits(key{pos: 2500}, hd)
				}
				end := h.e.step.seqs[0].newest().local
				require.Greater(t, end, chunkPages+16)
				for p := 1; p < end; p++ {
					want := math.Inf(-1)
					for hd := range logits {
						sum := 0.0
						for _, x := range logits[hd][p*opt.Page : (p+1)*opt.Page] {
							sum += math.Exp(x)
						}
						want = max(want, math.Log(sum))
					}
					require.InDelta(t, want, h.e.items[0].best[p], 1e-4*(1+math.Abs(want)),
						"%v page %d", tk, p)
				}
			})
			st := h.e.Stats()
			require.Zero(t, st.SummaryBytes)
			require.EqualValues(t, h.e.step.seqs[0].newest().local*opt.Page*sh.kRow(), st.ScanBytes)
		}
	}
}

// At the same budget the oracle keeps the most.
func TestOracleKeepsMost(t *testing.T) {
	kept := func(text string) float64 {
		o, err := options.Parse("budget=64,min_ctx=0,local=32,window=1,audit=1," + text)
		require.NoError(t, err)
		st := decodeChecked(t, o, plainShape, 600, 12)
		share := st.Figures().MassKept
		require.NotZero(t, st.AuditedHeads)
		t.Logf("%-25s %.3f", text, share)
		return share
	}
	std := kept("select=pages")
	require.Greater(t, kept("select=oracle"), std)
	require.Greater(t, std, kept("select=streaming"))
}
