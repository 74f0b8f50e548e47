package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"retroattn/tests/harness"
)

// windowsBuild is a folder of the programs for Windows that no code page can name, with the library
// or without.
func windowsBuild(t *testing.T, library bool) string {
	harness.Wine(t)
	from, dir := harness.Setting(t, "RETRO_WINDOWS_DIR"), harness.OddFolder(t)
	list, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, f := range list {
		if library || f.Name() != "libretroattn.dll" {
			require.NoError(t, os.Symlink(filepath.Join(from, f.Name()),
				filepath.Join(dir, f.Name())))
		}
	}
	require.NoError(t, os.Symlink(harness.Setting(t, "RETRO_MODEL"),
		filepath.Join(dir, "модель.gguf")))
	return dir
}

var windowsFlags = []string{"--retro-attn", "--retro-budget", "64", "--retro-window", "2",
	"--retro-period", "1", "--retro-min-ctx", "128",
	"--retro-opts", "local=32", "-t", "2", "-c", "1024"}

func windowsProgram(dir, name string, args ...string) *exec.Cmd {
	model := harness.WindowsPath(filepath.Join(dir, "модель.gguf"))
	return harness.WineCommand(filepath.Join(dir, name),
		append(append([]string{"-m", model}, windowsFlags...), args...)...)
}

var windowsPrompt = strings.Repeat("The lighthouse keeper counted the stairs again. ", 60)

func TestWindowsCLI(t *testing.T) {
	dir := windowsBuild(t, true)
	out, err := windowsProgram(dir, "llama-cli.exe", "-st", "-p", windowsPrompt, "-n", "8",
		"--temp", "0").CombinedOutput()
	require.NoError(t, err, string(out))
	m := harness.SparseLine.FindStringSubmatch(string(out))
	require.NotNil(t, m, string(out))
	require.NotEqual(t, "0", m[1])
	require.Equal(t, m[1], m[2], "all tokens are sparse")
}

// A library in the working directory is none of ours.
func TestWindowsWorkingDirectory(t *testing.T) {
	dir := windowsBuild(t, false)
	cmd := windowsProgram(dir, "llama-cli.exe", "-st", "-p", "Hello", "-n", "1")
	cmd.Dir = t.TempDir()
	library := filepath.Join(harness.Setting(t, "RETRO_WINDOWS_DIR"), "libretroattn.dll")
	require.NoError(t, os.Symlink(library, filepath.Join(cmd.Dir, "libretroattn.dll")))
	out, err := cmd.CombinedOutput()
	require.Error(t, err, string(out))
	require.Contains(t, string(out), "libretroattn.dll cannot be loaded: error 126")
}

// The server answers sparsely, and Ctrl+C, which Go's runtime in the library hears first, ends it.
func TestWindowsServer(t *testing.T) {
	dir := windowsBuild(t, true)
	host, port, address := harness.FreeAddress(t)
	cmd := windowsProgram(dir, "llama-server.exe", "--host", host, "--port", port, "-np", "1",
		"--no-warmup")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		if t.Failed() {
			t.Log(harness.Tail(log.String(), 20000))
		}
	})
	require.Eventually(t, harness.Up(address), 2*time.Minute, 200*time.Millisecond,
		"llama-server does not start")

	body, err := json.Marshal(map[string]any{"prompt": windowsPrompt, "n_predict": 8,
		"temperature": 0})
	require.NoError(t, err)
	r, err := http.Post("http://"+address+"/completion", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer r.Body.Close()
	var c harness.Completion
	require.NoError(t, json.NewDecoder(r.Body).Decode(&c))
	require.Positive(t, c.Timings.Sparse, "%+v", c)
	require.Less(t, c.Timings.KVReadShare, 0.9)

	require.NoError(t, cmd.Process.Signal(os.Interrupt)) // Wine makes Ctrl+C of it
	select {
	case err := <-ended:
		require.NoError(t, err, log.String())
	case <-time.After(2 * time.Minute):
		require.Fail(t, "Ctrl+C does not end llama-server")
	}
}
