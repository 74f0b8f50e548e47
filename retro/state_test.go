package retro

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// stateCase draws options and a shape that between them reach all of the payload.
func stateCase(trial int) (options.Options, shape, *rand.Rand) {
	rng := rand.New(rand.NewPCG(uint64(trial), 21))
	opt := testOptions()
	opt.Page = []int{8, 16, 32}[rng.IntN(3)]
	opt.Window = []int{1, 2, 3, 8, 16}[trial%5]
	opt.Period = 1 + rng.IntN(opt.Window)
	opt.Select = options.Selector(rng.IntN((int(options.Oracle) + 1)))
	varySelector(&opt, rng)
	opt.Budget = options.Budget(opt.Page * (1 + rng.IntN(5)))
	opt.Always = rng.IntN(3) == 0
	if rng.IntN(3) == 0 {
		opt.MinCtx = 500 // exact at first
	}
	kv := 1 + rng.IntN(2)
	sh := shape{layers: 2, seqs: 2, cells: 1500, kv: kv, heads: kv * (1 + rng.IntN(3)),
		dk: 8 * (1 + rng.IntN(4)), dv: 8 * (1 + rng.IntN(4)),
		tk: kernels.F16, tv: kernels.F16}
	if rng.IntN(2) == 0 {
		sh.tk, sh.tv, sh.dk, sh.dv = kernels.Q8_0, kernels.Q4_0, 32, 64
	}
	return opt, sh, rng
}

// fill gives h what another host holds of a sequence, in its own cells.
func (h *host) fill(seq int32, from *host) {
	for range from.table[seq] {
		h.place(seq)
	}
	h.sync(seq)
}

func (h *host) save(seq int, note string) []byte {
	data, err := h.e.SeqSave(seq, []byte(note), []byte("before"))
	require.NoError(h.t, err)
	size, err := h.e.SeqSize(seq, len(note))
	require.NoError(h.t, err)
	require.Len(h.t, data, len("before")+size)
	return data[len("before"):]
}

// sameSteps decodes n steps on both and requires the same rows with the same bits.
func sameSteps(t *testing.T, a, b *host, n int) {
	t.Helper()
	for i := range n {
		a.decode([]int32{0}, nil)
		b.decode([]int32{0}, nil)
		require.Equal(t, a.emitted, b.emitted, "step %d", i)
		for _, k := range a.emitted {
			require.Equal(t, a.out[k], b.out[k], "step %d, %+v", i, k)
		}
	}
}

// Invariant 5: going on after a load is going on, bit for bit, in other cells, in
// a larger or smaller cache, with another number of threads; and no summary that
// was saved is built again.
func TestSaveLoadContinue(t *testing.T) {
	for trial := range 40 {
		opt, sh, rng := stateCase(trial)
		t.Run(fmt.Sprintf("%v/%+v", opt, sh), func(t *testing.T) {
			a := newHost(t, sh, opt, 1+trial%3, uint64(trial))
			a.prefill(0, 300+rng.IntN(300))
			for range rng.IntN(40) {
				a.decode([]int32{0}, nil)
			}
			switch rng.IntN(3) {
			case 0: // a tail is taken back
				a.truncate(0, a.table[0][len(a.table[0])-rng.IntN(4)-1].pos)
			case 1: // entries that the ring does not have
				a.prefill(0, rng.IntN(3))
			}
			data := a.save(0, "note")

			sh.cells = 900 + rng.IntN(4000)
			b := newHost(t, sh, opt, 1+(trial+1)%3, uint64(trial)+99)
			b.fill(0, a)
			note, err := b.e.SeqLoad(0, data)
			require.NoError(t, err)
			require.Equal(t, "note", string(note))
			require.Equal(t, data, b.save(0, "note"), "saved again")
			require.Equal(t, a.e.seqs[0].summed, b.e.seqs[0].summed)
			require.Equal(t, a.e.Stats().SummaryBytes >= uint64(a.e.sumBlock),
				b.e.Stats().SummaryBytes >= uint64(b.e.sumBlock))
			before := a.e.Stats()
			sameSteps(t, a, b, 25)
			sa, sb := a.e.Stats(), b.e.Stats()
			require.Equal(t, sa.SupplementTokens-before.SupplementTokens, sb.SupplementTokens)
			require.Equal(t, sa.CorrectedTokens-before.CorrectedTokens, sb.CorrectedTokens)
			require.Equal(t, sa.RewrittenTokens-before.RewrittenTokens, sb.RewrittenTokens)
		})
	}
}

// What was saved of a part of the table that is there now is taken over too.
func TestLoadIntoLongerTable(t *testing.T) {
	opt, sh, _ := stateCase(3)
	a := newHost(t, sh, opt, 1, 1)
	a.prefill(0, 700)
	for range 20 {
		a.decode([]int32{0}, nil)
	}
	data := a.save(0, "")
	b := newHost(t, sh, opt, 2, 2)
	b.fill(0, a)
	b.prefill(0, 5)
	_, err := b.e.SeqLoad(0, data)
	require.NoError(t, err)
	a.prefill(0, 5)
	sameSteps(t, a, b, 20)
}

