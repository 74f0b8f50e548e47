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

// Compiled is a program of testdata in C++, built with the headers of the pinned llama.cpp and
// linked to the patched one.
func Compiled(t *testing.T, name string) string {
	cxx, ok := os.LookupEnv("CXX")
	if !ok {
		cxx = "c++"
	}
	if _, err := exec.LookPath(cxx); err != nil {
		t.Skip("needs a C++ compiler")
	}
	source, libs := Setting(t, "RETRO_SOURCE"), Setting(t, "RETRO_PATCHED_DIR")
	program := filepath.Join(t.TempDir(), name)
	args := []string{"-std=c++17", "../testdata/" + name + ".cpp", "-o", program}
	for _, dir := range []string{"tests", "common", "include", "ggml/include", "src", "vendor"} {
		args = append(args, "-I"+filepath.Join(source, dir))
	}
	Run(t, cxx, append(args, "-L"+libs, "-Wl,-rpath,"+libs, "-lllama-common", "-lllama", "-lggml",
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
