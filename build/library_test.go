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
	a := &app{ctx: t.Context(), root: "..", cache: testCache(t.Context(), t, t.TempDir())}
	for cc, program := range map[string]string{"no-compiler -O1": "no-compiler", " ": "cc"} {
		t.Setenv("CC", cc)
		require.EqualError(t, libCmd{}.Run(a), program+" was not found on PATH: "+remedies["cc"])
	}
}
