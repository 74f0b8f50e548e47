package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/bridge"
)

// speedLine is what is checked of a line of results.
type speedLine struct {
	Test, Policy, Type, Options, Plan, Error string
	Seqs, Depth, Steps                       int
	TokS                                     float64  `json:"tok_s"`
	Ratio                                    *float64 `json:"ratio"`
	KVShare                                  *float64 `json:"kv_share"`
	Sparse, Extra                            *float64
	AttendMS                                 *float64 `json:"attend_ms"`
	DenseMS                                  *float64 `json:"dense_ms"`
	Patched                                  bool     `json:"stock_is_patched"`
}

// built compiles a program of this folder.
func built(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	text, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput()
	require.NoError(t, err, string(text))
	return program
}

// The measurement of decoding runs through in small, with a stock build: every policy is there, those that are to be
// sparse are, and all are compared with stock. Depths beyond the text are made of copies.
func TestSpeed(t *testing.T) {
	setting(t, "RETRO_PATCHED_DIR")
	setting(t, "RETRO_STOCK_DIR")
	setting(t, "RETRO_MODEL")
	dir := t.TempDir()
	lines := speed(t, dir, "--seqs", "1,2", "--types", "q8_0", "--policies", "dense,quest,w1,paper,w8,plan", "--policies", "mine=budget=128,window=4")
	require.False(t, lines[0].Patched)
	seen := map[string]int{}
	for _, l := range lines {
		if l.Test != "decode" {
			seen[l.Test]++
			continue
		}
		seen[l.Policy]++
		require.Empty(t, l.Error, l.Policy)
		require.NotNil(t, l.Ratio, l.Policy)
		require.Greater(t, l.TokS, 0.0)
		require.GreaterOrEqual(t, l.Steps, 4)
		require.NotNil(t, l.DenseMS, l.Policy)
		if l.Policy == "stock" {
			require.EqualValues(t, 1, *l.Ratio)
			continue
		}
		require.NotNil(t, l.AttendMS)
		require.Greater(t, *l.AttendMS, 0.0)
		switch {
		case l.Depth == 0 || l.Policy == "dense":
			require.Zero(t, *l.Sparse, l.Policy)
			continue
		case l.Policy == "plan": // which may choose to read everything
			require.Contains(t, l.Plan, "plan: budget ")
			continue
		}
		require.EqualValues(t, 1, *l.Sparse, l.Policy)
		require.Less(t, *l.KVShare, 0.6, l.Policy)
		require.Greater(t, *l.Extra, 0.0, l.Policy)
	}
	for _, policy := range []string{"stock", "dense", "quest", "w1", "paper", "w8", "plan", "mine"} {
		require.Equal(t, 2*2, seen[policy], policy)
	}
	require.Equal(t, 1, seen["setup"])
	require.Equal(t, 1, seen["prefill"])
	require.Equal(t, 10, seen["goal"])
	drawn, err := os.ReadFile(filepath.Join(dir, "speed.svg"))
	require.NoError(t, err)
	require.Contains(t, string(drawn), "<svg")
	kept, err := os.ReadDir(filepath.Join(dir, "cache"))
	require.NoError(t, err)
	require.Len(t, kept, 1, "the filled cache, and nothing else")
}

// speed runs the program and returns its JSON lines.
func speed(t *testing.T, dir string, args ...string) (lines []speedLine) {
	t.Helper()
	args = append([]string{"--quick", "--runs", "1", "--threads", "1", "--cache", filepath.Join(dir, "cache"),
		"--json", filepath.Join(dir, "speed.jsonl"), "--plot", filepath.Join(dir, "speed.svg")}, args...)
	text, err := exec.Command(built(t, "speed"), args...).CombinedOutput()
	t.Log(string(text))
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(dir, "speed.jsonl"))
	require.NoError(t, err)
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		var l speedLine
		require.NoError(t, json.Unmarshal(s.Bytes(), &l), s.Text())
		lines = append(lines, l)
	}
	return lines
}

// A model of random weights loads, takes any text, and says something finite, with every type of weights.
func TestSynthetic(t *testing.T) {
	lib, err := bridge.Load(bridge.Paths{Dir: setting(t, "RETRO_PATCHED_DIR"), Retro: setting(t, "RETRO_LIB")})
	require.NoError(t, err)
	program := built(t, "synth")
	for _, kind := range []string{"f16", "q8_0", "q4_0"} {
		path := filepath.Join(t.TempDir(), kind+".gguf")
		text, err := exec.Command(program, "--shape", "tiny", "--type", kind, "--out", path).CombinedOutput()
		require.NoError(t, err, string(text))
		m, err := lib.LoadModel(path, bridge.ModelParams{})
		require.NoError(t, err)
		require.Equal(t, 1<<20, m.TrainedCtx())
		tokens, err := m.Tokenize("Häuser, 3!", true, false)
		require.NoError(t, err)
		require.Len(t, tokens, 1+len("Häuser, 3!"))
		require.Equal(t, m.BOS(), tokens[0])
		c := newContext(t, m, bridge.ContextParams{Ctx: 256, Threads: 2, FlashAttn: bridge.FlashOn})
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
