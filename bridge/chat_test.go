package bridge

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestApplyTemplate(t *testing.T) {
	model := tinyModel(t, chatML)
	collectGarbage(t)
	long := strings.Repeat("many words ", 500)
	for range 20 {
		text, err := model.ApplyTemplate([]Message{{"system", long}, {"user", ""},
			{"assistant", "é"}}, true)
		require.NoError(t, err)
		assert.Equal(t, "<|im_start|>system\n"+long+
			"<|im_end|>\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\né<|im_end|>\n<|im_start|>assistant\n", text)
	}
	text, err := model.ApplyTemplate([]Message{{"user", "a"}}, false)
	require.NoError(t, err)
	assert.Equal(t, "<|im_start|>user\na<|im_end|>\n", text)
	for name, messages := range map[string][]Message{"no messages": nil,
		"message 1": {{"user", ""}, {"user", "a\x00"}}, "message 0": {{"\x00", ""}}} {
		_, err := model.ApplyTemplate(messages, true)
		require.ErrorIs(t, err, ErrArgument)
		assert.Contains(t, err.Error(), name)
	}
	_, err = (*Model)(nil).ApplyTemplate([]Message{{"user", "a"}}, true)
	assert.ErrorIs(t, err, ErrArgument)
}

// A short prompt with a template that makes more of it than the first buffer holds.
func TestTemplateThatGrows(t *testing.T) {
	model := tinyModel(t, chatML)
	messages := make([]Message, 200)
	for i := range messages {
		messages[i].Role = "user"
	}
	text, err := model.ApplyTemplate(messages, false)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("<|im_start|>user\n<|im_end|>\n", 200), text)
}

func TestNoTemplate(t *testing.T) {
	for _, template := range []string{"", "{{ something quite unknown }}"} {
		model := tinyModel(t, template)
		_, err := model.ApplyTemplate([]Message{{"user", "a"}}, true)
		require.ErrorIs(t, err, ErrNoTemplate)
		assert.Equal(t, template != "", strings.Contains(err.Error(), "quite unknown"))
		c := newContext(t, model, ContextParams{Ctx: 256})
		_, err = c.NewChat(0, "")
		assert.ErrorIs(t, err, ErrNoTemplate)
	}
}

// heldIsRight compares what the chat believes to be in the sequence with the memory.
func heldIsRight(t *testing.T, chat *Chat) {
	t.Helper()
	assert.Equal(t, len(chat.held)-1, posMax(t, chat.c, chat.seq))
}

func TestChat(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 1024, Seqs: 2, Unified: true})
	chat, err := c.NewChat(1, "You answer with one word.")
	require.NoError(t, err)
	opt := GenerateOptions{MaxTokens: 16}
	var streamed strings.Builder
	first, err := chat.Send(context.Background(), "What is the capital of France?", opt,
		func(s string) bool { streamed.WriteString(s); return true })
	require.NoError(t, err)
	t.Log(first.Text)
	assert.Contains(t, first.Text, "Paris")
	assert.Equal(t, first.Text, streamed.String())
	heldIsRight(t, chat)

	// The second turn decodes the new part only, and says what a context says that reads it all.
	second, err := chat.Send(context.Background(), "And of Italy?", opt, nil)
	require.NoError(t, err)
	assert.Less(t, second.Prompt, 20)
	heldIsRight(t, chat)
	messages := chat.Messages()
	require.Len(t, messages, 5)
	whole, err := model.ApplyTemplate(messages[:4], true)
	require.NoError(t, err)
	anew, err := c.Generate(context.Background(), whole, opt, nil)
	require.NoError(t, err)
	assert.Equal(t, anew.Text, second.Text)
	assert.Equal(t, []Message{{"user", "And of Italy?"}, {"assistant", second.Text}}, messages[3:])

	// Cancelled in a reply: the turn stays, and the chat goes on.
	ctx, cancel := context.WithCancel(context.Background())
	cut, err := chat.Send(ctx, "Tell me a long story.", GenerateOptions{},
		func(string) bool { cancel(); return true })
	require.ErrorIs(t, err, context.Canceled)
	assert.NotEmpty(t, cut.Text)
	heldIsRight(t, chat)
	require.Len(t, chat.Messages(), 7)
	assert.Equal(t, cut.Text, chat.Messages()[6].Content)

	// Cancelled before: it is taken back.
	_, err = chat.Send(ctx, "Nobody hears this.", opt, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, chat.Messages(), 7)
	heldIsRight(t, chat)
	for _, bad := range []GenerateOptions{{MaxTokens: -1}, {Stop: []string{""}}} {
		_, err = chat.Send(context.Background(), "Hm?", bad, nil)
		require.ErrorIs(t, err, ErrArgument)
	}
	_, err = chat.Send(context.Background(), strings.Repeat("long ", 2000), opt, nil)
	require.ErrorIs(t, err, ErrTooLong)
	require.ErrorIs(t, err, ErrArgument)
	_, err = chat.Send(context.Background(), "\x00", opt, nil)
	require.ErrorIs(t, err, ErrArgument)
	require.Len(t, chat.Messages(), 7)
	heldIsRight(t, chat)
	_, err = chat.Send(context.Background(), "Go on.", opt, nil)
	require.NoError(t, err)
	heldIsRight(t, chat)

	chat.Reset()
	assert.Equal(t, []Message{{"system", "You answer with one word."}}, chat.Messages())
	again, err := chat.Send(context.Background(), "What is the capital of France?", opt, nil)
	require.NoError(t, err)
	assert.Equal(t, first.Text, again.Text)
	assert.Less(t, again.Prompt, first.Prompt, "the message of the system was there")
	heldIsRight(t, chat)

	// A reply in tokens that its text would not have is not decoded again; one that was cut is.
	chat.Reset()
	hot := newSampler(t, model, SamplerParams{Temperature: 3, Seed: 9})
	odd, err := chat.Send(context.Background(), "Say something odd.",
		GenerateOptions{MaxTokens: 30, Sampler: hot}, nil)
	require.NoError(t, err)
	retold, err := model.Tokenize(odd.Text, false, true)
	require.NoError(t, err)
	require.NotEqual(t, odd.Tokens, retold)
	next, err := chat.Send(context.Background(), "What is the capital of France?",
		GenerateOptions{Stop: []string{"a", "e"}}, nil)
	require.NoError(t, err)
	assert.Less(t, next.Prompt, 20)
	assert.Equal(t, StopString, next.Reason)
	heldIsRight(t, chat)
	_, err = chat.Send(context.Background(), "And?", opt, nil)
	require.NoError(t, err)
	heldIsRight(t, chat)

	_, err = c.NewChat(2, "")
	assert.ErrorIs(t, err, ErrArgument)
}
