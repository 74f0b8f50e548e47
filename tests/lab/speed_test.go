package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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

// The measurement of decoding runs through in small, with a stock build: every policy is there,
// those that are to be sparse are, and all are compared with stock. Depths beyond the text are made
// of copies.
func TestSpeed(t *testing.T) {
	dir := t.TempDir()
	lines := decode(t, dir, "--seqs", "1,2", "--types", "q8_0", "--policies",
		"dense,quest,w1,paper,w8,plan", "--policies", "mine=budget=128,window=4")
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
	for _, policy := range []string{"stock", "dense", "quest", "w1", "paper", "w8", "plan",
		"mine"} {
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

// decode runs the program and returns its JSON lines.
func decode(t *testing.T, dir string, args ...string) (lines []speedLine) {
	t.Helper()
	args = append([]string{"decode", "--quick", "--runs", "1", "--threads", "1", "--model",
		os.Getenv("RETRO_SHORT"), "--cache", filepath.Join(dir, "cache"),
		"--json", filepath.Join(dir, "speed.jsonl"), "--plot", filepath.Join(dir, "speed.svg")},
		args...)
	text, err := exec.Command(program(t, "RETRO_PATCHED_DIR", "RETRO_STOCK_DIR", "RETRO_SHORT"),
		args...).CombinedOutput()
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
