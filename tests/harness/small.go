package harness

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/gguf"
)

const (
	SmallVocab, smallLayers, smallSWA = 256, 4, 64
)

func Sqrt(n int) float64 { return math.Sqrt(float64(n)) }

// Architecture is a kind of model and what is special about its attention.
type Architecture struct {
	Name                                                string
	Bias, QkNorm, MoE, Gemma, SoftCap, SWA, Sinks, Gaps bool
	// of K and V the cache holds one head of latents, see latent_test.go
	Latent bool
	// positions of several dimensions, which cannot be shifted
	MRoPE bool
	// it has a vocabulary, which programs need
	Words bool
}

// FullLayers is how many layers attend to everything.
func (a Architecture) FullLayers() int {
	if a.SWA || a.Gaps {
		return smallLayers / 2
	}
	return smallLayers
}

// KVBytes is what the cache has of a token in a layer.
func (a Architecture) KVBytes() int {
	if a.Latent {
		return (latentDim + latentRope) * 2
	}
	return 2 * (32 + 32) * 2
}

// Maker makes a model file.
type Maker struct {
	*gguf.File
	Random           *rand.Rand
	embd, head, kv   int
	dim, ff, experts int
}

// Normal has random elements around a mean.
func (g *Maker) Normal(name string, mean, sd float64, dims ...int) {
	n := 1
	for _, d := range dims {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(mean + sd*g.Random.NormFloat64())
	}
	g.Tensor(name, gguf.F32, dims, gguf.Values(data))
}

// Matrix keeps the size of what it is applied to, times gain.
func (g *Maker) Matrix(name string, gain float64, in int, out ...int) {
	g.Normal(name, 0, gain/Sqrt(in), append([]int{in}, out...)...)
}

func (g *Maker) Save(t *testing.T, name string) string {
	path := filepath.Join(t.TempDir(), name+".gguf")
	file, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, g.Write(file, nil))
	require.NoError(t, file.Close())
	return path
}

// SmallModel writes a model with random weights of an architecture. Its attention is neither flat
// nor saturated, its soft-cap bends the usual logit and its sinks take a good part of the sum, so
// that a mistake in any of them shows.
func SmallModel(t *testing.T, a Architecture) string {
	g := &Maker{File: gguf.New(a.Name), Random: rand.New(rand.NewPCG(1, 2)), embd: 128, head: 4,
		kv: 2, dim: 32, ff: 128, experts: 4}
	if a.Words {
		g.wordVocab()
	} else {
		g.Set("tokenizer.ggml.model", "no_vocab")
		g.Set("vocab_size", SmallVocab)
	}
	g.Set("context_length", 4096)
	g.Set("embedding_length", g.embd)
	g.Set("block_count", smallLayers)
	g.Set("feed_forward_length", g.ff)
	if a.Latent {
		g.setLatent()
	} else {
		g.Set("attention.key_length", g.dim)
		g.Set("attention.value_length", g.dim)
	}
	g.Set("attention.layer_norm_rms_epsilon", 1e-6)
	if a.Gaps { // a layer without attention, and one with a matrix in its place
		g.Set("attention.head_count", []int32{4, 0, 4, 4})
		g.Set("attention.head_count_kv", []int32{2, 0, 0, 2})
	} else {
		g.Set("attention.head_count", g.head)
		g.Set("attention.head_count_kv", g.kv)
	}
	if a.MoE {
		g.Set("expert_count", g.experts)
		// which of them a token takes would jump with a rounding error
		g.Set("expert_used_count", g.experts)
		g.Set("expert_feed_forward_length", g.ff)
	}
	if a.MRoPE {
		g.Set("rope.dimension_sections", []int32{4, 6, 6, 0})
	}
	if a.SWA {
		g.Set("attention.sliding_window", smallSWA)
		g.Set("attention.sliding_window_pattern", 2)
	}
	if a.SoftCap {
		g.Set("attn_logit_softcapping", 3.0)
		g.Set("final_logit_softcapping", 30.0)
	}
	g.Matrix("token_embd.weight", 1, g.embd, SmallVocab)
	g.Normal("output_norm.weight", 1, 0.1, g.embd)
	if !a.Gemma {
		g.Matrix("output.weight", 1, g.embd, SmallVocab)
	}
	for i := range smallLayers {
		g.block(i, a)
	}
	return g.Save(t, a.Name)
}

