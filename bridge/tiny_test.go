package bridge

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tinyFile is a GGUF file in the making.
type tinyFile struct {
	keys, infos, data bytes.Buffer
	nKeys, nTensors   uint64
}

func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		if s, ok := v.(string); ok {
			put(b, uint64(len(s)), []byte(s))
			continue
		}
		binary.Write(b, binary.LittleEndian, v)
	}
}

// set writes a value, or a list, with the type that GGUF gives to its elements.
func (f *tinyFile) set(key string, kind uint32, values ...any) {
	put(&f.keys, key)
	if len(values) > 1 {
		put(&f.keys, uint32(9), kind, uint64(len(values)))
	} else {
		put(&f.keys, kind)
	}
	put(&f.keys, values...)
	f.nKeys++
}

// tensor has random elements around a mean.
func (f *tinyFile) tensor(random *rand.Rand, name string, mean, sd float64, dims ...uint64) {
	n := uint64(1)
	put(&f.infos, name, uint32(len(dims)))
	for _, d := range dims {
		put(&f.infos, d)
		n *= d
	}
	put(&f.infos, uint32(0), uint64(f.data.Len()))
	for range n {
		put(&f.data, float32(mean+sd*random.NormFloat64()))
	}
	f.nTensors++
}

const (
	gguf32, ggufFloat, ggufInt, ggufText = 4, 6, 5, 8 // types
	tinyVocab                            = 3 + 256    // unknown, begin, end, and all bytes
	chatML                               = "{% for m in messages %}<|im_start|>{{ m.role }}...{% endfor %}"
)

// tinyModel is a llama with random weights, whose tokens are bytes: a step takes a fraction of a
// millisecond. It has several layers, so that what one layer gets wrong reaches the K and V of
// those behind it. template "" = none.
func tinyModel(t *testing.T, template string) *Model {
	t.Helper()
	lib := loadLibrary(t)
	const embd, head, ff, layers = 64, 32, 64, 3
	f := &tinyFile{}
	f.set("general.architecture", ggufText, "llama")
	for key, value := range map[string]uint32{
		"context_length": 4096, "embedding_length": embd, "block_count": layers,
		"feed_forward_length": ff, "attention.head_count": embd / head,
		"attention.head_count_kv": 1, "rope.dimension_count": head,
	} {
		f.set("llama."+key, gguf32, value)
	}
	f.set("llama.attention.layer_norm_rms_epsilon", ggufFloat, float32(1e-5))
	f.set("tokenizer.ggml.model", ggufText, "llama")
	f.set("tokenizer.ggml.bos_token_id", gguf32, uint32(1))
	f.set("tokenizer.ggml.eos_token_id", gguf32, uint32(2))
	if template != "" {
		f.set("tokenizer.chat_template", ggufText, template)
	}
	tokens, scores, types := []any{"<unk>", "<s>", "</s>"}, []any{},
		[]any{int32(2), int32(3), int32(3)}
	for i := range 256 {
		tokens, types = append(tokens, fmt.Sprintf("<0x%02X>", i)), append(types, int32(6))
	}
	for range tokens {
		scores = append(scores, float32(0))
	}
	f.set("tokenizer.ggml.tokens", ggufText, tokens...)
	f.set("tokenizer.ggml.scores", ggufFloat, scores...)
	f.set("tokenizer.ggml.token_type", ggufInt, types...)

	random := rand.New(rand.NewPCG(3, 4))
	matrix := func(name string, in, out uint64) {
		f.tensor(random, name+".weight", 0, 2/math.Sqrt(float64(in)), in, out)
	}
	norm := func(name string) { f.tensor(random, name+".weight", 1, 0.1, embd) }
	matrix("token_embd", embd, tinyVocab)
	matrix("output", embd, tinyVocab)
	norm("output_norm")
	for i := range layers {
		block := fmt.Sprintf("blk.%d.", i)
		norm(block + "attn_norm")
		norm(block + "ffn_norm")
		matrix(block+"attn_q", embd, embd)
		matrix(block+"attn_k", embd, head)
		matrix(block+"attn_v", embd, head)
		matrix(block+"attn_output", embd, embd)
		matrix(block+"ffn_gate", embd, ff)
		matrix(block+"ffn_up", embd, ff)
		matrix(block+"ffn_down", ff, embd)
	}

	var b bytes.Buffer
	put(&b, []byte("GGUF"), uint32(3), f.nTensors, f.nKeys, f.keys.Bytes(), f.infos.Bytes())
	b.Write(make([]byte, -b.Len()&31))
	b.Write(f.data.Bytes())
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	model, err := lib.LoadModel(path, ModelParams{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, model.Close()) })
	return model
}

func TestTinyModel(t *testing.T) {
	model := tinyModel(t, "")
	tokens, err := model.Tokenize("ab", true, false)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(tokens), 3)
	text, err := model.Detokenize(tokens...)
	require.NoError(t, err)
	assert.Contains(t, text, "ab")
}
