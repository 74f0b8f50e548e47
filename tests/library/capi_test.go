package library

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// A C program uses every export as the header says, and then wrongly; the second time with the
// compiler's checks for bad memory and undefined behaviour in the program's part.
func TestCABI(t *testing.T) {
	cc, lib := harness.Compiler(t), harness.Library(t)
	require.Equal(t, "ok\n", harness.Run(t, compileC(t, cc, lib, "abi")))
	t.Run("sanitized", func(t *testing.T) {
		out, err := sanitized(compileC(t, cc, lib, "abi", sanitizers(t, cc)...)).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "ok\n", string(out))
	})
}

// Threads of Go's runtime must not wake up every some microseconds beside threads that compute
// (capi/thread_linux.c).
func TestThreadsWakeRarely(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("timer slack is of Linux")
	}
	cc, lib := harness.Compiler(t), harness.Library(t)
	exe := filepath.Join(t.TempDir(), "threads")
	cc.Run(t, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-rdynamic",
		"-o", exe, "../testdata/threads.c", "-ldl", "-lpthread")
	require.Equal(t, "all patient, the host as before\n", harness.Run(t, exe, lib))
}

// A signal handler that the host installs late and without an alternate stack does not run on a
// goroutine's.
func TestSignalHandlers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("handlers are looked after on Linux only")
	}
	require.Equal(t, "ok\n", harness.Run(t, compileC(t, harness.Compiler(t), harness.Library(t),
		"signals")))
}

func TestThreadCountChanges(t *testing.T) {
	require.Equal(t, "ok\n", harness.Run(t, compileC(t, harness.Compiler(t), harness.Library(t),
		"nth")))
}

// compileC links a program of testdata with the library.
func compileC(t *testing.T, cc harness.CompilerCommand, lib, name string, flags ...string) string {
	exe := filepath.Join(t.TempDir(), name)
	args := append([]string{"-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
		"-Wno-missing-field-initializers", "-I../../capi", "-D_GNU_SOURCE"}, flags...)
	cc.Run(t, append(args, "-o", exe, "../testdata/"+name+".c", lib, "-lm", "-lpthread",
		"-Wl,-rpath,"+filepath.Dir(lib))...)
	return exe
}

// sanitizers are the flags for AddressSanitizer and UBSan, where the compiler has them.
func sanitizers(t *testing.T, cc harness.CompilerCommand) []string {
	flags := []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}
	src := filepath.Join(t.TempDir(), "empty.c")
	require.NoError(t, os.WriteFile(src, []byte("int main(void) { return 0; }"), 0o644))
	if out, err := cc.Command(append(flags, "-o", src+".exe",
		src)...).CombinedOutput(); err != nil {
		t.Skipf("needs a compiler with -fsanitize=address,undefined (Debian: apt-get install libasan8 libubsan1): %s", out)
	}
	return flags
}

// sanitized runs a program that was built so. Faults are for Go's runtime, which makes errors of
// them, and it sees to the stacks of signals; what it allocates for good looks like a leak.
func sanitized(exe string, args ...string) *exec.Cmd {
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:use_sigaltstack=0:detect_leaks=0", "UBSAN_OPTIONS=print_stacktrace=1")
	return cmd
}

// The same on an emulated arm64, with and without the dot product instructions,
// against a library that was built for it here.
func TestCABIArm64(t *testing.T) {
	harness.Slow(t)
	harness.Arm64.Need(t)
	dir := t.TempDir()
	exe := harness.Arm64.C(t, dir, "abi", harness.Arm64.Library(t, dir))
	for cpu, isa := range map[string]string{"max": "dotprod", "cortex-a72": "neon"} {
		t.Run(cpu, func(t *testing.T) {
			t.Setenv("QEMU_CPU", cpu)
			out, err := harness.Arm64.Command(exe, isa).CombinedOutput()
			require.NoError(t, err, string(out))
			require.Equal(t, "ok\n", string(out))
		})
	}
}

// The header that people read has the prototypes that cgo wrote from the code, where pointers are
// numbers.
func TestHeaderMatchesExports(t *testing.T) {
	cc := harness.Compiler(t)
	dir := t.TempDir()
	harness.Run(t, "go", "tool", "cgo", "-objdir", dir, "-exportheader",
		filepath.Join(dir, "exports.h"), "-srcdir", "../../capi", "--", "-I", "../../capi",
		"main.go", "guard.go")
	header, err := os.ReadFile("../../capi/retroattn.h")
	require.NoError(t, err)
	header = regexp.MustCompile(`([(,]\s*)(?:const )?(?:struct )?\w+ \*\s*`).ReplaceAll(header,
		[]byte("${1}uintptr_t "))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "retroattn.h"), header, 0o644))
	src := filepath.Join(dir, "both.c")
	require.NoError(t, os.WriteFile(src, []byte(`
#include <stddef.h>
#include <string.h>
#define const
#include "retroattn.h"
#define RETRO_NO_PROTOTYPES
#include "exports.h"
`), 0o644))
	cc.Run(t, "-fsyntax-only", "-I"+dir, src)
}
