package llama

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/harness"
)

// Tokens that are alone in their sequence decode sparsely although prompts of other sequences are
// in the same batches, and in the same pass through the model; and as they do in batches of their
// own, but for the rounding of products of many rows, which stock llama.cpp shows as well.
func TestMixedBatchesAreSparse(t *testing.T) {
	harness.Slow(t)
	for i := range 3 {
		env, unified := []string{"RETRO_SHORT_F16", "RETRO_MODEL_SWA", "RETRO_MODEL_SWA"}[i], i == 1
		t.Run(fmt.Sprintf("%s/unified %v", env, unified), func(t *testing.T) {
			m := model(t, env)
			text := prose(t, m, 2000)
			p := contextParams(4, unified)
			p.SmallSWA = true
			play := func(mixed bool, options string) ([][]float32, stats.Stats) {
				w := newWriter(text)
				w.prefill(0, 500)
				w.prefill(2, 400)
				w.decode(3, 0, 2)
				for i := range 6 {
					// The prompt of sequence 1 comes in parts, and each part ends where a step may.
					if mixed {
						w.mixed(i%2 == 0, 1, 60, 0, 2)
						continue
					}
					w.decode(1, 0, 2)
					w.prefill(1, 60)
				}
				w.decode(5, 0, 1, 2)
				ctx := newContext(t, m, p)
				if options != "" {
					require.NoError(t, ctx.EnableRetro(settled(options)))
				}
				rows, err := w.script.play(ctx)
				require.NoError(t, err)
				for i := range 6 { // rows of a batch come in its order
					if k := 8 + 3*i; mixed && i%2 == 0 {
						rows[k], rows[k+1], rows[k+2] = rows[k+1], rows[k+2], rows[k]
					}
				}
				if options == "" {
					return rows, stats.Stats{}
				}
				done, passes, err := ctx.RetroPasses()
				require.NoError(t, err)
				require.Equal(t, done, passes)
				st, err := ctx.RetroStats()
				require.NoError(t, err)
				return rows, st
			}
			const options = "budget=128,min_ctx=0,window=4"
			rows, st := play(true, options)
			require.EqualValues(t, 2*(3+6)+3*5, st.Tokens)
			require.Equal(t, st.Tokens, st.SparseTokens)
			require.Greater(t, st.CorrectedTokens, st.Tokens)
			want, alone := play(false, options)
			require.Equal(t, alone.RewrittenTokens, st.RewrittenTokens)
			// products of many rows are rounded otherwise
			require.InEpsilon(t, alone.SelectedTokens, st.SelectedTokens, 0.01)
			require.EqualValues(t, 500+400+6*60, st.ExactTokens)
			stock, _ := play(true, "")
			control, _ := play(false, "")
			d, c := kl(want, rows), kl(control, stock)
			t.Logf("KL %.2g, of stock %.2g", d, c)
			require.Less(t, d, 1e-6+5*c)
		})
	}
}

// As many sequences as the server has slots at most, in one batch: more rows than a micro-batch
// holds, in both kinds of cache, and with a window's cache of its own.
func TestManySequences(t *testing.T) {
	harness.Slow(t)
	const n, steps = 64, 20
	// the third would take long, and its cells are found as the first's
	for _, a := range caches[:2] {
		m, _, text := random(t, a)
		var seqs []int
		w := newWriter(text)
		for s := range n {
			seqs = append(seqs, s)
			w.prefill(s, 100+s)
		}
		w.decode(steps, seqs...)
		for _, unified := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/unified %v", a.Name, unified), func(t *testing.T) {
				p := contextParams(n, unified)
				p.Ctx, p.SmallSWA = 256*n, true
				off, err := w.script.play(newContext(t, m, p))
				require.NoError(t, err)
				for _, window := range []int{1, 16} {
					exact, st := playRetro(t, m, p,
						fmt.Sprintf("budget=100000,min_ctx=0,always=1,window=%d", window), w.script)
					e, worst := nmse(t, off, exact)
					t.Logf("window %d: NMSE %.2g, worst token %.2g", window, e, worst)
					require.Less(t, e, 1e-4)
					require.EqualValues(t, n*steps, st.Tokens)
					rewritten := 0
					for i := range steps {
						rewritten += n * min(i, window-1)
					}
					// the sliding window's cache lacks the room for all
					if a.SWA && unified && window > 1 {
						require.NotZero(t, st.RewrittenTokens)
						rewritten = int(st.RewrittenTokens)
					}
					require.EqualValues(t, rewritten, st.RewrittenTokens)
				}
				_, st := playRetro(t, m, p, "budget=16,local=16,min_ctx=0,window=4", w.script)
				require.EqualValues(t, n*steps, st.SparseTokens)
				require.Greater(t, st.CorrectedTokens, uint64(n*steps/2))
			})
		}
	}
}

// A caller may fill the batch that it asked for: the past rows are not the caller's.
func TestFullBatch(t *testing.T) {
	m, _, text := random(t, architectures[0])
	w := newWriter(text)
	w.prefill(0, 120)
	w.prefill(1, 100)
	w.decode(10, 0, 1)
	w.mixed(true, 2, 126, 0, 1)
	w.decode(4, 0, 1, 2)
	for _, unified := range []bool{true, false} {
		p := contextParams(3, unified)
		p.Batch, p.UBatch = 128, 5 // even one window is more than a micro-batch
		off, err := w.script.play(newContext(t, m, p))
		require.NoError(t, err)
		got, st := playRetro(t, m, p, "budget=100000,min_ctx=0,always=1,window=8", w.script)
		require.EqualValues(t, 2*11+3*4, st.Tokens)
		require.Greater(t, st.RewrittenTokens, 3*st.Tokens)
		e, _ := nmse(t, off, got)
		require.Less(t, e, 1e-4)
	}
}
