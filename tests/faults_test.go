package tests

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A child of fork has none of the threads of Go's runtime. What it may do works, what it may not is an error at once, and the
// parent decodes on.
func TestForkAfterLoad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("forks are watched on Linux only")
	}
	require.Equal(t, "ok\n", run(t, compileC(t, compiler(t), library(t), "fork")))
}
