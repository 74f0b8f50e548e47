package bridge

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tests with a llama.cpp run on RETRO_STOCK_DIR, or on RETRO_PATCHED_DIR where only that is set.
// Where both are, TestPatched repeats all of them on the second in a process of its own, since a
// process holds only one llama.cpp.
const (
	envStock   = "RETRO_STOCK_DIR"   // folder with an unpatched build
	envPatched = "RETRO_PATCHED_DIR" // folder with a patched build and libretroattn.so.1
	envModel   = "RETRO_MODEL"       // a small GGUF model
)

func TestPatched(t *testing.T) {
	if os.Getenv(envStock) == "" || os.Getenv(envPatched) == "" {
		t.Skipf("%s and %s are not both set", envStock, envPatched)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.v")
	cmd.Env = append(os.Environ(), envStock+"=")
	out, err := cmd.CombinedOutput()
	t.Log(string(out))
	require.NoError(t, err)
}

func loadLibrary(t *testing.T) *Library {
	t.Helper()
	dir := os.Getenv(envStock)
	if dir == "" {
		dir = os.Getenv(envPatched)
	}
	if dir == "" {
		t.Skipf("neither %s nor %s is set", envStock, envPatched)
	}
	lib, err := Load(Paths{Dir: dir})
	require.NoError(t, err)
	return lib
}

func loadModel(t *testing.T) *Model {
	t.Helper()
	lib := loadLibrary(t)
	model, err := lib.LoadModel(envPath(t), ModelParams{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, model.Close()) })
	return model
}

func newContext(t *testing.T, model *Model, params ContextParams) *Context {
	t.Helper()
	if params.Threads == 0 {
		params.Threads = 1 // OpenMP's spinning crawls on a busy machine
	}
	c, err := model.NewContext(params)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// feed decodes tokens of a sequence from position pos on and returns a copy of the last row of
// logits.
func feed(t *testing.T, c *Context, seq, pos int, tokens ...Token) []float32 {
	t.Helper()
	b := NewBatch(len(tokens))
	for i, token := range tokens {
		b.Add(token, pos+i, seq, i == len(tokens)-1)
	}
	require.NoError(t, c.Decode(b))
	row, err := c.Logits(-1)
	require.NoError(t, err)
	return slices.Clone(row)
}

const prose = "The lighthouse keeper climbed the stairs every evening, counting them as he went, and"

func proseTokens(t *testing.T, model *Model) []Token {
	t.Helper()
	tokens, err := model.Tokenize(prose, true, false)
	require.NoError(t, err)
	return tokens
}

func TestLoadTwice(t *testing.T) {
	lib := loadLibrary(t)
	again, err := Load(Paths{Dir: lib.dir})
	require.NoError(t, err)
	assert.Same(t, lib, again)
	_, err = Load(Paths{Dir: t.TempDir()})
	assert.ErrorIs(t, err, ErrArgument)
	assert.Contains(t, lib.Version(), "0.5.0")
}

func TestLoadModelErrors(t *testing.T) {
	lib := loadLibrary(t)
	for _, path := range []string{"", "a\x00b", t.TempDir()} {
		_, err := lib.LoadModel(path, ModelParams{})
		assert.ErrorIs(t, err, ErrArgument, "%q", path)
	}
	_, err := lib.LoadModel(filepath.Join(t.TempDir(), "none.gguf"), ModelParams{})
	assert.ErrorIs(t, err, os.ErrNotExist)
	bad := filepath.Join(t.TempDir(), "bad.gguf")
	require.NoError(t, os.WriteFile(bad, []byte(strings.Repeat("not a model ", 100)), 0o600))
	_, err = lib.LoadModel(bad, ModelParams{})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "magic", "the reason that llama.cpp logs")
}

func TestModel(t *testing.T) {
	model := loadModel(t)
	assert.Positive(t, model.VocabSize())
	assert.Positive(t, model.TrainedCtx())
	assert.NotEmpty(t, model.Description())
	arch, ok := model.Meta("general.architecture")
	assert.True(t, ok)
	assert.NotEmpty(t, arch)
	_, ok = model.Meta("no.such.key")
	assert.False(t, ok)
	if template, ok := model.Meta("tokenizer.chat_template"); ok {
		assert.Greater(t, len(template), 256, "longer than the first buffer")
		assert.NotContains(t, template, "\x00")
	}
	assert.False(t, model.IsEOG(-1))
	assert.False(t, model.IsEOG(Token(model.VocabSize())))
}

