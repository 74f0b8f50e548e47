package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func checkout(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	require.NoError(t, err)
	root, err := moduleRoot(folder)
	require.NoError(t, err)
	return root
}

func TestPinsOfThisProject(t *testing.T) {
	p, err := loadPins(checkout(t))
	require.NoError(t, err)
	assert.Equal(t, p.Llama.Version, p.Llama.Git.Tag)
	assert.Positive(t, p.Model.Context)
	assert.Len(t, p.ModelSWA.Pip, 4)
}

func TestPinsRefuseWhatVerifiesNothing(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(checkout(t), "third_party", "pins.json"))
	require.NoError(t, err)
	for _, c := range []struct{ from, to, complaint string }{
		{`"tree": "fd57`, `"tree": "XX57`, "llama.tree"},
		{`"tag": "v0.5.0"`, `"tag": ""`, "llama.git"},
		{`"context": 8192`, `"context": 0`, "model.context"},
		{`"version": "3.22.1"`, `"version": ""`, "llama.npm"},
		{`"sha256": "b179`, `"sha256": "b17`, "model.sha256"},
		{`"member_sha256": "b179`, `"member_sha256": "b17`, "model.pip[0].member_sha256"},
		{`"context": 32768`, `"context": 0`, "model_swa.context"},
		{`"file": "gemma`, `"file": "", "x": "gemma`, "model_swa needs file"},
		{`{`, `[`, "invalid"},
	} {
		bad := strings.Replace(string(good), c.from, c.to, 1)
		require.NotEqual(t, string(good), bad)
		_, err := parsePins([]byte(bad))
		assert.ErrorContains(t, err, c.complaint)
	}
}

func TestModuleRootElsewhere(t *testing.T) {
	_, err := moduleRoot(t.TempDir())
	assert.ErrorContains(t, err, "change into it")
}
