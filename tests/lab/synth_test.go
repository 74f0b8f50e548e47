package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
)

// A model of random weights loads, takes any text, and says something finite, with every type of
// weights.
func TestSynthetic(t *testing.T) {
	program := program(t, "RETRO_PATCHED_DIR", "RETRO_LIB")
	lib, err := bridge.Load(bridge.Paths{Dir: os.Getenv("RETRO_PATCHED_DIR"),
		Retro: os.Getenv("RETRO_LIB")})
	require.NoError(t, err)
	for _, kind := range []string{"f16", "q8_0", "q4_0"} {
		path := filepath.Join(t.TempDir(), kind+".gguf")
		text, err := exec.Command(program, "synth", "--shape", "tiny", "--type", kind, "--out",
			path).CombinedOutput()
		require.NoError(t, err, string(text))
		m, err := lib.LoadModel(path, bridge.ModelParams{})
		require.NoError(t, err)
		require.Equal(t, 1<<20, m.TrainedCtx())
		tokens, err := m.Tokenize("Häuser, 3!", true, false)
		require.NoError(t, err)
		require.Len(t, tokens, 1+len("Häuser, 3!"))
		require.Equal(t, m.BOS(), tokens[0])
		c, err := m.NewContext(bridge.ContextParams{Ctx: 256, Threads: 2,
			FlashAttn: bridge.FlashOn})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		b := bridge.NewBatch(len(tokens))
		for i, token := range tokens {
			b.Add(token, i, 0, true)
		}
		require.NoError(t, c.Decode(b))
		logits, err := c.Logits(-1)
		require.NoError(t, err)
		power := 0.0
		for _, x := range logits {
			power += float64(x) * float64(x)
		}
		deviation := math.Sqrt(power / float64(len(logits)))
		t.Logf("%s: logits have a deviation of %.2f", kind, deviation)
		require.InDelta(t, 1, deviation, 0.5)
	}
}
