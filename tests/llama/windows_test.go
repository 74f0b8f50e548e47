package llama

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/bridge"
	"retroattn/tests/harness"
)

// On Windows, too, the patched build computes the bits of the stock one with the feature off, and
// decodes sparsely with it on. The binding is the host, and what it opens lies in a folder that no
// code page can name.
func TestWindows(t *testing.T) {
	harness.Wine(t)
	stock, patched := harness.Setting(t, "RETRO_WINDOWS_STOCK_DIR"),
		harness.Setting(t, "RETRO_WINDOWS_DIR")
	exe := filepath.Join(t.TempDir(), "tests.exe")
	harness.Windows(t, "0", "test", "-c", "-o", exe, ".")
	odd := filepath.Join(harness.OddFolder(t), "bin")
	require.NoError(t, os.Symlink(patched, odd))

	text := make([]bridge.Token, 300)
	for i := range text {
		text[i] = bridge.Token(100 + i*i%7919)
	}
	w := newWriter(text)
	w.prefill(0, 240)
	w.decode(8, 0)
	j := job{Model: harness.WindowsPath(harness.Setting(t, "RETRO_MODEL")), Seqs: 1,
		Script:  w.script,
		command: func() *exec.Cmd { return harness.WineCommand(exe) }}
	play := func(dir string, env ...string) [][]float32 {
		j.Dir = harness.WindowsPath(dir)
		return j.start(t, env...)
	}
	want := play(stock)
	require.True(t, same(want, play(odd)), "off")
	const on = "LLAMA_RETRO_ATTN=budget=64,min_ctx=0,window=2,period=1"
	require.False(t, same(want, play(odd, on)), "the feature did nothing")
	require.True(t, same(want, play(odd, on, `LLAMA_RETRO_LIB=Z:\nowhere\libretroattn.dll`)),
		"missing library")
	e, _ := nmse(t, want, play(odd, "LLAMA_RETRO_ATTN=budget=100000,min_ctx=0,window=2,period=1"))
	require.Less(t, e, 5e-3, "the budget covers the context")
}
