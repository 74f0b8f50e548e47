package install

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The archive for another target is as whole as this machine's: its llama-server answers where it
// was unpacked, sparsely, and Ctrl+C ends it.
func TestTargetArchive(t *testing.T) {
	x := harness.TargetPrograms(t)
	prefix := unpack(t, dist(t, "../..", "--os", x.System, "--arch", x.Arch))
	for _, name := range []string{"include/retroattn.h", "lib/pkgconfig/retroattn.pc",
		"lib/cmake/retroattn/retroattn-config.cmake", "example/decode.c", "patches/apply.sh",
		"licenses/llama.cpp/LICENSE", "licenses/go/LICENSE", "LICENSE", "docs/systems.md"} {
		require.FileExists(t, filepath.Join(prefix, name))
	}
	if x.Target == harness.Windows {
		require.FileExists(t, filepath.Join(prefix, "lib/libretroattn.dll.a"))
		require.FileExists(t, filepath.Join(prefix, "licenses/mingw-w64-common/copyright"))
	} else {
		requireMovable(t, prefix)
		modules, err := filepath.Glob(filepath.Join(prefix, "lib/libggml-cpu-armv*.so"))
		require.NoError(t, err)
		require.Greater(t, len(modules), 5, "one for each step of the instruction set")
	}
	for _, name := range []string{"llama-cli", "llama-completion", "llama-bench"} {
		out, err := x.Command(x.Program(filepath.Join(prefix, "bin"), name),
			"--help").CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
	s := harness.StartTarget(t, x.Target, filepath.Join(prefix, "bin"))
	c, err := harness.Complete(s.URL, harness.TargetPrompt, 0)
	require.NoError(t, err)
	require.NotEmpty(t, c.Content)
	require.Positive(t, c.Timings.Sparse, "%+v", c)
	s.Interrupt(t)
}
