package harness

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func Tail(text string, n int) string { return text[max(0, len(text)-n):] }

// Setting is a value of the environment, without which the test is skipped.
func Setting(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("needs %s: run it by go run ./build test", name)
	}
	return v
}

// Slow skips a test that takes long, if it was asked for the others.
func Slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long: run it without --short")
	}
}

// LongPrompt is about 1500 tokens of prose.
func LongPrompt(t *testing.T) string {
	data, err := os.ReadFile(filepath.Join(Setting(t, "RETRO_SOURCE"), "docs/build.md"))
	require.NoError(t, err)
	return string(data[:5000])
}
