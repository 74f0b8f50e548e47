package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// What has nothing to do with sparse decoding is answered with the bytes of a server without the
// feature: facts about the server, tokens, and embeddings, even of single tokens in two slots at
// once, which look like decoding.
func TestServerOtherEndpoints(t *testing.T) {
	text := fmt.Sprintf("%q", harness.LongPrompt(t)[:800])
	requests := []sent{
		{"/health", ""}, {"/props", ""}, {"/v1/models", ""}, {"/slots", ""}, {"/lora-adapters", ""},
		{"/nothing", ""},
		{"/tokenize", `{"content":"Hello there","with_pieces":true}`},
		{"/detokenize", `{"tokens":[19556,665]}`},
		{"/apply-template", `{"messages":[{"role":"user","content":"Hello"}]}`},
		{"/embedding", `{"content":"Hello"}`},
		{"/embedding", `{"content":["Hello","Two",` + text + `]}`},
		{"/v1/embeddings", `{"input":` + text + `}`},
		{"/completion", `{"prompt":`},
		{"/rerank", `{"query":"a","documents":["b"]}`},
	}
	args := []string{"--embeddings", "--pooling", "last", "-np", "2"}
	dir := harness.Setting(t, "RETRO_PATCHED_DIR")
	off := answers(t, dir, requests, append(args, "-fa", "on")...)
	on := answers(t, dir, requests, append(args, "--retro-attn", "--retro-budget", "16",
		"--retro-window", "2", "--retro-period", "1", "--retro-min-ctx", "1", "--retro-opts",
		"local=16")...)
	for i, s := range requests {
		want, got := parted(off[i], on[i])
		assert.Equal(t, want, got, "%s %.80s", s.path, s.body)
	}
}

// keys are the names in a JSON value, without those of this project.
func keys(value any, at string, into map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			if !strings.HasPrefix(k, "retro_") {
				into[at+"/"+k] = true
				keys(x, at+"/"+k, into)
			}
		}
	case []any:
		for _, x := range v {
			keys(x, at, into)
		}
	}
}

// chatAnswer is one of /v1/chat/completions, whole or a piece.
type chatAnswer struct {
	Choices []struct {
		Message, Delta struct{ Content string }
		Logprobs       struct{ Content []harness.Step }
	}
	Timings harness.Timings
}

// streamed reads a chat's answer that comes in pieces.
func streamed(t *testing.T, url string, ask map[string]any) (text string, last harness.Timings) {
	r, err := harness.Open(t.Context(), url, ask)
	require.NoError(t, err)
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var piece chatAnswer
		require.NoError(t, json.Unmarshal([]byte(data), &piece), data)
		for _, c := range piece.Choices {
			text += c.Delta.Content
		}
		last = piece.Timings
	}
	require.NoError(t, lines.Err())
	return text, last
}

// fim makes the model know where a text to fill in begins and ends, by tokens that it has for other
// things.
var fim = []string{"--override-kv", "tokenizer.ggml.fim_pre_token_id=int:4,tokenizer.ggml.fim_suf_token_id=int:5,tokenizer.ggml.fim_mid_token_id=int:6"}

