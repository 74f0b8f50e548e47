package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

func TestStream(t *testing.T) {
	for _, c := range []struct {
		stop   []string
		pieces []string
		want   []string // what yield gets
		reason Reason
	}{
		{nil, []string{"a", "b"}, []string{"a", "b"}, Failed},
		{nil, []string{"a\xc3", "\xa9", "\xf0\x9f"}, []string{"a", "é", "\xf0\x9f"}, Failed},
		{[]string{"END"}, []string{"xE", "N", "Dy"}, []string{"x"}, StopString},
		{[]string{"END"}, []string{"xE", "N", "!E"}, []string{"x", "EN!", "E"}, Failed},
		{[]string{"END", "N!"}, []string{"xEN", "!"}, []string{"x", "E"}, StopString},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, []string{"a"}, StopString},
		{[]string{"é"}, []string{"x\xc3", "\xa9"}, []string{"x"}, StopString},
		{[]string{"long stop", "p"}, []string{"long sto", "p"}, []string{}, StopString},
		{[]string{"."}, []string{"one. two"}, []string{"one"}, StopString},
		{[]string{"\n\n"}, []string{"", "a\n", "b\n"}, []string{"a", "\nb", "\n"}, Failed},
	} {
		got := []string{}
		s, err := newStream(c.stop, func(piece string) bool {
			got = append(got,
				piece)
			return true
		})
		require.NoError(t, err)
		reason := Failed
		for _, piece := range c.pieces {
			if r, end := s.write([]byte(piece)); end {
				reason = r
				break
			}
		}
		if reason == Failed {
			s.flush()
		}
		assert.Equal(t, c.want, got, "%q", c.pieces)
		assert.Equal(t, c.reason, reason, "%q", c.pieces)
		assert.Equal(t, strings.Join(c.want, ""), s.text.String())
	}
	_, err := newStream([]string{"a", ""}, nil)
	assert.ErrorIs(t, err, ErrArgument)
	s, err := newStream(nil, func(string) bool { return false })
	require.NoError(t, err)
	reason, end := s.write([]byte("a"))
	assert.Equal(t, Stopped, reason)
	assert.True(t, end)
}

func TestReasonString(t *testing.T) {
	assert.Equal(t, []string{"failed", "end of text", "full", "full", "failed"},
		[]string{Failed.String(), EndOfText.String(), Full.String(), Reason(99).String(),
			Reason(-1).String()})
}

// checkHeld compares what is reported with what the memory holds.
func checkHeld(t *testing.T, c *Context, first int, got Generation) {
	t.Helper()
	assert.Equal(t, first+got.Prompt+got.Decoded-1, posMax(t, c, 0), "%+v", got)
	assert.LessOrEqual(t, len(got.Tokens)-got.Decoded, 1)
}

func TestGenerateReports(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 256, Batch: 8})
	plain := sampled(t, c, nil, 12)
	assert.Equal(t, MaxTokens, plain.Reason)
	assert.Equal(t, len(proseTokens(t, model)), plain.Prompt)
	assert.Equal(t, 11, plain.Decoded)
	assert.Len(t, plain.Tokens, 12)
	assert.Positive(t, plain.PromptTime)
	assert.Positive(t, plain.Time)
	assert.Nil(t, plain.Retro)
	checkHeld(t, c, 0, plain)

	// It goes on from there.
	more, err := c.Generate(context.Background(), "",
		GenerateOptions{MaxTokens: 3, Tokens: plain.Tokens[plain.Decoded:]}, nil)
	require.NoError(t, err)
	checkHeld(t, c, plain.Prompt+plain.Decoded, more)
	assert.Equal(t, plain.Text+more.Text, sampled(t, c, nil, 15).Text)

	// Stop in the middle of a word.
	stop := plain.Text[len(plain.Text)/2 : len(plain.Text)/2+5]
	var pieces strings.Builder
	require.NoError(t, c.MemoryClear())
	got, err := c.Generate(context.Background(), "",
		GenerateOptions{Tokens: proseTokens(t, model), MaxTokens: 12, Stop: []string{"\x01", stop}},
		func(piece string) bool { pieces.WriteString(piece); return true })
	require.NoError(t, err)
	assert.Equal(t, StopString, got.Reason)
	want, _, _ := strings.Cut(plain.Text, stop)
	assert.Equal(t, want, got.Text)
	assert.Equal(t, want, pieces.String())
	checkHeld(t, c, 0, got)

	for name, opt := range map[string]GenerateOptions{
		"MaxTokens": {MaxTokens: -1}, "Stop[0]": {Stop: []string{""}},
		"give one": {Tokens: []Token{1}}, "sequence 3": {Seq: 3},
		"sequence -1": {Seq: -1},
	} {
		_, err := c.Generate(context.Background(), prose, opt, nil)
		require.ErrorIs(t, err, ErrArgument, name)
		assert.Contains(t, err.Error(), name)
	}
	_, err = c.Generate(context.Background(), "", GenerateOptions{Tokens: []Token{}}, nil)
	assert.ErrorIs(t, err, ErrArgument)
	_, err = c.Generate(context.Background(), "", GenerateOptions{Tokens: []Token{-1}}, nil)
	assert.ErrorIs(t, err, ErrArgument)
}

