package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
)

// The laboratory, tests/lab, is a module and a program of its own: these commands build what it
// needs, and give it the rest of the command line.

type evalCmd struct{ labArgs }

type docsCmd struct{ labArgs }

type benchCmd struct {
	Kernels benchKernelsCmd `cmd:"" passthrough:"" help:"Measure the kernels against what the processor can do, and against ggml."`
	Prompt  benchPromptCmd  `cmd:"" passthrough:"" help:"Measure prompts and the verification of drafts end to end: stock llama.cpp against this project."`
	Decode  benchDecodeCmd  `cmd:"" passthrough:"" help:"Measure decoding end to end: stock llama.cpp against this project, over depths, sequences and cache types."`
}

type (
	benchKernelsCmd struct{ labArgs }
	benchPromptCmd  struct{ labArgs }
	benchDecodeCmd  struct{ labArgs }
)

type labArgs struct {
	Args []string `arg:"" optional:"" help:"Flags of the measurement: --help shows them."`
}

// has says whether one of the flags is there.
func (l labArgs) has(flags ...string) bool {
	return slices.ContainsFunc(l.Args, func(arg string) bool { return slices.Contains(flags, arg) })
}

func (cmd evalCmd) Run(a *app) error {
	if cmd.has("--help") { // which needs nothing
		return a.lab(nil, "eval", cmd.Args...)
	}
	_, _, env, err := a.environment()
	if err != nil {
		return err
	}
	return a.lab(env, "eval", cmd.Args...)
}

func (cmd docsCmd) Run(a *app) error {
	return a.lab(nil, "docs", append([]string{filepath.Join(a.root, "docs")}, cmd.Args...)...)
}

func (cmd benchKernelsCmd) Run(a *app) error {
	if cmd.has("--help", "--list", "--no-ggml") {
		return a.lab(nil, "kernels", cmd.Args...)
	}
	stock, err := a.stockEnvironment()
	if err != nil {
		return err
	}
	return a.lab(stock, "kernels", cmd.Args...)
}

func (cmd benchPromptCmd) Run(a *app) error {
	return benchDecodeCmd{labArgs{append([]string{"--prompt"}, cmd.Args...)}}.Run(a)
}

func (cmd benchDecodeCmd) Run(a *app) error {
	if cmd.has("--help") {
		return a.lab(nil, "decode", cmd.Args...)
	}
	_, _, env, err := a.environment()
	if err != nil {
		return err
	}
	stock, err := a.stockEnvironment()
	if err != nil {
		return err
	}
	env = append(append(env, stock...), "RETRO_CACHE_DIR="+a.cache.dir)
	return a.lab(env, "decode", cmd.Args...)
}

// stockEnvironment tells where llama.cpp without our patches is, having built it.
func (a *app) stockEnvironment() ([]string, error) {
	tools, err := a.toolchain(here)
	if err != nil {
		return nil, err
	}
	stock, err := a.stock(tools)
	return []string{"RETRO_STOCK_DIR=" + stock.bin()}, err
}

// lab builds the laboratory and runs one of its commands with the user's arguments.
func (a *app) lab(env []string, name string, args ...string) error {
	if runtime.GOOS == "windows" {
		return errors.New("the laboratory needs Linux or macOS: measure in WSL, or on another machine")
	}
	temp, err := os.MkdirTemp("", "retroattn-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	program := filepath.Join(temp, "lab")
	build := command(a.ctx, filepath.Join(a.root, labFolder), "go", "build", "-o", program, ".")
	if _, err := output(build); err != nil {
		return err
	}
	// In the user's folder, for relative paths.
	run := command(a.ctx, "", program, append([]string{name}, args...)...)
	run.Env = append(os.Environ(), env...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = run.Run()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return errSaid
	}
	return err
}

// labFolder is where the laboratory's module is.
const labFolder = "tests/lab"
