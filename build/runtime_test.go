package main

import (
	"os"
	"path/filepath"
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
		require.Contains(t, string(text), "mainInitDone.Load()", "this Go's runtime is not known")
		return
	}
	args := append(append([]string{"build"}, flags...), "runtime")
	_, err = output(command(t.Context(), "", "go", args...))
	require.NoError(t, err)
}
