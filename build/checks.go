package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"retroattn/kernels"
)

type testCmd struct {
	Short bool   `help:"Only vet, unit tests and the end-to-end tests that are quick: minutes, for a change in work."`
	Match string `name:"run" placeholder:"REGEXP" help:"Only the end-to-end tests (tests/, tests/lab/ and bridge/) with such a name, as for go test, on the build that is there; what it lacks is built."`
	Long  bool   `help:"Also build the archive for every processor, llama.cpp without the feature, and llama.cpp for Windows, and test them: 40 minutes of processor time more; fuzz for an hour; and load llama-server for half an hour."`
	OS    string `name:"os" placeholder:"OS" help:"windows: only build llama.cpp for Windows, which takes 20 minutes of processor time the first time, and test it by Wine."`
	Arch  string `placeholder:"ARCH" help:"arm64: the same for Linux on that processor, by QEMU."`
}

func (cmd *testCmd) Validate() error {
	_, err := targetOf(cmd.OS, cmd.Arch)
	return err
}

// soakFor is how long TestSoak loads llama-server with --long.
const soakFor = 30 * time.Minute

// stage is one line of the report.
type stage struct {
	name string
	run  func(a *app, t *tally) error // an error is a failure that is no test's
	skip string                       // why it is not run, if it is not
	must bool                         // running no test at all is a failure
}

// errSaid needs no words of its own: the last lines tell what failed.
var errSaid = errors.New("failed")

func (cmd testCmd) Run(a *app) error {
	if _, err := regexp.Compile(cmd.Match); err != nil {
		return fmt.Errorf("--run %s is no regular expression: %w", cmd.Match, err)
	}
	var sum totals
	for _, g := range cmd.stages() {
		if g.skip != "" {
			a.say("NOT RUN  %s: %s", g.name, g.skip)
			sum.notRun = append(sum.notRun, g.name+": "+g.skip)
			continue
		}
		a.runStage(g, &sum)
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
	}
	a.say("%s\n%s", sum.details(), &sum)
	if sum.failed > 0 {
		return errSaid
	}
	return nil
}

func (a *app) runStage(g stage, sum *totals) {
	begun := time.Now()
	t := newTally()
	if err := g.run(a, t); err != nil {
		t.fail(g.name, err.Error())
	}
	if g.must && t.ran() == 0 {
		t.fail(g.name, "no test was run, where there must be some")
	}
	sum.add(g, t)
	verdict := "ok"
	if t.failed > 0 {
		verdict = "FAILED"
	}
	a.say("%-8s %s: %d passed, %d failed, %d skipped in %s, of which tests used %s of processor time", verdict, g.name,
		t.passed, t.failed, t.skipped, seconds(time.Since(begun)), seconds(t.used))
	for _, reason := range t.reasons {
		a.say("         skipped (%s): %s", reason, strings.Join(t.skips[reason], ", "))
	}
	for _, failure := range t.failures {
		a.say("%s", failure)
	}
	for _, note := range t.notes {
		a.say("%s", note)
	}
}

func (cmd testCmd) stages() []stage {
	if cmd.Match != "" {
		return []stage{{name: "end to end", run: cmd.matching}}
	}
	if g, _ := targetOf(cmd.OS, cmd.Arch); g != here {
		return []stage{cmd.crossStage(g)}
	}
	all := append([]stage{{name: "vet", run: vet}, {name: "unit tests", run: cmd.unit, must: true}},
		cmd.passes()...)
	all = append(all, []stage{
		{name: "fuzz", run: cmd.fuzz, must: true},
		{name: "llama.cpp", run: cmd.integration, must: true},
		{name: "lab", run: cmd.lab, must: true},
		{name: "upstream", run: cmd.upstream, must: true},
	}...)
	if here == (target{"linux", "amd64"}) {
		for _, g := range []target{windows, {"linux", "arm64"}} {
			other := cmd.crossStage(g)
			if !cmd.Long {
				other.skip = fmt.Sprintf("--long, or --os %s --arch %s, builds llama.cpp for it",
					g.system, g.arch)
			}
			all = append(all, other)
		}
	}
	for i := range all {
		if g := &all[i]; cmd.Short && !slices.Contains([]string{"vet", "unit tests", "llama.cpp"},
			g.name) {
			g.skip = "left out by --short"
		}
	}
	return all
}

