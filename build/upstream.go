package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// upstreamOn makes tokens be left out even in the short contexts of upstream's tests.
const upstreamOn = "budget=8,window=2,period=1,min_ctx=1,local=16"

// upstreamTest is a test program of llama.cpp. In its arguments MODEL and MODELS stand for the
// short model and for a folder of tiny ones, which test-llama-archs writes.
type upstreamTest struct {
	name, args string
	upTo       string // where it fails for want of the internet: what it prints then
	on         string // options beside upstreamOn
	sparse     bool   // it decodes, so that pages must be left out
	plain      bool   // it makes no context, so that there is nothing to switch on
}

// Of ggml the patches touch the scheduler only, so that tests of operators would say nothing.
var upstreamTests = []upstreamTest{
	{name: "test-alloc", plain: true},
	{name: "test-opt", plain: true},
	{name: "test-batch-alloc", plain: true},
	{name: "test-arg-parser", upTo: "test good URL"},
	{name: "test-sampling", plain: true},
	{name: "test-llama-archs", args: "-o MODELS"},
	{name: "test-llama-archs"},
	// Of random weights, what is chosen hangs on the last bits, which a loaded state need not have:
	// here nothing is chosen.
	{name: "test-save-load-state", args: "--models MODELS -t 1 -lv 4", sparse: true,
		on: ",select=streaming"},
	{name: "test-save-load-state", args: "-m MODEL -t 1 -lv 4", sparse: true},
	{name: "test-recurrent-state-rollback", args: "-m MODELS/qwen35-dense.gguf"},
	{name: "test-thread-safety", args: "-m MODEL -p Once -n 64 -c 256 -ub 32 -np 4 -t 1 -lv 4",
		sparse: true},
	{name: "test-state-restore-fragmented", args: "-m MODEL -t 1 -lv 4"},
}

// upstreamServerTests are those of llama-server, in tools/server/tests.
var upstreamServerTests = []string{"unit/test_ctx_shift.py", "unit/test_slot_save.py",
	"unit/test_basic.py", "unit/test_kv_keep_only_active.py",
	"unit/test_metrics.py", "unit/test_completion.py", "unit/test_chat_completion.py",
	"unit/test_speculative.py", "unit/test_sleep.py"}

