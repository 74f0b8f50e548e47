package bridge

import (
	"fmt"
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

// sparseContext holds a prompt in a context with sparse attention whose engine takes any number of
// threads up to most.
func sparseContext(t *testing.T, model *Model, most int, options string) *Context {
	t.Helper()
	c := newContext(t, model, ContextParams{Ctx: 1024, FlashAttn: FlashOn, Threads: most})
	require.NoError(t, c.EnableRetro("budget=64,min_ctx=128,"+options))
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
	const options = "window=2,period=1"
	one, many := sparseContext(t, model, 4, options), sparseContext(t, model, 4, options)
	for i, n := range []int{1, 2, 4, 1, 3, 4, 2, 1, 4} {
		require.NoError(t, many.SetThreads(n, 5-n))
		token := Token(3 + i)
		want, got := feed(t, one, 0, threadsPrompt+i, token),
			feed(t, many, 0, threadsPrompt+i, token)
		require.Equal(t, want, got, "token %d with %d threads", i, n)
	}
	a, err := one.RetroStats()
	require.NoError(t, err)
	b, err := many.RetroStats()
	require.NoError(t, err)
	assert.EqualValues(t, 9, b.SparseTokens)
	assert.Positive(t, b.CorrectedTokens)
	a.AttentionNS, b.AttentionNS = 0, 0
	assert.Equal(t, a, b)
}

// With more threads than the engine was opened for, tokens get stock attention: nothing fails, and
// with fewer threads they are sparse again.
func TestTooManyThreads(t *testing.T) {
	model := patchedModelTiny(t)
	var log strings.Builder
	model.lib.SetLog(LogWarn, func(_ LogLevel, text string) { log.WriteString(text) })
	defer model.lib.SetLog(LogDebug, nil)
	n := runtime.NumCPU() + 2
	for _, window := range []int{8, 16} {
		log.Reset()
		options := fmt.Sprintf("window=%d,period=1", window)
		c, stock := sparseContext(t, model, 1, options), sparseContext(t, model, 1, options)
		require.NoError(t, stock.DisableRetro())
		require.NoError(t, c.SetThreads(n, n))
		require.NoError(t, stock.SetThreads(n, n))
		pos := threadsPrompt
		for range 2 * window {
			want, got := feed(t, stock, 0, pos, 7), feed(t, c, 0, pos, 7)
			require.Equal(t, want, got, "position %d", pos)
			pos++
		}
		require.Equal(t, 1, strings.Count(log.String(),
			"by more threads than there were when the library was opened"), log.String())
		require.NotContains(t, log.String(), "failed")

		require.NoError(t, c.SetThreads(1, 1))
		feed(t, c, 0, pos, 7)
		st, err := c.RetroStats()
		require.NoError(t, err)
		require.EqualValues(t, 1, st.SparseTokens)
	}
}

func patchedModelTiny(t *testing.T) *Model {
	t.Helper()
	patchedModel(t)
	return tinyModel(t, "")
}
