package retro

import (
	"math"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// wrong is calls that are refused. Nothing may come of them but a window that is empty.
func (w *world) wrong(seq int32) {
	w.sync(seq)
	t, e, id := w.table[seq], w.e, int(seq)
	last := t[len(t)-1]
	next := last.pos + 1
	bad := []int{-1, worldSeqs, math.MaxInt32, math.MinInt32}[w.rng.IntN(4)]
	cell := []int32{-1, int32(w.shape.cells), math.MaxInt32, math.MinInt32}[w.rng.IntN(4)]
	back := int32(w.rng.IntN(int(next)))
	some := func(n int) []Row {
		return slices.Repeat([]Row{{Seq: seq, Pos: last.pos,
			Cell: last.cell}}, n)
	}
	var err error
	switch w.rng.IntN(20) {
	case 0:
		err = e.SeqExtend(id, []int32{next, back}, []int32{0, 0})
	case 1:
		err = e.SeqExtend(id, []int32{next, math.MaxInt32}, []int32{0, 0})
	case 2:
		err = e.SeqExtend(id, []int32{next}, []int32{cell})
	case 3:
		err = e.SeqExtend(bad, nil, nil)
	case 4:
		err = e.SeqTruncate(bad&^(1<<31)|worldSeqs, 0)
	case 5:
		err = e.SeqCopy(bad, id, 1, 0)
	case 6:
		err = e.SeqCopy((id+1)%worldSeqs, id, 1, 0)
	case 7:
		data, _ := e.SeqSave(id, nil, nil)
		data[w.rng.IntN(len(data))] ^= 1 << w.rng.IntN(8)
		_, err = e.SeqLoad(id, data)
	case 8:
		_, err = e.SeqWindow(id, back)
	case 9:
		_, err = e.SeqWindow(bad, 0)
	case 10:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: cell}}, 1)
	case 11:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: 0}, {Seq: int32(bad), Pos: 0, Cell: 0}},
			1)
	case 12:
		err = e.StepBegin(append(some(1+w.rng.IntN(options.MaxWindow)),
			Row{Seq: seq, Pos: next, Cell: 0}), 1+w.rng.IntN(3))
	case 13:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: 0}, {Seq: seq, Pos: back, Cell: 0}}, 1)
	case 14:
		err = e.StepEnd(true)
	case 15:
		x := make([]float32, w.shape.heads*w.shape.dk)
		a := w.attn(0, 1, x, x)
		err = e.Attend(&a, 0, 1)
	case 16:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: 0, Exact: 1},
			{Seq: seq, Pos: next + 1, Cell: cell, Exact: 1}}, 1)
	case 17:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: 0, Exact: 1},
			{Seq: seq, Pos: back, Cell: 0, Exact: 1}}, 1)
	case 18:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: 0, Exact: 1},
			{Seq: seq, Pos: next + 1, Cell: 0}}, 1)
	case 19:
		err = e.StepBegin([]Row{{Seq: seq, Pos: next, Cell: 0, Exact: 1},
			{Seq: int32(bad), Pos: 0, Cell: 0, Exact: 1}}, 1)
	}
	if err == nil { // the last token alone can be embedded again
		require.NoError(w.t, e.StepEnd(false))
	}
	got, err := e.SeqNext(id)
	require.NoError(w.t, err)
	require.Equal(w.t, next, got)
}

// A host that forgets a layer adds it and goes on, with an engine that is like any other.
func TestLayerAddedLate(t *testing.T) {
	sh := plainShape
	h := newHost(t, sh, testOptions(), 1, 5)
	h.prefill(0, 400)
	late := newHost(t, sh, testOptions(), 1, 5)
	last := late.e.layers[1]
	late.e.layers[1] = layer{}
	require.ErrorIs(t, late.e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1), failure.State)
	require.ErrorIs(t, late.e.SeqExtend(0, []int32{0}, []int32{0}), failure.State)
	require.NoError(t, late.e.AddLayer(1, last.Layer))
	late.prefill(0, 400)
	sameSteps(t, h, late, 4)
	require.Equal(t, h.e.kvHeads, late.e.kvHeads)
	require.Equal(t, h.save(0, ""), late.save(0, ""))
}

// Layers are selected and attended one after another. Otherwise it is an error, and
// attention that was left out is not in the way of the next step.
func TestOrderOfPhases(t *testing.T) {
	h := newHost(t, plainShape, testOptions(), 1, 5)
	h.prefill(0, 500)
	row := []Row{{Seq: 0, Pos: 500, Cell: h.free[0]}}
	q, out := make([]float32, plainShape.heads*plainShape.dk),
		make([]float32, plainShape.heads*plainShape.dv)
	first, second := h.attn(0, 1, q, out), h.attn(1, 1, q, out)
	for range 2 {
		require.NoError(t, h.e.StepBegin(row, 1))
		require.ErrorIs(t, h.e.Attend(&first, 0, 1), failure.State)
		require.NoError(t, h.e.Select(&first, 0, 1))
		require.NoError(t, h.e.Select(&second, 0, 1))
		require.ErrorIs(t, h.e.Attend(&second, 0, 1), failure.State)
		require.NoError(t, h.e.Attend(&first, 0, 1))
		require.NoError(t, h.e.Attend(&first, 0, 1), "who comes late finds nothing to do")
		require.ErrorIs(t, h.e.Attend(&second, 0, 1), failure.State)
		require.NoError(t, h.e.StepEnd(false))
	}
	h.decode([]int32{0}, checkUnion(h))
}

