package harness

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What CC and CXX say may have several words, or none.
func TestFindCompiler(t *testing.T) {
	t.Setenv("CXX", "go  tool")
	c, err := findCompiler("CXX", "c++")
	require.NoError(t, err)
	assert.Equal(t, []string{"go", "tool", "compile"}, c.Command("compile").Args)
	for _, none := range []string{"", " "} {
		t.Setenv("CXX", none)
		c, err = findCompiler("CXX", "go")
		require.NoError(t, err)
		assert.Equal(t, "go", c.String())
	}
	t.Setenv("CXX", "no-compiler -O1")
	_, err = findCompiler("CXX", "c++")
	assert.EqualError(t, err,
		"no-compiler was not found on PATH: install a compiler, or name one in CXX")
}
