package main

import (
	"slices"
)

type benchDecodeCmd struct {
	Args []string `arg:"" optional:"" help:"Flags of the measurement: --help shows them."`
}

type benchPromptCmd struct{ benchDecodeCmd }

// Run does so with prompts and drafts, which are exact.
func (cmd benchPromptCmd) Run(a *app) error {
	cmd.Args = append([]string{"--prompt"}, cmd.Args...)
	return cmd.benchDecodeCmd.Run(a)
}

// Run builds llama.cpp without our patches and with them, and gives the rest of the command line to the program that
// compares the two.
func (cmd benchDecodeCmd) Run(a *app) error {
	var env []string
	if !slices.Contains(cmd.Args, "--help") { // which needs nothing
		var err error
		if _, _, env, err = a.environment(); err != nil {
			return err
		}
		tools, err := a.toolchain()
		if err != nil {
			return err
		}
		stock, err := a.stock(tools)
		if err != nil {
			return err
		}
		env = append(env, "RETRO_STOCK_DIR="+stock.bin(), "RETRO_CACHE_DIR="+a.cache.dir)
	}
	return a.tool(env, "speed", cmd.Args)
}