// Layers may come in any order, and a layer that is selected too early takes nothing of another's.
func TestOrderOfLayers(t *testing.T) {
	const before, between, after = 0, 1, 2 // the other layer is selected, before, between or after
	play := func(layer, other int) []float32 {
		opt := testOptions()
		opt.Need, opt.Window = true, 1
		h := newHost(t, plainShape, opt, 1, 5)
		h.prefill(0, 800)
		require.NoError(t, h.e.StepBegin(h.lone([]int32{0}), 1))
		q, out := make([]float32, plainShape.heads*plainShape.dk),
			make([]float32, plainShape.heads*plainShape.dv)
		for i := range q {
			q[i] = float32(i%7) - 3
		}
		a, b := h.attn(layer, 1, q, out), h.attn(1-layer, 1, q, make([]float32, len(out)))
		if other == before {
			require.NoError(t, h.e.Select(&b, 0, 1))
			require.NoError(t, h.e.Attend(&b, 0, 1))
		}
		require.NoError(t, h.e.Select(&a, 0, 1))
		if other == between {
			require.NoError(t, h.e.Select(&b, 0, 1))
		}
		require.NoError(t, h.e.Attend(&a, 0, 1))
		return out
	}
	for layer := range 2 {
		want := play(layer, after)
		require.Equal(t, want, play(layer, before))
		require.Equal(t, want, play(layer, between))
	}
}

// After a fault in the memory of the host, which the C interface survives, nothing
// of the step that failed is left.
func TestFaultLeavesNothing(t *testing.T) {
	for _, text := range []string{"budget=1000000", "budget=64,min_ctx=0,local=32,window=4"} {
		opt, err := options.Parse(text)
		require.NoError(t, err)
		h, plain := newHost(t, plainShape, opt, 1, 5), newHost(t, plainShape, opt, 1, 5)
		h.prefill(0, 500)
		plain.prefill(0, 500)
		q, out := make([]float32, plainShape.heads*plainShape.dk),
			make([]float32, plainShape.heads*plainShape.dv)
		good, guard := h.e.layers[0].Layer, unsafe.Pointer(&unreadable(t)[0])
		for _, faulty := range []func(*Layer){func(l *Layer) { l.K = guard },
			func(l *Layer) { l.V = guard }} {
			bad := good
			faulty(&bad)
			h.e.layers[0].Layer = bad
			require.NoError(t, h.e.StepBegin([]Row{{Seq: 0, Pos: 500, Cell: h.free[0]}}, 1))
			a := h.attn(0, 1, q, out)
			require.True(t, faults(func() {
				require.NoError(t, h.e.Select(&a, 0, 1))
				require.NoError(t, h.e.Attend(&a, 0, 1))
			}))
			require.NoError(t, h.e.StepEnd(false))
			h.e.layers[0].Layer = good
		}
		require.NoError(t, h.e.SeqTruncate(0, 0)) // summaries of keys that could not be read
		h.sync(0)
		sameSteps(t, plain, h, 6)
	}
}

// What no machine has memory for is an error, and shapes of large models are not.
func TestFootprint(t *testing.T) {
	opt, err := options.Parse("window=16")
	require.NoError(t, err)
	mem := make([]byte, 8)
	var room func(uint64) error
	open := func(layers, cells, threads, heads, kv, d int) error {
		e, err := Open(Config{Layers: layers, Seqs: 64, Cells: cells, Rows: 4096, Threads: threads,
			Room: room}, opt)
		require.NoError(t, err)
		row, p := uint64(kv*d*2), unsafe.Pointer(&mem[0])
		for i := range layers {
			require.NoError(t, e.AddLayer(i, Layer{TypeK: kernels.F16, TypeV: kernels.F16,
				Heads: heads, KVHeads: kv, DK: d, DV: d, K: p, V: p,
				KSize: row * uint64(cells), VSize: row * uint64(cells), KRow: row, VRow: row,
				KHead: uint64(2 * d), VHead: uint64(2 * d)}))
		}
		return e.checkFootprint()
	}
	require.ErrorContains(t, open(1, 1000, 1024, 1024, 1, 1024), "choose fewer threads")
	require.ErrorIs(t, open(1024, 1<<17, 1024, 1024, 1, 1024), failure.Argument)
	require.NoError(t, open(80, 1<<17, 128, 64, 8, 128))
	require.NoError(t, open(32, 4096, 256, 71, 1, 64))
	require.NoError(t, open(126, 1<<20, 192, 128, 8, 128))
	require.NoError(t, open(30, 256, 64, 9, 3, 64))

	var asked uint64
	room = func(bytes uint64) error { asked = bytes; return failure.Unsupported }
	require.ErrorIs(t, open(30, 1<<20, 64, 9, 3, 64), failure.Unsupported)
	require.Greater(t, asked, uint64(30*3*2*64*(1<<20)/16), "the summaries of all cells")
	require.Less(t, asked, uint64(30*3*256*(1<<20)/8), "an eighth of the cache")
}

// faults tells whether f ends in a panic.
func faults(f func()) (yes bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { yes = recover() != nil }()
	f()
	return false
}
