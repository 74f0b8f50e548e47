package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// tiny is what makes a program end soon.
func tiny(args ...string) []string {
	return append(args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "512")
}

// Every flag has its environment variable, and does the same by it.
func TestFlagsHaveEnvironmentVariables(t *testing.T) {
	help, err := program(t, nil, "llama-completion", "--help")
	require.NoError(t, err, help)
	flags := regexp.MustCompile(`(?m)^--retro-([a-z-]+)`).FindAllStringSubmatch(help, -1)
	require.Greater(t, len(flags), 5)
	refused := map[string][2]string{
		"budget":  {"0", "option budget=0: "},
		"window":  {"17", "option window=17: "},
		"period":  {"17", "option period=17: "},
		"target":  {"best", "option target=best: "},
		"plan":    {"a,b", "the name must not contain a comma"},
		"min-ctx": {"-1", "option min_ctx=-1: "},
		"opts":    {"colour=red", "option colour=red is not known"},
		"lib": {"/nonexistent/libretroattn.so.1",
			"/nonexistent/libretroattn.so.1 cannot be loaded"},
	}
	for _, f := range flags {
		name := f[1]
		if name == "attn" {
			continue // see TestNoRetroAttn
		}
		t.Run(name, func(t *testing.T) {
			c, ok := refused[name]
			require.True(t, ok, "a flag that this test does not know")
			for how, out := range map[string]func() (string, error){
				"flag": func() (string, error) {
					return program(t, nil, "llama-completion",
						tiny("--retro-"+name, c[0])...)
				},
				"variable": func() (string, error) {
					env := "LLAMA_ARG_RETRO_" +
						strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "=" + c[0]
					return program(t, []string{env}, "llama-completion", tiny()...)
				},
			} {
				text, err := out()
				require.Error(t, err, how)
				require.Contains(t, text, c[1], how)
			}
		})
	}
}

// Whoever switches it off has it off, whatever else asks for it; of two flags the later one counts.
func TestNoRetroAttn(t *testing.T) {
	harness.Slow(t)
	sparse := []string{"--retro-budget", "16", "--retro-min-ctx", "16"}
	for _, c := range []struct {
		env  string
		args []string
		on   bool
	}{
		{"", sparse, true},
		{"", append([]string{"--no-retro-attn"}, sparse...), false},
		{"", append(sparse, "--no-retro-attn"), false},
		{"", append([]string{"--no-retro-attn", "--retro-attn"}, sparse...), true},
		{"LLAMA_ARG_RETRO_BUDGET=16", nil, true},
		{"LLAMA_ARG_RETRO_BUDGET=16", []string{"--no-retro-attn"}, false},
		{"LLAMA_ARG_RETRO_ATTN=1", nil, true},
		{"LLAMA_ARG_RETRO_ATTN=1", []string{"--no-retro-attn"}, false},
		{"LLAMA_ARG_RETRO_ATTN=0", sparse, false},
		{"LLAMA_ARG_NO_RETRO_ATTN=1", sparse, false},
		{"LLAMA_ARG_RETRO_ATTN=0", append(sparse, "--retro-attn"), true},
		{"LLAMA_RETRO_ATTN=", []string{"--no-retro-attn"}, false},
	} {
		t.Run(c.env+" "+strings.Join(c.args, " "), func(t *testing.T) {
			out, err := program(t, []string{c.env, "LLAMA_CACHE=" + t.TempDir()},
				"llama-completion", tiny(c.args...)...)
			require.NoError(t, err, out)
			require.Equal(t, c.on, strings.Contains(out, " tokens sparse"), out)
		})
	}
	for _, env := range []string{"", "LLAMA_ARG_RETRO_ATTN=1"} {
		args := []string{"-fa", "off"}
		if env == "" {
			args = append(args, "--retro-attn")
		}
		out, err := program(t, []string{env}, "llama-completion", tiny(args...)...)
		require.Error(t, err, "a contradiction")
		require.Contains(t, out, "--retro-attn needs Flash Attention, which -fa off disables: leave out one of them")
		out, err = program(t, []string{env}, "llama-completion",
			tiny("-fa", "off", "--no-retro-attn")...)
		require.NoError(t, err, out)
	}
}

// In the router, what a section says of a model wins over what is said of all.
func TestRouterSection(t *testing.T) {
	harness.Slow(t)
	preset := filepath.Join(t.TempDir(), "models.ini")
	section := func(name, more string) string {
		return fmt.Sprintf("[%s]\nmodel = %s\n%s\n", name, harness.Setting(t, "RETRO_SHORT"), more)
	}
	require.NoError(t, os.WriteFile(preset, []byte("version = 1\n[*]\nc = 4096\nt = 2\nretro-attn = true\nretro-budget = 128\nretro-min-ctx = 256\n"+
		section("on", "")+section("off", "retro-attn = false")), 0o644))
	host, port, address := harness.FreeAddress(t)
	harness.Background(t, harness.Up(address),
		filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"), "llama-server"), "--models-preset",
		preset, "--host", host, "--port", port)
	for model, on := range map[string]bool{"on": true, "off": false} {
		var c harness.Completion
		require.NoError(t, harness.Post("http://"+address+"/completion",
			map[string]any{"model": model, "prompt": harness.LongPrompt(t), "n_predict": 4,
				"temperature": 0}, &c))
		require.NotEmpty(t, c.Content)
		require.Equal(t, on, c.Retro.Summary != "", "%s: %q", model, c.Retro.Summary)
	}
}

// llama-cli says once what was planned, and after each turn what was done in it.
func TestFiguresOfATurn(t *testing.T) {
	harness.Slow(t)
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)), 0o644))
	cmd := exec.Command(filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"), "llama-cli"), "-m",
		harness.Setting(t, "RETRO_SHORT"), "-t", "2", "-c", "4096", "-f", prompt,
		"-n", "9", "--temp", "0", "--ignore-eos", "--retro-budget", "128", "--retro-min-ctx", "256")
	cmd.Stdin = strings.NewReader("And then?\nAnd then?\n/exit\n")
	cmd.Env = append(os.Environ(), "LLAMA_CACHE="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Len(t, regexp.MustCompile(`plan: budget`).FindAll(out, -1), 1, string(out))
	turns := regexp.MustCompile(`\[ Retro: (\d+) of (\d+) tokens sparse, `).FindAllStringSubmatch(string(out), -1)
	require.Len(t, turns, 3, string(out))
	for _, m := range turns {
		require.Equal(t, []string{"8", "8"}, m[1:], "the first of 9 tokens comes with the prompt")
	}
}
