package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/retroattn/retroattn/kernels"
)

type testCmd struct {
	Short bool   `help:"Only vet, unit tests and the end-to-end tests that are quick: minutes, for a change in work."`
	Match string `name:"run" placeholder:"REGEXP" help:"Only the end-to-end tests (tests/, tests/lab/ and bridge/) with such a name, as for go test, on the build that is there; what it lacks is built."`
	Long  bool   `help:"Also build the archive for every processor, llama.cpp without the feature, and llama.cpp for Windows and for Linux on arm64, and test them; fuzz for an hour; and load llama-server for half an hour."`
	OS    string `name:"os" placeholder:"OS" help:"windows: only build llama.cpp for Windows, which takes 20 minutes of processor time the first time, and test it by Wine."`
	Arch  string `placeholder:"ARCH" help:"arm64: the same for Linux on that processor, by QEMU."`
}

func (cmd *testCmd) Validate() error {
	g, err := targetOf(cmd.OS, cmd.Arch)
	if err == nil && g != here && cmd.Match != "" {
		return fmt.Errorf("--run %s for %s: its tests run all together, leave --run out",
			cmd.Match, g)
	}
	return err
}

// soakFor is how long TestSoak loads llama-server with --long.
const soakFor = 30 * time.Minute

// stages are those that run side by side, and such one after another.
func (cmd testCmd) stages() [][]stage {
	if cmd.Match != "" {
		return [][]stage{{{name: "end to end", run: cmd.matching}}}
	}
	if g, _ := targetOf(cmd.OS, cmd.Arch); g != here {
		return [][]stage{{cmd.crossStage(g)}}
	}
	p := &built{}
	e2e := func(name string, short bool, tests goTests) stage {
		return stage{name: name, run: p.with(tests), must: true, short: short}
	}
	// A plan is measured on a machine that is not busy.
	const plans = "^TestPlan"
	all := [][]stage{
		{{name: "vet", run: vet, short: true}},
		{{name: "unit tests", run: cmd.unit, must: true, short: true}},
		{{name: "programs", run: p.build(cmd), short: true, basis: true}},
		// What takes longest is begun first.
		append([]stage{
			e2e("llama", true, cmd.endToEnd("llama", "./tests/llama")),
			e2e("server", true, cmd.endToEnd("server", "-skip", plans, "./tests/server")),
			{name: "upstream", run: func(a *app, t *tally) error { return a.upstream(p, t) },
				must: true},
			e2e("lab", false, cmd.labTests),
			e2e("bridge", true, cmd.bridgeTests),
			e2e("library", true, cmd.endToEnd("library", "./tests/library", "./tests/install")),
			{name: "fuzz", run: cmd.fuzz, must: true},
		}, cmd.passes()...),
		{e2e("plans", true, cmd.endToEnd("plans", "-run", plans, "./tests/server"))},
	}
	for _, other := range cmd.others() { // which build, one after another
		all = append(all, []stage{other})
	}
	for _, side := range all {
		for i := range side {
			if g := &side[i]; cmd.Short && !g.short {
				g.skip = "left out by --short"
			}
		}
	}
	return all
}

// others are llama.cpp for other systems and processors, where they can be emulated.
func (cmd testCmd) others() (all []stage) {
	for _, g := range []target{windows, linuxARM64} {
		other := cmd.crossStage(g)
		switch {
		case g == here:
			continue
		case here != target{"linux", "amd64"}:
			other.skip = "needs Linux on amd64, where it is emulated"
		case !cmd.Long:
			other.skip = fmt.Sprintf("--long, or --os %s --arch %s, builds llama.cpp for it",
				g.system, g.arch)
		}
		all = append(all, other)
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

// against are the tests that compare the engine with sums in float64, on an emulated processor
// with every extension, and on one without the dot product instructions, where a missing check
// shows as an illegal instruction and the kernels' own tests were all.
var against = map[string]string{
	"max":        "^Test(UnionInvariant|ExactRows|LatentAttention|Model|SaveLoadContinue)$",
	"cortex-a72": "^Test(UnionInvariant|Model)$",
}

// arm64 runs the kernels' tests, and those of the engine that are against. What else the engine
// does is Go, and no other there.
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
		engineTests := cmd.goTest(name, env, "-exec", qemu, "-run", against[cpu], "./retro")
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

// unit tests every package but those that need a built llama.cpp and are tested with it later.
func (cmd testCmd) unit(a *app, t *tally) error {
	list, err := output(command(a.ctx, a.root, "go", "list", "-f", "{{.Dir}}", "./..."))
	if err != nil {
		return err
	}
	var packages []string
	for dir := range strings.Lines(list) {
		rel, err := filepath.Rel(a.root, strings.TrimSpace(dir))
		if err != nil {
			return err
		}
		if p := "./" + filepath.ToSlash(rel); p != "./bridge" && !slices.Contains(endToEnd, p) {
			packages = append(packages, p)
		}
	}
	return cmd.goTest("unit tests", nil, packages...)(a, t)
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
			append([]string{"test", "-json", "-timeout", "1h"}, args...)...) // unless args have another
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
			said := &lineWriter{line: func(line string) { a.say("%s", line) }}
			test.Stdout, test.Stderr = io.MultiWriter(lines, said),
				io.MultiWriter(&complaint, os.Stderr)
		}
		t.finish(test.Run(), complaint.String())
		t.spend(test)
		return nil
	}
}
