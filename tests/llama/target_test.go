package llama

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// On other targets, too, the patched build computes the bits of the stock one with the feature off,
// and decodes sparsely with it on. The binding is the host, and what it opens lies in a folder that
// no code page can name. Of the default model, whose cache stock llama.cpp rounds more, a few
// tokens are enough, as an emulated processor takes its time.
func TestTargetHost(t *testing.T) {
	x := harness.TargetPrograms(t)
	exe := x.Program(t.TempDir(), "tests")
	x.Go(t, "0", "test", "-c", "-o", exe, ".")
	odd := filepath.Join(harness.OddFolder(t), "bin")
	require.NoError(t, os.Symlink(x.Patched, odd))

	for _, m := range []struct {
		name, path string
		prompt     int
		most       float64 // of the error where everything is read
	}{
		{"generated", harness.SmallModel(t, architectures[0]), 240, 1e-4},
		{"default", harness.Setting(t, "RETRO_MODEL"), 40, 5e-3},
	} {
		t.Run(m.name, func(t *testing.T) {
			text := make([]bridge.Token, 300)
			for i := range text {
				text[i] = bridge.Token((100 + i*i%7919) % harness.SmallVocab)
			}
			w := newWriter(text)
			w.prefill(0, m.prompt)
			w.decode(8, 0)
			j := job{Model: x.Path(m.path), Seqs: 1, Script: w.script,
				command: func() *exec.Cmd { return x.Command(exe) }}
			play := func(dir string, env ...string) [][]float32 {
				j.Dir = x.Path(dir)
				return j.start(t, env...)
			}
			want := play(x.Stock)
			require.True(t, same(want, play(odd)), "off")
			const on = "LLAMA_RETRO_ATTN=min_ctx=0,local=16,window=2,period=1,budget="
			require.False(t, same(want, play(odd, on+"16")), "the feature did nothing")
			require.True(t, same(want, play(odd, on+"16",
				"LLAMA_RETRO_LIB="+x.Path("/nowhere/"+x.LibraryName()))), "missing library")
			e, worst := nmse(t, want, play(odd, on+"100000"))
			t.Logf("everything is read: NMSE %.1e, worst %.1e", e, worst)
			require.Less(t, e, m.most)
			require.NotZero(t, e, "the library did nothing")
		})
	}
}
