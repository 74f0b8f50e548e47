package llama

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Where the library fails in the middle of a graph that embeds a whole window again, the window is
// decoded anew by stock attention: from then on the logits are those of a context that never had
// the feature, in every layer's K and V.
func TestFailureInsideStep(t *testing.T) {
	harness.Slow(t)
	const prompts = 3 // each of them a step
	lib := harness.Faulty(t)
	for _, a := range caches {
		_, path, text := random(t, a)
		for _, unified := range []bool{true, false} {
			for _, window := range []int{8, 16} {
				w := newWriter(text)
				for s := range 3 {
					w.prefill(s, 200+60*s)
				}
				w.decode(window+6, 0, 1, 2)
				j := job{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"), Model: path, Seqs: 3,
					Unified: unified, Script: w.script}
				stock := j.start(t)
				for _, where := range []string{"select", "attend", "step_begin", "step_end"} {
					for _, layer := range []int{0, a.FullLayers() - 1} {
						inLayer := where == "select" || where == "attend"
						if !inLayer && layer > 0 {
							continue
						}
						t.Run(fmt.Sprintf("%s/unified %v/window %d/%s %d", a.Name, unified, window,
							where, layer), func(t *testing.T) {
							// of one for each step, the one whose window is full
							call := prompts + window
							if inLayer {
								call = ((prompts+window-1)*a.FullLayers()+layer)*contextParams(1,
									false).Threads + 1
							}
							mark := filepath.Join(t.TempDir(), "mark")
							got := j.start(t, "LLAMA_RETRO_LIB="+lib, "FAULT_IN=retro_"+where,
								fmt.Sprintf("FAULT_AT=%d", call), "FAULT_MARK="+mark,
								fmt.Sprintf("LLAMA_RETRO_ATTN=budget=16,local=16,min_ctx=0,window=%d,period=%d", window, window))
							require.FileExists(t, mark, "no call failed")
							before := 3 + 3*(window-1) // rows
							require.Greater(t, worstRow(stock[3:before], got[3:before]), 1e-3,
								"nothing was sparse before")
							// the prompts are rounded otherwise
							require.Less(t, worstRow(stock[before:], got[before:]), 1e-4)
						})
					}
				}
			}
		}
	}
}
