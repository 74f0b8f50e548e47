package server

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/gguf"
	"github.com/retroattn/retroattn/tests/harness"
)

// adapter writes random low-rank changes to all matrices of every other layer of the default model.
// They are so large that it says something else, and so small that it makes sense.
func adapter(t *testing.T) string {
	const rank, embd, kv, ff = 4, 576, 192, 1536
	g := &harness.Maker{File: gguf.New("llama"), Random: rand.New(rand.NewPCG(8, 9))}
	g.Set("general.type", "adapter")
	g.Set("adapter.type", "lora")
	g.Set("adapter.lora.alpha", float64(rank))
	for i := 0; i < 30; i += 2 {
		for _, m := range []struct {
			name    string
			in, out int
		}{{"attn_q", embd, embd}, {"attn_k", embd, kv}, {"attn_v", embd, kv},
			{"attn_output", embd, embd},
			{"ffn_gate", embd, ff}, {"ffn_up", embd, ff}, {"ffn_down", ff, embd}} {
			name := fmt.Sprintf("blk.%d.%s.weight", i, m.name)
			g.Matrix(name+".lora_a", 1, m.in, rank)
			g.Matrix(name+".lora_b", 1, rank, m.out)
		}
	}
	return g.Save(t, "adapter")
}

// With an adapter the answer is stock llama.cpp's with it, not the model's own; a request may go
// without it, and it can be switched off and on while the server runs. Sparse attention stays
// sparse.
func TestServerAdapter(t *testing.T) {
	harness.Slow(t)
	path := adapter(t)
	off := harness.StartServer(t, 1, "-fa", "on", "--lora", path)
	q := counting(t, off.URL, 15, 24)
	plain := func(q *harness.Request) *harness.Request {
		return &harness.Request{Prompt: q.Prompt, Predict: q.Predict,
			More: map[string]any{"lora": []map[string]any{{"id": 0, "scale": 0}}}}
	}
	want, wantPlain := q.Must(t, off.URL), plain(q).Must(t, off.URL)
	require.NoError(t, off.Kill())
	d, err := harness.Differs(wantPlain, want)
	require.NoError(t, err)
	require.Greater(t, d.Worst, 2*harness.LanguageBounds.Step,
		"the adapter changes too little to be missed")

	exact := harness.StartServer(t, 1, append(exactly, "--lora", path)...)
	// Random weights make more of rounding: with this adapter stock llama.cpp is off by 0.05 itself
	// without flash attention.
	requireAlike(t, want, q.Must(t, exact.URL), 4*harness.LanguageBounds.Mean)
	requireAlike(t, wantPlain, plain(q).Must(t, exact.URL), harness.LanguageBounds.Mean)
	require.NoError(t, exact.Kill())

	bare := harness.StartServer(t, 1, sparsely...)
	wantPlain = q.Must(t, bare.URL)
	require.NoError(t, bare.Kill())
	sparse := harness.StartServer(t, 1, append(sparsely, "--lora", path)...)
	want = q.Must(t, sparse.URL)
	require.Equal(t, q.Predict-1, want.Timings.Sparse)
	require.NotEqual(t, want.Steps, wantPlain.Steps)
	require.Equal(t, wantPlain.Steps, plain(q).Must(t, sparse.URL).Steps, "a request without it")
	for _, scale := range []int{0, 1} {
		var done map[string]bool
		require.NoError(t, harness.Post(sparse.URL+"/lora-adapters",
			[]map[string]any{{"id": 0, "scale": scale}}, &done))
		require.Equal(t, map[string]bool{"success": true}, done)
		got := q.Must(t, sparse.URL)
		require.Equal(t, [][]harness.Step{wantPlain.Steps, want.Steps}[scale], got.Steps,
			"scale %d", scale)
		require.Equal(t, q.Predict-1, got.Timings.Sparse)
	}
}
