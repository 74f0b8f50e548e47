package llama

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
)

// Sequences that started at different times, and so embed their windows again at different steps,
// are decoded in one pass through the model per step, in any order and with gaps between them; and
// each as it would be alone.
func TestOnePassPerStep(t *testing.T) {
	for _, a := range caches {
		m, _, text := random(t, a)
		for _, unified := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/unified %v", a.Name, unified), func(t *testing.T) {
				testOnePass(t, m, text, unified)
			})
		}
	}
}

func testOnePass(t *testing.T, m *bridge.Model, text []bridge.Token, unified bool) {
	const n, steps = 8, 30
	p := contextParams(n+1, unified)
	p.Threads, p.SmallSWA = 1, true
	w := newWriter(text)
	var seqs []int
	rows := map[int][]int{} // of each sequence in the output
	for i := range n {
		s := (5 * i) % (n + 1)
		w.prefill(s, 120+10*s)
		rows[s] = append(rows[s], w.script.rows()-1)
		seqs = append(seqs, s)
		for range 1 + i%3 {
			for k, s := range seqs {
				rows[s] = append(rows[s], w.script.rows()+k)
			}
			w.decode(1, seqs...)
		}
	}
	for range steps {
		for k, s := range seqs {
			rows[s] = append(rows[s], w.script.rows()+k)
		}
		w.decode(1, seqs...)
	}

	const options = "budget=16,local=16,min_ctx=0,window=4,period=4"
	ctx := newContext(t, m, p)
	require.NoError(t, ctx.EnableRetro(options))
	all, err := w.script.play(ctx)
	require.NoError(t, err)
	done, passes, err := ctx.RetroPasses()
	require.NoError(t, err)
	require.EqualValues(t, len(w.script)-n, done)
	require.Equal(t, done, passes)

	for _, s := range seqs[:3] {
		alone := newWriter(text)
		alone.prefill(s, 120+10*s)
		alone.decode(len(rows[s])-1, s)
		want, _ := playRetro(t, m, p, options, alone.script)
		var got [][]float32
		for _, r := range rows[s] {
			got = append(got, all[r])
		}
		// Alone, rows are rounded otherwise, so that a token may be chosen in one run and not in the
		// other, which this row and those behind it show. The median row is not of these.
		var each []float64
		for i := range got {
			each = append(each, kl(want[i:i+1], got[i:i+1]))
		}
		slices.Sort(each)
		e := each[len(each)/2]
		t.Logf("sequence %d: KL of the median row %.2g, of the worst %.2g", s, e, each[len(each)-1])
		require.Less(t, e, 1e-4)
	}
	require.False(t, slices.IsSorted(seqs))
}
