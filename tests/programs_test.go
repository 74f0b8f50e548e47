package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// longPrompt is about 1500 tokens of prose.
func longPrompt(t *testing.T) string {
	data, err := os.ReadFile(filepath.Join(setting(t, "RETRO_SOURCE"), "docs/build.md"))
	require.NoError(t, err)
	return string(data[:5000])
}

// program runs a program of the patched build to its end.
func program(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(setting(t, "RETRO_PATCHED_DIR"), name), append(args, "-m", setting(t, "RETRO_MODEL"), "-t", "2")...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var sparseLine = regexp.MustCompile(`(\d+) of (\d+) tokens sparse, ([\d.]+) % of KV read, (\d+) corrections, exposure ([\d.]+)`)

// The flags and the environment variable switch the feature on, and each
// program says what it did where people look.
func TestProgramsReport(t *testing.T) {
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(longPrompt(t)), 0o644))
	common := []string{"-f", prompt, "-n", "24", "--temp", "0", "-c", "4096"}
	flags := []string{"--retro-attn", "--retro-budget", "128", "--retro-window", "2", "--retro-period", "1",
		"--retro-min-ctx", "256", "--retro-opts", "local=64,layer_budget=0:all"}
	for _, c := range []struct {
		name, program string
		args, env     []string
	}{
		{"llama-cli", "llama-cli", append([]string{"-st"}, flags...), nil},
		{"llama-completion", "llama-completion", append([]string{"-no-cnv", "-st"}, flags...), nil},
		{"environment", "llama-completion", []string{"-no-cnv", "-st"}, []string{"LLAMA_RETRO_ATTN=budget=128,window=2,period=1,min_ctx=256"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := program(t, c.env, c.program, append(c.args, common...)...)
			require.NoError(t, err, out)
			m := sparseLine.FindStringSubmatch(out)
			require.NotNil(t, m, out)
			require.Equal(t, m[1], m[2], "all tokens are sparse")
			require.NotEqual(t, "0", m[1])
			require.NotEqual(t, "0", m[4])
		})
	}
}

// What a flag asks for and cannot have stops the program with one sentence; from
// the environment it is a warning, and the program goes on.
func TestProgramsRefuse(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--retro-budget", "0"}, "option budget=0: must be a whole number of tokens"},
		{[]string{"--retro-window", "17"}, "option window=17: must be 1..16"},
		{[]string{"--retro-opts", "page=20"}, "option page=20: must be 8, 16 or 32"},
		{[]string{"--retro-opts", "select=best"}, "option select=best: must be one of tokens, pages, minmax, streaming"},
		{[]string{"--retro-target", "best"}, "option target=best: must be one of speed, balanced, quality"},
		{[]string{"--retro-plan", "a,b"}, "the name must not contain a comma"},
		{[]string{"--retro-opts", "colour=red"}, "option colour=red is not known"},
		{[]string{"--retro-attn", "-ctk", "q5_0"}, "has K or V of q5_0: supported are f32, f16, bf16, q8_0 and q4_0"},
		{[]string{"--retro-attn", "--override-kv", "llama.attention.causal=bool:false"}, "encoders and non-causal attention are not supported"},
		{[]string{"--retro-lib", "/nonexistent/libretroattn.so.1"}, "/nonexistent/libretroattn.so.1 cannot be loaded"},
		{[]string{"--retro-opts", "layer_budget=99:all"}, "option layer_budget=99:all: there is no layer 99, the attention layers are 0.."},
		{[]string{"--retro-window", "2", "--retro-period", "3"}, "option period=3: must be 1..2, as window=2 limits it"},
		{[]string{"--retro-opts", "dense_layers=2"}, "option dense_layers is gone: set layer_budget"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			out, err := program(t, nil, "llama-completion", append(c.args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "512")...)
			require.Error(t, err, out)
			require.Contains(t, out, c.want)
		})
	}
	for _, c := range []struct {
		env  string
		args []string
		want string
	}{
		{"LLAMA_RETRO_ATTN=window=17", nil, "option window=17: must be 1..16"},
		{"LLAMA_RETRO_ATTN=", []string{"-fa", "off"}, "flash attention is disabled"},
		{"LLAMA_RETRO_ATTN=", []string{"-ctk", "q5_0"}, "supported are f32, f16, bf16, q8_0 and q4_0"},
	} {
		t.Run(c.env+" "+strings.Join(c.args, " "), func(t *testing.T) {
			out, err := program(t, []string{c.env}, "llama-completion", append(c.args, "-p", "Hello", "-n", "4", "-no-cnv", "-st", "-c", "512")...)
			require.NoError(t, err, out)
			require.Contains(t, out, c.want)
		})
	}
}

