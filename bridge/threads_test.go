//go:build linux || darwin

package bridge

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSetThreadsRejects(t *testing.T) {
	c := newContext(t, tinyModel(t, ""), ContextParams{Ctx: 256})
	for _, bad := range [][2]int{{0, 1}, {1, 0}, {-1, 1}, {1, 513}, {1 << 40, 1}} {
		assert.ErrorIs(t, c.SetThreads(bad[0], bad[1]), ErrArgument, "%v", bad)
	}
	require.NoError(t, c.SetThreads(2, 1))
	feed(t, c, 0, 0, 1, 2, 3)
}

const threadsPrompt = 600

// sparseContext holds a prompt in a context with sparse attention whose engine takes any number of threads up to most.
func sparseContext(t *testing.T, model *Model, most int) *Context {
	t.Helper()
	c := newContext(t, model, ContextParams{Ctx: 1024, FlashAttn: FlashOn, Threads: most})
	require.NoError(t, c.EnableRetro("budget=64,min_ctx=128,window=2,period=1"))
	require.NoError(t, c.SetThreads(1, 1))
	tokens := make([]Token, threadsPrompt)
	for i := range tokens {
		tokens[i] = Token(3 + i*i%256)
	}
	feed(t, c, 0, 0, tokens...)
	return c
}

// The number of threads changes between tokens, and no bit of the logits with it.
func TestThreadsChange(t *testing.T) {
	model := patchedModelTiny(t)
	one, many := sparseContext(t, model, 4), sparseContext(t, model, 4)
	for i, n := range []int{1, 2, 4, 1, 3, 4, 2, 1, 4} {
		require.NoError(t, many.SetThreads(n, 5-n))
		token := Token(3 + i)
		want, got := feed(t, one, 0, threadsPrompt+i, token), feed(t, many, 0, threadsPrompt+i, token)
		require.Equal(t, want, got, "token %d with %d threads", i, n)
	}
	a, err := one.RetroStats()
	require.NoError(t, err)
	b, err := many.RetroStats()
	require.NoError(t, err)
	assert.EqualValues(t, 9, b.SparseTokens)
	assert.Positive(t, b.CorrectedTokens)
	a.AttendNS, b.AttendNS = 0, 0
	assert.Equal(t, a, b)
}

// More threads than the engine was opened for are an error of the engine, which ends sparse attention and nothing else.
func TestTooManyThreads(t *testing.T) {
	model := patchedModelTiny(t)
	var log strings.Builder
	model.lib.SetLog(LogError, func(_ LogLevel, text string) { log.WriteString(text) })
	defer model.lib.SetLog(LogDebug, nil)
	c, stock := sparseContext(t, model, 1), sparseContext(t, model, 1)
	feed(t, c, 0, threadsPrompt, 5)
	feed(t, stock, 0, threadsPrompt, 5)
	require.NoError(t, stock.DisableRetro())
	before, err := c.RetroStats()
	require.NoError(t, err)
	require.EqualValues(t, 1, before.SparseTokens)

	n := runtime.NumCPU() + 2
	require.NoError(t, c.SetThreads(n, n))
	require.NoError(t, stock.SetThreads(n, n))
	for i := range 3 {
		want, got := feed(t, stock, 0, threadsPrompt+1+i, 7), feed(t, c, 0, threadsPrompt+1+i, 7)
		require.Equal(t, want, got, "token %d", i)
	}
	after, err := c.RetroStats()
	require.NoError(t, err)
	assert.Equal(t, before.SparseTokens, after.SparseTokens)
	assert.Equal(t, 1, strings.Count(log.String(), "continuing with stock attention"), log.String())
	assert.Contains(t, log.String(), "attention failed: ")
}

func patchedModelTiny(t *testing.T) *Model {
	t.Helper()
	patchedModel(t)
	return tinyModel(t, "")
}