func TestGenerateCancelled(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 4096, Batch: 2048, UBatch: 16})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got, err := c.Generate(ctx, prose, GenerateOptions{}, nil)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, got.Prompt)
	checkHeld(t, c, 0, got)

	// In the middle of a prompt that would take seconds.
	users := 0
	ctx, cancel = context.WithCancel(context.Background())
	require.NoError(t, c.SetAbort(func() bool {
		if users++; users == 5000 { // of some 100 micro-batches with hundreds of nodes each
			cancel()
		}
		return false
	}))
	start := time.Now()
	got, err = c.Generate(ctx, strings.Repeat(prose+" ", 100), GenerateOptions{}, nil)
	assert.ErrorIs(t, err, context.Canceled)
	t.Logf("given up after %v with %d tokens", time.Since(start), got.Prompt)
	assert.Less(t, got.Prompt, 1500) // of 1601
	checkHeld(t, c, 0, got)
	assert.Positive(t, users, "the user's function is asked too")
	assert.Equal(t, 1, abortCount(), "and is installed again")
	users = 0
	feed(t, c, 0, got.Prompt, 5)
	assert.Positive(t, users)
	require.NoError(t, c.SetAbort(nil))
	assert.Zero(t, abortCount())

	// Between tokens: what came is reported, and one can go on.
	require.NoError(t, c.MemoryClear())
	ctx, cancel = context.WithCancel(context.Background())
	n := 0
	got, err = c.Generate(ctx, prose, GenerateOptions{}, func(string) bool {
		if n++; n == 3 {
			cancel()
		}
		return true
	})
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotEmpty(t, got.Text)
	checkHeld(t, c, 0, got)
	more, err := c.Generate(context.Background(), "",
		GenerateOptions{MaxTokens: 4, Tokens: got.Tokens[got.Decoded:]}, nil)
	require.NoError(t, err)
	assert.Equal(t, sampled(t, c, nil, len(got.Tokens)+4).Text, got.Text+more.Text)
}

func TestRetroOptionsStruct(t *testing.T) {
	model := patchedModel(t)
	c := newContext(t, model, ContextParams{Ctx: 1024, FlashAttn: FlashOn})
	o := options.Default()
	o.Budget = -5
	err := c.EnableRetroOptions(o)
	require.ErrorIs(t, err, ErrArgument)
	assert.Contains(t, err.Error(), "budget=-5")
	o.Budget, o.Window, o.Period, o.MinCtx = 64, 4, 1, 128
	require.NoError(t, c.EnableRetroOptions(o))
	assert.Empty(t, c.RetroPlan())
	got, err := c.Generate(context.Background(), strings.Repeat(prose+" ", 20),
		GenerateOptions{MaxTokens: 16}, func(string) bool {
			live, err := c.RetroStats()
			assert.NoError(t, err)
			assert.LessOrEqual(t, live.Tokens, uint64(15))
			return true
		})
	require.NoError(t, err)
	require.NotNil(t, got.Retro)
	assert.EqualValues(t, 15, got.Retro.Tokens)
	assert.EqualValues(t, 15, got.Retro.SparseTokens)
	assert.Less(t, got.Retro.KVShare, 1.0)
	assert.Positive(t, got.Retro.GBps)
	checkHeld(t, c, 0, got)
	again, err := c.Generate(context.Background(), " and", GenerateOptions{MaxTokens: 4}, nil)
	require.NoError(t, err)
	assert.LessOrEqual(t, again.Retro.Tokens, uint64(4), "of this request only")
	live, err := c.RetroStats()
	require.NoError(t, err)
	assert.Equal(t, got.Retro.Tokens+again.Retro.Tokens, live.Tokens)

	require.NoError(t, c.MemoryClear())
	o = options.Default()
	o.Planning.Target, o.Window = options.Speed, 1
	require.NoError(t, c.EnableRetroOptions(o))
	assert.Contains(t, c.RetroPlan(), "plan: budget")
}
