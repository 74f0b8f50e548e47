package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/retroattn/retroattn/tests/harness"
)

// outside is a module somewhere else that has the examples of package bridge.
func outside(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for from, to := range map[string]string{"bridge/example_test.go": "example_test.go",
		"bridge/chat/main.go": "chat/main.go"} {
		text, err := os.ReadFile(filepath.Join("../..", from))
		require.NoError(t, err)
		to = filepath.Join(dir, to)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(t, os.WriteFile(to, text, 0o644))
	}
	// The examples are of a package.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bridge.go"), []byte("package bridge\n"), 0o644))
	return dir
}

// goIn runs the go command in a module with a proxy that is a folder, and with what was downloaded
// here before.
func goIn(t *testing.T, dir, proxy string, args ...string) {
	t.Helper()
	downloaded := strings.TrimSpace(within(t, "../..", "go", "env", "GOMODCACHE")) + "/cache/download"
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOPROXY=file://"+proxy+",file://"+downloaded,
		"GOSUMDB=off", "GOFLAGS=-mod=mod -modcacherw", "GOMODCACHE="+filepath.Join(proxy, "cache"),
		"GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %v: %s", args, out)
}

func modulePath(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(within(t, "../..", "go", "list", "-m"))
}

// The examples compile in another module that replaces ours by the checkout.
func TestModuleReplaced(t *testing.T) {
	dir, path := outside(t), modulePath(t)
	here, err := filepath.Abs("../..")
	require.NoError(t, err)
	goIn(t, dir, t.TempDir(), "mod", "init", "example.org/outside")
	goIn(t, dir, t.TempDir(), "mod", "edit", "-require", path+"@v0.0.0", "-replace", path+"="+here)
	compiles(t, dir, t.TempDir())
}

// They compile with the module from a proxy, as "go get" takes it.
func TestModuleFromProxy(t *testing.T) {
	harness.Slow(t)
	const version = "v0.1.0"
	dir, path, proxy := outside(t), modulePath(t), t.TempDir()
	require.NoError(t, module.CheckPath(path))
	folder := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	file, err := os.Create(filepath.Join(folder, version+".zip"))
	require.NoError(t, err)
	require.NoError(t, zip.CreateFromDir(file, module.Version{Path: path, Version: version},
		copyCheckout(t)))
	require.NoError(t, file.Close())
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, version+".mod"), mod, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(folder, version+".info"),
		[]byte(fmt.Sprintf(`{"Version":%q}`, version)), 0o644))
	goIn(t, dir, proxy, "mod", "init", "example.org/outside")
	goIn(t, dir, proxy, "get", path+"/bridge@"+version)
	compiles(t, dir, proxy)
}

func compiles(t *testing.T, dir, proxy string) {
	t.Helper()
	goIn(t, dir, proxy, "get", "-t", "./...") // tidy would want the tests of what is imported, too
	goIn(t, dir, proxy, "vet", "./...")
}

// The script gives all files another path.
func TestModuleRenamed(t *testing.T) {
	harness.Slow(t)
	root, old := copyCheckout(t), modulePath(t)
	const path = "example.org/you/retroattn"
	kept := filepath.Join(root, "docs", "mine.old")
	require.NoError(t, os.WriteFile(kept, nil, 0o644))
	out := within(t, root, "build/module.sh", path)
	require.Empty(t, out)
	require.FileExists(t, kept, "it is somebody else's")
	require.Equal(t, path, strings.TrimSpace(within(t, root, "go", "list", "-m")))
	within(t, root, "go", "build", "./retro/...", "./build", "./bridge")
	within(t, filepath.Join(root, "tests/lab"), "go", "list", "-deps", ".")
	left := exec.Command("grep", "-rlF", "--include=*.go", `"`+old+`/`, root)
	text, _ := left.Output()
	require.Empty(t, string(text), "files with the old path")
	require.Equal(t, 1, left.ProcessState.ExitCode(), "grep has looked")
}
