package llama

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// A prompt's tokens are dense however they are batched, and what is decoded after them is sparse.
func TestPromptsAreDense(t *testing.T) {
	m, _, text := random(t, architectures[0])
	p := contextParams(4, true)
	p.Threads = 1
	part := func(w *writer, n int) { w.prefill(0, n); w.flagged(false) } // of a prompt
	for _, c := range []struct {
		name string
		ours int // of the tokens decoded, by the library
		play func(w *writer)
	}{
		{"a prompt, then tokens", 3, func(w *writer) { w.prefill(0, 200); w.decode(3, 0) }},
		{"token by token", 9, func(w *writer) { w.decode(10, 0) }},
		{"a token left over", 3, func(w *writer) { part(w, 200); w.decode(1, 0); w.decode(3, 0) }},
		{"no outputs", 2, func(w *writer) {
			for range 100 {
				part(w, 1)
			}
			w.decode(3, 0)
		}},
		{"a second turn", 5, func(w *writer) {
			w.prefill(0, 200)
			w.decode(3, 0)
			part(w,
				50)
			w.decode(1, 0)
			w.decode(2, 0)
		}},
		{"the same question again", 9, func(w *writer) {
			w.prefill(0, 200)
			for range 3 {
				w.decode(3, 0)
				w.remove(0, 4)
				w.decode(1, 0) // the prompt's last token
			}
		}},
		{"and again, without an answer", 1, func(w *writer) {
			w.prefill(0, 200)
			for range 3 {
				w.remove(0, 1)
				w.decode(1, 0)
			}
			w.decode(1, 0)
		}},
		{"rejected drafts", 4, func(w *writer) {
			w.prefill(0, 200)
			w.decode(2, 0)
			w.prefill(0, 5) // a token and drafts
			w.flagged(true)
			w.remove(0, 4)
			w.decode(2, 0)
		}},
		{"again after drafts", 3, func(w *writer) {
			w.prefill(0, 200)
			w.decode(2, 0)
			w.prefill(0, 5)
			w.flagged(true)
			w.remove(0, 8)
			w.decode(2, 0)
		}},
		{"a copy", 4, func(w *writer) { w.prefill(0, 200); w.copy(0, 1); w.decode(2, 0, 1) }},
		{"a copy of the beginning", 1, func(w *writer) {
			w.prefill(0, 200)
			w.at[1] = 150
			w.script = append(w.script, op{Change: "copy", Seq: 0, To: 1, P0: -1, P1: 150})
			w.decode(2, 1)
		}},
		{"a shift", 5, func(w *writer) {
			w.prefill(0, 200)
			w.decode(3, 0)
			w.shift(0, 40,
				90)
			w.decode(2, 0)
		}},
		{"another prompt", 2, func(w *writer) {
			w.prefill(0, 200)
			w.remove(0, 200)
			w.prefill(0,
				100)
			w.decode(2, 0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter(text)
			c.play(w)
			_, st := playRetro(t, m, p, "budget=16,local=16,min_ctx=0,window=4", w.script)
			require.EqualValues(t, c.ours, st.Tokens)
		})
	}
}

// What was loaded goes on sparsely, unless its last token is computed again; and so does a token
// that was given up.
func TestPromptOfState(t *testing.T) {
	m, _, text := random(t, architectures[0])
	p := contextParams(1, true)
	p.Threads = 1
	w := newWriter(text)
	w.prefill(0, 200)
	w.decode(5, 0)
	ctx := newContext(t, m, p)
	require.NoError(t, ctx.EnableRetro("budget=16,local=16,min_ctx=0,window=4"))
	_, err := w.script.play(ctx)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "state")
	require.NoError(t, ctx.StateSave(file, nil))
	data, err := ctx.SeqStateData(0)
	require.NoError(t, err)

	count := func(from int, f func() error) (tokens uint64) {
		before, err := ctx.RetroStats()
		require.NoError(t, err)
		require.NoError(t, f())
		next := newWriter(text)
		next.at[0] = from
		next.decode(2, 0)
		_, err = next.script.play(ctx)
		require.NoError(t, err)
		after, err := ctx.RetroStats()
		require.NoError(t, err)
		return after.Tokens - before.Tokens
	}
	for name, load := range map[string]func() error{
		"all": func() error { _, err := ctx.StateLoad(file); return err },
		"one": func() error { return ctx.SetSeqStateData(0, data) },
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualValues(t, 2, count(205, load))
			require.EqualValues(t, 1, count(204, func() error {
				if err := load(); err != nil {
					return err
				}
				return ctx.SeqRemove(0, 204, -1)
			}))
		})
	}
	require.EqualValues(t, 2, count(206, func() error {
		require.NoError(t, ctx.SetAbort(func() bool { return true }))
		b := bridge.NewBatch(1)
		b.Add(text[0], 206, 0, true)
		require.ErrorIs(t, ctx.Decode(b), bridge.ErrAborted)
		return ctx.SetAbort(nil)
	}))
}

