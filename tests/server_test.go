package tests

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// metrics are the values that /metrics tells now.
func metrics(t *testing.T, url string) map[string]float64 {
	t.Helper()
	r, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusOK, r.StatusCode)
	values := map[string]float64{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || name == "#" {
			continue
		}
		values[strings.TrimPrefix(name, "llamacpp:")], err = strconv.ParseFloat(value, 64)
		require.NoError(t, err, lines.Text())
	}
	return values
}

// A response tells what its request did, and /metrics what all did up to now.
func TestServerFigures(t *testing.T) {
	url := serve(t, 1, "--metrics")
	var sum serverFigures
	var read float64
	for range 2 {
		c, err := complete(url, longPrompt(t), 0)
		require.NoError(t, err)
		f := c.Timings.RetroAttn
		require.Equal(t, 23, f.Tokens, "the first of 24 tokens comes with the prompt")
		require.Equal(t, 23, f.SparseTokens)
		require.NotZero(t, f.Corrections)
		require.Less(t, f.KVReadShare, 0.5)
		require.Greater(t, f.KVReadShare, 0.05)
		require.Greater(t, f.Exposure, 1.0)
		require.Greater(t, f.AttentionMS, 0.0)
		require.Greater(t, f.GBPerSecond, 0.0)
		sum.Tokens, sum.SparseTokens, sum.Corrections = sum.Tokens+f.Tokens, sum.SparseTokens+f.SparseTokens, sum.Corrections+f.Corrections
		sum.AttentionMS, read = sum.AttentionMS+f.AttentionMS, read+f.GBPerSecond*f.AttentionMS*1e6
	}
	m := metrics(t, url)
	require.Equal(t, float64(sum.Tokens), m["retro_tokens_total"])
	require.Equal(t, float64(sum.SparseTokens), m["retro_sparse_tokens_total"])
	require.Equal(t, float64(sum.Corrections), m["retro_corrections_total"])
	require.InEpsilon(t, read, m["retro_kv_read_bytes_total"], 1e-6)
	require.InEpsilon(t, sum.AttentionMS/1e3, m["retro_attention_seconds_total"], 1e-6)
	require.InEpsilon(t, m["retro_kv_read_bytes_total"]/m["retro_kv_full_bytes_total"], m["retro_kv_read_share"], 1e-6)
	require.InEpsilon(t, m["retro_pages_seen_total"]/m["retro_pages_selected_total"], m["retro_exposure"], 1e-6)
	require.InEpsilon(t, m["retro_kv_read_bytes_total"]/m["retro_attention_seconds_total"]/1e9, m["retro_attention_gb_seconds"], 1e-6)
	require.Greater(t, m["retro_memory_bytes"], 0.0)
}

// A slot's file that a killed server was about to replace is as good as before.
func TestServerKilledWhileSaving(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "slot")
	server := startServer(t, 1, "--slot-save-path", dir)
	_, err := complete(server.url, longPrompt(t), 0)
	require.NoError(t, err)
	var answer map[string]any
	save := func() error {
		return post(server.url+"/slots/0?action=save", map[string]any{"filename": "slot"}, &answer)
	}
	require.NoError(t, save())
	want, err := os.ReadFile(file)
	require.NoError(t, err)

	go save()
	require.Eventually(t, func() bool {
		part, err := os.Stat(file + ".part")
		return err == nil && part.Size() > 0 && part.Size() < int64(len(want))
	}, 10*time.Second, 50*time.Microsecond, "the server was never seen saving")
	require.NoError(t, server.kill())
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, got)
	part, err := os.Stat(file + ".part")
	require.NoError(t, err, "it was saved before the server was killed: nothing was tested")
	require.Less(t, part.Size(), int64(len(want)))

	server = startServer(t, 1, "--slot-save-path", dir)
	require.NoError(t, post(server.url+"/slots/0?action=restore", map[string]any{"filename": "slot"}, &answer))
	require.EqualValues(t, len(want), answer["n_read"])
}
