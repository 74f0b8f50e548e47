package retro

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// build runs a step without rows, in the first layers only.
func (h *host) build(layers int, ok bool) {
	require.NoError(h.t, h.e.StepBegin(nil, h.threads))
	for l := range layers {
		var wg sync.WaitGroup
		for i := range h.threads {
			wg.Go(func() {
				if err := h.e.Select(&Attn{Layer: l}, i, h.threads); err != nil {
					panic(err)
				}
			})
		}
		wg.Wait()
	}
	require.NoError(h.t, h.e.StepEnd(ok))
}

// Summaries that are built while others compute a prompt are those that the first token would build,
// and leave it nothing to do.
func TestBuildBesidePrompt(t *testing.T) {
	for trial, text := range []string{"select=tokens", "select=tokens,code_bits=1,window=4",
		"select=pages,groups=1", "select=minmax,page=8"} {
		opt, err := options.Parse("budget=64,min_ctx=100,local=32,window=1," + text)
		require.NoError(t, err)
		sh := plainShape
		sh.tk, sh.rotation = kernels.Types[trial%5], 32*(trial%2)
		sh.dk = 32
		late := newHost(t, sh, opt, 2, 5)
		h := newHost(t, sh, opt, 1+trial%3, 5)
		for _, n := range []int{60, 300, 15, 2, 200} {
			h.prefill(0, n)
			h.build(sh.layers, true)
			late.prefill(0, n)
			far := (len(h.table[0]) + 1 - opt.Local) / opt.Page
			if len(h.table[0]) < opt.MinCtx {
				far = 0 // full attention
			}
			for head, built := range h.e.seqs[0].summed {
				require.EqualValues(t, far, built, "%s: head %d after %d", text, head, n)
			}
		}
		sameSteps(t, late, h, 1)
		require.Zero(t, h.e.Stats().LatePages, text)
		require.NotZero(t, late.e.Stats().LatePages, text)
		sameSteps(t, late, h, 30)
		require.NotZero(t, h.e.Stats().LatePages, "%s: pages turn far", text)
		require.Equal(t, late.save(0, ""), h.save(0, ""), text)
		st := h.e.Stats()
		require.EqualValues(t, 31, st.Tokens)
		require.Zero(t, st.ExactTokens)
	}
}

// A step without rows that stops halfway, of which something is taken back, or that finds more
// sequences than there is room for, changes no token.
func TestBuildInParts(t *testing.T) {
	sh := plainShape
	sh.seqs = 4
	rng := rand.New(rand.NewPCG(1, 2))
	h, late := newHost(t, sh, testOptions(), 2, 5), newHost(t, sh, testOptions(), 1, 5)
	for i := range 20 {
		for seq := range int32(3) {
			n := 1 + rng.IntN(60)
			h.prefill(seq, n)
			late.prefill(seq, n)
		}
		h.build(rng.IntN(sh.layers+1), i%2 == 0)
		if i%4 == 3 {
			pos := int32(rng.IntN(len(h.table[1])))
			h.truncate(1, pos)
			late.truncate(1, pos)
			copy(late.free, h.free)
		}
	}
	h.build(sh.layers, true)
	before := h.e.Stats().LatePages
	sameSteps(t, late, h, 1)
	require.Equal(t, before, h.e.Stats().LatePages)
	sameSteps(t, late, h, 20)

	h.prefill(1, 300)
	few, err := Open(Config{Layers: sh.layers, Seqs: sh.seqs, Cells: sh.cells, Rows: 2, Threads: 1},
		h.e.opt)
	require.NoError(t, err)
	for i := range sh.layers {
		require.NoError(t, few.AddLayer(i, h.e.layers[i].Layer))
	}
	h.e, h.threads = few, 1
	for seq := range int32(3) {
		h.sync(seq)
	}
	built := func() (n int) {
		for _, s := range few.seqs[:3] {
			if local, built := few.missing(s); local > 0 && built == local {
				n++
			}
		}
		return
	}
	h.build(sh.layers, true)
	require.Equal(t, 2, built())
	h.build(sh.layers, true)
	require.Equal(t, 3, built())
	h.build(sh.layers, true) // nothing to do
}

// What does not fit a step without rows is refused.
func TestBuildMisuse(t *testing.T) {
	h := newHost(t, plainShape, testOptions(), 1, 5)
	x := make([]float32, plainShape.heads*plainShape.dk)
	one, none := h.attn(0, 1, x, x), h.attn(0, 0, x, x)
	h.build(plainShape.layers, true) // no sequences
	h.prefill(0, 400)
	require.NoError(t, h.e.StepBegin(nil, 1))
	require.ErrorIs(t, h.e.Attend(&none, 0, 1), failure.State)
	require.ErrorIs(t, h.e.Attend(&one, 0, 1), failure.Argument)
	require.ErrorIs(t, h.e.Select(&one, 0, 1), failure.Argument)
	require.ErrorIs(t, h.e.Select(&none, 1, 1), failure.Argument)
	require.ErrorIs(t, h.e.StepBegin(nil, 1), failure.State)
	require.ErrorIs(t, h.e.SeqExtend(0, []int32{400}, []int32{0}), failure.State)
	none.Layer = plainShape.layers
	require.ErrorIs(t, h.e.Select(&none, 0, 1), failure.Argument)
	require.NoError(t, h.e.StepEnd(false))
	next, err := h.e.SeqNext(0)
	require.NoError(t, err)
	require.EqualValues(t, 400, next)
	require.NoError(t, h.e.StepBegin(h.lone([]int32{0}), 1))
	require.ErrorIs(t, h.e.Select(&Attn{}, 0, 1), failure.Argument)
}
