package main

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

var cmakeFlags = []string{"-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF",
	"-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_TESTS=OFF",
	"-DLLAMA_BUILD_EXAMPLES=OFF"}

// noAMX leaves out ggml's AMX kernels. gcc drops what they write to the tile configuration before
// they load it, so that the first prompt of a quantised model ends the process
// (https://github.com/ggml-org/llama.cpp/pull/26954).
const noAMX = "-U__AMX_INT8__"

// patchedFlags are those of the patched build alone: layers on other machines are tested with it.
var patchedFlags = append([]string{"-DGGML_RPC=ON"}, here.movable()...)

var (
	patchedTargets = []string{"llama-cli", "llama-completion", "llama-bench", "llama-perplexity",
		"llama-server", "llama-batched-bench", "llama-quantize", "ggml-rpc-server"}
	stockTargets = []string{libraryTarget, "llama-bench", "llama-server"}
)

const libraryTarget = "llama" // libllama, which is no program

// llamaCMake is read at the end of llama.cpp's own project.
//
//go:embed cmake/llama.cmake
var llamaCMake string

// toolchain is what two builds must share to be the same.
type toolchain struct {
	target
	flags   []string // for cmake, generator included
	c, both []string // for C, and for C++ too
	key     string   // hash of everything that goes into a build but the source
}

// toolchain checks the tools before anything is fetched.
func (a *app) toolchain(g target) (toolchain, error) {
	if g != here {
		return a.crossTools(g)
	}
	cc, cxx := firstOf(os.Getenv("CC"), "cc"), firstOf(os.Getenv("CXX"), "c++")
	if err := errors.Join(needBuildTools(), needCompiler("cc", cc),
		needCompiler("c++", cxx)); err != nil {
		return toolchain{}, err
	}
	cpu := a.processor("/proc/cpuinfo") // for which llama.cpp is compiled
	t, err := a.toolchainOf(here, nil, []string{cc, cxx}, cpu)
	if strings.Contains(cpu, "amx_int8") {
		t.both = []string{noAMX}
	}
	return t, err
}

func needBuildTools() error {
	err := errors.Join(need("git"), need("cmake"))
	if _, missing := exec.LookPath("ninja"); missing != nil {
		err = errors.Join(err, need("make"))
	}
	return err
}

// toolchainOf adds what all toolchains have; its key depends on made, too.
func (a *app) toolchainOf(g target, flags, compilers []string, made string) (toolchain, error) {
	flags = slices.Concat(cmakeFlags, flags)
	if _, err := exec.LookPath("ninja"); err == nil {
		flags = append([]string{"-G", "Ninja"}, flags...)
	}
	hash := sha256.New()
	fmt.Fprintln(hash, a.pins.Llama.Tree, flags, g, compilers, os.Getenv("CFLAGS"),
		os.Getenv("CXXFLAGS"))
	for _, compiler := range compilers {
		version, err := output(compilerCommand(a, compiler))
		if err != nil {
			return toolchain{}, fmt.Errorf("%s --version: %w", compiler, err)
		}
		fmt.Fprintln(hash, version)
	}
	fmt.Fprintln(hash, made)
	return toolchain{target: g, flags: flags, key: fmt.Sprintf("%x", hash.Sum(nil))[:12]}, nil
}

// compilerFlags are the user's and more, for both languages; none if there are no more.
func (t toolchain) compilerFlags(more ...string) []string {
	both := strings.Join(slices.Concat(t.both, more), " ")
	c := strings.TrimSpace(strings.Join(t.c, " ") + " " + both)
	if c == "" {
		return nil
	}
	return []string{"-DCMAKE_C_FLAGS=" + strings.TrimSpace(os.Getenv("CFLAGS")+" "+c),
		"-DCMAKE_CXX_FLAGS=" + strings.TrimSpace(os.Getenv("CXXFLAGS")+" "+both)}
}

// firstOf is a, or b where a is blank.
func firstOf(a, b string) string {
	if strings.TrimSpace(a) != "" {
		return a
	}
	return b
}

// needCompiler looks for the program in a value such as "ccache g++".
func needCompiler(kind, value string) error {
	program := strings.Fields(value)[0]
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%s was not found on PATH: %s", program, remedies[kind])
	}
	return nil
}

func compilerCommand(a *app, value string) *exec.Cmd {
	words := strings.Fields(value)
	return command(a.ctx, "", words[0], append(words[1:], "--version")...)
}

var cpuLine = regexp.MustCompile(`(?m)^(model name|flags|Features|CPU part)\s*:.*$`)

// processor describes the instruction set; where that cannot be told, builds of different machines
// must not share a cache.
func (a *app) processor(cpuinfo string) string {
	if text, err := os.ReadFile(cpuinfo); err == nil {
		first, _, _ := strings.Cut(string(text), "\n\n")
		return strings.Join(cpuLine.FindAllString(first, -1), "\n")
	}
	name, _ := output(command(a.ctx, "", "sysctl", "-n", "machdep.cpu.brand_string"))
	return name
}

