package tests

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// gguf is a model file in the making.
type gguf struct {
	arch             string
	keys, infos      bytes.Buffer
	data             []float32
	nKeys, nTensors  uint64
	random           *rand.Rand
	embd, head, kv   int
	dim, ff, experts int
}

func (g *gguf) put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		if s, ok := v.(string); ok {
			binary.Write(b, binary.LittleEndian, uint64(len(s)))
			b.WriteString(s)
			continue
		}
		binary.Write(b, binary.LittleEndian, v)
	}
}

// set writes a key, of the architecture unless it has a prefix of its own.
func (g *gguf) set(key string, value any) {
	if !strings.HasPrefix(key, "general.") && !strings.HasPrefix(key, "tokenizer.") {
		key = g.arch + "." + key
	}
	kind := uint32(8)
	switch v := value.(type) {
	case int:
		kind, value = 4, uint32(v)
	case float64:
		kind, value = 6, float32(v)
	}
	g.put(&g.keys, key, kind, value)
	g.nKeys++
}

// tensor has random elements around a mean.
func (g *gguf) tensor(name string, mean, sd float64, dims ...int) {
	n := 1
	g.put(&g.infos, name, uint32(len(dims)))
	for _, d := range dims {
		g.put(&g.infos, uint64(d))
		n *= d
	}
	g.put(&g.infos, uint32(0), uint64(4*len(g.data))) // F32; rows are multiples of the alignment but for sinks
	for range (n + 7) / 8 * 8 {
		g.data = append(g.data, float32(mean+sd*g.random.NormFloat64()))
	}
	g.nTensors++
}

// matrix keeps the size of what it is applied to, times gain.
func (g *gguf) matrix(name string, gain float64, in int, out ...int) {
	g.tensor(name, 0, gain/sqrt(in), append([]int{in}, out...)...)
}

func (g *gguf) write(t *testing.T) string {
	var b bytes.Buffer
	b.WriteString("GGUF")
	g.put(&b, uint32(3), g.nTensors, g.nKeys, g.keys.Bytes(), g.infos.Bytes())
	b.Write(make([]byte, -b.Len()&31))
	g.put(&b, g.data)
	path := filepath.Join(t.TempDir(), g.arch+".gguf")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

// smallModel writes a model with random weights of an architecture. Its attention is neither flat nor saturated, its
// soft-cap bends the usual logit and its sinks take a good part of the sum, so that a mistake in any of them shows.
func smallModel(t *testing.T, a architecture) string {
	g := &gguf{arch: a.name, random: rand.New(rand.NewPCG(1, 2)), embd: 128, head: 4, kv: 2, dim: 32, ff: 128, experts: 4}
	g.set("general.architecture", a.name)
	g.set("tokenizer.ggml.model", "no_vocab")
	g.set("vocab_size", smallVocab)
	g.set("context_length", 4096)
	g.set("embedding_length", g.embd)
	g.set("block_count", smallLayers)
	g.set("feed_forward_length", g.ff)
	g.set("attention.head_count", g.head)
	g.set("attention.head_count_kv", g.kv)
	g.set("attention.key_length", g.dim)
	g.set("attention.value_length", g.dim)
	g.set("attention.layer_norm_rms_epsilon", 1e-6)
	if a.moe {
		g.set("expert_count", g.experts)
		g.set("expert_used_count", g.experts) // which of them a token takes would jump with a rounding error
		g.set("expert_feed_forward_length", g.ff)
	}
	if a.swa {
		g.set("attention.sliding_window", smallSWA)
		g.set("attention.sliding_window_pattern", 2)
	}
	if a.softCap {
		g.set("attn_logit_softcapping", 3.0)
		g.set("final_logit_softcapping", 30.0)
	}
	g.matrix("token_embd.weight", 1, g.embd, smallVocab)
	g.tensor("output_norm.weight", 1, 0.1, g.embd)
	if !a.gemma {
		g.matrix("output.weight", 1, g.embd, smallVocab)
	}
	for i := range smallLayers {
		g.block(fmt.Sprintf("blk.%d.", i), a)
	}
	return g.write(t)
}

func (g *gguf) block(p string, a architecture) {
	const peak = 1.5 // of queries and keys: logits have a deviation of its square
	norm := func(name string, mean float64, n int) { g.tensor(p+name+".weight", mean, 0.1, n) }
	linear := func(name string, gain float64, bias bool, in int, out ...int) {
		g.matrix(p+name+".weight", gain, in, out...)
		if bias {
			g.tensor(p+name+".bias", 0, 0.3, out...)
		}
	}
	norm("attn_norm", 1, g.embd)
	linear("attn_q", peak, a.bias, g.embd, g.head*g.dim)
	linear("attn_k", peak, a.bias, g.embd, g.kv*g.dim)
	linear("attn_v", 1, a.bias, g.embd, g.kv*g.dim)
	linear("attn_output", 1, a.sinks, g.head*g.dim, g.embd)
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
