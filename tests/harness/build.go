package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Library is the path of libretroattn: RETRO_LIB, or built as users have it.
func Library(t *testing.T) string {
	if path := os.Getenv("RETRO_LIB"); path != "" {
		return path
	}
	out := Run(t, "go", "run", "../../build", "lib")
	_, path, found := strings.Cut(strings.TrimSpace(out), "libretroattn: ")
	require.True(t, found, out)
	return path
}

func Run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// ChatProgram is bridge/chat, built without cgo.
func ChatProgram(t *testing.T, dir string, args ...string) *exec.Cmd {
	exe := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-o", exe, "../../bridge/chat")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return exec.Command(exe, append([]string{"--lib", dir, "-m", Setting(t, "RETRO_MODEL"), "-t",
		"2", "-c", "2048", "--temp", "0"}, args...)...)
}

// Faulty builds the library of testdata/faults.c.
func Faulty(t *testing.T) string {
	t.Helper()
	if Here.System != "linux" {
		t.Skip("stands before the real library in the order of the loader of Linux")
	}
	lib, err := filepath.Abs(Library(t))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "libretroattn.so.1")
	Compiler(t).Run(t, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
		"-I../../capi", "-DREAL=\""+lib+"\"",
		"-o", path, "../testdata/faults.c", "-Wl,--no-as-needed", lib,
		"-Wl,-rpath,"+filepath.Dir(lib), "-ldl")
	return path
}
