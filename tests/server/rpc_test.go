package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// startRPC starts a worker of llama.cpp and returns its address.
func startRPC(t *testing.T) string {
	host, port, address := harness.FreeAddress(t)
	up := func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	harness.Background(t, up, filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"),
		"ggml-rpc-server"), "-H", host, "-p", port, "-t", "1")
	return address
}

// The layers lie on two remote workers, the KV cache and sparse attention here: the answer is that
// of a local run. Who computes the attention of the prompt is measured, unless it is said.
func TestRemoteWorkers(t *testing.T) {
	harness.Slow(t)
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)), 0o644))
	answer := func(args ...string) (text, log string) {
		cmd := exec.Command(filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"),
			"llama-completion"), append(args, "-m", harness.Setting(t, "RETRO_MODEL_F16"),
			"-f", prompt, "-n", "24", "--temp", "0", "-c", "4096", "-t", "2", "-no-cnv", "-st",
			"--no-display-prompt", "--no-warmup", "-lv", "4",
			"--retro-attn", "--retro-budget", "128", "--retro-window", "2", "--retro-period", "1",
			"--retro-min-ctx", "256")...)
		cmd.Env = append(os.Environ(), "LLAMA_CACHE="+t.TempDir())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		log = stderr.String()
		require.NoError(t, err, log)
		m := harness.SparseLine.FindStringSubmatch(log)
		require.NotNil(t, m, log)
		require.Equal(t, m[1], m[2], "all tokens are sparse")
		require.NotEqual(t, "0", m[1])
		return strings.TrimSpace(string(out)), log
	}
	local, _ := answer()
	require.NotEmpty(t, local)
	const exact = "of prompts and drafts exact"
	for prompts, want := range map[string]string{
		// on a busy machine the device can be too slow to be measured; nothing else may be in the way
		"plan": `prompts (and drafts )?by the (cpu|device).* tokens behind |` +
			`(?s:the device takes \d+ s for \d+ tokens\n.* as they could not be measured)`,
		"cpu":    "prompts and drafts by the cpu.*, prompts as was set",
		"device": "prompts (and drafts )?by the device.*, prompts as was set",
	} {
		remote, log := answer("--rpc", startRPC(t)+","+startRPC(t), "-ngl", "99", "--retro-opts",
			"prompts="+prompts)
		require.Equal(t, local, remote)
		require.Regexp(t, `RPC0 \(127`, log)
		require.Regexp(t, `RPC1 \(127`, log)
		require.Regexp(t, want, log)
		if prompts == "device" {
			require.NotContains(t, log, exact)
		} else if prompts == "cpu" {
			require.Contains(t, log, exact)
		}
	}
}

// Where a device attends to prompts, the summaries of their pages are built before it does: the first
// token finds them, also where prompts come in parts, behind others, or beside tokens.
func TestDevicePromptsAreSummarised(t *testing.T) {
	for name, args := range map[string][]string{
		"language": {"-m", harness.Setting(t, "RETRO_SHORT")},
		"Q8_0":     {"-m", wordModel(t), "-ctk", "q8_0", "-ctv", "q8_0"},
		"SWA": {"-m", harness.SmallModel(t, harness.Architecture{Name: "gemma3", Gemma: true,
			QkNorm: true, SWA: true, Words: true})},
		"unified": {"-m", wordModel(t), "--kv-unified"},
	} {
		t.Run(name, func(t *testing.T) {
			url := harness.Serve(t, 2, append(args, "--rpc", startRPC(t), "-ngl", "99", "--fit",
				"off", "--metrics", "--retro-opts", "prompts=device")...)
			ask := func(slot, tokens, predict int) {
				q := harness.Request{Prompt: randomPrompt(tokens), Predict: predict,
					More: map[string]any{"cache_prompt": true, "id_slot": slot}}
				r, err := q.Ask(t.Context(), url, 0)
				require.NoError(t, err)
				require.Equal(t, predict, r.Predicted)
				require.Less(t, r.Timings.Exact, 100, "the device has the prompt")
			}
			// of a page in all layers and heads; each token turns far a sixteenth of one
			page := math.Inf(1)
			late := func() float64 { return metrics(t, url)["retro_late_pages_total"] }
			for i, tokens := range []int{700, 1300, 2400} {
				before := late()
				ask(0, tokens, 2)
				require.Equal(t, before, late(), "the only token after %d", tokens)
				ask(1, 300+i*700, 18)
				page = min(page, late()-before)
			}
			require.NotZero(t, page, "later tokens summarise what turns far")
			before := late()
			var both sync.WaitGroup
			for slot := range 2 {
				both.Go(func() { ask(slot, 3000+slot, 2) })
			}
			both.Wait()
			require.LessOrEqual(t, late(), before+page)
		})
	}
}

