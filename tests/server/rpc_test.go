package server

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/tests/harness"
)

// startRPC starts a worker of llama.cpp and returns its address.
func startRPC(t *testing.T) string {
	host, port, address := harness.FreeAddress(t)
	up := func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	harness.Background(t, up, filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"),
		"ggml-rpc-server"), "-H", host, "-p", port, "-t", "1")
	return address
}

// The layers lie on two remote workers, the KV cache and sparse attention here: the answer is that
// of a local run.
func TestRemoteWorkers(t *testing.T) {
	harness.Slow(t)
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)), 0o644))
	answer := func(args ...string) string {
		cmd := exec.Command(filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"),
			"llama-completion"), append(args, "-m", harness.Setting(t, "RETRO_MODEL_F16"),
			"-f", prompt, "-n", "24", "--temp", "0", "-c", "4096", "-t", "2", "-no-cnv", "-st",
			"--no-display-prompt", "--no-warmup", "-lv", "4",
			"--retro-attn", "--retro-budget", "128", "--retro-window", "2", "--retro-period", "1",
			"--retro-min-ctx", "256")...)
		var log bytes.Buffer
		cmd.Stderr = &log
		out, err := cmd.Output()
		require.NoError(t, err, log.String())
		m := harness.SparseLine.FindStringSubmatch(log.String())
		require.NotNil(t, m, log.String())
		require.Equal(t, m[1], m[2], "all tokens are sparse")
		require.NotEqual(t, "0", m[1])
		if len(args) > 0 {
			require.Regexp(t, `RPC0 \(127`, log.String())
			require.Regexp(t, `RPC1 \(127`, log.String())
		}
		return strings.TrimSpace(string(out))
	}
	local := answer()
	remote := answer("--rpc", startRPC(t)+","+startRPC(t), "-ngl", "99")
	require.NotEmpty(t, local)
	require.Equal(t, local, remote)
}