// freeAddress is one on which nobody listens, as host, port, and both.
func freeAddress(t *testing.T) (host, port, address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address = l.Addr().String()
	l.Close()
	host, port, err = net.SplitHostPort(address)
	require.NoError(t, err)
	return host, port, address
}

// background runs a program until the test ends, and waits until it is up. A failed test shows what it printed.
func background(t *testing.T, up func() bool, path string, args ...string) *exec.Cmd {
	var log bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &log, &log, withParent()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(tail(log.String(), 20000))
		}
	})
	require.Eventually(t, up, 2*time.Minute, 100*time.Millisecond, "%s does not start", path)
	return cmd
}

// up tells whether a server answers there.
func up(address string) func() bool {
	return func() bool {
		r, err := http.Get("http://" + address + "/health")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}
}

// server is a llama-server that runs until the test ends.
type server struct {
	url string
	cmd *exec.Cmd
}

// kill ends it at once, as the kernel does when memory runs out.
func (s server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	s.cmd.Wait() // its error is that it was killed
	return nil
}

// serve starts llama-server with the feature on and returns its address.
func serve(t *testing.T, slots int, args ...string) string {
	return startServer(t, slots, append([]string{"--retro-attn", "--retro-budget", "128", "--retro-window", "2", "--retro-period", "1", "--retro-min-ctx", "256"}, args...)...).url
}

// startServer starts the patched llama-server with a context of 4096 tokens a slot, unless the arguments say otherwise.
func startServer(t *testing.T, slots int, args ...string) server {
	return startServerOf(t, setting(t, "RETRO_PATCHED_DIR"), slots, args...)
}

// startServerOf is that of a build.
func startServerOf(t *testing.T, dir string, slots int, args ...string) server {
	host, port, address := freeAddress(t)
	cmd := background(t, up(address), filepath.Join(dir, "llama-server"), append([]string{"-m", setting(t, "RETRO_MODEL"), "--host", host, "--port", port,
		"-t", "2", "-np", fmt.Sprint(slots), "-c", fmt.Sprint(4096 * slots)}, args...)...)
	return server{"http://" + address, cmd}
}

// serverFigures are those of one request, of all slots that decoded meanwhile.
type serverFigures struct {
	Tokens      int     `json:"retro_n"`
	Sparse      int     `json:"retro_sparse_n"`
	Exact       int     `json:"retro_exact_n"`
	Corrections int     `json:"retro_corrections_n"`
	KVReadShare float64 `json:"retro_kv_read_share"`
	Exposure    float64 `json:"retro_exposure"`
	AttentionMS float64 `json:"retro_attention_ms"`
	GBPerSecond float64 `json:"retro_gb_per_second"`
}

// timings are what a request took.
type timings struct {
	CacheN        int `json:"cache_n"`
	Drafted       int `json:"draft_n"`
	DraftAccepted int `json:"draft_n_accepted"`
	serverFigures
}

type completion struct {
	Content string
	Tokens  []int
	Timings timings
	Retro   struct{ Summary string } `json:"retro_attn"`
}

func complete(url, prompt string, slot int) (c completion, err error) {
	return c, post(url+"/completion", map[string]any{"prompt": prompt, "n_predict": 24, "temperature": 0, "id_slot": slot, "cache_prompt": false, "ignore_eos": true}, &c)
}

