package bridge

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newSampler(t *testing.T, model *Model, params SamplerParams) *Sampler {
	t.Helper()
	s, err := model.NewSampler(params)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestSamplerParams(t *testing.T) {
	for want, bad := range map[string]SamplerParams{
		"Temperature is -1, must be 0..100":    {Temperature: -1},
		"TopK is -3":                           {TopK: -3},
		"TopP is NaN, must be 0..1":            {TopP: math.NaN()},
		"MinP is 2":                            {MinP: 2},
		"Typical is 1.5":                       {Typical: 1.5},
		"RepeatPenalty is -0.1":                {RepeatPenalty: -0.1},
		"Frequency is +Inf, must be -100":      {Frequency: math.Inf(1)},
		"Presence is -101":                     {Presence: -101},
		"RepeatLast is -1, must be 0..1048576": {RepeatLast: -1},
		"Grammar contains a NUL":               {Grammar: "root ::= \"a\"\x00"},
	} {
		err := bad.check()
		require.ErrorIs(t, err, ErrArgument)
		assert.Contains(t, err.Error(), want)
	}
	assert.NoError(t, SamplerParams{Temperature: 1, TopK: 40, TopP: 0.9, MinP: 0.05, Typical: 1,
		RepeatPenalty: 1.1, Seed: 7}.check())
}

func TestSamplerWithoutObject(t *testing.T) {
	var none *Sampler
	_, err := none.Sample(nil, 0)
	assert.ErrorIs(t, err, ErrArgument)
	assert.ErrorIs(t, none.Accept(1), ErrArgument)
	assert.ErrorIs(t, new(Sampler).Reset(), ErrArgument)
	assert.NoError(t, none.Close())
	assert.NoError(t, new(Sampler).Close())
	_, err = (*Model)(nil).NewSampler(SamplerParams{})
	assert.ErrorIs(t, err, ErrArgument)
}

// sampled generates from the same beginning.
func sampled(t *testing.T, c *Context, s *Sampler, n int) Generation {
	t.Helper()
	require.NoError(t, c.MemoryClear())
	got, err := c.Generate(context.Background(), prose, GenerateOptions{MaxTokens: n, Sampler: s},
		nil)
	require.NoError(t, err)
	return got
}

func TestSamplers(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 256})
	greedy := sampled(t, c, nil, 24)
	assert.Equal(t, greedy.Tokens, sampled(t, c, newSampler(t, model, SamplerParams{}), 24).Tokens)
	assert.Equal(t, greedy.Tokens, sampled(t, c,
		newSampler(t, model, SamplerParams{Temperature: 2, TopK: 1}), 24).Tokens)
	assert.Equal(t, greedy.Tokens, sampled(t, c,
		newSampler(t, model, SamplerParams{Temperature: 1, TopP: 1e-6}), 24).Tokens)
	assert.Equal(t, greedy.Tokens, sampled(t, c,
		newSampler(t, model, SamplerParams{Temperature: 1, MinP: 1}), 24).Tokens)

	full := SamplerParams{Temperature: 1.2, TopK: 200, TopP: 0.99, MinP: 0.001, Typical: 0.99,
		RepeatPenalty: 1.1, Frequency: 0.1, Presence: 0.1, Seed: 42}
	s := newSampler(t, model, full)
	first := sampled(t, c, s, 24).Tokens
	assert.NotEqual(t, greedy.Tokens, first)
	assert.Equal(t, first, sampled(t, c, newSampler(t, model, full), 24).Tokens, "the same seed")
	require.NoError(t, s.Reset())
	assert.Equal(t, first, sampled(t, c, s, 24).Tokens, "after a reset")
	full.Seed = 43
	assert.NotEqual(t, first, sampled(t, c, newSampler(t, model, full), 24).Tokens, "another seed")
	full.Seed = 0
	assert.NotEqual(t, sampled(t, c, newSampler(t, model, full), 24).Tokens,
		sampled(t, c, newSampler(t, model, full), 24).Tokens, "no seed")

	// A penalty that forbids repetition also forbids what was accepted before.
	penal := newSampler(t, model, SamplerParams{Frequency: 100, RepeatLast: 500})
	for _, token := range greedy.Tokens {
		require.NoError(t, penal.Accept(token))
	}
	seen := map[Token]bool{}
	for _, token := range greedy.Tokens {
		seen[token] = true
	}
	for _, token := range sampled(t, c, penal, 40).Tokens {
		assert.False(t, seen[token], "token %d again", token)
		seen[token] = true
	}
}