// passes run kernels and engine again where they are other code: without assembly, at a lower
// level, or emulated; and with the race detector. The unit tests were the full pass: these have
// fewer cases, unless there is time.
func (cmd testCmd) passes() []stage {
	cmd.Short = !cmd.Long
	pass := func(name string, env []string, args ...string) stage {
		return stage{name: name, run: cmd.goTest(name, env, args...), must: true}
	}
	all := []stage{
		pass("noasm", nil, "-tags", "noasm", "./kernels/...", "./retro/..."),
		pass("race", []string{"CGO_ENABLED=1"}, "-race", "./kernels/...", "./retro/..."),
	}
	// The kernels' own tests compare all levels; the engine runs on the best unless told, and noasm
	// was the lowest. The level is read before the go command notes what a test reads, so it would
	// take the results of another level for these.
	levels := kernels.ISAs()
	for _, isa := range levels[min(1, len(levels)-1) : len(levels)-1] {
		all = append(all, pass("isa "+isa, []string{"RETRO_ISA=" + isa}, "-count=1", "./retro/..."))
	}
	return append(all, cmd.arm64()...)
}

// against are the tests that compare the engine with sums in float64.
const against = "^Test(UnionInvariant|ExactRows|LatentAttention|Model|SaveLoadContinue)$"

// arm64 runs the kernels' tests, and those that compare the engine with what it should compute, on
// an emulated processor with every extension, and on one without the dot product instructions,
// where a missing check shows as an illegal instruction. What else the engine does is Go, and no
// other there.
func (cmd testCmd) arm64() []stage {
	if runtime.GOARCH == "arm64" {
		return nil // the unit tests were that
	}
	if runtime.GOOS != "linux" {
		return []stage{{name: "arm64", skip: "needs Linux"}}
	}
	qemu := findQemu()
	if qemu == "" {
		return []stage{{name: "arm64", skip: remedies["qemu"]}}
	}
	var stages []stage
	for _, cpu := range []string{"max", "cortex-a72"} {
		name, env := "arm64 "+cpu, []string{"GOARCH=arm64", "CGO_ENABLED=0", "QEMU_CPU=" + cpu}
		kernelTests := cmd.goTest(name, env, "-exec", qemu, "./kernels/...")
		engineTests := cmd.goTest(name, env, "-exec", qemu, "-run", against, "./retro")
		stages = append(stages, stage{name: name, must: true,
			run: func(a *app, t *tally) error {
				return errors.Join(kernelTests(a, t), engineTests(a, t))
			}})
	}
	return stages
}

// vet also compiles what Windows and macOS run, but for the library where it has no C compiler for
// them.
func vet(a *app, t *tally) error {
	most := []string{"./kernels/...", "./retro/...", "./bridge/...", "./build/...", "./tests/..."}
	darwin := []string{"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"}
	err := errors.Join(a.vet(".", nil, "./..."), a.vet(labFolder, nil, "./..."),
		a.vet(labFolder, darwin, "./..."), a.vet(".", darwin, most...),
		a.vet(".", []string{"GOOS=darwin", "GOARCH=amd64", "CGO_ENABLED=0"}, most...),
		a.vet(".", []string{"GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0"}, most...))
	for g, x := range crosses {
		if g != here && needCompiler(x.remedy, x.cc()) == nil {
			err = errors.Join(err, a.vet(".", []string{"GOOS=" + g.system, "GOARCH=" + g.arch,
				"CGO_ENABLED=1", "CC=" + x.cc()}, "./capi"))
		}
	}
	return err
}

func (a *app) vet(folder string, env []string, packages ...string) error {
	var text bytes.Buffer
	cmd := command(a.ctx, filepath.Join(a.root, folder), "go",
		append([]string{"vet"}, packages...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(append(env, "go vet"), " "), err,
			text.String())
	}
	return nil
}

// endToEnd are the packages of tests/ that run what is built.
var endToEnd = []string{"./tests/library", "./tests/llama", "./tests/server", "./tests/install"}

// unit tests every package but those that need a built llama.cpp and are tested with it later.
func (cmd testCmd) unit(a *app, t *tally) error {
	list, err := output(command(a.ctx, a.root, "go", "list", "./..."))
	if err != nil {
		return err
	}
	var packages []string
	for _, p := range strings.Fields(list) {
		if p != "retroattn/bridge" && !slices.Contains(endToEnd,
			"./"+strings.TrimPrefix(p, "retroattn/")) {
			packages = append(packages, p)
		}
	}
	return cmd.goTest("unit tests", nil, packages...)(a, t)
}

// integration builds everything and tests it together. Of the binding's tests most need a
// llama.cpp, too; they run with the race detector, and once more on the patched build from within.
func (cmd testCmd) integration(a *app, t *tally) error {
	env, err := cmd.endToEndEnvironment(a)
	if err != nil {
		return err
	}
	if err := cmd.llamaTests(env)(a, t); err != nil {
		return err
	}
	if t.ran() == 0 {
		return errors.New("no test of tests/ was run")
	}
	return cmd.bridgeTests(env)(a, t)
}

