package speed

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever a state depends on changes its file.
func TestBaseKey(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range []string{
		baseKey("m", "0.5.0", "f16", 4096, 0, "text"), baseKey("n", "0.5.0", "f16", 4096, 0,
			"text"), baseKey("m", "0.5.1", "f16", 4096, 0, "text"),
		baseKey("m", "0.5.0", "q8_0", 4096, 0, "text"), baseKey("m", "0.5.0", "f16", 2048, 0,
			"text"), baseKey("m", "0.5.0", "f16", 4096, 9, "text"),
		baseKey("m", "0.5.0", "f16", 4096, 0, "another"),
	} {
		path := basePath("dir", key)
		require.False(t, seen[path])
		require.NotContains(t, key, "\n")
		seen[path] = true
	}
}

func TestStateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "a.state")
	_, _, err := openState(path, "key")
	require.Error(t, err)
	require.NoError(t, keepState(path, "key", []byte("the state")))
	state, release, err := openState(path, "key")
	require.NoError(t, err)
	require.Equal(t, "the state", string(state))
	require.NoError(t, release())

	_, _, err = openState(path, "other")
	require.ErrorIs(t, err, errStale)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-1]++
	for _, damaged := range [][]byte{data, data[:len(data)-3], data[:6], {}} {
		require.NoError(t, os.WriteFile(path, damaged, 0o644))
		_, _, err = openState(path, "key")
		require.Error(t, err)
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left beside it")
}

// The shared file holds what was written last.
func TestSharedFile(t *testing.T) {
	file, err := sharedFile()
	require.NoError(t, err)
	defer file.Close()
	_, _, err = mapped(file)
	require.ErrorContains(t, err, "is empty")
	for _, text := range []string{"a long state", "short"} {
		require.NoError(t, writeShared(file, []byte(text)))
		data, release, err := mapped(file)
		require.NoError(t, err)
		require.Equal(t, text, string(data))
		require.NoError(t, release())
	}
}

func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	data := make([]byte, 3<<20)
	ids := map[string]bool{}
	for _, change := range []int{0, 5, 3<<20 - 1} {
		data[change]++
		require.NoError(t, os.WriteFile(path, data, 0o644))
		id, err := identity(path)
		require.NoError(t, err)
		ids[id] = true
	}
	require.Len(t, ids, 3)
}

func TestTiles(t *testing.T) {
	for _, c := range [][3]int{{1, 4096, 1}, {4096, 4096, 1}, {4097, 4096, 2}, {131072, 4096, 32}} {
		require.Equal(t, c[2], tiles(c[0], c[1]))
	}
}

func TestStepsFor(t *testing.T) {
	for _, c := range []struct {
		step   time.Duration
		period int
		want   int
	}{
		{10 * time.Millisecond, 1, 128}, {100 * time.Millisecond, 1, 15}, {time.Second, 1, 4},
		{100 * time.Millisecond, 8, 8},
		{time.Second, 8, 8}, {time.Millisecond, 48, 96}, {0, 1, 128},
	} {
		require.Equal(t, c.want, stepsFor(c.step, c.period, 1.5), "%+v", c)
	}
}