func TestTokenizeRoundTrip(t *testing.T) {
	model := loadModel(t)
	for _, text := range []string{
		"", "a", prose, "naïve café – 東京 🙂\n\ttabs", strings.Repeat("x", 5000),
		strings.Repeat("\n", 300), "a\x00b",
		"<|im_start|>user",
	} {
		tokens, err := model.Tokenize(text, false, true)
		require.NoError(t, err)
		back, err := model.Detokenize(tokens...)
		require.NoError(t, err)
		assert.Equal(t, text, strings.TrimPrefix(back, " "))
		var pieces []byte
		for _, token := range tokens {
			piece, err := model.Piece(token)
			require.NoError(t, err)
			pieces = append(pieces, piece...)
		}
		if !strings.Contains(text, "<|") {
			assert.Equal(t, text, string(pieces))
		}
	}
	for _, text := range []string{"\xff\xfe broken \xc3", "\xf0\x9f"} {
		_, err := model.Tokenize(text, true, true)
		assert.NoError(t, err)
	}
	_, err := model.Detokenize(1, -1)
	assert.ErrorIs(t, err, ErrArgument)
	_, err = model.Detokenize(Token(model.VocabSize()))
	assert.ErrorIs(t, err, ErrArgument)
	_, err = model.Piece(math.MaxInt32)
	assert.ErrorIs(t, err, ErrArgument)
}

func TestGenerateIsDeterministic(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 512, Batch: 8}) // the prompt takes several batches
	var first string
	for range 2 {
		var text strings.Builder
		out, err := c.Generate(context.Background(), prose, GenerateOptions{MaxTokens: 24},
			func(piece string) bool { text.WriteString(piece); return true })
		require.NoError(t, err)
		whole, err := model.Detokenize(out.Tokens...)
		require.NoError(t, err)
		assert.Equal(t, strings.TrimSpace(whole), strings.TrimSpace(text.String()))
		if first == "" {
			first = text.String()
			t.Log(first)
		}
		assert.Equal(t, first, text.String())
		require.NoError(t, c.MemoryClear())
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := c.Generate(ctx, prose, GenerateOptions{}, func(string) bool {
		if n++; n == 3 {
			cancel()
		}
		return true
	})
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, c.MemoryClear())
	out, err := c.Generate(context.Background(), prose, GenerateOptions{},
		func(string) bool { return false })
	require.NoError(t, err)
	assert.Len(t, out.Tokens, 1)
	_, err = c.Generate(context.Background(), strings.Repeat(prose, 60), GenerateOptions{}, nil)
	assert.ErrorIs(t, err, ErrArgument)
	_, err = c.Generate(context.Background(), prose, GenerateOptions{Seq: 1}, nil)
	assert.ErrorIs(t, err, ErrArgument)
}

func TestGenerateStopsWhenFull(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 256, FlashAttn: FlashOn, TypeK: "q8_0",
		TypeV: "q8_0"})
	out, err := c.Generate(context.Background(), "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
		GenerateOptions{}, nil)
	require.NoError(t, err)
	assert.NotEmpty(t, out.Tokens)
	assert.Equal(t, Full, out.Reason)
	last, err := c.SeqPosMax(0)
	require.NoError(t, err)
	assert.Less(t, last, c.SeqCtx())
}

func TestLogits(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 512})
	_, err := c.Logits(0)
	assert.ErrorIs(t, err, ErrArgument)
	_, err = c.Logits(-1)
	assert.ErrorIs(t, err, ErrArgument)

	tokens := proseTokens(t, model)
	b := NewBatch(len(tokens))
	for i, token := range tokens {
		b.Add(token, i, 0, i%2 == 1)
	}
	require.NoError(t, c.Decode(b))
	last := len(tokens) - 1 - len(tokens)%2
	row, err := c.Logits(last)
	require.NoError(t, err)
	require.Len(t, row, model.VocabSize())
	for _, v := range row {
		require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0))
	}
	fromEnd, err := c.Logits(-1)
	require.NoError(t, err)
	assert.Same(t, &row[0], &fromEnd[0])
	for _, i := range []int{0, 2, len(tokens), -len(tokens)/2 - 1, math.MinInt, math.MaxInt} {
		_, err := c.Logits(i)
		assert.ErrorIs(t, err, ErrArgument, "row %d", i)
	}
}

