package server

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// targetBuild is a folder of a target's programs that no code page can name, with the library or
// without. The model has such a name, too.
func targetBuild(t *testing.T, library bool) (x harness.Target, dir string) {
	b := harness.TargetPrograms(t)
	dir = harness.OddFolder(t)
	// not linked: the library is looked for beside the file itself, too
	require.NoError(t, os.CopyFS(dir, os.DirFS(b.Patched)))
	if !library {
		require.NoError(t, os.Remove(filepath.Join(dir, b.LibraryName())))
	}
	return b.Target, dir
}

// ask is a program of the target with a question to the default model.
func ask(t *testing.T, x harness.Target, dir, prompt string, more ...string) *exec.Cmd {
	model := filepath.Join(harness.OddFolder(t), "модель.gguf")
	require.NoError(t, os.Symlink(harness.Setting(t, "RETRO_MODEL"), model))
	return x.Command(x.Program(dir, "llama-cli"), append([]string{"-m", x.Path(model), "-st", "-p",
		prompt, "-n", "6", "--temp", "0"}, append(harness.TargetFlags, more...)...)...)
}

func TestTargetCLI(t *testing.T) {
	x, dir := targetBuild(t, true)
	out, err := ask(t, x, dir, harness.TargetPrompt).CombinedOutput()
	require.NoError(t, err, string(out))
	m := harness.SparseLine.FindStringSubmatch(string(out))
	require.NotNil(t, m, string(out))
	require.NotEqual(t, "0", m[1])
	require.Equal(t, m[1], m[2], "all tokens are sparse")
}

// A library in the working directory, or in PATH, is none of ours, also if it is named without a
// folder.
func TestTargetLibraryElsewhere(t *testing.T) {
	x, dir := targetBuild(t, false)
	elsewhere := t.TempDir()
	library := filepath.Join(harness.TargetPrograms(t).Patched, x.LibraryName())
	require.NoError(t, os.Symlink(library, filepath.Join(elsewhere, x.LibraryName())))
	for _, more := range [][]string{nil, {"--retro-lib", x.LibraryName()}} {
		cmd := ask(t, x, dir, "Hello", more...)
		cmd.Dir = elsewhere
		cmd.Env = append(cmd.Env, "WINEPATH="+x.Path(elsewhere))
		out, err := cmd.CombinedOutput()
		require.Error(t, err, string(out))
		require.Contains(t, string(out), x.LibraryName()+" cannot be loaded")
	}
}

// The server answers sparsely, saves a slot to a folder that no code page can name, twice, and
// answers again from the file, which it has mapped or read. Ctrl+C, which Go's runtime in the
// library hears first, ends it.
func TestTargetServer(t *testing.T) {
	x, dir := targetBuild(t, true)
	slots := harness.OddFolder(t)
	s := harness.StartTarget(t, x, dir, "--slot-save-path", x.Path(slots))
	first, err := harness.Complete(s.URL, harness.TargetPrompt, 0)
	require.NoError(t, err)
	require.Positive(t, first.Timings.Sparse, "%+v", first)
	require.Less(t, first.Timings.KVReadShare, 0.9)

	for range 2 {
		saved, err := harness.SlotFile(s.URL, 0, "save", "slot")
		require.NoError(t, err)
		require.Positive(t, saved["n_saved"])
	}
	require.FileExists(t, filepath.Join(slots, "slot"))
	_, err = harness.SlotFile(s.URL, 0, "erase", "")
	require.NoError(t, err)
	restored, err := harness.SlotFile(s.URL, 0, "restore", "slot")
	require.NoError(t, err)
	require.Positive(t, restored["n_restored"])
	_, err = harness.SlotFile(s.URL, 0, "restore", "none")
	require.Error(t, err)
	s.Interrupt(t)
}
