package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Names of slots and links are as without the patches, and saving one slot leaves the files of
// others alone.
func TestSlotNames(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	s := harness.StartServer(t, 1, "--slot-save-path", dir)
	_, err := harness.Complete(s.URL, harness.LongPrompt(t)[:600], 0)
	require.NoError(t, err)
	save := func(name string) {
		t.Helper()
		answer, err := harness.SlotFile(s.URL, 0, "save", name)
		require.NoError(t, err)
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.EqualValues(t, len(data), answer["n_written"])
		answer, err = harness.SlotFile(s.URL, 0, "restore", name)
		require.NoError(t, err)
		require.EqualValues(t, len(data), answer["n_read"])
	}
	for n := 250; n <= 255; n++ {
		save(strings.Repeat("n", n))
	}
	for _, name := range []string{"a.part", "a", "a.part.part", "a.tmp", "a~"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("of another slot"), 0o600))
	}
	save("a")
	for _, name := range []string{"a.part", "a.part.part", "a.tmp", "a~"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "of another slot", string(data), name)
	}
	info, err := os.Stat(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "others may not read it, as before")

	// A link to a file, to a link, and to nothing yet.
	target := filepath.Join(elsewhere, "target")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o644))
	require.NoError(t, os.Symlink(target, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("link", filepath.Join(dir, "again")))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "new"), filepath.Join(dir, "dangling")))
	for link, target := range map[string]string{"link": "target", "again": "target",
		"dangling": "new"} {
		before, err := os.Readlink(filepath.Join(dir, link))
		require.NoError(t, err)
		save(link)
		after, err := os.Readlink(filepath.Join(dir, link))
		require.NoError(t, err, "%s is no link any more", link)
		require.Equal(t, before, after)
		info, err := os.Lstat(filepath.Join(elsewhere, target))
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular())
		require.Greater(t, info.Size(), int64(1000))
	}
	left, err := os.ReadDir(elsewhere)
	require.NoError(t, err)
	require.Len(t, left, 2, "%v", left)
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 6+5+3, "%v", left)
}