// native is a built llama.cpp.
type native struct {
	target
	source string // the tree it is built from
	dir    string // the build folder
	page   string // where llama-server's web page is, empty if it has none
}

// program is the file of a program.
func (n native) program(name string) string { return n.bin(n.target.program(name)) }

func (n native) bin(elements ...string) string {
	return filepath.Join(append([]string{n.dir, "bin"}, elements...)...)
}

// variant is a way to build llama.cpp.
type variant struct {
	name, title string
	patched     bool
	flags       []string              // beside the toolchain's
	compile     func(native) []string // the same for the compilers
	targets     []string
}

// patched builds llama.cpp with the patch series.
func (a *app) patched(t toolchain) (native, error) {
	return a.native(t, variant{name: "patched", title: "Building the patched llama.cpp",
		patched: true, flags: patchedFlags, targets: patchedTargets})
}

// stock builds the pristine llama.cpp, which the tests compare with.
func (a *app) stock(t toolchain) (native, error) {
	return a.native(t, variant{name: "stock", title: "Building stock llama.cpp",
		targets: stockTargets})
}

// native builds a variant, or finds it in the cache.
func (a *app) native(t toolchain, v variant) (native, error) {
	pristine, err := a.source()
	if err != nil {
		return native{}, err
	}
	n := native{target: t.target, source: pristine, dir: a.cache.path("builds", t.key, v.name)}
	refresh, made := func() error { return nil }, ""
	if v.patched {
		s, err := loadSeries(a.root)
		if err != nil {
			return native{}, err
		}
		if n.page, err = a.page(s, pristine); err != nil {
			return native{}, err
		}
		n.source = a.cache.path("builds", t.key, "source") // of all patched variants
		refresh, made = func() error { return a.refresh(s, pristine, n) },
			s.hash+"\n"+n.page+"\n"
	}
	var more []string
	if v.compile != nil {
		more = v.compile(n)
	}
	flags := slices.Concat(v.flags, t.compilerFlags(more...))
	t.flags = slices.Concat(t.flags, flags)
	return n, a.cache.ensure(product{
		name: v.name, made: made + strings.Join(slices.Concat(flags, v.targets), " ") + "\n" +
			llamaCMake, files: programs(n, v.targets),
		make: func() error {
			if err := refresh(); err != nil {
				return err
			}
			return a.compile(t, n, v.title, v.targets)
		},
	})
}

// refresh brings the source of the patched builds up to date.
func (a *app) refresh(s series, pristine string, n native) error {
	temp, err := a.cache.temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := s.refresh(a.ctx, pristine, n.source, temp); err != nil {
		return err
	}
	return n.usePage()
}

// programs are the files that targets become.
func programs(n native, targets []string) []string {
	var files []string
	for _, name := range targets {
		if name == libraryTarget {
			files = append(files, n.bin(n.shared(libraryTarget)))
		} else {
			files = append(files, n.program(name))
		}
	}
	return files
}

func (a *app) compile(t toolchain, n native, text string, targets []string) error {
	log, err := createLog(n.dir + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	begun := time.Now()
	include := a.cache.path("llama.cmake") // not in the checkout, which may move
	if err := writeFrom(strings.NewReader(llamaCMake), include, 0o644); err != nil {
		return err
	}
	configure := append([]string{"-S", n.source, "-B", n.dir,
		"-DCMAKE_PROJECT_llama.cpp_INCLUDE=" + include}, t.flags...)
	if err := a.logged(log, nil, "cmake", configure...); err != nil {
		return fmt.Errorf("configuring llama.cpp failed: %w", err)
	}
	p := newProgress(a.out, text, 100)
	build := append([]string{"--build", n.dir, "-j", fmt.Sprint(runtime.NumCPU()), "--target"},
		targets...)
	err = a.logged(log, func(line string) {
		if done, total, ok := buildStep(line); ok {
			p.set(done, total)
		}
	}, "cmake", build...)
	p.end()
	if err != nil {
		return fmt.Errorf("building llama.cpp failed: %w", err)
	}
	a.say("%s took %s.", text, seconds(time.Since(begun)))
	return nil
}

func createLog(name string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return os.Create(name)
}

// logged runs a command into a log; an error carries the end of the log and where it is.
func (a *app) logged(log *os.File, line func(string), name string, args ...string) error {
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	writers := []io.Writer{log}
	if a.verbose {
		writers = append(writers, a.out)
	}
	if line != nil {
		writers = append(writers, &lineWriter{line: line})
	}
	cmd := command(a.ctx, a.root, name, args...)
	cmd.Stdout = io.MultiWriter(writers...)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w; the log is %s and ends with:\n%s", err, log.Name(),
			lastLines(string(text[start:]), 25))
	}
	return nil
}
