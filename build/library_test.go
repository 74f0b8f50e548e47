package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who builds the library alone is asked for a C compiler, not for what llama.cpp takes.
func TestLibNeedsACompilerOnly(t *testing.T) {
	root, err := output(command(t.Context(), "", "go", "env", "GOROOT"))
	require.NoError(t, err)
	t.Setenv("PATH", filepath.Join(root, "bin"))
	t.Setenv("CC", "no-compiler")
	a := &app{ctx: t.Context(), root: "..", cache: testCache(t.Context(), t, t.TempDir())}
	require.EqualError(t, libCmd{}.Run(a), "no-compiler was not found on PATH: "+remedies["cc"])
}
