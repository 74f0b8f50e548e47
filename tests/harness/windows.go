package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// windowsCC is Debian's compiler for Windows.
const windowsCC = "x86_64-w64-mingw32-gcc-posix"

// Wine skips the test where programs for Windows cannot be built and run: it needs Wine's folder in
// RETRO_WINE.
func Wine(t *testing.T) {
	t.Helper()
	if os.Getenv("RETRO_WINE") == "" {
		t.Skip("needs RETRO_WINE: install g++-mingw-w64-x86-64-posix, wine and wine64, and run it by go run ./build test")
	}
}

// WineCommand is a program for Windows.
func WineCommand(exe string, args ...string) *exec.Cmd {
	cmd := exec.Command("wine", append([]string{exe}, args...)...)
	cmd.Env = append(os.Environ(), "WINEPREFIX="+os.Getenv("RETRO_WINE"), "WINEDEBUG=-all")
	return cmd
}

// WindowsPath is what Wine calls a path of this system.
func WindowsPath(path string) string { return "Z:" + strings.ReplaceAll(path, "/", `\`) }

// OddFolder is one with a space and with letters of two alphabets, of no code page together.
func OddFolder(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "Tür мост")
	require.NoError(t, os.Mkdir(dir, 0o755))
	return dir
}

// WindowsLibrary builds libretroattn there.
func WindowsLibrary(t *testing.T, dir string) (dll string) {
	dll = filepath.Join(dir, "libretroattn.dll")
	Windows(t, "1", "build", "-buildmode=c-shared", "-o", dll, "../../capi")
	return dll
}

// WindowsC compiles a program of testdata, which needs no other DLL than those it is linked with.
func WindowsC(t *testing.T, dir, name string, libs ...string) (exe string) {
	exe = filepath.Join(dir, name+".exe")
	args := []string{"-std=c11", "-O1", "-Wall", "-Wextra", "-Werror",
		"-Wno-missing-field-initializers", "-I../../capi", "-static", "-o", exe,
		"../testdata/" + name + ".c"}
	Run(t, windowsCC, append(append(args, libs...), "-lm", "-lpthread")...)
	return exe
}

// Windows runs the go command for Windows, with cgo or without.
func Windows(t *testing.T, cgo string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED="+cgo,
		"CC="+windowsCC)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %v: %s", args, out)
}
