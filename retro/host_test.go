package retro

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"retroattn/kernels"
)

// host plays llama.cpp: it owns K and V, places tokens in scattered cells, and
// embeds the window again when asked. Keys, values and queries of a token are a
// fixed function of (sequence, position, layer), so a token embedded again has
// the query it had, and its output must be exact attention over the union of
// the pages it has seen.
type host struct {
	t       testing.TB
	e       *Engine
	shape   shape
	threads int
	k, v    [][]uint16 // per layer [cell][KV head][dim]
	free    []int32
	table   map[int32][]entry // per sequence
	out     map[key][]float32 // newest output of each (seq, pos, layer)
	seen    map[key][]map[int32]bool
	emitted []key // by the last step
}

type entry struct{ pos, cell int32 }

type key struct{ seq, pos, layer int32 }

type shape struct {
	layers, seqs, cells, heads, kv, dk, dv int
}

func newHost(t testing.TB, sh shape, opt Options, threads int, seed uint64) *host {
	h := &host{t: t, shape: sh, threads: threads, table: map[int32][]entry{}, out: map[key][]float32{}, seen: map[key][]map[int32]bool{}}
	var err error
	h.e, err = Open(Config{Layers: sh.layers, Seqs: sh.seqs, Cells: sh.cells, Rows: sh.seqs * opt.Window, Threads: threads}, opt)
	require.NoError(t, err)
	for i := range sh.layers {
		h.k = append(h.k, make([]uint16, sh.cells*sh.kv*sh.dk))
		h.v = append(h.v, make([]uint16, sh.cells*sh.kv*sh.dv))
		require.NoError(t, h.e.AddLayer(i, Layer{TypeK: F16, TypeV: F16, Heads: sh.heads, KVHeads: sh.kv, DK: sh.dk, DV: sh.dv,
			K: unsafe.Pointer(&h.k[i][0]), V: unsafe.Pointer(&h.v[i][0]),
			KSize: uint64(2 * len(h.k[i])), VSize: uint64(2 * len(h.v[i])),
			KRow: uint64(2 * sh.kv * sh.dk), VRow: uint64(2 * sh.kv * sh.dv), KHead: uint64(2 * sh.dk), VHead: uint64(2 * sh.dv)}))
	}
	// Mostly neighbouring cells, with breaks inside pages.
	rng := rand.New(rand.NewPCG(seed, 1))
	for c := range sh.cells {
		h.free = append(h.free, int32(c))
	}
	for range sh.cells / 24 {
		i, j := rng.IntN(sh.cells), rng.IntN(sh.cells)
		h.free[i], h.free[j] = h.free[j], h.free[i]
	}
	return h
}

// vector is n numbers that depend on the token and what they are for alone.
// Keys of a topic resemble each other, so that pages differ in what they hold.
func (h *host) vector(what uint64, seq, pos, layer int32, n int) []float32 {
	rng := rand.New(rand.NewPCG(what<<40|uint64(seq)<<32|uint64(uint32(pos)), uint64(layer)))
	topic := rand.New(rand.NewPCG(what<<40|uint64(pos/20), uint64(layer)+77))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() + 0.7*topic.NormFloat64())
	}
	return x
}

func (h *host) write(seq int32, e entry) {
	sh := h.shape
	for l := range sh.layers {
		kernels.ToF16(h.k[l][int(e.cell)*sh.kv*sh.dk:], h.vector(1, seq, e.pos, int32(l), sh.kv*sh.dk))
		kernels.ToF16(h.v[l][int(e.cell)*sh.kv*sh.dv:], h.vector(2, seq, e.pos, int32(l), sh.kv*sh.dv))
	}
}

func (h *host) place(seq int32) entry {
	t := h.table[seq]
	e := entry{cell: h.free[0]}
	if len(t) > 0 {
		e.pos = t[len(t)-1].pos + 1
	}
	h.free = h.free[1:]
	h.table[seq] = append(t, e)
	h.write(seq, e)
	return e
}

// prefill writes n tokens outside of a step.
func (h *host) prefill(seq int32, n int) {
	for range n {
		h.place(seq)
	}
	h.sync(seq)
}

func (h *host) sync(seq int32) {
	next, err := h.e.SeqNext(int(seq))
	require.NoError(h.t, err)
	var pos, cell []int32
	for _, e := range h.table[seq] {
		if e.pos >= next {
			pos, cell = append(pos, e.pos), append(cell, e.cell)
		}
	}
	require.NoError(h.t, h.e.SeqExtend(int(seq), pos, cell))
}

