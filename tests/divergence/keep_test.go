package divergence

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
)

func TestKeptStates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.state")
	_, err := readKept(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, writeKept(path, []byte("state")))
	state, err := readKept(path)
	require.NoError(t, err)
	require.Equal(t, "state", string(state))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, n := range []int{0, 10, len(data) - 1} { // cut anywhere
		require.NoError(t, os.WriteFile(path, data[:n], 0o600))
		_, err = readKept(path)
		require.Error(t, err, n)
	}
	data[len(data)-1] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = readKept(path)
	require.Error(t, err)
}

func TestKeptNamesDiffer(t *testing.T) {
	prompt := []bridge.Token{1, 2, 3}
	name := Keep{Model: "a"}.name("f16 f16", prompt)
	require.Equal(t, name, Keep{Dir: "elsewhere", Model: "a"}.name("f16 f16", prompt))
	require.NotEqual(t, name, Keep{Model: "b"}.name("f16 f16", prompt))
	require.NotEqual(t, name, Keep{Model: "a"}.name("q8_0 f16", prompt))
	require.NotEqual(t, name, Keep{Model: "a"}.name("f16 f16", prompt[:2]))
}
