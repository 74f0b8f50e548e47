package llama

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// randomScript has sequences begin, end, part and shrink while others decode, so that each is at
// another place in its period of corrections.
func randomScript(r *rand.Rand, text []bridge.Token, seqs, ops int) script {
	w := newWriter(text)
	held := func(not int) (all []int) {
		for s := range seqs {
			if s != not && w.at[s] > 0 {
				all = append(all, s)
			}
		}
		return all
	}
	for range ops {
		s := r.IntN(seqs)
		switch op := r.IntN(10); {
		case w.at[s] == 0 && len(held(s)) > 0 && op < 5:
			w.mixed(op < 2, s, 10+r.IntN(30), held(s)...)
		case w.at[s] == 0:
			w.prefill(s, 10+r.IntN(60))
		case op == 0 && w.at[s] > 10:
			w.remove(s, 1+r.IntN(6))
		case op == 1 && w.at[s] > 20:
			w.shift(s, 4, 1+r.IntN(6))
		case op == 2:
			to := (s + 1) % seqs
			w.remove(to, w.at[to])
			w.copy(s, to)
		case op == 3:
			n := 2 + r.IntN(7)
			w.drafts(s, n, r.IntN(n))
		default:
			some := slices.DeleteFunc(held(-1),
				func(x int) bool { return x != s && r.IntN(3) == 0 })
			w.decode(1+r.IntN(4), some...)
		}
	}
	return w.script
}

// Whatever call of the library fails, and when, the host's answers are stock's: with everything in
// the budget they are so before, too. The tokens of several layers, streams and sequences are in
// the middle of their windows then.
func TestEveryCallFails(t *testing.T) {
	harness.Slow(t)
	dir, lib := harness.Setting(t, "RETRO_PATCHED_DIR"), harness.Faulty(t)
	for _, a := range caches {
		path := harness.SmallModel(t, a)
		for _, unified := range []bool{true, false} {
			if a.Latent && unified || a.SWA && !unified {
				continue // both kinds are tested, and both with the plain cache
			}
			t.Run(fmt.Sprintf("%s/unified %v", a.Name, unified), func(t *testing.T) {
				r := rand.New(rand.NewPCG(3, 4))
				text := make([]bridge.Token, 600)
				for i := range text {
					text[i] = bridge.Token(r.IntN(harness.SmallVocab))
				}
				j := job{Dir: dir, Model: path, Seqs: 3, Unified: unified,
					Script: randomScript(r, text, 3, 20)}
				stock := j.start(t)
				j.Retro, j.Faults = lib, "budget=100000,min_ctx=0,always=1,window=4,period=3"
				out, msg := j.process(t, "OMP_WAIT_POLICY=passive")
				failed, wrong := map[string]int{}, map[string][]string{}
				for n, m := range faultLine.FindAllStringSubmatch(msg, -1) {
					failed[m[1]]++
					if off := worstRow(stock,
						readRows(t, out, len(stock), harness.SmallVocab)); !(off < 1e-4) {
						wrong[m[1]] = append(wrong[m[1]],
							fmt.Sprintf("call %d: NMSE %.2g", n+1, off))
					}
				}
				require.Empty(t, wrong)
				require.Zero(t, out.Len())
				t.Log(failed)
				for _, name := range []string{"seq_next", "seq_extend", "seq_truncate", "seq_copy",
					"seq_window", "step_begin", "select", "attend", "step_end"} {
					require.NotZero(t, failed["retro_"+name], name)
				}
			})
		}
	}
}
