package llama

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// What goes wrong around the library, and where it is tested that the host gets a clear error and
// goes on:
//
//	library missing                here; TestOffIsStock, TestDrift (bridge)
//	not a library, wrong version   here, also beside the programs and for a Go host; TestDrift (bridge)
//	library fails while decoding   TestEveryCallFails, TestLibraryFailsMidway; under load, and with cancels: TestSoak
//	state truncated or damaged     TestStateDamaged, TestCABI, TestLoadRefuses (retro); the file of a slot: TestSlotFileDamaged
//	page metadata corrupted        the same: the section of a state holds the page summaries, under a checksum
//	out of memory on init          too few addresses: here; absurd shapes: TestFootprint (retro). Go ends the process when memory itself runs out
//	thread count changed           here
//	fork after load                here
//	kill -9 while a slot is saved  here at any moment; TestServerKilledWhileSaving in the middle of writing

// refused is a libretroattn that cannot be used, and what the error says.
type refused struct{ name, path, want string }

func refusedLibraries(t *testing.T) []refused {
	cc, dir := harness.Compiler(t), t.TempDir()
	text, other, version := filepath.Join(dir, "text.so"), filepath.Join(dir, "other.so"),
		filepath.Join(dir, "version.so")
	require.NoError(t, os.WriteFile(text, []byte("this is not a library"), 0o644))
	cc.Run(t, "-shared", "-fPIC", "-o", other, "-xc", os.DevNull)
	cc.Run(t, "-shared", "-fPIC", "-I../../capi", "-DSTUB_ABI=77", "-o", version,
		"../testdata/stub.c")
	return []refused{
		{"not a library", text, text + " cannot be loaded"},
		{"another library", other, other + " has no retro_version: it is not a libretroattn of the version this program needs"},
		{"another version", version, "of the interface, this library has 77"},
	}
}

// shortCompletion runs llama-completion on a short prompt.
func shortCompletion(dir, model string, env []string, args ...string) (text, log string,
	err error) {
	var out, msg bytes.Buffer
	cmd := exec.Command(filepath.Join(dir, "llama-completion"), append(args,
		"-m", model, "-t", "1", "-c", "512", "-p", "The capital of France is", "-n", "8", "--temp",
		"0", "-no-cnv", "-st")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &msg
	err = cmd.Run()
	return out.String(), msg.String(), err
}

// A flag that asks for a library that cannot be used stops the program with one sentence; the
// environment variable is a warning, and the text is that of the program without it.
func TestLibraryRefused(t *testing.T) {
	dir, model := harness.Setting(t, "RETRO_PATCHED_DIR"), harness.Setting(t, "RETRO_MODEL")
	stock, _, err := shortCompletion(dir, model, nil)
	require.NoError(t, err)
	require.Contains(t, stock, "France is")
	missing := filepath.Join(t.TempDir(), "none.so")
	for _, c := range append(refusedLibraries(t),
		refused{"missing", missing, missing + " cannot be loaded"}) {
		t.Run(c.name, func(t *testing.T) {
			_, log, err := shortCompletion(dir, model, nil, "--retro-attn", "--retro-lib", c.path)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 1, exit.ExitCode(), log)
			require.Contains(t, log, "--retro-attn: ")
			require.Contains(t, log, c.want)

			got, log, err := shortCompletion(dir, model,
				[]string{"LLAMA_RETRO_ATTN=", "LLAMA_RETRO_LIB=" + c.path})
			require.NoError(t, err, log)
			require.Contains(t, log, "retro attention is off: ")
			require.Contains(t, log, c.want)
			require.Equal(t, stock, got)
		})
	}
	// it is named, not the place that is tried last
	t.Run("beside the program", func(t *testing.T) {
		beside := t.TempDir()
		files, err := filepath.Glob(filepath.Join(dir, "lib*"))
		require.NoError(t, err)
		for _, f := range files {
			require.NoError(t, os.Symlink(f, filepath.Join(beside, filepath.Base(f))))
		}
		program, err := os.ReadFile(filepath.Join(dir, "llama-completion"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(beside, "llama-completion"), program, 0o755))
		library := filepath.Join(beside, harness.Here.LibraryName())
		require.NoError(t, os.Remove(library))
		require.NoError(t, os.WriteFile(library, []byte("this is not a library"), 0o644))
		got, log, err := shortCompletion(beside, model, []string{"LLAMA_RETRO_ATTN="})
		require.NoError(t, err, log)
		require.Contains(t, log, "retro attention is off: "+library+" cannot be loaded")
		require.Equal(t, stock, got)
	})
}

