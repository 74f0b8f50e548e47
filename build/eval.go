package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

type evalCmd struct {
	Args []string `arg:"" optional:"" help:"Flags of the laboratory: --help shows them."`
}

// Run builds what the laboratory needs, and gives it the rest of the command line.
func (cmd evalCmd) Run(a *app) error {
	var env []string
	if !slices.Contains(cmd.Args, "--help") { // which needs nothing
		var err error
		if _, _, env, err = a.environment(); err != nil {
			return err
		}
	}
	temp, err := os.MkdirTemp("", "retroattn-eval-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	program := filepath.Join(temp, "eval")
	if _, err := output(command(a.ctx, a.root, "go", "build", "-o", program, "./tests/eval")); err != nil {
		return err
	}
	eval := command(a.ctx, "", program, cmd.Args...) // in the user's folder, for relative paths
	eval.Env = append(os.Environ(), env...)
	eval.Stdin, eval.Stdout, eval.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = eval.Run()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return errSaid
	}
	return err
}
