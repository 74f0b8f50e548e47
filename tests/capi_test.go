package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// compiler names the C compiler, or skips the test.
func compiler(t *testing.T) string {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		t.Skip("needs a C compiler")
	}
	return cc
}

// library is the path of libretroattn: RETRO_LIB, or built here.
func library(t *testing.T) string {
	if path := os.Getenv("RETRO_LIB"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "libretroattn.so.1")
	run(t, "go", "build", "-buildmode=c-shared", "-o", path, "../capi")
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// A C program uses every export as the header says, and then wrongly.
func TestCABI(t *testing.T) {
	cc, lib := compiler(t), library(t)
	require.Equal(t, "ok\n", run(t, compileABI(t, cc, lib)))
}

// Threads of Go's runtime must not wake up every some microseconds beside threads that compute (capi/thread_linux.c).
func TestThreadsWakeRarely(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("timer slack is of Linux")
	}
	cc, lib := compiler(t), library(t)
	exe := filepath.Join(t.TempDir(), "threads")
	run(t, cc, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-rdynamic", "-o", exe, "testdata/threads.c", "-ldl", "-lpthread")
	require.Equal(t, "all patient, the host as before\n", run(t, exe, lib))
}

// compileABI links testdata/abi.c with the library.
func compileABI(t *testing.T, cc, lib string) string {
	exe := filepath.Join(t.TempDir(), "abi")
	run(t, cc, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-I../capi",
		"-D_GNU_SOURCE", "-o", exe, "testdata/abi.c", lib, "-lm", "-lpthread", "-Wl,-rpath,"+filepath.Dir(lib))
	return exe
}

// The same on an emulated arm64, with and without the dot product instructions,
// against a library that was built for it here.
func TestCABIArm64(t *testing.T) {
	cc, qemu := arm64Tools(t)
	lib := filepath.Join(t.TempDir(), "libretroattn.so.1")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", lib, "../capi")
	build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=1", "CC="+cc)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	exe := compileABI(t, cc, lib)
	for cpu, isa := range map[string]string{"max": "dotprod", "cortex-a72": "neon"} {
		t.Run(cpu, func(t *testing.T) {
			cmd := exec.Command(qemu, "-L", "/usr/aarch64-linux-gnu", "-cpu", cpu, exe, isa)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			require.Equal(t, "ok\n", string(out))
		})
	}
}

// The header that people read has the prototypes that cgo wrote from the code.
func TestHeaderMatchesExports(t *testing.T) {
	cc := compiler(t)
	dir := t.TempDir()
	run(t, "go", "tool", "cgo", "-objdir", dir, "-exportheader", filepath.Join(dir, "exports.h"), "-srcdir", "../capi", "--", "-I", "../capi", "main.go", "guard.go")
	src := filepath.Join(dir, "both.c")
	require.NoError(t, os.WriteFile(src, []byte(`
#include <stddef.h>
#include <string.h>
#define const
#include "retroattn.h"
#define RETRO_NO_PROTOTYPES
#include "exports.h"
`), 0o644))
	run(t, cc, "-fsyntax-only", "-I../capi", "-I"+dir, src)
}