// reseal puts the right checksum under what was tampered with.
func reseal(data []byte) []byte {
	end := len(data) - stateTail
	if end < 0 {
		return data
	}
	return binary.LittleEndian.AppendUint32(data[:end:end], crc32.Checksum(data[:end], castagnoli))
}

// savedState is a saved sequence with everything in it, and hosts to load it into.
func savedState(t testing.TB, edit func(*options.Options)) (data []byte,
	other func(testing.TB) *host) {
	opt := testOptions()
	opt.Window, opt.Period = 4, 4
	sh := shape{layers: 2, seqs: 2, cells: 700, kv: 1, heads: 2, dk: 8, dv: 8, tk: kernels.F16,
		tv: kernels.F16}
	a := newHost(t, sh, opt, 1, 1)
	a.prefill(0, 400)
	for range 10 {
		a.decode([]int32{0}, nil)
	}
	if edit != nil {
		edit(&opt)
	}
	return a.save(0, "note"), func(t testing.TB) *host {
		b := newHost(t, sh, opt, 1, 2)
		b.fill(0, a)
		return b
	}
}

// Cut, flipped and foreign data are errors that change nothing: the sequence
// decodes what it decodes without.
func TestLoadRefuses(t *testing.T) {
	data, other := savedState(t, nil)
	plain := other(t)
	rebuilt := newHost(t, plain.shape, plain.e.opt, 1, 3)
	rebuilt.fill(0, plain)
	refused := func(kind error, data []byte, text string) {
		t.Helper()
		_, err := plain.e.SeqLoad(0, data)
		require.ErrorIs(t, err, kind)
		require.ErrorContains(t, err, text)
	}
	for n := range len(data) {
		if n < 300 || n%97 == 0 {
			refused(failure.Argument, data[:n:n], "sequence 0")
			if n > stateHead+stateTail {
				refused(failure.Argument, reseal(append([]byte(nil), data[:n]...)), "does not fit")
			}
		}
	}
	for i := range len(data) {
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 1 << (i % 8)
		refused(failure.Argument, flipped, "sequence 0")
	}
	refused(failure.Argument, reseal(append(append([]byte(nil), data...), 1, 2, 3, 4)),
		"bytes follow")
	refused(failure.Argument, nil, "not a saved sequence")
	newer := append([]byte(nil), data...)
	newer[4] = 99
	refused(failure.Unsupported, reseal(newer), "was saved in format 99")
	sameSteps(t, rebuilt, plain, 12)
	require.Equal(t, rebuilt.e.Stats().SummaryBytes, plain.e.Stats().SummaryBytes)

	short := other(t)
	short.truncate(0, 200)
	_, err := short.e.SeqLoad(0, data)
	require.ErrorIs(t, err, failure.Argument)
	moved := newHost(t, plain.shape, plain.e.opt, 1, 4)
	pos, cell := make([]int32, 410), make([]int32, 410)
	for i := range pos {
		pos[i], cell[i] = int32(i+i/300), int32(i)
	}
	require.NoError(t, moved.e.SeqExtend(0, pos, cell))
	_, err = moved.e.SeqLoad(0, data)
	require.ErrorContains(t, err, "positions are not those")
	_, err = moved.e.SeqLoad(7, data)
	require.ErrorIs(t, err, failure.Argument)
}

func TestLoadForeignOptions(t *testing.T) {
	for name, edit := range map[string]func(*options.Options){
		"page":         func(o *options.Options) { o.Page, o.Select = 8, options.Pages },
		"code_bits":    func(o *options.Options) { o.CodeBits = 1 },
		"window":       func(o *options.Options) { o.Window = 8 },
		"select":       func(o *options.Options) { o.Select = options.MinMax },
		"summary_bits": func(o *options.Options) { o.SummaryBits = 16 },
		"local":        func(o *options.Options) { o.Local = 64 },
	} {
		data, other := savedState(t, edit)
		h := other(t)
		_, err := h.e.SeqLoad(0, data)
		require.ErrorIs(t, err, failure.Unsupported, name)
		require.ErrorContains(t, err, "saved with other options")
		h.decode([]int32{0}, nil)
	}
	for name, edit := range map[string]func(*options.Options){ // what a user may change in between
		"budget":  func(o *options.Options) { o.Budget = 128 },
		"period":  func(o *options.Options) { o.Period = 1 },
		"min_ctx": func(o *options.Options) { o.MinCtx = 10000 },
		"beta":    func(o *options.Options) { o.Beta = 1 },
		"audit":   func(o *options.Options) { o.Audit = 1 },
	} {
		data, other := savedState(t, edit)
		h := other(t)
		_, err := h.e.SeqLoad(0, data)
		require.NoError(t, err, name)
		for range 6 {
			h.decode([]int32{0}, nil)
		}
	}
}

