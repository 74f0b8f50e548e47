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
	return a.tool(env, "eval", cmd.Args)
}

// tool builds a program of tests/ and runs it with the user's arguments.
func (a *app) tool(env []string, name string, args []string) error {
	temp, err := os.MkdirTemp("", "retroattn-"+name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	program := filepath.Join(temp, name)
	if _, err := output(command(a.ctx, a.root, "go", "build", "-o", program, "./tests/"+name)); err != nil {
		return err
	}
	run := command(a.ctx, "", program, args...) // in the user's folder, for relative paths
	run.Env = append(os.Environ(), env...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = run.Run()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return errSaid
	}
	return err
}
