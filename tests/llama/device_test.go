package llama

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// What the CPU needs of a device, and the device of a cache, is copied at once where it can be, and
// waited for before it is read or overwritten: testdata/device.cpp has a device that does nothing
// until then.
func TestCopiesFromDevice(t *testing.T) {
	var got map[string]struct {
		Waits, Gets, Sets int
		Values            []float64
	}
	out := harness.Run(t, harness.Compiled(t, "device"))
	require.NoError(t, json.Unmarshal([]byte(out), &got), out)
	require.Len(t, got, 3)
	for name, c := range got {
		require.Equal(t, []float64{70, -140, 35, 560}, c.Values, name)
		if name == "on" {
			require.Equal(t, 3, c.Gets, name)
			require.Equal(t, 1, c.Sets, name)
			require.Less(t, c.Waits, got["off"].Waits)
			continue
		}
		require.Zero(t, c.Gets+c.Sets, name)
		require.Equal(t, got["off"].Waits, c.Waits, name)
	}
}

// With the feature on, a device that copies the cache for prompts and drafts does so from its pinned
// memory, unless there is none left, or it would use that in place.
func TestCacheInPinnedMemory(t *testing.T) {
	var got map[string]struct {
		Cache  int
		Logits []float64
	}
	out := harness.Run(t, harness.Compiled(t, "device"), harness.Setting(t, "RETRO_MODEL"),
		harness.Setting(t, "RETRO_LIB"))
	require.NoError(t, json.Unmarshal([]byte(out), &got), out)
	require.Len(t, got, 3)
	for name, c := range got {
		require.Equal(t, name == "pinned", c.Cache == 1, name)
		require.Equal(t, got["pinned"].Logits, c.Logits, name)
	}
}