func TestSaveNothing(t *testing.T) {
	opt, sh, _ := stateCase(0)
	h := newHost(t, sh, opt, 1, 1)
	size, err := h.e.SeqSize(0, 4)
	require.NoError(t, err)
	require.Zero(t, size)
	data, err := h.e.SeqSave(0, nil, nil)
	require.NoError(t, err)
	require.Empty(t, data)
	_, err = h.e.SeqSize(0, MaxNote+1)
	require.ErrorIs(t, err, failure.Argument)
	_, err = h.e.SeqSize(2, 0)
	require.ErrorIs(t, err, failure.Argument)
}

// A copy decodes what a sequence decodes whose summaries are built anew.
func TestSeqCopy(t *testing.T) {
	for trial := range 15 {
		opt, sh, rng := stateCase(trial)
		sh.cells = 4000
		t.Run(fmt.Sprintf("%v/%+v", opt, sh), func(t *testing.T) {
			h := newHost(t, sh, opt, 1, 5)
			offset := int32(rng.IntN(2) * 2000)
			pos, cell := make([]int32, 700), make([]int32, 700)
			for i := range pos {
				pos[i], cell[i] = int32(i), int32(i)
			}
			h.free = cell[:700:700]
			for c := int32(1200); c < 2000; c++ {
				h.free = append(h.free, c)
			}
			h.prefill(0, 650)
			for range 20 {
				h.decode([]int32{0}, nil)
			}
			end := int32(500 + rng.IntN(300))
			n := min(int(end), len(h.table[0]))
			h.table[1] = nil
			for _, e := range h.table[0][:n] {
				e.cell += offset
				h.table[1] = append(h.table[1], e)
				if offset > 0 {
					h.write(0, e) // the host copies keys and values
				}
			}
			built := newHost(t, sh, opt, 1, 5)
			for l := range sh.layers {
				copy(built.k[l], h.k[l])
				copy(built.v[l], h.v[l])
			}
			built.table[1] = append([]entry(nil), h.table[1]...)
			built.sync(1)

			require.NoError(t, h.e.SeqCopy(0, 1, end, offset))
			next, err := h.e.SeqNext(1)
			require.NoError(t, err)
			require.EqualValues(t, n, next)
			for i, have := range h.e.seqs[0].summed {
				require.Equal(t, min(have, int32(n/opt.Page)), h.e.seqs[1].summed[i])
			}
			for range 12 {
				built.free = append([]int32(nil), h.free...)
				h.decode([]int32{1}, nil)
				built.decode([]int32{1}, nil)
				require.Equal(t, built.emitted, h.emitted)
				for _, k := range h.emitted {
					require.Equal(t, built.out[k], h.out[k])
				}
			}
			require.ErrorIs(t, h.e.SeqCopy(0, 1, end, 0), failure.State, "it holds something")
		})
	}
}

func TestSeqCopyRefuses(t *testing.T) {
	opt, sh, _ := stateCase(1)
	h := newHost(t, sh, opt, 1, 1)
	require.NoError(t, h.e.SeqCopy(0, 1, 100, 0), "nothing to copy")
	h.prefill(0, 600)
	for _, c := range []struct {
		src, dst int
		offset   int32
	}{{-1, 1, 0}, {0, 2, 0}, {9, 1, 0}, {0, 1, -1000}, {0, 1, 1 << 30}, {0, 1, math.MaxInt32},
		{0, 1, math.MinInt32}} {
		require.ErrorIs(t, h.e.SeqCopy(c.src, c.dst, math.MaxInt32, c.offset), failure.Argument,
			"%+v", c)
	}
	require.NoError(t, h.e.SeqCopy(0, 1, -5, 0))
	next, err := h.e.SeqNext(1)
	require.NoError(t, err)
	require.Zero(t, next)
}

// Inside a step nothing is saved, loaded or copied.
func TestStateInsideStep(t *testing.T) {
	opt, sh, _ := stateCase(1)
	h := newHost(t, sh, opt, 1, 1)
	require.NoError(t, h.e.StepBegin([]Row{{Seq: 0, Pos: 0, Cell: 0}}, 1))
	_, err := h.e.SeqSave(0, nil, nil)
	require.ErrorIs(t, err, failure.State)
	_, err = h.e.SeqLoad(0, nil)
	require.ErrorIs(t, err, failure.State)
	require.ErrorIs(t, h.e.SeqCopy(0, 1, 1, 0), failure.State)
	require.NoError(t, h.e.StepEnd(false))
}

// Whatever is loaded, with whatever checksum, the sequence goes on.
func FuzzSeqLoad(f *testing.F) {
	data, other := savedState(f, nil)
	f.Add(data, false)
	f.Add(data[:len(data)/2], true)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		bad := append([]byte(nil), data...)
		for range 1 + rng.IntN(4) { // mostly where the counts are
			at := rng.IntN(len(bad))
			if rng.IntN(2) == 0 {
				at = stateHead + rng.IntN(160)
			}
			bad[at] = byte(rng.Uint32())
		}
		f.Add(bad, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		h := other(t)
		if seal {
			data = reseal(data)
		}
		if _, err := h.e.SeqLoad(0, data); err != nil {
			require.Condition(t, func() bool { return len(err.Error()) > 10 })
		}
		for range 6 {
			h.decode([]int32{0}, nil)
		}
	})
}
