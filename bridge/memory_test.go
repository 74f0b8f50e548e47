package bridge

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func posMax(t *testing.T, c *Context, seq int) int {
	t.Helper()
	p, err := c.SeqPosMax(seq)
	require.NoError(t, err)
	return p
}

func TestSequences(t *testing.T) {
	model := loadModel(t)
	tokens := proseTokens(t, model)
	n := len(tokens)
	for _, unified := range []bool{false, true} {
		c := newContext(t, model, ContextParams{Ctx: 1024, Seqs: 3, Unified: unified})
		assert.Equal(t, -1, posMax(t, c, 0))
		feed(t, c, 0, 0, tokens[:n-1]...)
		require.NoError(t, c.SeqCopy(0, 2, -1, -1))
		assert.Equal(t, n-2, posMax(t, c, 2))
		want := feed(t, c, 0, n-1, tokens[n-1])
		got := feed(t, c, 2, n-1, tokens[n-1])
		assert.Equal(t, Argmax(want), Argmax(got), "a copied sequence goes on like the original")

		require.NoError(t, c.SeqRemove(2, 4, -1))
		assert.Equal(t, 3, posMax(t, c, 2))
		assert.Equal(t, n-1, posMax(t, c, 0))
		require.NoError(t, c.SeqKeep(2))
		assert.Equal(t, []int{-1, 3}, []int{posMax(t, c, 0), posMax(t, c, 2)})
		require.NoError(t, c.SeqRemove(2, 0, 2))
		require.NoError(t, c.SeqAdd(2, 0, -1, -2))
		assert.Equal(t, 1, posMax(t, c, 2))
		p0, err := c.SeqPosMin(2)
		require.NoError(t, err)
		assert.Zero(t, p0)
		feed(t, c, 2, 2, tokens[0])
		require.NoError(t, c.SeqRemove(AllSeqs, -1, -1))
		assert.Equal(t, -1, posMax(t, c, 2))
		feed(t, c, 1, 0, tokens...)
		require.NoError(t, c.MemoryClear())
		assert.Equal(t, -1, posMax(t, c, 1))
	}
}

func TestSequenceArguments(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 512, Seqs: 2})
	feed(t, c, 0, 0, 1, 2, 3)
	_, posErr := c.SeqPosMax(2)
	_, dataErr := c.SeqStateData(-1)
	for name, err := range map[string]error{
		"remove": c.SeqRemove(-2, 0, 1), "copy to": c.SeqCopy(0, 2, -1, -1),
		"copy from":      c.SeqCopy(-1, 0, -1, -1),
		"part of a copy": c.SeqCopy(0, 1, 0, 2), "keep": c.SeqKeep(-1), "add": c.SeqAdd(9, 0, 1, 1),
		"far": c.SeqAdd(0, 0, -1, math.MaxInt32-2), "farther": c.SeqAdd(0, 0, -1, math.MinInt),
		"pos": posErr, "data": dataErr,
		"set": c.SetSeqStateData(2, []byte{1}), "nothing": c.SetSeqStateData(0, nil),
	} {
		assert.ErrorIs(t, err, ErrArgument, name)
	}
	require.NoError(t, c.SeqRemove(0, math.MinInt, math.MaxInt))
	assert.Equal(t, -1, posMax(t, c, 0))
}

func TestStateFile(t *testing.T) {
	model := loadModel(t)
	tokens := proseTokens(t, model)
	n := len(tokens)
	path := filepath.Join(t.TempDir(), "state")
	c := newContext(t, model, ContextParams{Ctx: 256})
	feed(t, c, 0, 0, tokens[:n-1]...)
	require.NoError(t, c.StateSave(path, tokens[:n-1]))
	want := feed(t, c, 0, n-1, tokens[n-1])

	other := newContext(t, model, ContextParams{Ctx: 256})
	feed(t, other, 0, 0, 9, 8, 7)
	stored, err := other.StateLoad(path)
	require.NoError(t, err)
	assert.Equal(t, tokens[:n-1], stored)
	_, err = other.Logits(-1)
	assert.ErrorIs(t, err, ErrArgument)
	assert.Equal(t, want, feed(t, other, 0, n-1, tokens[n-1]))

	require.NoError(t, other.StateSave(path, nil))
	stored, err = c.StateLoad(path)
	require.NoError(t, err)
	assert.Empty(t, stored)
	_, err = os.Stat(path + ".partial")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestStateFileErrors(t *testing.T) {
	model := loadModel(t)
	dir := t.TempDir()
	c := newContext(t, model, ContextParams{Ctx: 256})
	feed(t, c, 0, 0, 1, 2, 3, 4)
	good := filepath.Join(dir, "good")
	require.NoError(t, c.StateSave(good, []Token{1, 2, 3, 4}))
	data, err := os.ReadFile(good)
	require.NoError(t, err)

	_, err = c.StateLoad("")
	assert.ErrorIs(t, err, ErrArgument)
	_, err = c.StateLoad(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorIs(t, c.StateSave("a\x00b", nil), ErrArgument)
	assert.Error(t, c.StateSave(filepath.Join(dir, "no", "folder"), nil))

	bad := filepath.Join(dir, "bad")
	other := append([]byte("GGUF"), data[4:]...)
	for name, content := range map[string][]byte{
		"empty": {}, "magic": other, "tokens": data[:20], "half": data[:len(data)/2],
		"longer": append(data[:len(data):len(data)], 0),
	} {
		require.NoError(t, os.WriteFile(bad, content, 0o600))
		_, err := c.StateLoad(bad)
		assert.Error(t, err, name)
	}
	require.NoError(t, c.MemoryClear())
	feed(t, c, 0, 0, 1, 2, 3) // still usable
}

func TestSeqStateData(t *testing.T) {
	model := loadModel(t)
	tokens := proseTokens(t, model)
	n := len(tokens)
	c := newContext(t, model, ContextParams{Ctx: 1024, Seqs: 2})
	feed(t, c, 0, 0, tokens[:n-1]...)
	data, err := c.SeqStateData(0)
	require.NoError(t, err)
	require.NoError(t, c.SetSeqStateData(1, data))
	assert.Equal(t, n-2, posMax(t, c, 1))
	assert.Equal(t, feed(t, c, 0, n-1, tokens[n-1]), feed(t, c, 1, n-1, tokens[n-1]))
	assert.Error(t, c.SetSeqStateData(1, data[:len(data)/2]))
	assert.Error(t, c.SetSeqStateData(1, []byte("nonsense")))
}

func TestStateWaitsForPendingCopy(t *testing.T) {
	model := loadModel(t)
	c := newContext(t, model, ContextParams{Ctx: 512, Seqs: 2})
	feed(t, c, 0, 0, 1, 2, 3, 4)
	require.NoError(t, c.SeqCopy(0, 1, -1, -1))
	_, err := c.SeqStateData(1)
	assert.ErrorIs(t, err, ErrPending)
	assert.ErrorIs(t, c.StateSave(filepath.Join(t.TempDir(), "s"), nil), ErrPending)
	feed(t, c, 0, 4, 5)
	_, err = c.SeqStateData(1)
	assert.NoError(t, err)
}
