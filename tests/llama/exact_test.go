package llama

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/harness"
)

// exactScript has prompts in parts, together, beside steps, with what was there before, and drafts
// of 2 to 64 tokens, some of them taken back across pages. count is how many tokens of it are exact
// where lone ones are not.
func exactScript(r *rand.Rand, text []bridge.Token) (s script, count int) {
	w := newWriter(text)
	w.parts(70, false, 0, 1)
	w.parts(33, true, 1, 2)
	w.prefill(0, 150)
	w.prefill(2, 40)
	w.prefill(1, 1)
	w.decode(3, 0, 1, 2)
	w.mixed(true, 3, 90, 0, 2)
	w.mixed(false, 3, 20, 1)
	for _, n := range []int{2, 3, 8, 17, 64} {
		w.drafts(0, n, r.IntN(n))
		w.drafts(2, n, n-1)
		w.decode(2, 0, 2, 3)
	}
	w.drafts(1, 40, 39)
	w.mixed(true, 2, 9, 1, 3) // drafts beside lone tokens
	w.decode(4, 0, 1, 2, 3)
	lone := 0
	for i, o := range w.script {
		in := map[int]int{}
		for _, t := range o.Batch {
			in[t.Seq]++
		}
		for _, n := range in {
			if n == 1 && i != 4 { // the one that ends the prompt of sequence 1
				lone++
			} else {
				count += n
			}
		}
	}
	return w.script, count
}

// The library computes prompts and drafts exactly, whatever they come with and however they are
// cut, and its logits are stock's. What follows them is sparse.
func TestExactIsStock(t *testing.T) {
	harness.Slow(t)
	for _, a := range caches {
		m, _, text := random(t, a)
		for _, unified := range []bool{true, false} {
			for _, ubatch := range []int{5, 64, 512} {
				t.Run(fmt.Sprintf("%s/unified %v/ubatch %d", a.Name, unified, ubatch),
					func(t *testing.T) {
						s, count := exactScript(rand.New(rand.NewPCG(5, 6)), text)
						p := contextParams(4, unified)
						p.Ctx, p.UBatch, p.Threads, p.SmallSWA = 768*4, ubatch, 2, true
						if a.SWA {
							p.SmallSWA = false // drafts are taken back
						}
						off, err := s.play(newContext(t, m, p))
						require.NoError(t, err)
						for _, window := range []int{1, 4} {
							got, st := playRetro(t, m, p,
								fmt.Sprintf("budget=all,min_ctx=0,always=1,window=%d", window), s)
							require.EqualValues(t, count, st.ExactTokens)
							e, worst := nmse(t, off, got)
							t.Logf("window %d: NMSE %.2g, worst token %.2g", window, e, worst)
							require.Less(t, e, 1e-4)
							require.Less(t, worst, 1e-3)
						}
						_, st := playRetro(t, m, p, "budget=16,local=16,min_ctx=0,window=4", s)
						require.EqualValues(t, count, st.ExactTokens)
						require.Greater(t, st.SparseTokens, st.Tokens*9/10)
					})
			}
		}
	}
}

// The same with weights that people use.
func TestExactIsStockF16(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT_F16")
	w := newWriter(prose(t, m, 2000))
	w.prefill(0, 600)
	w.drafts(0, 8, 5)
	w.prefill(1, 100)
	w.mixed(true, 2, 64, 0, 1)
	w.drafts(0, 33, 20)
	for _, c := range []string{"f16", "q8_0"} {
		p := contextParams(3, true)
		p.TypeK, p.TypeV = c, c
		off, err := w.script.play(newContext(t, m, p))
		require.NoError(t, err)
		got, st := playRetro(t, m, p, "budget=all,min_ctx=0,window=1", w.script)
		require.EqualValues(t, 600+8+100+64+33, st.ExactTokens)
		e, worst := nmse(t, off, got)
		t.Logf("%s: NMSE %.2g, worst token %.2g", c, e, worst)
		require.Less(t, e, map[string]float64{"f16": 1e-4, "q8_0": 5e-3}[c])
	}
}

// A prompt that is aborted leaves the sequence as it was, and is exact when it comes again.
func TestExactAborted(t *testing.T) {
	for _, a := range caches {
		m, _, text := random(t, a)
		p := contextParams(1, true)
		p.UBatch, p.Threads = 32, 1
		w := newWriter(text)
		w.prefill(0, 100)
		w.decode(5, 0)
		w.drafts(0, 12, 4)
		w.prefill(0, 150)
		w.decode(3, 0)
		want, _ := playRetro(t, m, p, "budget=16,local=16,min_ctx=0,window=1", w.script)

		ctx := newContext(t, m, p)
		require.NoError(t, ctx.EnableRetro("budget=16,local=16,min_ctx=0,window=1"))
		var got [][]float32
		for _, o := range w.script {
			if len(o.Batch) > 1 {
				calls := 0
				require.NoError(t, ctx.SetAbort(func() bool { calls++; return calls > 3 }))
				b := bridge.NewBatch(len(o.Batch))
				for _, x := range o.Batch {
					b.Add(x.Token, x.Pos, x.Seq, x.Logits)
				}
				require.Error(t, ctx.Decode(b))
				require.NoError(t, ctx.SetAbort(nil))
				require.NoError(t, ctx.SeqRemove(0, o.Batch[0].Pos, -1)) // what was done of it
			}
			rows, err := script{o}.play(ctx)
			require.NoError(t, err)
			got = append(got, rows...)
		}
		require.True(t, same(want, got), a.Name)
	}
}

// Drafts that are refused and taken back leave nothing behind, also where they completed pages:
// what follows is as sparse as without them, and has the same logits.
func TestDraftsTakenBack(t *testing.T) {
	for _, a := range caches {
		m, _, text := random(t, a)
		for _, unified := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/unified %v", a.Name, unified), func(t *testing.T) {
				// the sliding window has a cache as large as the other: drafts are taken back
				p := contextParams(2, unified)
				after := func(refused int) (rows [][]float32, st stats.Stats) {
					w := newWriter(text)
					w.prefill(0, 150)
					w.prefill(1, 120)
					w.decode(3, 0, 1)
					ctx := onContext(t, m, p, "budget=32,local=16,min_ctx=0,window=4,period=1")
					play(t, ctx, w.script)
					for i, kept := range []int{2, 12, 16, 17, 33} {
						w.script = nil
						w.drafts(i%2, kept+refused, refused)
						wrong := w.script[0].Batch[kept:] // other tokens than those that come
						for k := range wrong {
							wrong[k].Token = text[100+17*k]
						}
						play(t, ctx, w.script)
						w.script = nil
						w.decode(4, 0, 1)
						rows = append(rows, play(t, ctx, w.script)...)
					}
					return rows, counted(t, ctx)
				}
				want, alone := after(0)
				got, st := after(40)
				require.Equal(t, alone.SparseTokens, st.SparseTokens)
				require.NotZero(t, st.SparseTokens)
				// batches of other sizes are rounded otherwise
				require.InEpsilon(t, alone.SelectedTokens, st.SelectedTokens, 0.01)
				require.Equal(t, alone.ExactTokens+5*40, st.ExactTokens)
				e, worst := nmse(t, want, got)
				t.Logf("NMSE %.2g, worst token %.2g; %d tokens sparse", e, worst, st.SparseTokens)
				require.Less(t, worst, 1e-4)
			})
		}
	}
}
