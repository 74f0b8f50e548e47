package main

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	cliHead = "\n\nLoading model... |\b-\b \b\n\nLOGO\n\nbuild      : b1\n\navailable commands:\n  /exit or Ctrl+C     stop or exit\n\n\n"
	cliTail = "\n\n[ Prompt: 285.8 t/s | Generation: 109.7 t/s ]\n[ Retro: 64 of 64 tokens sparse, 9.1 % of KV read, 63 corrections, exposure 1.21 ]\n\n\nExiting...\n"
)

func TestParseResult(t *testing.T) {
	r, err := parseResult(cliHead + "> q\nan answer" + cliTail)
	require.NoError(t, err)
	assert.Equal(t, result{prompt: 285.8, generation: 109.7,
		retro: "64 of 64 tokens sparse, 9.1 % of KV read, 63 corrections, exposure 1.21"}, r)
	require.NoError(t, r.active())

	_, err = parseResult("Error: the request exceeds the available context size\n")
	require.ErrorContains(t, err, "exceeds the available context size")
}

func TestInactiveIsNoSuccess(t *testing.T) {
	assert.ErrorContains(t, result{}.active(), "not active")
	assert.ErrorContains(t, result{retro: "0 of 64 tokens sparse"}.active(), "not active")
	assert.ErrorContains(t, result{retro: "something else"}.active(), "unknown")
}

func TestAnswerShowsTheAnswerOnly(t *testing.T) {
	long := strings.Repeat("line of text\n", 100) + "question?"
	for name, prompt := range map[string]string{"short": "short\nquestion?", "long": long} {
		echo := prompt
		if name == "long" {
			echo = prompt[:500] + " ... (truncated)"
		}
		text := cliHead + "\n> " + echo + "\n" + "First line.\n\n[ not timings\nLast line." +
			cliTail
		var shown strings.Builder
		begun := 0
		a := newAnswer(&shown, prompt, func() { begun++ })
		// One byte at a time is the worst way a pipe can cut it.
		_, err := io.Copy(struct{ io.Writer }{a}, iotest.OneByteReader(strings.NewReader(text)))
		require.NoError(t, err)
		assert.Equal(t, "First line.\n\n[ not timings\nLast line.", shown.String(), name)
		assert.Equal(t, 1, begun)
		assert.Equal(t, text, a.all.String())

		shown.Reset()
		_, err = newAnswer(&shown, prompt, func() {}).Write([]byte(text))
		require.NoError(t, err)
		assert.Equal(t, "First line.\n\n[ not timings\nLast line.", shown.String(), name+" at once")
	}
}