// truncate removes positions >= pos.
func (h *host) truncate(seq, pos int32) {
	t := h.table[seq]
	for len(t) > 0 && t[len(t)-1].pos >= pos {
		h.free = append(h.free, t[len(t)-1].cell)
		t = t[:len(t)-1]
	}
	h.table[seq] = t
	for k := range h.seen {
		if k.seq == seq && k.pos >= pos {
			delete(h.seen, k)
		}
	}
	require.NoError(h.t, h.e.SeqTruncate(int(seq), pos))
}

// decode runs one step of a new token for each sequence; then, unless nil,
// check is called for each layer while the items still hold it.
func (h *host) decode(seqs []int32, check func(layer int, rows []Row, out []float32)) {
	sh := h.shape
	var rows []Row
	for _, s := range seqs {
		n := len(h.table[s])
		pos := int32(0)
		if n > 0 {
			pos = h.table[s][n-1].pos + 1
		}
		w, err := h.e.SeqWindow(int(s), pos)
		require.NoError(h.t, err)
		h.place(s)
		for _, e := range h.table[s][n-w:] {
			h.write(s, e) // in place, as llama.cpp does
			rows = append(rows, Row{s, e.pos, e.cell})
		}
	}
	require.NoError(h.t, h.e.StepBegin(rows, h.threads))
	h.emitted = h.emitted[:0]
	q := make([]float32, len(rows)*sh.heads*sh.dk)
	out := make([]float32, len(rows)*sh.heads*sh.dv)
	for l := range sh.layers {
		for r, row := range rows {
			copy(q[r*sh.heads*sh.dk:], h.vector(3, row.Seq, row.Pos, int32(l), sh.heads*sh.dk))
		}
		h.attend(l, len(rows), q, out)
		for r, row := range rows {
			k := key{row.Seq, row.Pos, int32(l)}
			h.out[k] = append([]float32(nil), out[r*sh.heads*sh.dv:(r+1)*sh.heads*sh.dv]...)
			h.emitted = append(h.emitted, k)
		}
		if check != nil {
			check(l, rows, out)
		}
	}
	require.NoError(h.t, h.e.StepEnd(true))
}

func (h *host) attn(l, rows int, q, out []float32) Attn {
	sh := h.shape
	return Attn{Layer: l, Rows: rows, Scale: h.scale(), Q: unsafe.Pointer(&q[0]), Out: unsafe.Pointer(&out[0]),
		QRow: uint64(4 * sh.heads * sh.dk), QHead: uint64(4 * sh.dk), OutRow: uint64(4 * sh.heads * sh.dv)}
}

func (h *host) attend(l, rows int, q, out []float32) {
	a := h.attn(l, rows, q, out)
	var wg sync.WaitGroup
	for i := range h.threads {
		wg.Go(func() {
			if err := h.e.Attend(&a, i, h.threads); err != nil {
				panic(err)
			}
		})
	}
	wg.Wait()
}

func (h *host) scale() float32 { return float32(1.5 / math.Sqrt(float64(h.shape.dk))) }

// exact is float64 attention of query head hd of the token at k over the entries
// of its sequence for which see is true.
func (h *host) exact(k key, hd int, see func(entry int) bool) []float64 {
	sh := h.shape
	kvh := hd / (sh.heads / sh.kv)
	q := h.vector(3, k.seq, k.pos, k.layer, sh.heads*sh.dk)[hd*sh.dk : (hd+1)*sh.dk]
	kv, vv := make([]float32, sh.dk), make([]float32, sh.dv)
	acc := make([]float64, sh.dv)
	m, l := math.Inf(-1), 0.0
	for i, e := range h.table[k.seq] {
		if e.pos > k.pos || !see(i) {
			continue
		}
		kernels.FromF16(kv, h.k[k.layer][(int(e.cell)*sh.kv+kvh)*sh.dk:][:sh.dk])
		kernels.FromF16(vv, h.v[k.layer][(int(e.cell)*sh.kv+kvh)*sh.dv:][:sh.dv])
		x := 0.0
		for j := range q {
			x += float64(q[j]) * float64(kv[j])
		}
		x *= float64(h.scale())
		if x > m {
			f := math.Exp(m - x)
			for j := range acc {
				acc[j] *= f
			}
			l *= f
			m = x
		}
		p := math.Exp(x - m)
		l += p
		for j := range acc {
			acc[j] += p * float64(vv[j])
		}
	}
	for j := range acc {
		acc[j] /= l
	}
	return acc
}

func requireClose(t testing.TB, want []float64, got []float32, tol float64, what string) {
	t.Helper()
	for i := range want {
		if d := math.Abs(want[i] - float64(got[i])); !(d <= tol) {
			require.FailNow(t, fmt.Sprintf("%s: [%d] is %v, want %v", what, i, got[i], want[i]))
		}
	}
}
