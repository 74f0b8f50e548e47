package bridge

import (
	"path/filepath"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bound is a function of a library that is loaded already.
func bound[F any](t *testing.T, path, name string) (fn F) {
	t.Helper()
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	require.NoError(t, err)
	purego.RegisterLibFunc(&fn, handle, name)
	return fn
}

// known is, for some sequences, the first position that libretroattn knows nothing of.
func known(t *testing.T, c *Context, seqs ...int) (next []int) {
	t.Helper()
	engine := c.lib.retroAttnEngine(c.ptr)
	require.NotZero(t, engine)
	seqNext := bound[func(engine uint64, seq int32) int32](t, c.lib.retroPath, "retro_seq_next")
	for _, s := range seqs {
		next = append(next, int(seqNext(engine, int32(s))))
	}
	return next
}

// text is so many tokens.
func text(n int) (tokens []Token) {
	for i := range n {
		tokens = append(tokens, Token(3+i*7%200))
	}
	return tokens
}

// What moves positions of one sequence is forgotten of this one and of those that share the cells,
// and of no other: their summaries need not be built again.
func TestShiftForgetsItsOwn(t *testing.T) {
	model := patchedModelTiny(t)
	seqDiv := bound[func(mem uintptr, seq, p0, p1 int32, d int32)](t,
		filepath.Join(model.lib.dir, "libllama.so"), "llama_memory_seq_div")
	for _, unified := range []bool{false, true} {
		c := newContext(t, model, ContextParams{Ctx: 1024, Seqs: 4, Unified: unified,
			FlashAttn: FlashOn})
		require.NoError(t, c.EnableRetro("budget=64,window=2,period=1,min_ctx=0"))
		fill := func(seqs ...int) {
			for _, s := range seqs {
				feed(t, c, s, 0, text(40)...)
			}
			for _, s := range seqs {
				feed(t, c, s, 40, 5)
			}
		}
		fill(0, 1, 2)
		require.Equal(t, []int{41, 41, 41, 0}, known(t, c, 0, 1, 2, 3))
		shared := 41
		if unified {
			require.NoError(t, c.SeqCopy(0, 3, 20, -1))
			require.NoError(t, c.SeqCopy(0, 3, 0, 20))
			feed(t, c, 3, 41, 5)
			shared = 42
		} else {
			fill(3)
		}
		require.Equal(t, []int{41, 41, 41, shared}, known(t, c, 0, 1, 2, 3))

		require.NoError(t, c.SeqAdd(0, 30, -1, 3))
		if unified {
			shared = 30
		}
		assert.Equal(t, []int{30, 41, 41, shared}, known(t, c, 0, 1, 2, 3), "add, unified %v",
			unified)

		seqDiv(c.mem, 1, 20, -1, 2)
		assert.Equal(t, []int{30, 10, 41, shared}, known(t, c, 0, 1, 2, 3), "div, unified %v",
			unified)

		c.lib.memSeqKeep(c.mem, 2)
		want := []int{30, 10, 41, shared}
		if unified {
			want = []int{0, 0, 41, 0}
		}
		assert.Equal(t, want, known(t, c, 0, 1, 2, 3), "keep, unified %v", unified)
		feed(t, c, 2, 41, 5)
		assert.Equal(t, []int{42}, known(t, c, 2))
	}
}

// Where positions occur more than once, the sequence is known all the same, and its next tokens are
// sparse.
func TestPositionTwice(t *testing.T) {
	model := patchedModelTiny(t)
	c := newContext(t, model, ContextParams{Ctx: 256, FlashAttn: FlashOn})
	require.NoError(t, c.EnableRetro("budget=16,window=2,period=1,min_ctx=0,local=16"))
	assert.Equal(t, "0 of 0 tokens sparse: nothing was decoded", c.RetroSummary())
	feed(t, c, 0, 0, text(100)...)
	require.NoError(t, c.SeqAdd(0, 60, -1, -5))
	for i := range 3 {
		feed(t, c, 0, 95+i, 5)
		assert.Equal(t, []int{96 + i}, known(t, c, 0))
	}
	assert.Contains(t, c.RetroSummary(), "3 of 3 tokens sparse, ")

	require.NoError(t, c.SeqRemove(0, 55, 60)) // both of each
	feed(t, c, 0, 98, 5)
	assert.Equal(t, []int{99}, known(t, c, 0))
	assert.Contains(t, c.RetroSummary(), "4 of 4 tokens sparse, ")
}

// The line says why tokens are not sparse.
func TestSummaryTellsWhy(t *testing.T) {
	model := patchedModelTiny(t)
	c := newContext(t, model, ContextParams{Ctx: 512, Seqs: 2, Unified: true, FlashAttn: FlashOn})
	enable := func() {
		require.NoError(t, c.MemoryClear())
		require.NoError(t, c.EnableRetro("budget=16,window=2,period=1,min_ctx=60,local=16"))
	}
	batch := func(seqs ...int) *Batch {
		b := NewBatch(8)
		for i := range 8 {
			b.Add(5, i, seqs[0], true)
		}
		return b
	}
	enable()
	feed(t, c, 0, 0, text(50)...)
	assert.Equal(t, "0 of 0 tokens sparse, 50 of prompts and drafts exact: nothing was decoded",
		c.RetroSummary())
	feed(t, c, 0, 50, 5)
	assert.Equal(t, "0 of 1 tokens sparse, 50 of prompts and drafts exact: the context was shorter than min_ctx", c.RetroSummary())

	enable()
	require.NoError(t, c.Decode(batch(0)))
	assert.Equal(t, "0 of 0 tokens sparse, 8 of prompts and drafts exact: nothing was decoded",
		c.RetroSummary())
	feed(t, c, 0, 8, text(80)...)
	feed(t, c, 0, 88, 5)
	assert.Contains(t, c.RetroSummary(), "1 of 1 tokens sparse, ")
}

// Keys in BF16 cannot be rotated, which ends the process in llama.cpp: a shift is refused.
func TestShiftOfBF16(t *testing.T) {
	model := patchedModelTiny(t)
	for _, typeK := range []string{"bf16", "f16"} {
		c := newContext(t, model, ContextParams{Ctx: 256, FlashAttn: FlashOn, TypeK: typeK,
			TypeV: "bf16"})
		require.NoError(t, c.EnableRetro("budget=16,window=2,period=1,min_ctx=0,local=16"))
		feed(t, c, 0, 0, text(100)...)
		require.NoError(t, c.SeqRemove(0, 20, 40))
		err := c.SeqAdd(0, 40, -1, -20)
		if typeK == "f16" {
			require.NoError(t, err)
			feed(t, c, 0, 80, 5)
			continue
		}
		require.ErrorContains(t, err, "cannot shift positions")
		feed(t, c, 0, 100, 5)
		require.Contains(t, c.RetroSummary(), "1 of 1 tokens sparse")
	}
}
