package harness

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// CompilerCommand begins a compiler's command line: with several words, where CC is "ccache gcc".
type CompilerCommand []string

// Compiler is the C compiler, or the test is skipped.
func Compiler(t *testing.T) CompilerCommand { return needCompiler(t, "CC", "cc") }

// CXX is the C++ compiler, or the test is skipped.
func CXX(t *testing.T) CompilerCommand { return needCompiler(t, "CXX", "c++") }

func needCompiler(t *testing.T, variable, usual string) CompilerCommand {
	t.Helper()
	c, err := findCompiler(variable, usual)
	if err != nil {
		t.Skip(err)
	}
	return c
}

func findCompiler(variable, usual string) (CompilerCommand, error) {
	c := strings.Fields(os.Getenv(variable))
	if len(c) == 0 {
		c = []string{usual}
	}
	if _, err := exec.LookPath(c[0]); err != nil {
		return nil, fmt.Errorf("%s was not found on PATH: install a compiler, or name one in %s",
			c[0], variable)
	}
	return c, nil
}

func (c CompilerCommand) String() string { return strings.Join(c, " ") }

// Command prepares a call of the compiler.
func (c CompilerCommand) Command(args ...string) *exec.Cmd {
	return exec.Command(c[0], slices.Concat(c[1:], args)...)
}

// Run calls the compiler.
func (c CompilerCommand) Run(t *testing.T, args ...string) {
	t.Helper()
	Run(t, c[0], slices.Concat(c[1:], args)...)
}