// Every way to ask for text decodes sparsely, obeys a grammar and a schema, tells probabilities and
// comes in pieces, and its answer has all that it has without the feature.
func TestServerTextEndpoints(t *testing.T) {
	harness.Slow(t)
	text := harness.LongPrompt(t)[:900] // about 300 tokens
	chat := []map[string]any{{"role": "user", "content": text + "\nWhat is this about?"}}
	schema := map[string]any{"type": "object", "required": []string{"topic", "pages"},
		"properties": map[string]any{
			"topic": map[string]any{"type": "string", "maxLength": 30},
			"pages": map[string]any{"type": "integer", "maximum": 999}}}
	asks := []struct {
		name, path string
		ask        map[string]any
		mean       func(t *testing.T, answer []byte) // checks what it says
	}{
		{"grammar", "/completion", map[string]any{"prompt": text, "n_probs": 2,
			"grammar": `root ::= [a-z ]{40} "."`}, func(t *testing.T, answer []byte) {
			var c struct {
				Content string
				Steps   []harness.Step `json:"completion_probabilities"`
			}
			require.NoError(t, json.Unmarshal(answer, &c))
			require.Regexp(t, `^[a-z ]{40}\.$`, c.Content)
			require.NotEmpty(t, c.Steps)
			for _, s := range c.Steps {
				require.Len(t, s.Top, 2)
				require.Less(t, s.Top[1].Logprob, 0.0)
			}
		}},
		{"schema", "/v1/chat/completions", map[string]any{"messages": chat, "logprobs": true,
			"top_logprobs": 2,
			"response_format": map[string]any{"type": "json_schema",
				"json_schema": map[string]any{"schema": schema}}},
			func(t *testing.T, answer []byte) {
				var a chatAnswer
				require.NoError(t, json.Unmarshal(answer, &a))
				var said struct {
					Topic *string
					Pages *int
				}
				d := json.NewDecoder(strings.NewReader(a.Choices[0].Message.Content))
				d.DisallowUnknownFields()
				require.NoError(t, d.Decode(&said), a.Choices[0].Message.Content)
				require.True(t, said.Topic != nil && said.Pages != nil &&
					len([]rune(*said.Topic)) <= 30 && *said.Pages <= 999,
					a.Choices[0].Message.Content)
				require.NotEmpty(t, a.Choices[0].Logprobs.Content)
				for _, s := range a.Choices[0].Logprobs.Content {
					require.Len(t, s.Top, 2)
				}
			}},
		{"completions", "/v1/completions", map[string]any{"prompt": text, "max_tokens": 12}, nil},
		{"chat", "/v1/chat/completions", map[string]any{"messages": chat, "max_tokens": 12}, nil},
		{"infill", "/infill", map[string]any{"input_prefix": text, "input_suffix": "\n",
			"n_predict": 12}, nil},
	}
	args := append([]string{"-c", "1024"}, fim...)
	off := harness.StartServer(t, 1, append(args, "-fa", "on")...)
	on := harness.StartServer(t, 1, append(args, sparsely...)...)
	for _, c := range asks {
		t.Run(c.name, func(t *testing.T) {
			c.ask["temperature"], c.ask["cache_prompt"], c.ask["ignore_eos"] = 0, false,
				c.mean == nil
			var answer [2]json.RawMessage
			var names [2]map[string]bool
			for i, url := range []string{off.URL, on.URL} {
				require.NoError(t, harness.Post(url+c.path, c.ask, &answer[i]))
				var value any
				require.NoError(t, json.Unmarshal(answer[i], &value))
				names[i] = map[string]bool{}
				keys(value, "", names[i])
			}
			require.Equal(t, names[0], names[1])
			var a struct{ Timings harness.Timings }
			require.NoError(t, json.Unmarshal(answer[1], &a))
			require.Greater(t, a.Timings.Sparse, 8)
			require.Equal(t, a.Timings.Tokens, a.Timings.Sparse)
			require.Less(t, a.Timings.KVReadShare, 0.6)
			if c.mean != nil {
				c.mean(t, answer[1])
			}
		})
	}
	t.Run("in pieces", func(t *testing.T) {
		ask := asks[3].ask
		var whole chatAnswer
		require.NoError(t, harness.Post(on.URL+"/v1/chat/completions", ask, &whole))
		ask["stream"] = true
		text, last := streamed(t, on.URL+"/v1/chat/completions", ask)
		require.NotEmpty(t, text)
		require.Equal(t, whole.Choices[0].Message.Content, text)
		require.Equal(t, whole.Timings.Sparse, last.Sparse)
		require.Equal(t, whole.Timings.KVReadShare, last.KVReadShare)
	})
}

// A request that hangs up in the middle leaves nothing behind, and what another takes over from the
// cache of the prompt before makes the same answers again on another server, and those of full
// attention with everything in the budget.
func TestServerTakesOver(t *testing.T) {
	harness.Slow(t)
	series := func(url string) (all []harness.Reply) {
		q := counting(t, url, 15, 16)
		all = append(all, q.Must(t, url))
		cut, err := q.Ask(t.Context(), url, 5)
		require.NoError(t, err)
		require.Equal(t, "cancelled", cut.End)
		all = append(all, q.Must(t, url))
		q.More = map[string]any{"cache_prompt": true}
		longer := counting(t, url, 18, 16)
		longer.More = q.More
		other := &harness.Request{Prompt: longer.Prompt[100:200], Predict: 16, More: q.More}
		for _, q := range []*harness.Request{q, longer, other, q, longer} {
			all = append(all, q.Must(t, url))
		}
		return all
	}
	run := func(args ...string) []harness.Reply {
		server := harness.StartServer(t, 1, append(args, "-c", "1024")...)
		defer server.Kill()
		return series(server.URL)
	}
	off, exact := run("-fa", "on"), run(exactly...)
	sparse, again := run(sparsely...), run(sparsely...)
	require.Equal(t, sparse[0].Steps, sparse[1].Steps, "after one that hung up")
	for i := range off {
		requireAlike(t, off[i], exact[i], harness.LanguageBounds.Mean)
		require.Equal(t, off[i].Timings.CacheN, sparse[i].Timings.CacheN)
		require.Equal(t, sparse[i].Steps, again[i].Steps)
		a, b := sparse[i].Timings.ServerFigures, again[i].Timings.ServerFigures
		a.AttentionMS, a.GBPerSecond, b.AttentionMS, b.GBPerSecond = 0, 0, 0, 0
		require.Equal(t, a, b)
	}
	for i, cached := range []bool{false, false, true, true, false, true, true} {
		require.Equal(t, cached, sparse[i].Timings.CacheN > 200, "request %d: %d tokens", i,
			sparse[i].Timings.CacheN)
		if i != 4 { // whose text is shorter than the least context for pages to be left out
			require.Equal(t, sparse[i].Timings.Tokens, sparse[i].Timings.Sparse)
		}
	}
}