// tokenize is the server's, without special tokens.
func tokenize(t *testing.T, url, text string) []int {
	var all struct{ Tokens []int }
	require.NoError(t, post(url+"/tokenize", map[string]any{"content": text}, &all))
	return all.Tokens
}

// slotFile has the server save a slot to a file, restore it from one, or erase it.
func slotFile(url string, slot int, action, name string) (answer map[string]any, err error) {
	err = post(fmt.Sprintf("%s/slots/%d?action=%s", url, slot, action), map[string]any{"filename": name}, &answer)
	return answer, err
}

// post asks the server and reads its answer.
func post(url string, ask, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	r, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", r.StatusCode, data)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(data, answer)
}

// The server decodes sparsely, alone and with parallel slots, tells so in the
// timings, and answers the same when asked again.
func TestServer(t *testing.T) {
	prompt := longPrompt(t)
	url := serve(t, 2)
	ask := func(slot int) completion {
		c, err := complete(url, prompt, slot)
		require.NoError(t, err)
		return c
	}
	alone := ask(0)
	m := sparseLine.FindStringSubmatch(alone.Retro.Summary)
	require.NotNil(t, m, alone.Retro.Summary)
	require.Equal(t, m[1], m[2])
	require.NotEmpty(t, alone.Content)

	require.Equal(t, alone.Content, ask(0).Content)
	require.Equal(t, alone.Content, ask(1).Content)

	var wg sync.WaitGroup
	var both [2]completion
	var errs [2]error
	for i := range both {
		wg.Go(func() { both[i], errs[i] = complete(url, prompt[i*100:], i) })
	}
	wg.Wait()
	for i, c := range both {
		require.NoError(t, errs[i])
		require.NotEmpty(t, c.Content)
		require.Regexp(t, sparseLine, c.Retro.Summary)
	}
}

// A slot that was saved goes on as if it had not been, after a restore into
// another slot, into another server, and out of the server's prompt cache.
func TestServerSlots(t *testing.T) {
	prompt, dir := longPrompt(t), t.TempDir()
	url := serve(t, 2, "--slot-save-path", dir, "-kvu")
	var tokens struct{ Tokens []int }
	require.NoError(t, post(url+"/tokenize", map[string]any{"content": prompt, "add_special": true}, &tokens))
	ask := func(url string, slot, n int, prompt []int) completion {
		var c completion
		require.NoError(t, post(url+"/completion", map[string]any{"prompt": prompt, "n_predict": n, "temperature": 0, "id_slot": slot,
			"cache_prompt": true, "ignore_eos": true, "return_tokens": true}, &c))
		return c
	}
	slot := func(url string, slot int, action string) {
		answer, err := slotFile(url, slot, action, "slot")
		require.NoError(t, err)
		if action != "erase" {
			require.True(t, answer["n_saved"] != nil || answer["n_restored"] != nil, "%v", answer)
		}
	}
	first := ask(url, 0, 24, tokens.Tokens)
	all := append(append([]int(nil), tokens.Tokens...), first.Tokens...)
	require.Len(t, all, len(tokens.Tokens)+24)
	slot(url, 0, "save")
	want := ask(url, 0, 24, all)
	require.Greater(t, want.Timings.CacheN, len(tokens.Tokens), "it did not go on from the cache")

	check := func(what, url string, slot int) {
		got := ask(url, slot, 24, all)
		require.Equal(t, want.Timings.CacheN, got.Timings.CacheN, what)
		require.Equal(t, want.Content, got.Content, what)
		require.Regexp(t, sparseLine, got.Retro.Summary)
	}
	slot(url, 0, "erase")
	slot(url, 0, "restore")
	check("the same slot", url, 0)
	slot(url, 1, "restore")
	check("another slot", url, 1)
	other := serve(t, 1, "--slot-save-path", dir)
	slot(other, 0, "restore")
	check("another server", other, 0)

	// The restored state again, put away for another prompt and taken back.
	slot(other, 0, "restore")
	ask(other, 0, 4, tokens.Tokens[700:1000])
	check("the prompt cache", other, 0)
}