// upstream runs llama.cpp's own tests on the patched build, off and on.
func (a *app) upstream(p *built, t *tally) error {
	temp, err := os.MkdirTemp("", "retroattn-upstream-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	models := filepath.Join(temp, "models")
	if err := os.Mkdir(models, 0o755); err != nil {
		return err
	}
	for _, test := range upstreamTests {
		a.upstreamProgram(t, test, p.patched, temp,
			strings.NewReplacer("MODELS", models, "MODEL", p.short), p.env)
	}
	return a.upstreamServer(t, p, temp)
}

// upstreamPrograms builds the test programs in the folder of the patched build, whose libraries
// they use.
func (a *app) upstreamPrograms(patched native) error {
	tools, err := a.toolchain(here)
	if err != nil {
		return err
	}
	s, err := loadSeries(a.root)
	if err != nil {
		return err
	}
	var targets []string
	for _, test := range upstreamTests {
		targets = append(targets, test.name)
	}
	slices.Sort(targets)
	targets = slices.Compact(targets)
	tools.flags = append(slices.Concat(tools.flags, patchedFlags, tools.compilerFlags()),
		"-DLLAMA_BUILD_TESTS=ON")
	return a.cache.ensure(product{
		name: "upstream", made: s.hash + "\n" + strings.Join(targets, " "),
		files: programs(patched, targets),
		make: func() error {
			return a.compile(tools, patched, "Building llama.cpp's tests", targets)
		},
	})
}

var sparseTokens = regexp.MustCompile(`(\d+) of \d+ tokens sparse`)

// sparseIn says how many tokens a log tells of that left pages out.
func sparseIn(text string) int {
	most := 0
	for _, m := range sparseTokens.FindAllStringSubmatch(text, -1) {
		n := 0
		fmt.Sscan(m[1], &n)
		most = max(most, n)
	}
	return most
}

// upstreamProgram runs one test off and on and says so in a line of the table.
func (a *app) upstreamProgram(t *tally, test upstreamTest, patched native, temp string,
	names *strings.Replacer, env []string) {
	name := strings.TrimSpace(test.name + " " + test.args)
	var line []string
	for _, on := range []bool{false, true} {
		if on && test.plain {
			line = append(line, "not run, as it makes no context")
			continue
		}
		begun := time.Now()
		run := command(a.ctx, temp, patched.bin(test.name),
			strings.Fields(names.Replace(test.args))...)
		run.Env = slices.Concat(os.Environ(), env)
		if on {
			run.Env = append(run.Env, "LLAMA_RETRO_ATTN="+upstreamOn+test.on)
		}
		var out bytes.Buffer
		run.Stdout, run.Stderr = &out, &out
		err := run.Run()
		t.spend(run)
		if err != nil && test.upTo != "" && strings.HasSuffix(strings.TrimSpace(strings.SplitAfter(out.String(), test.upTo)[0]), test.upTo) {
			err = nil
		}
		verdict := "ok"
		if sparse := sparseIn(out.String()); sparse > 0 {
			verdict = fmt.Sprintf("ok, %d tokens sparse", sparse)
		} else if err == nil && on && test.sparse {
			err = errors.New("no page was left out: the test says nothing about the sparse attention")
		}
		if err != nil {
			verdict = "FAILED"
			t.fail(fmt.Sprintf("%s, on: %v", name, on),
				err.Error()+"\n"+lastLines(out.String(), 40))
		} else {
			t.passed++
		}
		line = append(line, fmt.Sprintf("%s (%s)", verdict, seconds(time.Since(begun))))
	}
	a.say("  %s: off %s; on %s", name, line[0], line[1])
	if test.upTo != "" {
		a.say("    (the rest of it needs the internet)")
	}
}

// serverVerdict is what the plugin writes for each test.
type serverVerdict struct {
	Test, Outcome, Reason string
	Seconds               float64
	Sparse                int
}

// upstreamServer runs the tests of llama-server, off and on. What stock fails as well where it runs,
// as it may where one token and several at once round differently, says nothing of the patches.
func (a *app) upstreamServer(t *tally, p *built, temp string) error {
	python, err := a.pytest(p.patched.source)
	if err != nil {
		t.skip("upstream's server tests", err.Error())
		return nil
	}
	var runs [2][]serverVerdict
	for i, options := range []string{"", "--retro-opts " + upstreamOn} {
		runs[i], err = twice(upstreamServerTests, func(tests []string) ([]serverVerdict, error) {
			return a.serverTests(t, python, p, p.patched, temp, options, tests)
		})
		if err != nil {
			return err
		}
	}
	if failed := failedTests(runs[0]); len(failed) > 0 {
		stock, err := a.serverTests(t, python, p, p.stock, temp, "", failed)
		if err != nil {
			return err
		}
		excuse(runs[0], stock)
	}
	if len(runs[0]) != len(runs[1]) {
		return fmt.Errorf("%d server tests ran off and %d on", len(runs[0]), len(runs[1]))
	}
	sparse := 0
	for i, on := range runs[1] {
		off := runs[0][i]
		a.say("  %s: off %s (%.0f s); on %s (%.0f s, %d tokens sparse)", off.Test, off.Outcome,
			off.Seconds, on.Outcome, on.Seconds, on.Sparse)
		sparse += on.Sparse
		for _, v := range []serverVerdict{off, on} {
			switch v.Outcome {
			case "passed":
				t.passed++
				if v.Reason != "" {
					t.notes = append(t.notes, v.Test+" "+v.Reason)
				}
			case "skipped":
				t.skip(v.Test, v.Reason)
			default:
				t.fail(v.Test, v.Reason)
			}
		}
	}
	if sparse == 0 {
		return errors.New("no page was left out in any of the server tests: they say nothing about the sparse attention")
	}
	return nil
}

// twice runs tests, and those that failed once more: some wait for a server only so long, or have
// two requests meet in it, which a busy machine may not let them.
func twice(tests []string, run func([]string) ([]serverVerdict, error)) ([]serverVerdict, error) {
	verdicts, err := run(tests)
	failed := failedTests(verdicts)
	if err != nil || len(failed) == 0 {
		return verdicts, err
	}
	again, err := run(failed)
	for _, second := range again {
		for i, first := range verdicts {
			if first.Test == second.Test && second.Outcome == "passed" {
				second.Reason = "failed, and passed when it was run again:\n" + first.Reason
				verdicts[i] = second
			}
		}
	}
	return verdicts, err
}

func failedTests(verdicts []serverVerdict) (tests []string) {
	for _, v := range verdicts {
		if v.Outcome == "failed" {
			tests = append(tests, v.Test)
		}
	}
	return tests
}

// excuse makes skipped ones of the tests that failed off and that stock fails, too.
func excuse(off, stock []serverVerdict) {
	failed := failedTests(stock)
	for i, v := range off {
		if v.Outcome == "failed" && slices.Contains(failed, v.Test) {
			off[i].Outcome, off[i].Reason = "skipped", "stock llama.cpp fails it here, too"
		}
	}
}

// serverTestFolder is that of upstream's server tests.
func serverTestFolder(source string) string { return filepath.Join(source, "tools", "server", "tests") }

// pytest makes an environment with what they need.
func (a *app) pytest(source string) (string, error) {
	tests := serverTestFolder(source)
	dir := a.cache.path("pytest")
	python := filepath.Join(dir, "bin", "python")
	requirements, err := os.ReadFile(filepath.Join(tests, "requirements.txt"))
	if err != nil {
		return "", err
	}
	return python, a.cache.ensure(product{
		name: "pytest", made: string(requirements), files: []string{python},
		make: func() error {
			if _, err := output(command(a.ctx, tests, "python3", "-m", "venv", "--clear",
				dir)); err != nil {
				return fmt.Errorf("no Python environment for upstream's server tests: %w", err)
			}
			_, err := output(command(a.ctx, tests, python, "-m", "pip", "install", "-q",
				"--disable-pip-version-check", "-r", "requirements.txt"))
			return err
		},
	})
}

// serverTests runs some of them with a build's server.
func (a *app) serverTests(t *tally, python string, p *built, n native, temp, options string,
	tests []string) ([]serverVerdict, error) {
	// The tests choose the arguments; ours come behind. A text must not end early, as upstream's
	// model never does, unless the plugin says so.
	server := filepath.Join(temp, "server.sh")
	script := fmt.Sprintf("#!/bin/sh\n[ -z \"$RETRO_END\" ] && set -- \"$@\" --ignore-eos\nexec '%s' \"$@\" %s\n", n.bin("llama-server"), options)
	if err := os.WriteFile(server, []byte(script), 0o755); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	report := filepath.Join(temp, "report.json")
	if err := os.RemoveAll(report); err != nil {
		return nil, err
	}
	dir := serverTestFolder(p.patched.source)
	run := command(a.ctx, dir, python, append([]string{"-m", "pytest", "-p", "retro_plugin", "-p",
		"no:cacheprovider", "-q"}, tests...)...)
	run.Env = append(slices.Concat(os.Environ(), p.env),
		"PYTHONDONTWRITEBYTECODE=1", "LLAMA_SERVER_BIN_PATH="+server,
		"RETRO_ON="+options, "RETRO_REPORT="+report, "PORT="+port,
		"PYTHONPATH="+filepath.Join(a.root, "tests", "upstream")+string(os.PathListSeparator)+
			dir)
	text, err := run.CombinedOutput()
	t.spend(run)
	var failed *exec.ExitError
	// 1: tests failed, which the report tells
	if err != nil && (!errors.As(err, &failed) || failed.ExitCode() != 1) {
		return nil, fmt.Errorf("upstream's server tests: %w\n%s", err, lastLines(string(text), 40))
	}
	return readVerdicts(report)
}

func readVerdicts(report string) ([]serverVerdict, error) {
	f, err := os.Open(report)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var verdicts []serverVerdict
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v serverVerdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("%s: %w", report, err)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, lines.Err()
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
