package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// remedies says where the tools that a step may miss come from.
var remedies = map[string]string{
	"git":            "install git (Debian: apt-get install git, macOS: xcode-select --install)",
	"cmake":          "install CMake 3.18 or later (Debian: apt-get install cmake, macOS: brew install cmake)",
	"c++":            "install a C++17 compiler (Debian: apt-get install g++, macOS: xcode-select --install), or name one in CXX",
	"cc":             "install a C compiler (Debian: apt-get install gcc, macOS: xcode-select --install), or name one in CC",
	"arm64":          "install a cross compiler (Debian: apt-get install g++-aarch64-linux-gnu)",
	"amd64":          "install a cross compiler (Debian: apt-get install g++-x86-64-linux-gnu)",
	"mingw":          "install mingw-w64 (Debian: apt-get install g++-mingw-w64-x86-64-posix)",
	"wine":           "install Wine (Debian: apt-get install wine wine64)",
	"qemu":           "install QEMU's user mode emulation (Debian: apt-get install qemu-user-static)",
	"make":           "install ninja or make (Debian: apt-get install ninja-build, macOS: brew install ninja)",
	"npm":            "install Node.js 20.19 or later, with npm (Debian 13: apt-get install npm, macOS: brew install node)",
	"dpkg-deb":       "build the package on Debian or its kin, or leave --deb out",
	"dpkg-shlibdeps": "install dpkg-dev (apt-get install dpkg-dev), or leave --deb out",
	"python3":        "install Python with pip (Debian: apt-get install python3-pip, macOS: brew install python)",
}

// need reports a missing tool before the step that would stumble over it.
func need(tool string) error {
	if _, err := exec.LookPath(tool); err != nil {
		return fmt.Errorf("%s was not found on PATH: %s", tool, remedies[tool])
	}
	return nil
}

// command prepares a child that is interrupted, and soon after killed, when the program is.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// output runs a command quietly and returns what it wrote; an error carries the end of its
// complaint.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		complaint := lastLines(stderr.String()+"\n"+stdout.String(), 3)
		if complaint == "" || errors.Is(err, context.DeadlineExceeded) {
			complaint = err.Error()
		}
		return stdout.String(), fmt.Errorf("%s: %s", filepath.Base(cmd.Path),
			strings.ReplaceAll(complaint, "\n", "; "))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// git prepares a git command that sees only dir: not a repository around it, not the one of a
// calling hook, and not a setting that rewrites content.
func git(ctx context.Context, dir string, args ...string) *exec.Cmd {
	neutral := []string{"-c", "core.autocrlf=false", "-c", "core.attributesFile=" + os.DevNull,
		"-c", "core.excludesFile=" + os.DevNull}
	cmd := command(ctx, dir, "git", append(neutral, args...)...)
	ceiling := dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		ceiling = real
	}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
			"GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}, name)
	})
	cmd.Env = append(cmd.Env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CEILING_DIRECTORIES="+filepath.Dir(ceiling))
	return cmd
}

// lastLines returns the last n non-empty lines of text.
func lastLines(text string, n int) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"),
		func(l string) bool { return strings.TrimSpace(l) == "" })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