func TestDecodeRejects(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 256, Batch: 32, Seqs: 1})
	assert.Equal(t, 32, c.BatchSize())
	one := func(token Token, pos, seq int) *Batch {
		b := NewBatch(1)
		b.Add(token, pos, seq, true)
		return b
	}
	long := NewBatch(33)
	for i := range 33 {
		long.Add(1, i, 0, false)
	}
	for name, b := range map[string]*Batch{
		"nil": nil, "empty": NewBatch(4), "too long": long, "negative": one(-1, 0, 0),
		"position": one(1, -1, 0),
		"token":    one(Token(model.VocabSize()), 0, 0), "sequence": one(1, 0, 1),
	} {
		assert.ErrorIs(t, c.Decode(b), ErrArgument, name)
	}

	feed(t, c, 0, 0, 1, 2, 3)
	err := c.Decode(one(1, 7, 0)) // a gap
	var d *DecodeError
	require.ErrorAs(t, err, &d)
	assert.Equal(t, -1, d.Code)
	assert.Contains(t, err.Error(), "consecutive", "the reason that llama.cpp logs")

	b := NewBatch(32)
	for pos := 3; err == nil || pos == 3; pos += b.Len() { // until it is full
		b.Clear()
		for i := range 32 {
			b.Add(1, pos+i, 0, false)
		}
		err = c.Decode(b)
		require.Less(t, pos, 1000)
	}
	assert.ErrorIs(t, err, ErrNoSlot)
	_, err = c.Logits(-1)
	assert.ErrorIs(t, err, ErrArgument, "no rows after a failed decode")
}

func TestContextLifeCycle(t *testing.T) {
	model := loadModel(t)
	c, err := model.NewContext(ContextParams{Ctx: 256, Threads: 1})
	require.NoError(t, err)
	assert.ErrorIs(t, model.Close(), ErrInUse)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	b := NewBatch(1)
	b.Add(1, 0, 0, true)
	assert.ErrorIs(t, c.Decode(b), ErrClosed)
	_, err = c.Logits(0)
	assert.ErrorIs(t, err, ErrClosed)
	_, err = c.SeqPosMax(0)
	assert.ErrorIs(t, err, ErrClosed)
	_, err = c.RetroStats()
	assert.ErrorIs(t, err, ErrClosed)
	require.NoError(t, model.Close())
	_, err = model.Tokenize("x", false, false)
	assert.ErrorIs(t, err, ErrClosed)
	_, err = model.NewContext(ContextParams{})
	assert.ErrorIs(t, err, ErrClosed)
	assert.Empty(t, model.Description())
}

func TestContextInitErrorHasReason(t *testing.T) {
	model := loadModel(t)
	_, err := model.NewContext(ContextParams{Ctx: 256, FlashAttn: FlashOff, TypeV: "q8_0"})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "flash_attn")
}

func TestParallelContexts(t *testing.T) {
	model := loadModel(t)
	tokens := proseTokens(t, model)
	want := feed(t, newContext(t, model, ContextParams{Ctx: 256}), 0, 0, tokens...)
	contexts := []*Context{
		newContext(t, model, ContextParams{Ctx: 256, Threads: 2}),
		newContext(t, model, ContextParams{Ctx: 256, Threads: 2}),
	}
	var wg sync.WaitGroup
	for _, c := range contexts {
		wg.Go(func() {
			b := NewBatch(len(tokens))
			for range 5 {
				b.Clear()
				for i, token := range tokens {
					b.Add(token, i, 0, i == len(tokens)-1)
				}
				if assert.NoError(t, c.Decode(b)) {
					row, err := c.Logits(-1)
					assert.NoError(t, err)
					assert.Equal(t, want, row)
				}
				assert.NoError(t, c.MemoryClear())
			}
		})
	}
	wg.Wait()
}

func TestLogOfLlama(t *testing.T) {
	model := loadModel(t)
	var lines atomic.Int64
	model.lib.SetLog(LogDebug, func(LogLevel, string) { lines.Add(1) })
	defer model.lib.SetLog(LogDebug, nil)
	c := newContext(t, model, ContextParams{Ctx: 256})
	assert.Positive(t, lines.Load())
	feed(t, c, 0, 0, 1, 2, 3)
	lines.Store(0)
	for i := range 8 {
		feed(t, c, 0, 3+i, 1)
	}
	assert.Zero(t, lines.Load(), "decoding does not log, so the Go callback costs it nothing")
}

func envPath(t *testing.T) string {
	t.Helper()
	path := os.Getenv(envModel)
	if path == "" {
		t.Skipf("%s is not set", envModel)
	}
	return path
}

// patchedModel skips where this process does not run on the patched build.
func patchedModel(t *testing.T) *Model {
	t.Helper()
	if os.Getenv(envPatched) == "" || os.Getenv(envStock) != "" {
		t.Skipf("%s is not set, or TestPatched runs this", envPatched)
	}
	model := loadModel(t)
	require.True(t, model.lib.HasRetro())
	return model
}