// wordVocab has words, behind the tokens for what is unknown, begins and ends, also of pictures.
// The words are as users define them, which are found in a text as they are.
func (g *Maker) wordVocab() {
	tokens, types := []string{"<unk>", "<s>", "</s>", "<|vision_start|>", "<|vision_end|>"},
		[]int32{2, 3, 3, 3, 3}
	for i := len(tokens); i < SmallVocab; i++ {
		tokens, types = append(tokens, fmt.Sprintf("w%d ", i)), append(types, 4)
	}
	g.Set("tokenizer.ggml.model", "llama")
	g.Set("tokenizer.ggml.bos_token_id", 1)
	g.Set("tokenizer.ggml.eos_token_id", 2)
	g.Set("tokenizer.ggml.tokens", tokens)
	g.Set("tokenizer.ggml.scores", make([]float32, len(tokens)))
	g.Set("tokenizer.ggml.token_type", types)
}

func (g *Maker) block(layer int, a Architecture) {
	p := fmt.Sprintf("blk.%d.", layer)
	const peak = 1.5 // of queries and keys: logits have a deviation of its square
	norm := func(name string, mean float64, n int) { g.Normal(p+name+".weight", mean, 0.1, n) }
	linear := func(name string, gain float64, bias bool, in int, out ...int) {
		g.Matrix(p+name+".weight", gain, in, out...)
		if bias {
			g.Normal(p+name+".bias", 0, 0.3, out...)
		}
	}
	if !a.Gaps || layer != 1 {
		norm("attn_norm", 1, g.embd)
		linear("attn_output", 1, a.Sinks, g.head*g.dim, g.embd)
	}
	if a.Latent {
		g.latentAttention(p, peak)
	} else if !a.Gaps || layer == 0 || layer == 3 {
		linear("attn_q", peak, a.Bias, g.embd, g.head*g.dim)
		linear("attn_k", peak, a.Bias, g.embd, g.kv*g.dim)
		linear("attn_v", 1, a.Bias, g.embd, g.kv*g.dim)
	}
	if a.QkNorm {
		norm("attn_q_norm", peak, g.dim)
		norm("attn_k_norm", peak, g.dim)
	}
	if a.Sinks {
		g.Normal(p+"attn_sinks.weight", 7, 1, g.head)
	}
	if a.Gemma || a.Sinks {
		norm("post_attention_norm", 1, g.embd)
	}
	if !a.Sinks {
		norm("ffn_norm", 1, g.embd)
	}
	if a.Gemma {
		norm("post_ffw_norm", 1, g.embd)
	}
	if !a.MoE {
		linear("ffn_gate", 1, false, g.embd, g.ff)
		linear("ffn_up", 1, false, g.embd, g.ff)
		linear("ffn_down", 1, false, g.ff, g.embd)
		return
	}
	linear("ffn_gate_inp", 1, a.Sinks, g.embd, g.experts)
	for _, e := range []struct {
		name    string
		in, out int
	}{{"ffn_gate_exps", g.embd, g.ff}, {"ffn_up_exps", g.embd, g.ff},
		{"ffn_down_exps", g.ff, g.embd}} {
		g.Matrix(p+e.name+".weight", 1, e.in, e.out, g.experts)
		if a.Sinks {
			g.Normal(p+e.name+".bias", 0, 0.3, e.out, g.experts)
		}
	}
}

// Latent attention (MLA) as DeepSeek has it: the cache holds one head of latents for all query
// heads, whose first latentDim channels are the values as well, and which matrices per head take to
// queries and from values. There are more query heads than the engine's kernels take at once.
const (
	latentDim, latentRope = 64, 32
	latentHeads           = 24
	// channels of a key without position, and of a value, once a head has made them of the latent
	latentKey = 32
)

func (g *Maker) setLatent() {
	g.head, g.kv, g.dim = latentHeads, 1, latentKey
	for key, value := range map[string]int{
		"attention.q_lora_rank": 0, "attention.kv_lora_rank": latentDim,
		"rope.dimension_count": latentRope,
		"attention.key_length": latentDim + latentRope, "attention.value_length": latentDim,
		"attention.key_length_mla": latentKey + latentRope, "attention.value_length_mla": latentKey,
		"leading_dense_block_count": smallLayers, "expert_feed_forward_length": g.ff,
		"expert_shared_count": 0,
	} {
		g.Set(key, value)
	}
}

func (g *Maker) latentAttention(layer string, peak float64) {
	g.Matrix(layer+"attn_q.weight", peak, g.embd, latentHeads*(latentKey+latentRope))
	g.Matrix(layer+"attn_kv_a_mqa.weight", peak, g.embd, latentDim+latentRope)
	g.Normal(layer+"attn_kv_a_norm.weight", 1, 0.1, latentDim)
	g.Normal(layer+"attn_k_b.weight", 0, peak/Sqrt(latentDim), latentKey, latentDim, latentHeads)
	g.Matrix(layer+"attn_v_b.weight", 1, latentDim, latentKey, latentHeads)
}