// llamaTests, labTests and bridgeTests are those of tests/, tests/lab/ and bridge/, all or which.

func (cmd testCmd) llamaTests(env []string, which ...string) func(*app, *tally) error {
	flags := append([]string{"-count=1", "-timeout", "3h"}, which...)
	return cmd.goTest("tests", env, append(flags, endToEnd...)...)
}

func (cmd testCmd) labTests(env []string, which ...string) func(*app, *tally) error {
	flags := append([]string{"-count=1", "-timeout", "1h"}, which...)
	return cmd.goTestIn(labFolder, "lab", env, append(flags, "./...")...)
}

func (cmd testCmd) bridgeTests(env []string, which ...string) func(*app, *tally) error {
	flags := append([]string{"-race", "-count=1", "-timeout", "20m"}, which...)
	return cmd.goTest("bridge", append(env, "CGO_ENABLED=1"), append(flags, "./bridge")...)
}

// matching is what integration runs, of the tests that were asked for. The binding's run on the
// patched build at once.
func (cmd testCmd) matching(a *app, t *tally) error {
	env, err := cmd.endToEndEnvironment(a)
	if err != nil {
		return err
	}
	for _, tests := range []func(*app, *tally) error{
		cmd.llamaTests(env, "-run", cmd.Match),
		cmd.labTests(env, "-run", cmd.Match),
		cmd.bridgeTests(append(env, "RETRO_STOCK_DIR="), "-run", cmd.Match),
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

// endToEndEnvironment is that of the tests that run llama.cpp.
func (cmd testCmd) endToEndEnvironment(a *app) ([]string, error) {
	env, err := a.testEnvironment()
	// packages run side by side: threads that wait must not spin
	env = append(env, "OMP_WAIT_POLICY=passive")
	if cmd.Long {
		env = append(env, "RETRO_LONG=1", "RETRO_FUZZ_TIME="+eventsFor.String(),
			"RETRO_SOAK="+soakFor.String())
	}
	return env, err
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
		"RETRO_SOURCE=" + source, "RETRO_MODEL=" + model}, err
}

// testEnvironment has the stock build and the other models, too.
func (a *app) testEnvironment() ([]string, error) {
	patched, model, env, err := a.environment()
	if err != nil {
		return nil, err
	}
	tools, err := a.toolchain(here)
	if err != nil {
		return nil, err
	}
	stock, err := a.stock(tools)
	if err != nil {
		return nil, err
	}
	swa, err := a.model(a.pins.ModelSWA)
	if err != nil {
		return nil, err
	}
	f16, err := a.f16Model(model, patched.bin("llama-quantize"))
	if err != nil {
		return nil, err
	}
	env, err = a.emulators(env)
	return append(env, "RETRO_STOCK_DIR="+stock.bin(), "RETRO_MODEL_F16="+f16,
		"RETRO_MODEL_SWA="+swa), err
}

// goTest makes a stage of one "go test".
func (cmd testCmd) goTest(name string, env []string, args ...string) func(*app, *tally) error {
	return cmd.goTestIn(".", name, env, args...)
}

// goTestIn is goTest in a folder of the checkout, which may be another module's.
func (cmd testCmd) goTestIn(folder, name string, env []string,
	args ...string) func(*app, *tally) error {
	if cmd.Short {
		args = append([]string{"-short"}, args...)
	}
	return func(a *app, t *tally) error {
		test := command(a.ctx, filepath.Join(a.root, folder), "go",
			append([]string{"test", "-json"}, args...)...)
		test.Env = append(os.Environ(), env...)
		p := newProgress(a.out, "Running "+name, 0)
		defer p.end()
		verdicts := 0
		lines := &lineWriter{line: func(line string) {
			t.line(line)
			if strings.Contains(line, `"Action":"pass"`) ||
				strings.Contains(line, `"Action":"fail"`) {
				verdicts++
				p.note(fmt.Sprintf("Running %s: %d tests done, now %s", name, verdicts, t.running))
			}
		}}
		var complaint bytes.Buffer
		test.Stdout, test.Stderr = lines, &complaint
		if a.verbose {
			test.Stdout, test.Stderr = io.MultiWriter(lines, a.out),
				io.MultiWriter(&complaint, os.Stderr)
		}
		t.finish(test.Run(), complaint.String())
		t.spend(test)
		return nil
	}
}
