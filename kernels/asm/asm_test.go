package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is committed is what the sources say, and nothing is left of sources that are gone.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := generate(".", "..")
	require.NoError(t, err)
	for name, text := range files {
		have, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.True(t, text == string(have), "%s is out of date: go run ./kernels/asm", name)
	}
	for _, pattern := range []string{"*.s", "*.go"} {
		names, err := filepath.Glob(filepath.Join("..", pattern))
		require.NoError(t, err)
		for _, path := range names {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			if len(text) > len(header) && string(text[:len(header)]) == header {
				assert.Contains(t, files, filepath.Base(path), "nothing generates it any more: delete it")
			}
		}
	}
}
