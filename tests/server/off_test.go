package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// sent is a request; one with a body is a POST.
type sent struct{ path, body string }

// varies is all that two answers of one server to one request differ in: times, and names made of
// chance.
var varies = []struct {
	what *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`(?m)^(Content-Length|Process-Start-Time-Unix): \d+`), "$1: N"},
	{regexp.MustCompile(`"(prompt_ms|prompt_per_token_ms|prompt_per_second|predicted_ms|predicted_per_token_ms|predicted_per_second|save_ms|restore_ms|time_ms)":[-+.e\d]+`), `"$1":N`},
	{regexp.MustCompile(`"(created|created_at|completed_at)":\d+`), `"$1":N`},
	{regexp.MustCompile(`"(chatcmpl|resp|msg)[-_]\w+"`), `"$1-ID"`},
	{regexp.MustCompile(`<__media_\w+__>`), "<__media_ID__>"},
	{regexp.MustCompile(`(?m)^(llamacpp:\w+_seconds(?:_total)?) [-+.e\d]+$`), "$1 N"},
}

// exchange sends a request as bytes and returns the answer as bytes, its body in one piece.
func exchange(address string, s sent) (string, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	method := http.MethodGet
	if s.body != "" {
		method = http.MethodPost
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: server\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, s.path, len(s.body), s.body)
	data, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		return "", fmt.Errorf("%w in %q", err, data)
	}
	defer r.Body.Close()
	// without the sizes of its pieces, which have the lengths of times in them
	body, err := io.ReadAll(r.Body)
	return string(head) + "\r\n\r\n" + string(body), err
}

// answers are those of a server of a build to requests one after another, without what varies.
func answers(t *testing.T, dir string, requests []sent, args ...string) (texts []string) {
	server := harness.StartServerOf(t, dir, 1, append([]string{"-t", "1"}, args...)...)
	for _, s := range requests {
		text, err := exchange(strings.TrimPrefix(server.URL, "http://"), s)
		require.NoError(t, err, s.path)
		for _, v := range varies {
			text = v.what.ReplaceAllString(text, v.to)
		}
		texts = append(texts, text)
	}
	require.NoError(t, server.Kill())
	return texts
}

// parted is what stands where two texts part, with some of what is before and after; of equal ones,
// nothing.
func parted(a, b string) (string, string) {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	if i == len(a) && i == len(b) {
		return "", ""
	}
	part := func(s string) string { return s[max(0, i-100):min(len(s), i+200)] }
	return part(a), part(b)
}

// Without the feature the patched llama-server answers as the stock one does, byte for byte, header
// and body, and saves the same slot.
func TestServerOffIsStock(t *testing.T) {
	harness.Slow(t)
	text := fmt.Sprintf("%q", harness.LongPrompt(t)[:500]) // about 170 tokens
	chat := `"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":"What is the capital of France?"}],"max_tokens":12,"seed":7`
	completion := `"prompt":` + text + `,"n_predict":12,"seed":7`
	for name, c := range map[string]struct {
		args     []string
		requests []sent
	}{
		"completions": {[]string{"-c", "1024", "--metrics"}, []sent{
			{"/health", ""}, {"/props", ""}, {"/v1/models", ""}, {"/slots", ""}, {"/metrics", ""},
			{"/lora-adapters", ""}, {"/nothing", ""},
			{"/completion", `{` + completion + `}`},
			// its prompt is cached
			{"/completion", `{` + completion +
				`,"n_probs":3,"temperature":0,"return_tokens":true}`},
			{"/completion", `{` + completion +
				`,"n_probs":3,"stream":true,"timings_per_token":true,"return_progress":true}`},
			{"/completion", `{` + completion +
				`,"cache_prompt":false,"json_schema":{"type":"integer"}}`},
			{"/completion", `{"prompt":["One","Two"],"n_predict":3,"seed":7}`},
			{"/v1/completions", `{"prompt":"The capital of France is","max_tokens":8,"seed":7,"logprobs":2}`},
			{"/v1/completions", `{"prompt":"The capital of France is","max_tokens":8,"seed":7,"stream":true}`},
			{"/v1/chat/completions", `{` + chat + `,"logprobs":true,"top_logprobs":2}`},
			{"/v1/chat/completions", `{` + chat +
				`,"stream":true,"stream_options":{"include_usage":true}}`},
			{"/v1/chat/completions", `{` + chat + `,"response_format":{"type":"json_object"}}`},
			{"/v1/responses", `{"input":"What is the capital of France?","max_output_tokens":8,"temperature":0}`},
			{"/v1/messages", `{` + chat + `,"temperature":0}`},
			{"/tokenize", `{"content":"Hello there","with_pieces":true}`},
			{"/detokenize", `{"tokens":[19556,665]}`},
			{"/apply-template", `{` + chat + `}`},
			{"/infill", `{"input_prefix":"a","input_suffix":"b"}`},
			{"/embedding", `{"content":"Hello"}`},
			{"/rerank", `{"query":"a","documents":["b"]}`},
			{"/slots/0?action=save", `{"filename":"slot"}`},
			{"/slots/0?action=restore", `{"filename":"slot"}`},
			{"/slots/0?action=restore", `{"filename":"none"}`},
			{"/slots/0?action=erase", `{}`},
			{"/completion", `{"prompt":`},
			{"/completion", `{"prompt":7}`},
			{"/completion", `{"n_predict":7}`},
			{"/completion", `{"prompt":"a","grammar":"root ::="}`},
			{"/completion", `{"prompt":` + fmt.Sprintf("%q", harness.LongPrompt(t)) + `}`},
			{"/v1/chat/completions", `{"messages":"none"}`},
			{"/slots", ""}, {"/metrics", ""},
		}},
		"embeddings": {[]string{"--embeddings", "--pooling", "last"}, []sent{
			{"/embedding", `{"content":"Hello"}`},
			{"/embedding", `{"content":[` + text + `,"Hello there"]}`},
			{"/v1/embeddings", `{"input":["Hello",` + text + `],"encoding_format":"base64"}`},
			{"/v1/embeddings", `{"input":` + fmt.Sprintf("%q", harness.LongPrompt(t)) + `}`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var slots [2][]byte
			var got [2][]string
			for i, env := range []string{"RETRO_STOCK_DIR", "RETRO_PATCHED_DIR"} {
				dir := t.TempDir()
				got[i] = answers(t, harness.Setting(t, env), c.requests,
					append(c.args, "-m", harness.Setting(t, "RETRO_SHORT"), "--slot-save-path",
						dir)...)
				slots[i], _ = os.ReadFile(filepath.Join(dir, "slot"))
			}
			for i, s := range c.requests {
				stock, patched := parted(got[0][i], got[1][i])
				assert.Equal(t, stock, patched, "%s %.80s", s.path, s.body)
			}
			require.True(t, bytes.Equal(slots[0], slots[1]), "the slots' files differ")
			require.Equal(t, name == "completions", len(slots[0]) > 0)
		})
	}
}
