package tests

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/tests/gguf"
)

// adapter writes random low-rank changes to all matrices of every other layer of the default model. They are so large that it
// says something else, and so small that it makes sense.
func adapter(t *testing.T) string {
	const rank, embd, kv, ff = 4, 576, 192, 1536
	g := &maker{File: gguf.New("llama"), random: rand.New(rand.NewPCG(8, 9))}
	g.Set("general.type", "adapter")
	g.Set("adapter.type", "lora")
	g.Set("adapter.lora.alpha", float64(rank))
	for i := 0; i < 30; i += 2 {
		for _, m := range []struct {
			name    string
			in, out int
		}{{"attn_q", embd, embd}, {"attn_k", embd, kv}, {"attn_v", embd, kv}, {"attn_output", embd, embd},
			{"ffn_gate", embd, ff}, {"ffn_up", embd, ff}, {"ffn_down", ff, embd}} {
			name := fmt.Sprintf("blk.%d.%s.weight", i, m.name)
			g.matrix(name+".lora_a", 1, m.in, rank)
			g.matrix(name+".lora_b", 1, rank, m.out)
		}
	}
	return g.write(t, "adapter")
}

// With an adapter the answer is stock llama.cpp's with it, not the model's own; a request may go without it, and it can be
// switched off and on while the server runs. Sparse attention stays sparse.
func TestServerAdapter(t *testing.T) {
	path := adapter(t)
	off := startServer(t, 1, "-fa", "on", "--lora", path)
	q := counting(t, off.url, 15, 24)
	plain := func(q *asked) *asked {
		return &asked{prompt: q.prompt, predict: q.predict, more: map[string]any{"lora": []map[string]any{{"id": 0, "scale": 0}}}}
	}
	want, wantPlain := q.must(t, off.url), plain(q).must(t, off.url)
	require.NoError(t, off.kill())
	d, err := differs(wantPlain, want)
	require.NoError(t, err)
	require.Greater(t, d.worst, 2*languageBounds.step, "the adapter changes too little to be missed")

	exact := startServer(t, 1, append(exactly, "--lora", path)...)
	// Random weights make more of rounding: with this adapter stock llama.cpp is off by 0.05 itself without flash attention.
	requireAlike(t, want, q.must(t, exact.url), 4*languageBounds.mean)
	requireAlike(t, wantPlain, plain(q).must(t, exact.url), languageBounds.mean)
	require.NoError(t, exact.kill())

	bare := startServer(t, 1, sparsely...)
	wantPlain = q.must(t, bare.url)
	require.NoError(t, bare.kill())
	sparse := startServer(t, 1, append(sparsely, "--lora", path)...)
	want = q.must(t, sparse.url)
	require.Equal(t, q.predict-1, want.timings.Sparse)
	require.NotEqual(t, want.steps, wantPlain.steps)
	require.Equal(t, wantPlain.steps, plain(q).must(t, sparse.url).steps, "a request without it")
	for _, scale := range []int{0, 1} {
		var done map[string]bool
		require.NoError(t, post(sparse.url+"/lora-adapters", []map[string]any{{"id": 0, "scale": scale}}, &done))
		require.Equal(t, map[string]bool{"success": true}, done)
		got := q.must(t, sparse.url)
		require.Equal(t, [][]step{wantPlain.steps, want.steps}[scale], got.steps, "scale %d", scale)
		require.Equal(t, q.predict-1, got.timings.Sparse)
	}
}
