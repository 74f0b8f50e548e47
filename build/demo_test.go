package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testPin = modelPin{Name: "tiny", Context: 8192}

func TestDocument(t *testing.T) {
	text := document(documentSize)
	assert.Equal(t, text, document(documentSize), "the same on every run")
	assert.InDelta(t, documentSize, len(text), 600)
	for _, fact := range facts {
		assert.Contains(t, text, fact)
	}
	assert.Equal(t, 4, strings.Count(text, passPhrase))
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			assert.False(t, seen[line], "a day like another: %s", line)
			seen[line] = true
		}
	}
}

func TestDefaultConversationFits(t *testing.T) {
	c, err := demoCmd{Tokens: 64}.conversation(testPin)
	require.NoError(t, err)
	assert.Equal(t, 8192, c.context)
	assert.True(t, strings.HasSuffix(c.prompt, defaultQuestion))
	assert.InDelta(t, 3600, estimateTokens(c.prompt), 400)
}

func TestConversationOfYourOwn(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"long.txt": strings.Repeat("word ", 10000),
		"short.txt": "A text.\n", "empty.txt": "\n",
		"model.gguf": "", "binary": "\xff\xfe"})
	_, err := demoCmd{Tokens: 64, Text: dir + "/long.txt"}.conversation(testPin)
	require.ErrorContains(t, err, "about 12")
	require.ErrorContains(t, err, "--model")

	c, err := demoCmd{Tokens: 64, Text: dir + "/long.txt",
		Model: dir + "/model.gguf"}.conversation(testPin)
	require.NoError(t, err)
	assert.Equal(t, 16384, c.context, "12500 tokens and a third more, in whole thousands")

	c, err = demoCmd{Tokens: 64, Text: dir + "/short.txt", Question: "Why?"}.conversation(testPin)
	require.NoError(t, err)
	assert.Equal(t, "A text.\n\nWhy?", c.prompt)

	for _, bad := range []demoCmd{{Text: dir + "/none"}, {Text: dir + "/empty.txt"},
		{Text: dir + "/binary"}, {Model: dir + "/none"}} {
		_, err := bad.conversation(testPin)
		require.Error(t, err)
	}
}

func TestEstimateTokens(t *testing.T) {
	assert.Equal(t, 10, estimateTokens(strings.Repeat("abcd", 10)))
	assert.Equal(t, 4, estimateTokens("灯台守り"))
}
