package harness

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Fixture is a small model with random weights of an architecture that llama.cpp knows.
type Fixture struct{ Arch, Kind string }

// kept is the folder of what is made once for all tests of a package.
var kept = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "retroattn-tests-") })

// Main runs the tests of a package and takes away what they keep.
func Main(m *testing.M) {
	code := m.Run()
	if dir, err := kept(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Compiled is a program of testdata in C++, built with the headers of the pinned llama.cpp and
// linked to the patched one. It is compiled once, which takes seconds.
func Compiled(t *testing.T, name string) string {
	dir, err := kept()
	require.NoError(t, err)
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	cxx := CXX(t)
	source, libs := Setting(t, "RETRO_SOURCE"), Setting(t, "RETRO_PATCHED_DIR")
	args := []string{"-std=c++17", "../testdata/" + name + ".cpp", "-o", program}
	for _, dir := range []string{"tests", "common", "include", "ggml/include", "ggml/src", "src", "vendor"} {
		args = append(args, "-I"+filepath.Join(source, dir))
	}
	cxx.Run(t, append(args, "-L"+libs, "-Wl,-rpath,"+libs, "-lllama-common", "-lllama", "-lggml",
		"-lggml-base")...)
	return program
}

// Fixtures are the models that testdata/archs.cpp can be asked for, and the program.
func Fixtures(t *testing.T) (program string, all []Fixture) {
	program = Compiled(t, "archs")
	for line := range strings.Lines(Run(t, program)) {
		arch, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, Fixture{arch, kind})
	}
	return program, all
}

// Make writes the model, with what the program can add to it.
func (f Fixture) Make(t *testing.T, program string, with ...string) (path string) {
	path = filepath.Join(t.TempDir(), "model.gguf")
	Run(t, program, append([]string{f.Arch, f.Kind, path}, with...)...)
	return path
}
