package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Fixture is a small model with random weights of an architecture that llama.cpp knows.
type Fixture struct{ Arch, Kind string }

// Fixtures are the models that testdata/archs.cpp can be asked for, and the program.
func Fixtures(t *testing.T) (program string, all []Fixture) {
	cxx, ok := os.LookupEnv("CXX")
	if !ok {
		cxx = "c++"
	}
	if _, err := exec.LookPath(cxx); err != nil {
		t.Skip("needs a C++ compiler")
	}
	source, libs := Setting(t, "RETRO_SOURCE"), Setting(t, "RETRO_PATCHED_DIR")
	program = filepath.Join(t.TempDir(), "archs")
	args := []string{"-std=c++17", "../testdata/archs.cpp", "-o", program, "-L" + libs, "-Wl,-rpath," + libs, "-lllama-common", "-lllama", "-lggml", "-lggml-base"}
	for _, dir := range []string{"tests", "common", "include", "ggml/include", "src", "vendor"} {
		args = append(args, "-I"+filepath.Join(source, dir))
	}
	Run(t, cxx, args...)
	for line := range strings.Lines(Run(t, program)) {
		arch, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, Fixture{arch, kind})
	}
	return program, all
}

// Make writes the model.
func (f Fixture) Make(t *testing.T, program string) (path string) {
	path = filepath.Join(t.TempDir(), "model.gguf")
	Run(t, program, f.Arch, f.Kind, path)
	return path
}
