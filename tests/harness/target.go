package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Target is another system or processor, for which programs are built here, by Debian's compilers,
// and run by an emulator.
type Target struct {
	System, Arch string // as Go calls them
	CC           string
}

var (
	Here    = Target{System: runtime.GOOS, Arch: runtime.GOARCH}
	Windows = Target{"windows", "amd64", "x86_64-w64-mingw32-gcc-posix"}
	Arm64   = Target{"linux", "arm64", "aarch64-linux-gnu-gcc"}
)

// Need skips the test where the target's programs cannot be built and run.
func (x Target) Need(t *testing.T) {
	t.Helper()
	if x == Windows {
		if os.Getenv("RETRO_WINE") == "" {
			t.Skip("needs RETRO_WINE: install g++-mingw-w64-x86-64-posix, wine and wine64, and run it by go run ./build test")
		}
		return
	}
	if runtime.GOARCH == "arm64" || runtime.GOOS != "linux" {
		t.Skip("cross-builds on Linux only")
	}
	for program, remedy := range map[string]string{qemu(): "qemu-user-static",
		x.CC: "g++-aarch64-linux-gnu"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: install %s", program, remedy)
		}
	}
}

func qemu() string {
	if path := os.Getenv("RETRO_QEMU"); path != "" {
		return path
	}
	return "qemu-aarch64-static"
}

// Command is a program of the target. An arm64 is a Cortex-A76, unless QEMU_CPU says otherwise.
func (x Target) Command(exe string, args ...string) *exec.Cmd {
	emulator, env := qemu(), []string{"QEMU_LD_PREFIX=/usr/aarch64-linux-gnu"}
	if os.Getenv("QEMU_CPU") == "" {
		env = append(env, "QEMU_CPU=cortex-a76")
	}
	if x == Windows {
		emulator, env = "wine", []string{"WINEPREFIX=" + os.Getenv("RETRO_WINE"), "WINEDEBUG=-all"}
	}
	cmd := exec.Command(emulator, append([]string{exe}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// Path is what the target's programs call a path of this system.
func (x Target) Path(path string) string {
	if x == Windows {
		return "Z:" + strings.ReplaceAll(path, "/", `\`)
	}
	return path
}

// Program is the file of a program in a folder.
func (x Target) Program(dir, name string) string {
	if x == Windows {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

// LibraryName is the file of libretroattn.
func (x Target) LibraryName() string {
	switch x.System {
	case "windows":
		return "libretroattn.dll"
	case "darwin":
		return "libretroattn.dylib"
	}
	return "libretroattn.so.1"
}

// Library builds libretroattn in a folder.
func (x Target) Library(t *testing.T, dir string) string {
	file := filepath.Join(dir, x.LibraryName())
	x.Go(t, "1", "build", "-buildmode=c-shared", "-o", file, "../../capi")
	return file
}

// C compiles a program of testdata with the library.
func (x Target) C(t *testing.T, dir, name, library string) (exe string) {
	exe = x.Program(dir, name)
	args := []string{"-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
		"-Wno-missing-field-initializers", "-I../../capi", "-o", exe, "../testdata/" + name + ".c"}
	if x == Windows {
		args = append(args, "-static") // it needs no DLL but that
	}
	Run(t, x.CC, append(args, library, "-lm", "-lpthread", "-Wl,-rpath,$ORIGIN")...)
	return exe
}

// Go runs the go command for the target, with cgo or without.
func (x Target) Go(t *testing.T, cgo string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS="+x.System, "GOARCH="+x.Arch, "CGO_ENABLED="+cgo,
		"CC="+x.CC)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %v: %s", args, out)
}

// TargetBuild is llama.cpp for a target: folders of programs and libraries.
type TargetBuild struct {
	Target
	Patched, Stock string
}

// TargetPrograms is what was built for the target that is tested, or the test is skipped.
func TargetPrograms(t *testing.T) TargetBuild {
	t.Helper()
	name := os.Getenv("RETRO_TARGET")
	if name == "" {
		t.Skip("needs RETRO_TARGET: run it by go run ./build test --os windows, or --arch arm64")
	}
	x, ok := map[string]Target{"windows-amd64": Windows, "linux-arm64": Arm64}[name]
	require.True(t, ok, "RETRO_TARGET is %s: must be windows-amd64 or linux-arm64", name)
	x.Need(t)
	return TargetBuild{x, Setting(t, "RETRO_TARGET_DIR"), Setting(t, "RETRO_TARGET_STOCK_DIR")}
}

// OddFolder is one with a space and with letters of two alphabets, of no code page together.
func OddFolder(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "Tür мост")
	require.NoError(t, os.Mkdir(dir, 0o755))
	return dir
}

// What is asked of a target's programs is short, as an emulated processor takes its time.
var (
	TargetPrompt = strings.Repeat("The lighthouse keeper counted the stairs again. ", 12)
	TargetFlags  = []string{"--retro-attn", "--retro-budget", "16", "--retro-window", "2",
		"--retro-period", "1", "--retro-min-ctx", "32", "--retro-opts", "local=16", "-t", "2",
		"-c", "512", "--no-warmup"}
)

// StartTarget starts a target's llama-server from a folder of its programs.
func StartTarget(t *testing.T, x Target, dir string, args ...string) Server {
	host, port, address := FreeAddress(t)
	cmd := x.Command(x.Program(dir, "llama-server"), append(append([]string{"-m",
		x.Path(Setting(t, "RETRO_MODEL")), "--host", host, "--port", port, "-np", "1"},
		TargetFlags...), args...)...)
	return Server{"http://" + address, BackgroundOf(t, Up(address), cmd)}
}

// Interrupt ends the server as Ctrl+C does, which Wine makes of the signal.
func (s Server) Interrupt(t *testing.T) {
	require.NoError(t, s.Cmd.Process.Signal(os.Interrupt))
	ended := make(chan error, 1)
	go func() { ended <- s.Cmd.Wait() }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(2 * time.Minute):
		require.Fail(t, "Ctrl+C does not end llama-server")
	}
}
