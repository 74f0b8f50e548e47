package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Calls into the library take no lock that all threads of a host share.
func TestQuietRuntime(t *testing.T) {
	a := &app{ctx: t.Context()}
	flags, err := a.quietRuntime(t.TempDir())
	require.NoError(t, err)
	root, err := output(command(t.Context(), "", "go", "env", "GOROOT"))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "src", "runtime", "cgocall.go"))
	require.NoError(t, err)
	if len(flags) == 0 {
		require.Contains(t, string(text), mendedReceive, "this Go's runtime is not known")
		return
	}
	id := func(flags ...string) string {
		args := append(append([]string{"list", "-export", "-f", "{{.BuildID}}"}, flags...), "runtime")
		id, err := output(command(t.Context(), "", "go", args...))
		require.NoError(t, err)
		require.NotEmpty(t, id)
		return id
	}
	require.NotEqual(t, id(), id(flags...), "the change is not compiled")
}

// A runtime that is neither to be changed nor mended is not silently one with the lock.
func TestQuietRuntimeUnknown(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "src", "runtime", "cgocall.go")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	t.Setenv("GOROOT", root)
	for text, said := range map[string]string{
		lockedReceive: "", mendedReceive: "", "package runtime": "build with Go 1.26",
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		var out strings.Builder
		a := &app{ctx: t.Context(), out: &out}
		flags, err := a.quietRuntime(t.TempDir())
		require.NoError(t, err)
		require.Equal(t, text == lockedReceive, len(flags) > 0, text)
		require.Equal(t, said == "", out.String() == "", text)
		require.Contains(t, out.String(), said)
	}
}
