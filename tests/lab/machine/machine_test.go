package machine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCacheSizes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index0/level": "1\n", "index0/type": "Data\n", "index0/size": "32K\n",
		"index1/level": "2\n", "index1/type": "Unified\n", "index1/size": "1280K\n",
		"index2/level": "3\n", "index2/type": "Unified\n", "index2/size": "36M\n",
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	l2, l3 := cacheSizes(dir)
	assert.Equal(t, 1280<<10, l2)
	assert.Equal(t, 36<<20, l3)

	l2, l3 = cacheSizes(t.TempDir()) // falls back to something usable
	assert.Positive(t, l2)
	assert.GreaterOrEqual(t, l3, 8*l2)

	for text, want := range map[string]int{"512K": 512 << 10, "3M": 3 << 20, "1G": 1 << 30, "": 0,
		"K": 0, "12": 12, "many": 0} {
		assert.Equal(t, want, parseSize(text), text)
	}
}
