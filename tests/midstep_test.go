package tests

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where the library fails in the middle of a graph that embeds a whole window again, the window is decoded anew by stock
// attention: from then on the logits are those of a context that never had the feature, in every layer's K and V.
func TestFailureInsideStep(t *testing.T) {
	faulty := filepath.Join(t.TempDir(), "libretroattn.so.1")
	run(t, compiler(t), "-shared", "-fPIC", "-I../capi", "-o", faulty, "testdata/faulty.c", "-ldl")
	for _, a := range []architecture{{name: "llama"}, {name: "gemma3", gemma: true, qkNorm: true, swa: true}} {
		_, text := random(t, a)
		for _, unified := range []bool{true, false} {
			for _, window := range []int{8, 16} {
				w := newWriter(text)
				for s := range 3 {
					w.prefill(s, 200+60*s)
				}
				w.decode(window+6, 0, 1, 2)
				j := job{Dir: setting(t, "RETRO_PATCHED_DIR"), Model: smallModel(t, a), Seqs: 3, Unified: unified, Script: w.script}
				stock := j.start(t)
				for _, where := range []string{"select", "attend", "step_begin", "step_end"} {
					for _, layer := range []int{0, a.fullLayers() - 1} {
						t.Run(fmt.Sprintf("%s/unified %v/window %d/%s %d", a.name, unified, window, where, layer), func(t *testing.T) {
							got, log := j.startAndListen(t, "LLAMA_RETRO_LIB="+faulty, "FAULTY_LIB="+library(t), "FAULTY_AT="+where,
								fmt.Sprintf("LLAMA_RETRO_ATTN=budget=16,local=16,min_ctx=0,window=%d,period=%d", window, window),
								fmt.Sprintf("FAULTY_STEP=%d", window-1), fmt.Sprintf("FAULTY_LAYER=%d", layer))
							require.Contains(t, log, where+" failed\n")
							before := 3 + 3*(window-1) // rows
							require.False(t, same(stock[3:before], got[3:before]), "nothing was sparse before")
							require.True(t, same(stock[before:], got[before:]))
						})
					}
				}
			}
		}
	}
}