// Prompts that are left to a device are attended to there, as without the feature: the node that
// summarises what is stored must not draw others to the processors.
func TestDeviceAttendsToPrompts(t *testing.T) {
	harness.Slow(t)
	prompt := filepath.Join(t.TempDir(), "prompt.txt")
	require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)[:3000]), 0o644))
	attends := regexp.MustCompile(`\(FLASH_ATTN\w*\):.*?\)\s+\[\s*(\w+)`) // by ggml's scheduler
	for _, args := range [][]string{{"-nkvo"}, {"--retro-attn", "--retro-opts", "prompts=device"}} {
		out, err := program(t, []string{"GGML_SCHED_DEBUG=2"}, "llama-completion",
			append(args, "-m", harness.Setting(t, "RETRO_SHORT"), "--rpc", startRPC(t), "-ngl", "99",
				"--fit", "off", "-fa", "on", "-c", "2048", "-f", prompt, "-n", "2", "-no-cnv", "-st",
				"--no-warmup", "-lv", "5")...)
		require.NoError(t, err, out)
		found := attends.FindAllStringSubmatch(out, -1)
		require.NotEmpty(t, found, out)
		for _, m := range found {
			require.Equal(t, "RPC0", m[1], "%v: %s", args, m[0])
		}
	}
}

// planRows writes a plan file anew in which so many tokens at once are left to our processors.
func planRows(t *testing.T, path string, rows int) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	const host, sum = `"rows": \d+,\n    "threads"`, `"sha256": "[^"]*"`
	require.Len(t, regexp.MustCompile(host).FindAll(data, -1), 1, string(data))
	data = regexp.MustCompile(host).ReplaceAll(data,
		fmt.Appendf(nil, "\"rows\": %d,\n    \"threads\"", rows))
	data = regexp.MustCompile(sum).ReplaceAll(data, []byte(`"sha256": ""`))
	hash := sha256.Sum256(bytes.TrimSpace(data))
	data = bytes.Replace(data, []byte(`"sha256": ""`), fmt.Appendf(nil, `"sha256": "%x"`, hash), 1)
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

// Drafts are verified where the plan says, by our processors or by the device: the text is that of
// full attention, and drafting goes on sparsely in between.
func TestRemoteDrafts(t *testing.T) {
	harness.Slow(t)
	// what a quantised one says depends on the rounding of its activations
	t.Setenv("RETRO_MODEL", harness.Setting(t, "RETRO_MODEL_F16"))
	ask := func(server harness.Server) (c harness.Completion) {
		defer server.Kill()
		require.NoError(t, harness.Post(server.URL+"/completion", map[string]any{
			"prompt": counting(t, server.URL, 20, 0).Prompt, "n_predict": 40, "temperature": 0,
			"cache_prompt": false, "ignore_eos": true}, &c))
		return c
	}
	want := ask(harness.StartServer(t, 1, "-fa", "on"))
	plan := filepath.Join(t.TempDir(), "plan")
	remote := func() harness.Completion {
		got := ask(harness.StartServer(t, 1, append([]string{"--rpc", startRPC(t), "-ngl", "99",
			"--retro-plan", plan}, losslessly...)...))
		require.Equal(t, want.Content, got.Content)
		require.Greater(t, got.Timings.Drafted, 20)
		require.NotZero(t, got.Timings.Sparse, got.Retro.Summary)
		return got
	}
	remote() // which makes the plan
	for _, rows := range []int{64, 1} {
		planRows(t, plan, rows)
		got := remote()
		drafted := got.Timings.Exact >= got.Timings.Drafted
		require.Equal(t, rows == 64, drafted, got.Retro.Summary)
	}
}
