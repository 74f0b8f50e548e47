package server

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// loadBounds are those of a small model of random weights. Answers were off by 0.0016 in the mean
// and 0.06 at most, where a rounding had another token selected; see requireDifferent for what is
// noticed.
var loadBounds = harness.Bounds{Step: 0.4, Mean: 0.005}

// metrics are the values that /metrics tells now.
func metrics(t *testing.T, url string) map[string]float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	require.NoError(t, err)
	// the server ends idle connections, which a client that keeps them notices too late
	request.Close = true
	r, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusOK, r.StatusCode)
	values := map[string]float64{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || name == "#" {
			continue
		}
		values[strings.TrimPrefix(name, "llamacpp:")], err = strconv.ParseFloat(value, 64)
		require.NoError(t, err, lines.Text())
	}
	return values
}

// The feature with everything in the budget, and with little of it.
var (
	exactly = []string{"--retro-attn", "--retro-budget", "all", "--retro-min-ctx", "128",
		"--retro-window", "4", "--retro-period", "1", "--retro-opts", "always=1"}
	sparsely = []string{"--retro-attn", "--retro-budget", "64", "--retro-window", "2",
		"--retro-period", "1", "--retro-min-ctx", "128", "--retro-opts", "local=32"}
)

// counting is the request to go on with a list that leaves no doubt about the next token.
func counting(t *testing.T, url string, lines, predict int) *harness.Request {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "Step %d: turn the valve to the left and write down the number %d.\n", i+1,
			i+1)
	}
	return &harness.Request{Prompt: harness.Tokenize(t, url, b.String()), Predict: predict}
}

// wordModel is a small model that programs can run.
func wordModel(t *testing.T) string {
	return harness.SmallModel(t, harness.Architecture{Name: "llama", Words: true})
}

// randomPrompt is for such a model.
func randomPrompt(n int) (prompt []int) {
	r := rand.New(rand.NewPCG(8, 9))
	for range n {
		prompt = append(prompt, 3+r.IntN(harness.SmallVocab-3))
	}
	return prompt
}

// requireAlike fails if answers differ by more than rounding, or by more than so much in the mean.
func requireAlike(t *testing.T, want, got harness.Reply, mean float64) {
	t.Helper()
	d, err := harness.Differs(want, got)
	require.NoError(t, err)
	t.Logf("%d of %d tokens compared: log-probability off by %.2g in the mean and %.2g at most",
		d.Steps, len(want.Steps), d.Sum/float64(d.Steps), d.Worst)
	require.Less(t, d.Worst, harness.LanguageBounds.Step)
	require.Less(t, d.Sum/float64(d.Steps), mean)
}

// memory is what a process uses, in kB: VmRSS now, VmHWM at most up to now.
func memory(t *testing.T, pid int, name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if os.IsNotExist(err) && harness.Here.System != "linux" {
		t.Skip("memory is read from /proc, which Linux has")
	}
	require.NoError(t, err)
	m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(t, m, "%s", text)
	kb, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kb
}

// answerAlone fills in what each request is answered when it is the only one.
func answerAlone(t *testing.T, url string, deck []*harness.Request) {
	for _, q := range deck {
		if q.Alone.End != "" {
			continue
		}
		var err error
		q.Alone, err = q.Ask(t.Context(), url, 0)
		require.NoError(t, err, q.Kind)
		switch q.Kind {
		case "too long":
			require.Regexp(t, `^400: request \(\d+ tokens\) exceeds the available context size`,
				q.Alone.Message)
		case "to the end":
			require.Equal(t, "truncated", q.Alone.End)
		default:
			require.Equal(t, q.Predict, len(q.Alone.Steps), "%s: %s %s", q.Kind, q.Alone.End,
				q.Alone.Message)
		}
	}
}

// answerTogether is what each request is answered when all come at once, up to the tokens that it
// asks for.
func answerTogether(t *testing.T, url string, deck []*harness.Request) []harness.Reply {
	replies := make([]harness.Reply, len(deck))
	var all sync.WaitGroup
	for i, q := range deck {
		all.Go(func() {
			var err error
			if replies[i], err = q.Ask(t.Context(), url, 0); err != nil {
				replies[i].End = err.Error()
			}
		})
	}
	all.Wait()
	for _, r := range replies {
		require.Equal(t, "limit", r.End, r.Message)
	}
	return replies
}
