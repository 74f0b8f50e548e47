package main

import (
	"fmt"
	"slices"
)

// endToEnd are the packages of tests/ that run what is built.
var endToEnd = []string{"./tests/library", "./tests/llama", "./tests/server", "./tests/install"}

// built is what the end-to-end tests run, once it is built.
type built struct {
	patched, stock native
	short          string // a model
	env            []string
}

// build makes it before several stages at once use it.
func (p *built) build(cmd testCmd) func(*app, *tally) error {
	return func(a *app, _ *tally) (err error) {
		if *p, err = cmd.programs(a); err != nil || cmd.Short {
			return err
		}
		if err = a.upstreamPrograms(p.patched); err != nil {
			return err
		}
		if _, err := a.pytest(p.patched.source); err != nil {
			a.say("%v", err) // their stage says that they are skipped
		}
		return nil
	}
}

// goTests makes a stage of a "go test" of some, all or which.
type goTests func(p *built, which ...string) func(*app, *tally) error

// with is a stage of tests that run what is built by then.
func (p *built) with(tests goTests) func(*app, *tally) error {
	return func(a *app, t *tally) error { return tests(p)(a, t) }
}

// and is the same with more in the environment.
func (p *built) and(more string) []string { return append(slices.Clone(p.env), more) }

// endToEnd runs tests of tests/.
func (cmd testCmd) endToEnd(name string, args ...string) goTests {
	return func(p *built, which ...string) func(*app, *tally) error {
		return cmd.goTest(name, p.env, slices.Concat([]string{"-count=1", "-timeout", "3h"}, which,
			args)...)
	}
}

func (cmd testCmd) labTests(p *built, which ...string) func(*app, *tally) error {
	flags := append([]string{"-count=1", "-timeout", "1h"}, which...)
	return cmd.goTestIn(labFolder, "lab", p.env, append(flags, "./...")...)
}

// bridgeTests run with the race detector, and once more on the patched build from within.
func (cmd testCmd) bridgeTests(p *built, which ...string) func(*app, *tally) error {
	flags := append([]string{"-race", "-count=1", "-timeout", "20m"}, which...)
	return cmd.goTest("bridge", p.and("CGO_ENABLED=1"), append(flags, "./bridge")...)
}

// matching runs what was asked for. The binding's run on the patched build at once.
func (cmd testCmd) matching(a *app, t *tally) error {
	p, err := cmd.programs(a)
	if err != nil {
		return err
	}
	alone := p
	alone.env = p.and("RETRO_STOCK_DIR=")
	for _, tests := range []func(*app, *tally) error{
		cmd.endToEnd("tests", endToEnd...)(&p, "-run", cmd.Match),
		cmd.labTests(&p, "-run", cmd.Match),
		cmd.bridgeTests(&alone, "-run", cmd.Match),
	} {
		if err := tests(a, t); err != nil {
			return err
		}
	}
	n := t.matched(cmd.Match)
	a.say("--run %s: %d tests match", cmd.Match, n)
	if n == 0 {
		return fmt.Errorf("no test of tests/, tests/lab/ or bridge/ matches --run %s", cmd.Match)
	}
	return nil
}

// programs builds all that the end-to-end tests run, and tells them where it is.
func (cmd testCmd) programs(a *app) (p built, err error) {
	var model string
	if p.patched, model, p.env, err = a.environment(); err != nil {
		return p, err
	}
	tools, err := a.toolchain(here)
	if err != nil {
		return p, err
	}
	if p.stock, err = a.stock(tools); err != nil {
		return p, err
	}
	if cmd.Long {
		// A test packs it by a program of its own, which could not build it: to make something it
		// needs the cache alone, and this program reads it until it ends.
		if _, err := a.portable(tools); err != nil {
			return p, err
		}
	}
	var models []string
	if p.short, models, err = a.testModels(p.patched.bin("llama-quantize"), model); err != nil {
		return p, err
	}
	// stages run side by side: threads that wait must not spin
	p.env = append(slices.Concat(p.env, models), "RETRO_STOCK_DIR="+p.stock.bin(),
		"OMP_WAIT_POLICY=passive")
	if cmd.Long {
		p.env = append(p.env, "RETRO_LONG=1", "RETRO_FUZZ_TIME="+eventsFor.String(),
			"RETRO_SOAK="+soakFor.String())
	}
	p.env, err = a.emulators(p.env)
	return p, err
}

// environment tells a program where the patched build, the default model and the pristine source
// are, having built them.
func (a *app) environment() (native, string, []string, error) {
	patched, library, err := a.everything()
	if err != nil {
		return native{}, "", nil, err
	}
	model, err := a.defaultModel()
	if err != nil {
		return native{}, "", nil, err
	}
	source, err := a.source()
	return patched, model, []string{"RETRO_PATCHED_DIR=" + patched.bin(), "RETRO_LIB=" + library,
		"RETRO_SOURCE=" + source, "RETRO_MODEL=" + model, "RETRO_PAGE=" + patched.page}, err
}
