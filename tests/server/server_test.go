package server

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// A response tells what its request did, and /metrics what all did up to now.
func TestServerFigures(t *testing.T) {
	url := harness.Serve(t, 1, "-m", harness.Setting(t, "RETRO_SHORT"), "--metrics")
	var sum harness.ServerFigures
	var read float64
	tried := metrics(t, url)["retro_exact_tokens_total"] // when it started
	for range 2 {
		c, err := harness.Complete(url, harness.LongPrompt(t), 0)
		require.NoError(t, err)
		f := c.Timings.ServerFigures
		require.Equal(t, 23, f.Tokens, "the first of 24 tokens comes with the prompt")
		require.Equal(t, 23, f.Sparse)
		require.NotZero(t, f.Exact, "the prompt")
		require.NotZero(t, f.Corrections)
		require.Less(t, f.KVReadShare, 0.5)
		require.Greater(t, f.KVReadShare, 0.05)
		require.Greater(t, f.Exposure, 1.0)
		require.Greater(t, f.AttentionMS, 0.0)
		require.Greater(t, f.GBPerSecond, 0.0)
		sum.Tokens, sum.Sparse, sum.Corrections = sum.Tokens+f.Tokens, sum.Sparse+f.Sparse,
			sum.Corrections+f.Corrections
		sum.Exact += f.Exact
		sum.AttentionMS, read = sum.AttentionMS+f.AttentionMS, read+f.GBPerSecond*f.AttentionMS*1e6
	}
	m := metrics(t, url)
	require.Equal(t, float64(sum.Tokens), m["retro_tokens_total"])
	require.Equal(t, float64(sum.Sparse), m["retro_sparse_tokens_total"])
	require.Equal(t, float64(sum.Corrections), m["retro_corrected_tokens_total"])
	require.Equal(t, tried+float64(sum.Exact), m["retro_exact_tokens_total"])
	all := m["retro_kv_read_bytes_total"] + m["retro_scan_bytes_total"]
	require.InEpsilon(t, read, all, 1e-6)
	require.InEpsilon(t, sum.AttentionMS/1e3, m["retro_attention_seconds_total"], 1e-6)
	require.InEpsilon(t, all/m["retro_kv_full_bytes_total"], m["retro_kv_read_ratio"], 1e-6)
	require.InEpsilon(t, m["retro_retired_seen_total"]/m["retro_retired_selected_total"],
		m["retro_exposure_ratio"], 1e-6)
	require.Greater(t, m["retro_memory_bytes"], 0.0)
}

// A slot's file that a killed server was about to replace is as good as before.
func TestServerKilledWhileSaving(t *testing.T) {
	harness.Slow(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "slot")
	s := harness.StartServer(t, 1, "--slot-save-path", dir)
	_, err := harness.Complete(s.URL, harness.LongPrompt(t), 0)
	require.NoError(t, err)
	_, err = harness.SlotFile(s.URL, 0, "save", "slot")
	require.NoError(t, err)
	want, err := os.ReadFile(file)
	require.NoError(t, err)

	// Writing takes some ms only: a server that was faster than its end is followed by another.
	// Until the new file has its name, all that is written of it is in another, see patches/0004.
	halfway := func() bool {
		parts, _ := filepath.Glob(filepath.Join(dir, "*..part"))
		if len(parts) == 0 {
			return false
		}
		part, err := os.Stat(parts[0])
		return err == nil && part.Size() > 0
	}
	caught := false
	for try := 0; try < 20 && !caught; try++ {
		saved := make(chan struct{})
		go func(url string) {
			harness.SlotFile(url, 0, "save", "slot")
			close(saved)
		}(s.URL)
		for over := false; !over && !halfway(); {
			select {
			case <-saved:
				over = true
			default:
			}
		}
		require.NoError(t, s.Kill())
		caught = halfway()
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))

		s = harness.StartServer(t, 1, "--slot-save-path", dir)
		answer, err := harness.SlotFile(s.URL, 0, "restore", "slot")
		require.NoError(t, err)
		require.EqualValues(t, len(want), answer["n_read"])
	}
	require.True(t, caught, "every server had saved before it was killed: nothing was tested")
}
