package llama

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/harness"
)

// hybrids have recurrent layers of each kind beside attention: delta nets with positions of several
// dimensions, Mamba in the same layers and in others, short convolutions, and delta nets beside
// latent attention.
var hybrids = []harness.Fixture{{Arch: "qwen35", Kind: "dense"}, {Arch: "falcon-h1", Kind: "dense"},
	{Arch: "nemotron_h", Kind: "dense"}, {Arch: "lfm2moe", Kind: "moe"},
	{Arch: "bailingmoe3", Kind: "moe"}}

// hybridSequences begin, part, end and begin again, but lose nothing from their ends: recurrent
// state cannot go back.
func hybridSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 300)
	w.decode(5, 0)
	w.prefill(1, 200)
	w.decode(6, 0, 1)
	w.mixed(true, 2, 140, 0, 1)
	w.decode(4, 0, 2)
	w.copy(0, 3)
	w.decode(5, 0, 1, 2, 3)
	w.remove(1, w.at[1])
	w.mixed(false, 1, 150, 3, 2)
	w.decode(5, 0, 1, 3)
	return w.script
}

// With everything read the logits of each sequence are stock's, also where recurrent state goes
// back and tokens are embedded again; with little read each token is sparse, in one pass for all
// sequences. Without the feature the bits are stock's.
func TestHybrids(t *testing.T) {
	harness.Slow(t)
	for _, f := range hybrids {
		t.Run(f.Arch, func(t *testing.T) {
			m, path, text := openHybrid(t, f)
			s := hybridSequences(text)
			for _, unified := range []bool{true, false} {
				t.Run(fmt.Sprintf("unified %v", unified), func(t *testing.T) {
					p := contextParams(4, unified)
					p.TypeK, p.TypeV = "f32", "f32"
					stock := job{Dir: harness.Setting(t, "RETRO_STOCK_DIR"), Model: path,
						Params: &p, Script: s}.start(t)
					off, err := s.play(newContext(t, m, p))
					require.NoError(t, err)
					require.True(t, same(stock, off), "off is not stock")

					play := func(options string) ([][]float32, stats.Stats) {
						ctx := onContext(t, m, p, options)
						rows := play(t, ctx, s)
						steps, passes, err := ctx.RetroPasses()
						require.NoError(t, err)
						if strings.HasPrefix(options, "window=1,") {
							require.Equal(t, steps, passes)
						}
						return rows, counted(t, ctx)
					}
					exact, st := play("window=1,budget=100000,min_ctx=0")
					e, worst := nmse(t, stock, exact)
					t.Logf("exact: NMSE %.2g, worst token %.2g", e, worst)
					require.Less(t, e, 1e-4)
					mixed := 4 // steps beside prompts
					require.EqualValues(t, s.decoded()+mixed, st.Tokens)
					require.Zero(t, st.SparseTokens)

					window, st := play("window=4,period=4,budget=100000,min_ctx=0,always=1")
					require.Greater(t, st.RewrittenTokens, st.Tokens/3)
					d, worst := nmse(t, exact, window)
					t.Logf("window in place: NMSE %.2g, worst token %.2g; %d of %d", d, worst,
						st.RewrittenTokens, st.Tokens)
					require.Less(t, d, 1e-4)

					sparse, st := play("window=1,budget=16,local=16,min_ctx=0")
					require.Equal(t, st.Tokens, st.SparseTokens)
					require.Less(t, st.KVReadBytes, st.KVFullBytes/2)
					d, _ = nmse(t, exact, sparse)
					require.Greater(t, d, 10*e)

					corrected, st := play("window=4,period=4,budget=16,local=16,min_ctx=0")
					require.Equal(t, st.Tokens, st.SparseTokens)
					require.NotZero(t, st.CorrectedTokens)
					require.False(t, same(sparse, corrected))
				})
			}
			err := newContext(t, m, contextParams(1, false)).EnableRetro("window=4,period=2")
			require.ErrorContains(t, err, "option period=2: must be window=4 with this model")
		})
	}
}