// A Go host gets the error, and its context goes on as if it had not asked.
func TestLibraryRefusedInGo(t *testing.T) {
	harness.Slow(t)
	j := job{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"), Model: harness.Setting(t, "RETRO_SHORT"),
		Seqs: 1, Script: oneSequence(prose(t, model(t, "RETRO_SHORT"), 700))}
	stock := j.start(t)
	for _, c := range refusedLibraries(t) {
		t.Run(c.name, func(t *testing.T) {
			j.Retro = c.path
			got, log := j.startAndListen(t)
			require.Regexp(t, `(?m)^bridge: .*`+regexp.QuoteMeta(filepath.Base(c.path))+
				`.*$|this library has 77$`, log)
			require.Equal(t, 1, strings.Count(log, "\n"), log)
			require.True(t, same(stock, got))
		})
	}
}

// llama.cpp looks first, and goes on without the library.
func TestFewAddressesInLlama(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits addresses by ulimit")
	}
	complete := func(kilobytes string) (text, log string) {
		var out, msg bytes.Buffer
		cmd := exec.Command("sh", "-c", "ulimit -v "+kilobytes+` && exec "$@"`, "sh",
			filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"), "llama-completion"),
			"-m", harness.Setting(t, "RETRO_MODEL"), "-t", "1", "-c", "512", "-p",
			"The capital of France is", "-n", "8", "--temp", "0", "-no-cnv", "-st")
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "LLAMA_RETRO_ATTN="), &out, &msg
		require.NoError(t, cmd.Run(), msg.String())
		return out.String(), msg.String()
	}
	stock, log := complete("1600000") // where its runtime would have ended the process
	require.Contains(t, log, "retro attention is off: ")
	require.Contains(t, log, "libretroattn needs 2 GiB of addresses, and the limit of this process leaves less: raise it with ulimit -v")
	require.Contains(t, stock, "France is")
	_, log = complete("unlimited")
	require.NotContains(t, log, "retro attention is off: ")
}

// A plan's threads are for the steps that the library computes: prompts have all of them, and so has
// what llama.cpp computes alone after the library failed.
func TestThreadsOfThePlan(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a library is loaded before others by LD_PRELOAD")
	}
	cc, dir := harness.Compiler(t), t.TempDir()
	stub, told := filepath.Join(dir, harness.Here.LibraryName()), filepath.Join(dir, "told.so")
	cc.Run(t, "-shared", "-fPIC", "-I../../capi", "-o", stub, "../testdata/stub.c")
	cc.Run(t, "-shared", "-fPIC", "-o", told, "../testdata/told.c", "-ldl")
	var msg bytes.Buffer
	cmd := exec.Command(filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"), "llama-completion"),
		"-m", harness.Setting(t, "RETRO_SHORT"), "-t", "2", "-c", "512", "-p",
		"The capital of France is", "-n", "8", "--ignore-eos", "-no-cnv", "-st", "--no-warmup")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+told, "LLAMA_RETRO_ATTN=",
		"LLAMA_RETRO_LIB="+stub, "STUB_THREADS=1", "STUB_FAILS=step_begin", "STUB_SKIP=4",
		"STUB_MARK="+filepath.Join(dir, "mark"))
	cmd.Stderr = &msg
	require.NoError(t, cmd.Run(), msg.String())
	require.FileExists(t, filepath.Join(dir, "mark"), "the failure did not happen")
	var threads string
	for _, m := range regexp.MustCompile(`told: (\d) threads`).FindAllStringSubmatch(msg.String(), -1) {
		threads += m[1]
	}
	require.Regexp(t, "^2+1+2+$", threads)
}
