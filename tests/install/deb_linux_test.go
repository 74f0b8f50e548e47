package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// stranger is a command in an installed package's root as a user without rights runs it, who has
// no tools and no settings.
func stranger(t *testing.T, root, name string, args ...string) *exec.Cmd {
	t.Helper()
	bin := filepath.Join(root, "usr/bin")
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + bin}
	for _, tool := range []string{"go", "npm", "pip", "python3"} {
		require.NoFileExists(t, filepath.Join(bin, tool))
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
			Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// readable copies a file to where everybody can read it.
func readable(t *testing.T, file, dir string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	to := filepath.Join(dir, filepath.Base(file))
	require.NoError(t, os.WriteFile(to, content, 0o644))
	return to
}

// A package is installed by dpkg into a new root, and works there for a user who has nothing else.
func TestDeb(t *testing.T) {
	harness.Slow(t)
	harness.Setting(t, "RETRO_PATCHED_DIR") // is built
	for _, tool := range []string{"dpkg", "dpkg-deb", "dpkg-shlibdeps"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: install dpkg-dev", tool)
		}
	}
	archive := dist(t, "../..", "--native", "--deb")
	checkSums(t, filepath.Dir(archive), "SHA256SUMS")
	deb := strings.TrimSuffix(archive, ".tar.gz") + ".deb"
	require.FileExists(t, strings.TrimSuffix(archive, ".tar.gz")+".sbom.cdx.json")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // for others, too
	root := filepath.Join(dir, "root")
	install(t, root, deb)
	prefix := filepath.Join(root, "usr/lib/retroattn")
	checkSums(t, prefix, "SHA256SUMS")
	model := readable(t, harness.Setting(t, "RETRO_MODEL"), dir)

	out, err := stranger(t, root, "retroattn", "doctor", "-m", model, "-c", "4096").CombinedOutput()
	require.NoError(t, err, string(out))
	t.Log(string(out))
	require.Regexp(t, `(?m)^served      30 of 30 layers$`, string(out))
	require.Regexp(t, `(?m)^plan        budget \d+, window 1 `, string(out))

	host, port, address := harness.FreeAddress(t)
	server := stranger(t, root, "llama-server", "-m", model, "--host", host, "--port", port, "-t",
		"2", "-np", "1", "-c", "4096", "--retro-attn", "--retro-budget", "128", "--retro-window", "2",
		"--retro-min-ctx", "256")
	harness.BackgroundOf(t, harness.Up(address), server)
	reply, err := harness.Complete("http://"+address, harness.LongPrompt(t), 0)
	require.NoError(t, err)
	require.NotEmpty(t, reply.Content)
	require.Positive(t, reply.Timings.Sparse)
	require.Equal(t, reply.Timings.Tokens, reply.Timings.Sparse, "all tokens are sparse")
}

// install has dpkg unpack and configure a package in a new root, without the packages that it
// needs, which are this system's. Who is not root only unpacks it.
func install(t *testing.T, root, deb string) {
	t.Helper()
	if os.Getuid() != 0 {
		harness.Run(t, "dpkg-deb", "-x", deb, root)
		return
	}
	for _, name := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "usr/bin", "tmp"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, name), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644))
	harness.Run(t, "dpkg", "--root="+root, "--force-depends", "-i", deb)
	status := harness.Run(t, "dpkg", "--root="+root, "-s", "retroattn")
	require.Contains(t, status, "Status: install ok installed")
}