func TestSampleRejects(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 256})
	s := newSampler(t, model, SamplerParams{Temperature: 1})
	_, err := s.Sample(c, -1)
	assert.ErrorIs(t, err, ErrArgument, "nothing decoded")
	b := NewBatch(3)
	for i := range 3 {
		b.Add(Token(i+5), i, 0, i != 1)
	}
	require.NoError(t, c.Decode(b))
	for _, row := range []int{1, 3, -3, math.MaxInt, math.MinInt} {
		_, err := s.Sample(c, row)
		assert.ErrorIs(t, err, ErrArgument, "row %d", row)
	}
	for _, row := range []int{0, 2, -1, -2} {
		token, err := s.Sample(c, row)
		require.NoError(t, err)
		assert.True(t, model.valid(token))
	}
	assert.ErrorIs(t, s.Accept(-1), ErrArgument)
	assert.ErrorIs(t, s.Accept(Token(model.VocabSize())), ErrArgument)
	_, err = s.Sample(nil, -1)
	assert.ErrorIs(t, err, ErrArgument)

	other, err := model.lib.LoadModel(envPath(t), ModelParams{})
	require.NoError(t, err)
	foreign, err := other.NewSampler(SamplerParams{})
	require.NoError(t, err)
	_, err = foreign.Sample(c, -1)
	assert.ErrorIs(t, err, ErrArgument, "a sampler of another model")
	assert.ErrorIs(t, other.Close(), ErrInUse)
	require.NoError(t, foreign.Close())
	require.NoError(t, foreign.Close())
	_, err = foreign.Sample(c, -1)
	assert.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, foreign.Accept(1), ErrClosed)
	require.NoError(t, other.Close())

	require.NoError(t, s.enter())
	_, err = s.Sample(c, -1)
	assert.ErrorIs(t, err, ErrBusy)
	assert.ErrorIs(t, s.Close(), ErrBusy)
	s.leave()

	row, err := c.Logits(-1)
	require.NoError(t, err)
	row[77] = float32(math.NaN())
	_, err = s.Sample(c, -1)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "token 77")
}

func TestGrammar(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 256})
	for _, temperature := range []float64{0, 3} {
		s := newSampler(t, model, SamplerParams{Temperature: temperature, Seed: 5,
			Grammar: `root ::= ("left" | "right") "!" [0-9]{3}`})
		got := sampled(t, c, s, 40)
		assert.Regexp(t, `^(left|right)![0-9]{3}$`, got.Text)
		assert.Equal(t, EndOfText, got.Reason)
		assert.Equal(t, len(got.Tokens), got.Decoded, "it ended by itself")

		// The grammar is at its end: nothing but an end may follow.
		token, err := s.Sample(c, -1)
		require.NoError(t, err)
		assert.True(t, model.IsEOG(token))
		assert.ErrorIs(t, s.Accept(proseTokens(t, model)[2]), ErrArgument)
		require.NoError(t, s.Accept(token))
		require.NoError(t, s.Reset())
		assert.ErrorIs(t, s.Accept(token), ErrArgument, "an end at the beginning")
	}
	nothing := newSampler(t, model, SamplerParams{Temperature: 1, TopK: 5,
		Grammar: `root ::= [^\x00-\U0010FFFF]`})
	require.NoError(t, c.MemoryClear())
	got, err := c.Generate(context.Background(), prose, GenerateOptions{Sampler: nothing}, nil)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "no token is allowed")
	assert.Equal(t, Failed, got.Reason)
}

func TestGrammarErrors(t *testing.T) {
	model := loadModel(t)
	for grammar, want := range map[string]string{
		`root ::= "a`: "failed to parse grammar", `root = "a"`: "parse", `main ::= "a"`: "'root'",
		`root ::= missing`:  "parse",
		`root ::= root "a"`: "left recursion", strings.Repeat("(", 10): "parse",
		`root ::= "a"{100000}`: "parse",
	} {
		_, err := model.NewSampler(SamplerParams{Grammar: grammar})
		require.ErrorIs(t, err, ErrArgument, grammar)
		if haveThreadID {
			assert.Contains(t, err.Error(), want, grammar)
		}
	}
}