// Whatever call of the library fails, and when, the answers are stock's: recurrent state, which
// cannot go back, and the keys and values beside it have seen the same tokens.
func TestEveryCallFailsOfHybrids(t *testing.T) {
	harness.Slow(t)
	dir, lib := harness.Setting(t, "RETRO_PATCHED_DIR"), harness.Faulty(t)
	for _, f := range hybrids[:2] {
		_, path, text := openHybrid(t, f)
		for i, options := range []string{"window=1", "window=4,always=1"} {
			unified := i == 0
			if unified && f != hybrids[0] {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", f.Arch, options), func(t *testing.T) {
				w := newWriter(text)
				w.prefill(0, 30)
				w.decode(2, 0)
				w.prefill(1, 40)
				w.decode(6, 0, 1)
				w.copy(0, 2)
				w.mixed(true, 1, 20, 0)
				w.decode(3, 0, 1, 2)
				w.remove(1, w.at[1])
				w.prefill(1, 20)
				w.decode(3, 0, 1, 2)
				j := job{Dir: dir, Model: path, Seqs: 3, Unified: unified, Script: w.script}
				stock := j.start(t)
				all := "budget=100000,min_ctx=0," + options
				// of prompts and tokens, where no call fails
				rounding := worstRow(stock, j.start(t, "LLAMA_RETRO_ATTN="+all))
				require.Less(t, rounding, 1e-3)
				j.Retro, j.Faults = lib, all
				out, msg := j.process(t, "OMP_WAIT_POLICY=passive")
				failed, wrong := map[string]int{}, map[string][]string{}
				for n, m := range faultLine.FindAllStringSubmatch(msg, -1) {
					failed[m[1]]++
					if off := worstRow(stock, readRows(t, out, len(stock), 128)); !(off < 1e-4+
						2*rounding) {
						wrong[m[1]] = append(wrong[m[1]],
							fmt.Sprintf("call %d: NMSE %.2g", n+1, off))
					}
				}
				require.Empty(t, wrong)
				require.Zero(t, out.Len())
				t.Log(failed)
				for _, name := range strings.Fields("seq_next seq_truncate seq_copy seq_window step_begin select attend step_end") {
					require.NotZero(t, failed["retro_"+name], name)
				}
			})
		}
	}
}

// A sequence that was saved goes on with the same bits, in the same context and in another one.
func TestHybridStateContinues(t *testing.T) {
	harness.Slow(t)
	for _, f := range hybrids[:2] {
		m, _, text := openHybrid(t, f)
		for _, unified := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/unified %v", f.Arch, unified), func(t *testing.T) {
				p, options := contextParams(3, unified), "budget=16,local=16,min_ctx=0,window=1"
				w := newWriter(text)
				w.prefill(0, 220)
				w.prefill(1, 250)
				w.decode(9, 0, 1)
				ctx := onContext(t, m, p, options)
				play(t, ctx, w.script)
				states := seqStates(t, ctx)
				before := counted(t, ctx)
				w.script = nil
				w.decode(12, 0, 1)
				want := play(t, ctx, w.script)
				require.Equal(t, before.SparseTokens+24, counted(t, ctx).SparseTokens)

				for _, to := range [][]int{{0, 1}, {1, 2}} {
					other := onContext(t, m, p, options)
					for _, s := range []int{1, 0} {
						require.NoError(t, other.SetSeqStateData(to[s], states[s]))
					}
					require.Equal(t, before.SummaryBytes, counted(t, other).SummaryBytes)
					require.True(t, same(want, play(t, other, w.script.renumber(to...))))
				}
			})
		}
	}
}

// A pass that is aborted at any of its nodes, whatever place in the window it has, is as if it had
// not been begun: recurrent state goes back by the copy that windows have, and what came since is
// decoded again.
func TestHybridAborts(t *testing.T) {
	harness.Slow(t)
	for _, f := range hybrids[:2] {
		m, path, text := openHybrid(t, f)
		t.Run(f.Arch, func(t *testing.T) {
			w := newWriter(text)
			for s := range 2 {
				w.prefill(s, 100+60*s)
			}
			w.decode(26, 0, 1)
			p := contextParams(2, true)
			p.TypeK, p.TypeV = "f32", "f32"
			stock := job{Dir: harness.Setting(t, "RETRO_STOCK_DIR"), Model: path, Params: &p,
				Script: w.script}.start(t)
			for _, window := range []int{4, 8} {
				ctx := onContext(t, m, p, fmt.Sprintf("window=%d,period=%[1]d,always=1,budget=100000,min_ctx=0", window))
				aborts, rows := 0, play(t, ctx, w.script[:2])
				for i, o := range w.script[2:] {
					if i%10 == 7 || i > 20 { // the first is that of a full window
						left := 1 + 37*i%150
						require.NoError(t, ctx.SetAbort(func() bool { left--; return left == 0 }))
						_, err := script{o}.play(ctx)
						require.ErrorIs(t, err, bridge.ErrAborted)
						require.NoError(t, ctx.SetAbort(nil))
						aborts++
					}
					rows = append(rows, play(t, ctx, script{o})...)
				}
				e, worst := nmse(t, stock, rows)
				t.Logf("window %d, %d aborts: NMSE %.2g, worst token %.2g", window, aborts, e,
					worst)
				require.Less(t, worst, 1e-4)
				require.NotZero(t, counted(t, ctx).RewrittenTokens)
			}
		})
	}
}
