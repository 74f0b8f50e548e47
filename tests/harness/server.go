package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var PlanLine = regexp.MustCompile(`plan: (budget \S+, window \d+(?:, period \d+)?) \((.*)\)`)

var SparseLine = regexp.MustCompile(`(\d+) of (\d+) tokens sparse, ([\d.]+) % of KV read, (\d+) corrections, exposure ([\d.]+)`)

// FreeAddress is one on which nobody listens, as host, port, and both.
func FreeAddress(t *testing.T) (host, port, address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address = l.Addr().String()
	l.Close()
	host, port, err = net.SplitHostPort(address)
	require.NoError(t, err)
	return host, port, address
}

// Background runs a program until the test ends, and waits until it is up. A failed test shows what
// it printed.
func Background(t *testing.T, up func() bool, path string, args ...string) *exec.Cmd {
	return BackgroundOf(t, up, exec.Command(path, args...))
}

// BackgroundOf is that of a command.
func BackgroundOf(t *testing.T, up func() bool, cmd *exec.Cmd) *exec.Cmd {
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = withParent()
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(Tail(log.String(), 20000))
		}
	})
	require.Eventually(t, up, 2*time.Minute, 100*time.Millisecond, "%s does not start", cmd)
	return cmd
}

// Up tells whether a server answers there.
func Up(address string) func() bool {
	return func() bool {
		r, err := http.Get("http://" + address + "/health")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}
}

// Server is a llama-server that runs until the test ends.
type Server struct {
	URL string
	Cmd *exec.Cmd
}

// Kill ends it at once, as the kernel does when memory runs out.
func (s Server) Kill() error {
	if err := s.Cmd.Process.Kill(); err != nil {
		return err
	}
	s.Cmd.Wait() // its error is that it was killed
	return nil
}

// Serve starts llama-server with the feature on and returns its address.
func Serve(t *testing.T, slots int, args ...string) string {
	return StartServer(t, slots, append([]string{"--retro-attn", "--retro-budget", "128",
		"--retro-window", "2", "--retro-period", "1", "--retro-min-ctx", "256"}, args...)...).URL
}

// StartServer starts the patched llama-server with a context of 4096 tokens a slot, unless the
// arguments say otherwise.
func StartServer(t *testing.T, slots int, args ...string) Server {
	return StartServerOf(t, Setting(t, "RETRO_PATCHED_DIR"), slots, args...)
}

// StartServerOf is that of a build.
func StartServerOf(t *testing.T, dir string, slots int, args ...string) Server {
	host, port, address := FreeAddress(t)
	cmd := Background(t, Up(address), filepath.Join(dir, "llama-server"),
		append([]string{"-m", Setting(t, "RETRO_MODEL"), "--host", host, "--port", port,
			"-t", "2", "-np", fmt.Sprint(slots), "-c", fmt.Sprint(4096 * slots)}, args...)...)
	return Server{"http://" + address, cmd}
}

// ServerFigures are those of one request, of all slots that decoded meanwhile.
type ServerFigures struct {
	Tokens      int     `json:"retro_n"`
	Sparse      int     `json:"retro_sparse_n"`
	Exact       int     `json:"retro_exact_n"`
	Corrections int     `json:"retro_corrections_n"`
	KVReadShare float64 `json:"retro_kv_read_share"`
	Exposure    float64 `json:"retro_exposure"`
	AttentionMS float64 `json:"retro_attention_ms"`
	GBPerSecond float64 `json:"retro_gb_per_second"`
}

// Timings are what a request took.
type Timings struct {
	CacheN        int `json:"cache_n"`
	Drafted       int `json:"draft_n"`
	DraftAccepted int `json:"draft_n_accepted"`
	ServerFigures
}

type Completion struct {
	Content string
	Tokens  []int
	Steps   []Step `json:"completion_probabilities"`
	Timings Timings
	Retro   struct{ Summary string } `json:"retro_attn"`
}

func Complete(url, prompt string, slot int) (c Completion, err error) {
	return c, Post(url+"/completion", map[string]any{"prompt": prompt, "n_predict": 24,
		"temperature": 0, "id_slot": slot, "cache_prompt": false, "ignore_eos": true}, &c)
}

// Tokenize is the server's, without special tokens.
func Tokenize(t *testing.T, url, text string) []int {
	var all struct{ Tokens []int }
	require.NoError(t, Post(url+"/tokenize", map[string]any{"content": text}, &all))
	return all.Tokens
}

// SlotFile has the server save a slot to a file, restore it from one, or erase it.
func SlotFile(url string, slot int, action, name string) (answer map[string]any, err error) {
	err = Post(fmt.Sprintf("%s/slots/%d?action=%s", url, slot, action),
		map[string]any{"filename": name}, &answer)
	return answer, err
}

// Open asks the server, and leaves its answer to be read.
func Open(ctx context.Context, url string, ask any) (*http.Response, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	// the server ends idle connections, which a client that keeps them notices too late
	request.Close = true
	return http.DefaultClient.Do(request)
}

// Post asks the server and reads its answer.
func Post(url string, ask, answer any) error {
	r, err := Open(context.Background(), url, ask)
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
