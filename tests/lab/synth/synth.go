package synth

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retroattn/retroattn/tests/gguf"
)

// Command is the command line.
type Command struct {
	Shape string `default:"1b" enum:"tiny,smollm2,1b,3b,8b" help:"Shape of the model: tiny (to try things), smollm2 (SmolLM2-135M), 1b and 3b (Llama 3.2), 8b (Llama 3.1)."`
	Type  string `default:"f16" enum:"f16,q8_0,q4_0" help:"Type of the weights: ${enum}."`
	Out   string `required:"" type:"path" placeholder:"FILE" help:"File to write."`
}

// shape is what decides how long a model takes.
type shape struct {
	layers, embd, heads, kv, dim, ff, vocab int
	tied                                    bool // the output is the embedding
	base                                    float64
}

var shapes = map[string]shape{
	"tiny":    {2, 128, 4, 2, 32, 256, 512, true, 10000},
	"smollm2": {30, 576, 9, 3, 64, 1536, 49152, true, 100000},
	"1b":      {16, 2048, 32, 8, 64, 8192, 128256, true, 500000},
	"3b":      {28, 3072, 24, 8, 128, 8192, 128256, true, 500000},
	"8b":      {32, 4096, 32, 8, 128, 14336, 128256, false, 500000},
}

// kinds are types of weights, with llama.cpp's number for a file of them.
var kinds = map[string]struct {
	t    gguf.Type
	file int
}{"f16": {gguf.F16, 1}, "q4_0": {gguf.Q4_0, 2}, "q8_0": {gguf.Q8_0, 7}}

// declaredCtx is no limit for any measurement.
const declaredCtx = 1 << 20

// Run writes the file.
func (o *Command) Run() error {
	f := build(o.Shape, o.Type)
	if free := freeDisk(filepath.Dir(o.Out)); free > 0 && f.DataSize()+1<<26 > free {
		return fmt.Errorf("--out %s: the model takes %s, %s are free: name a file elsewhere, or "+
			"a smaller --shape or --type", o.Out, gib(f.DataSize()), gib(free))
	}
	partial := o.Out + ".partial"
	defer os.Remove(partial)
	file, err := os.Create(partial)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	said := time.Now()
	if err := f.Write(w, func(n uint64) {
		if time.Since(said) > 2*time.Second {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%s of %s\n", gib(n), gib(f.DataSize()))
		}
	}); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(partial, o.Out); err != nil {
		return err
	}
	fmt.Printf("%s: %s, %s, random weights, %s\n", o.Out, o.Shape, o.Type, gib(f.DataSize()))
	return nil
}

func gib(bytes uint64) string { return fmt.Sprintf("%.2f GiB", float64(bytes)/(1<<30)) }

// freeDisk is how many bytes fit in a folder, 0 if nobody knows.
func freeDisk(dir string) uint64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return s.Bavail * uint64(s.Bsize)
}

// build is a model whose activations stay in a sane range: each matrix keeps the size of what it is
// applied to.
func build(name, kind string) *gguf.File {
	s, k := shapes[name], kinds[kind]
	f := gguf.New("llama")
	f.Set("general.name", "random weights in the shape of "+name)
	f.Set("general.file_type", k.file)
	f.Set("general.quantization_version", 2)
	f.Set("context_length", declaredCtx)
	f.Set("embedding_length", s.embd)
	f.Set("block_count", s.layers)
	f.Set("feed_forward_length", s.ff)
	f.Set("attention.head_count", s.heads)
	f.Set("attention.head_count_kv", s.kv)
	f.Set("attention.key_length", s.dim)
	f.Set("attention.value_length", s.dim)
	f.Set("attention.layer_norm_rms_epsilon", 1e-5)
	f.Set("rope.dimension_count", s.dim)
	f.Set("rope.freq_base", s.base)
	f.Set("vocab_size", s.vocab)
	tokenizer(f, s.vocab)

	random := rand.New(rand.NewPCG(3, 5))
	noise := map[int]*gguf.Noise{} // by inputs
	matrix := func(name string, in, out int) {
		if noise[in] == nil {
			noise[in] = gguf.NewNoise(k.t, 1/math.Sqrt(float64(in)), random)
		}
		f.Tensor(name+".weight", k.t, []int{in, out}, noise[in].Fill(in*out))
	}
	norm := func(name string) {
		f.Tensor(name+".weight", gguf.F32, []int{s.embd},
			gguf.Values(slices.Repeat([]float32{1}, s.embd)))
	}
	matrix("token_embd", s.embd, s.vocab)
	norm("output_norm")
	if !s.tied {
		matrix("output", s.embd, s.vocab)
	}
	for i := range s.layers {
		p := fmt.Sprintf("blk.%d.", i)
		norm(p + "attn_norm")
		matrix(p+"attn_q", s.embd, s.heads*s.dim)
		matrix(p+"attn_k", s.embd, s.kv*s.dim)
		matrix(p+"attn_v", s.embd, s.kv*s.dim)
		matrix(p+"attn_output", s.heads*s.dim, s.embd)
		norm(p + "ffn_norm")
		matrix(p+"ffn_gate", s.embd, s.ff)
		matrix(p+"ffn_up", s.embd, s.ff)
		matrix(p+"ffn_down", s.ff, s.embd)
	}
	return f
}

// The kinds of tokens, as llama.cpp numbers them.
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3
	tokenUnused  = 5
	tokenByte    = 6
)

// tokenizer has a token for each byte and the blank, so that any text can be processed; the rest of
// the vocabulary stands empty.
func tokenizer(f *gguf.File, vocab int) {
	tokens := []string{"<unk>", "<s>", "</s>"}
	kinds := []int32{tokenUnknown, tokenControl, tokenControl}
	for i := range 256 {
		tokens, kinds = append(tokens, fmt.Sprintf("<0x%02X>", i)), append(kinds, tokenByte)
	}
	tokens, kinds = append(tokens, "\u2581"), append(kinds, tokenNormal) // a blank
	for i := len(tokens); i < vocab; i++ {
		tokens, kinds = append(tokens, fmt.Sprintf("<unused%d>", i)), append(kinds, tokenUnused)
	}
	f.Set("tokenizer.ggml.model", "llama")
	f.Set("tokenizer.ggml.tokens", tokens)
	f.Set("tokenizer.ggml.scores", make([]float32, vocab))
	f.Set("tokenizer.ggml.token_type", kinds)
	f.Set("tokenizer.ggml.bos_token_id", 1)
	f.Set("tokenizer.ggml.eos_token_id", 2)
	f.Set("tokenizer.ggml.unknown_token_id", 0)
	f.Set("tokenizer.ggml.add_bos_token", true)
	f.Set("tokenizer.ggml.add_space_prefix", false)
}
