package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is the laboratory, built; the test is skipped unless the settings it needs are in the
// environment.
func program(t *testing.T, settings ...string) string {
	t.Helper()
	for _, name := range settings {
		if os.Getenv(name) == "" {
			t.Skip(name + " is not set: go run ./build test sets it")
		}
	}
	path := filepath.Join(t.TempDir(), "lab")
	text, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(text))
	return path
}
