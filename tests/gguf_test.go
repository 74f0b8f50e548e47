package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/tests/gguf"
)

// maker makes a model file.
type maker struct {
	*gguf.File
	random           *rand.Rand
	embd, head, kv   int
	dim, ff, experts int
}

// tensor has random elements around a mean.
func (g *maker) tensor(name string, mean, sd float64, dims ...int) {
	n := 1
	for _, d := range dims {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(mean + sd*g.random.NormFloat64())
	}
	g.Tensor(name, gguf.F32, dims, gguf.Values(data))
}

// matrix keeps the size of what it is applied to, times gain.
func (g *maker) matrix(name string, gain float64, in int, out ...int) {
	g.tensor(name, 0, gain/sqrt(in), append([]int{in}, out...)...)
}

func (g *maker) write(t *testing.T, name string) string {
	path := filepath.Join(t.TempDir(), name+".gguf")
	file, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, g.Write(file, nil))
	require.NoError(t, file.Close())
	return path
}

// smallModel writes a model with random weights of an architecture. Its attention is neither flat nor saturated, its
// soft-cap bends the usual logit and its sinks take a good part of the sum, so that a mistake in any of them shows.
func smallModel(t *testing.T, a architecture) string {
	g := &maker{File: gguf.New(a.name), random: rand.New(rand.NewPCG(1, 2)), embd: 128, head: 4, kv: 2, dim: 32, ff: 128, experts: 4}
	if a.words {
		g.wordVocab()
	} else {
		g.Set("tokenizer.ggml.model", "no_vocab")
		g.Set("vocab_size", smallVocab)
	}
	g.Set("context_length", 4096)
	g.Set("embedding_length", g.embd)
	g.Set("block_count", smallLayers)
	g.Set("feed_forward_length", g.ff)
	if a.latent {
		g.setLatent()
	} else {
		g.Set("attention.key_length", g.dim)
		g.Set("attention.value_length", g.dim)
	}
	g.Set("attention.layer_norm_rms_epsilon", 1e-6)
	if a.gaps { // a layer without attention, and one with a matrix in its place
		g.Set("attention.head_count", []int32{4, 0, 4, 4})
		g.Set("attention.head_count_kv", []int32{2, 0, 0, 2})
	} else {
		g.Set("attention.head_count", g.head)
		g.Set("attention.head_count_kv", g.kv)
	}
	if a.moe {
		g.Set("expert_count", g.experts)
		g.Set("expert_used_count", g.experts) // which of them a token takes would jump with a rounding error
		g.Set("expert_feed_forward_length", g.ff)
	}
	if a.mrope {
		g.Set("rope.dimension_sections", []int32{4, 6, 6, 0})
	}
	if a.swa {
		g.Set("attention.sliding_window", smallSWA)
		g.Set("attention.sliding_window_pattern", 2)
	}
	if a.softCap {
		g.Set("attn_logit_softcapping", 3.0)
		g.Set("final_logit_softcapping", 30.0)
	}
	g.matrix("token_embd.weight", 1, g.embd, smallVocab)
	g.tensor("output_norm.weight", 1, 0.1, g.embd)
	if !a.gemma {
		g.matrix("output.weight", 1, g.embd, smallVocab)
	}
	for i := range smallLayers {
		g.block(i, a)
	}
	return g.write(t, a.name)
}

// wordVocab has words, behind the tokens for what is unknown, begins and ends, also of pictures. The words are as users define
// them, which are found in a text as they are.
func (g *maker) wordVocab() {
	tokens, types := []string{"<unk>", "<s>", "</s>", "<|vision_start|>", "<|vision_end|>"}, []int32{2, 3, 3, 3, 3}
	for i := len(tokens); i < smallVocab; i++ {
		tokens, types = append(tokens, fmt.Sprintf("w%d ", i)), append(types, 4)
	}
	g.Set("tokenizer.ggml.model", "llama")
	g.Set("tokenizer.ggml.bos_token_id", 1)
	g.Set("tokenizer.ggml.eos_token_id", 2)
	g.Set("tokenizer.ggml.tokens", tokens)
	g.Set("tokenizer.ggml.scores", make([]float32, len(tokens)))
	g.Set("tokenizer.ggml.token_type", types)
}

func (g *maker) block(layer int, a architecture) {
	p := fmt.Sprintf("blk.%d.", layer)
	const peak = 1.5 // of queries and keys: logits have a deviation of its square
	norm := func(name string, mean float64, n int) { g.tensor(p+name+".weight", mean, 0.1, n) }
	linear := func(name string, gain float64, bias bool, in int, out ...int) {
		g.matrix(p+name+".weight", gain, in, out...)
		if bias {
			g.tensor(p+name+".bias", 0, 0.3, out...)
		}
	}
	if !a.gaps || layer != 1 {
		norm("attn_norm", 1, g.embd)
		linear("attn_output", 1, a.sinks, g.head*g.dim, g.embd)
	}
	if a.latent {
		g.latentAttention(p, peak)
	} else if !a.gaps || layer == 0 || layer == 3 {
		linear("attn_q", peak, a.bias, g.embd, g.head*g.dim)
		linear("attn_k", peak, a.bias, g.embd, g.kv*g.dim)
		linear("attn_v", 1, a.bias, g.embd, g.kv*g.dim)
	}
	if a.qkNorm {
		norm("attn_q_norm", peak, g.dim)
		norm("attn_k_norm", peak, g.dim)
	}
	if a.sinks {
		g.tensor(p+"attn_sinks.weight", 7, 1, g.head)
	}
	if a.gemma || a.sinks {
		norm("post_attention_norm", 1, g.embd)
	}
	if !a.sinks {
		norm("ffn_norm", 1, g.embd)
	}
	if a.gemma {
		norm("post_ffw_norm", 1, g.embd)
	}
	if !a.moe {
		linear("ffn_gate", 1, false, g.embd, g.ff)
		linear("ffn_up", 1, false, g.embd, g.ff)
		linear("ffn_down", 1, false, g.ff, g.embd)
		return
	}
	linear("ffn_gate_inp", 1, a.sinks, g.embd, g.experts)
	for _, e := range []struct {
		name    string
		in, out int
	}{{"ffn_gate_exps", g.embd, g.ff}, {"ffn_up_exps", g.embd, g.ff}, {"ffn_down_exps", g.ff, g.embd}} {
		g.matrix(p+e.name+".weight", 1, e.in, e.out, g.experts)
		if a.sinks {
			g.tensor(p+e.name+".bias", 0, 0.3, e.out, g.experts)
		}
	}
}