// An answer to the same question, whose prompt is cached but for its last token, is the same
// answer.
func TestSameAnswerAgain(t *testing.T) {
	harness.Slow(t)
	m, text := model(t, "RETRO_SHORT"), harness.LongPrompt(t)
	for i, question := range []string{"In short, how is it built?", "Which options matter most?",
		"Write a haiku on it."} {
		prompt := fmt.Sprintf("%s\n\nQuestion: %s\nAnswer:", text, question)
		tokens, err := m.Tokenize(prompt, true, true)
		require.NoError(t, err)
		// The last token is computed by itself the first time as well, so that rounding is the
		// same.
		s := harness.StartServer(t, 1, "-m", harness.Setting(t, "RETRO_SHORT"), "--retro-attn", "--retro-budget", "128", "--retro-window",
			"4", "--retro-period", "4",
			"--retro-min-ctx", "256", "-t", "1", "-ub", fmt.Sprint(len(tokens)-1))
		ask := func() (c harness.Completion) {
			require.NoError(t, harness.Post(s.URL+"/completion",
				map[string]any{"prompt": prompt, "n_predict": 32, "temperature": 0,
					"cache_prompt": true,
					"ignore_eos":   true, "return_tokens": true}, &c))
			return c
		}
		first := ask()
		require.Equal(t, 31, first.Timings.Sparse)
		for range 2 {
			again := ask()
			require.Greater(t, again.Timings.CacheN, first.Timings.CacheN,
				"nothing more was cached")
			require.Equal(t, first.Tokens, again.Tokens, "question %d: %q and %q", i, first.Content,
				again.Content)
			require.Equal(t, first.Timings.Tokens, again.Timings.Tokens)
		}
	}
}

// After a prompt a window begins anew: in the second answer to the second question of a
// conversation, past tokens are embedded again at the same places as in the first.
func TestWindowAfterPrompt(t *testing.T) {
	m, _, text := random(t, architectures[0])
	p := contextParams(1, true)
	p.Threads = 1
	ctx := newContext(t, m, p)
	require.NoError(t, ctx.EnableRetro("budget=16,local=16,min_ctx=0,window=4,period=4"))
	w := newWriter(text)
	w.prefill(0, 200)
	w.decode(6, 0)
	w.prefill(0, 50)
	_, err := w.script.play(ctx)
	require.NoError(t, err)
	answer := func() (rewritten []uint64) {
		w.script = nil
		w.decode(11, 0)
		for _, o := range w.script {
			before, err := ctx.RetroStats()
			require.NoError(t, err)
			_, err = script{o}.play(ctx)
			require.NoError(t, err)
			after, err := ctx.RetroStats()
			require.NoError(t, err)
			rewritten = append(rewritten, after.RewrittenTokens-before.RewrittenTokens)
		}
		return rewritten
	}
	first := answer()
	require.Equal(t, []uint64{0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0}, first)
	w.script = nil
	w.remove(0, 12)
	w.decode(1, 0) // the question's last token
	_, err = w.script.play(ctx)
	require.NoError(t, err)
	require.Equal(t, first, answer())
}
