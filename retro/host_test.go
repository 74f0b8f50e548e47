package retro

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
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
	k, v    [][]byte // per layer [cell][KV head][dim]
	free    []int32
	table   map[int32][]entry // per sequence
	out     map[key][]float32 // newest output of each (seq, pos, layer)
	seen    map[key][]map[int32]bool
	emitted []key // by the last step
	asked   key   // whose queries follow
	queries []float32

	unrounded bool // queries are not rounded as the type of the keys asks for

	limit func(seq int32, w int) int // of w past tokens, those that may be embedded again
}

// entry is a token; same counts those of a picture, which share a position.
type entry struct{ pos, cell, same int32 }

type key struct{ seq, pos, layer int32 }

type shape struct {
	layers, seqs, cells, heads, kv, dk, dv int
	tk, tv                                 kernels.Type
	softCap                                float32
	sinks                                  bool
	// the values are the first dv channels of the keys
	latent bool
	// if not 0, how much larger the other channels are, and the queries' smaller
	position float32
	rotation int
}

// kRow and vRow are the bytes of one head's row.
func (sh shape) kRow() int { return sh.tk.RowBytes(sh.dk) }
func (sh shape) vRow() int {
	if sh.latent {
		return sh.kRow()
	}
	return sh.tv.RowBytes(sh.dv)
}

func newHost(t testing.TB, sh shape, opt options.Options, threads int, seed uint64) *host {
	h := &host{t: t, shape: sh, threads: threads, table: map[int32][]entry{},
		out: map[key][]float32{}, seen: map[key][]map[int32]bool{}}
	var err error
	h.e, err = Open(Config{Layers: sh.layers, Seqs: sh.seqs, Cells: sh.cells, Rows: 512,
		Threads: threads}, opt)
	require.NoError(t, err)
	for i := range sh.layers {
		h.k = append(h.k, make([]byte, sh.cells*sh.kv*sh.kRow()))
		h.v = append(h.v, h.k[i])
		if !sh.latent {
			h.v[i] = make([]byte, sh.cells*sh.kv*sh.vRow())
		}
		require.NoError(t, h.e.AddLayer(i, Layer{TypeK: sh.tk, TypeV: sh.tv, Heads: sh.heads,
			KVHeads: sh.kv, DK: sh.dk, DV: sh.dv,
			K: unsafe.Pointer(&h.k[i][0]), V: unsafe.Pointer(&h.v[i][0]),
			KSize: uint64(len(h.k[i])), VSize: uint64(len(h.v[i])),
			KRow: uint64(sh.kv * sh.kRow()), VRow: uint64(sh.kv * sh.vRow()),
			KHead: uint64(sh.kRow()), VHead: uint64(sh.vRow()),
			SoftCap: sh.softCap, Sinks: h.sinks(i), Rotation: sh.rotation}))
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
		what := e.pos + e.same<<16
		k := h.vector(1, seq, what, int32(l), sh.kv*sh.dk)
		sh.scalePosition(k, sh.position)
		hadamard(k, sh.rotation)
		encode(sh.tk, h.k[l][int(e.cell)*sh.kv*sh.kRow():], k)
		if sh.latent {
			continue
		}
		encode(sh.tv, h.v[l][int(e.cell)*sh.kv*sh.vRow():],
			h.vector(2, seq, what, int32(l), sh.kv*sh.dv))
	}
}

// sinks are the layer's, or none.
func (h *host) sinks(layer int) []float32 {
	if !h.shape.sinks {
		return nil
	}
	return h.vector(4, 0, 0, int32(layer), h.shape.heads)
}

func (h *host) place(seq int32) {
	e := entry{}
	if t := h.table[seq]; len(t) > 0 {
		e.pos = t[len(t)-1].pos + 1
	}
	h.placeAt(seq, e)
}

func (h *host) placeAt(seq int32, e entry) {
	e.cell = h.free[0]
	h.free = h.free[1:]
	h.table[seq] = append(h.table[seq], e)
	h.write(seq, e)
}

// picture writes n tokens of one position, which the engine is told of in two parts.
func (h *host) picture(seq int32, n int) {
	t := h.table[seq]
	pos := t[len(t)-1].pos + 1
	for i := range n {
		h.placeAt(seq, entry{pos: pos, same: int32(i)})
		if i == n/2 {
			h.sync(seq)
		}
	}
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
	last := 0
	for _, e := range h.table[seq] {
		if e.pos == next-1 {
			last++
		}
	}
	if last > 1 { // it may not know all of them
		next--
		require.NoError(h.t, h.e.SeqTruncate(int(seq), next))
	}
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

// decode runs one step of a new token for each sequence; see compute.
func (h *host) decode(seqs []int32, check func(layer int, rows []Row, out []float32)) {
	h.compute(h.lone(seqs), check)
}

// lone are the rows of a new token for each sequence, and of past ones.
func (h *host) lone(seqs []int32) (rows []Row) {
	for _, s := range seqs {
		n := len(h.table[s])
		pos := int32(0)
		if n > 0 {
			pos = h.table[s][n-1].pos + 1
		}
		w, err := h.e.SeqWindow(int(s), pos)
		require.NoError(h.t, err)
		if h.limit != nil {
			w = h.limit(s, w)
		}
		h.place(s)
		for _, e := range h.table[s][n-w:] {
			h.write(s, e) // in place, as llama.cpp does
			rows = append(rows, Row{Seq: s, Pos: e.pos, Cell: e.cell})
		}
	}
	return rows
}

// exactRows are n new ones of a sequence.
func (h *host) exactRows(seq int32, n int) (rows []Row) {
	for range n {
		h.place(seq)
		e := h.table[seq][len(h.table[seq])-1]
		rows = append(rows, Row{Seq: seq, Pos: e.pos, Cell: e.cell, Exact: 1})
	}
	return rows
}

// compute runs one step; then, unless nil, check is called for each layer while the items still
// hold it.
func (h *host) compute(rows []Row, check func(layer int, rows []Row, out []float32)) {
	sh := h.shape
	require.NoError(h.t, h.e.StepBegin(rows, h.threads))
	h.emitted = h.emitted[:0]
	q := make([]float32, len(rows)*sh.heads*sh.dk)
	out := make([]float32, len(rows)*sh.heads*sh.dv)
	for l := range sh.layers {
		for r, row := range rows {
			x := q[r*sh.heads*sh.dk:][:sh.heads*sh.dk]
			copy(x, h.queriesOf(key{row.Seq, row.Pos, int32(l)}))
			hadamard(x, sh.rotation)
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
	return Attn{Layer: l, Rows: rows, Scale: h.scale(), Q: unsafe.Pointer(&q[0]),
		Out:  unsafe.Pointer(&out[0]),
		QRow: uint64(4 * sh.heads * sh.dk), QHead: uint64(4 * sh.dk),
		OutRow: uint64(4 * sh.heads * sh.dv)}
}

func (h *host) attend(l, rows int, q, out []float32) {
	a := h.attn(l, rows, q, out)
	for _, phase := range []func(*Attn, int, int) error{h.e.Select, h.e.Attend} {
		var wg sync.WaitGroup
		for i := range h.threads {
			wg.Go(func() {
				if err := phase(&a, i, h.threads); err != nil {
					panic(err)
				}
			})
		}
		wg.Wait()
	}
}

func (h *host) scale() float32 { return float32(1.5 / math.Sqrt(float64(h.shape.dk))) }

// scalePosition multiplies what of keys or queries is behind the values' channels, unless f is 0.
func (sh shape) scalePosition(x []float32, f float32) {
	for i := range x {
		if f != 0 && i%sh.dk >= sh.dv {
			x[i] *= f
		}
	}
}

// queriesOf are those of all heads of the token at k.
func (h *host) queriesOf(k key) []float32 {
	q := h.vector(3, k.seq, k.pos, k.layer, h.shape.heads*h.shape.dk)
	if h.shape.position != 0 {
		h.shape.scalePosition(q, 1/h.shape.position)
	}
	return q
}

// query is that of a head of the token at k, scaled, and rounded as the keys' type asks for.
func (h *host) query(k key, hd int) []float32 {
	sh := h.shape
	if h.asked != k || h.queries == nil {
		h.asked, h.queries = k, h.queriesOf(k)
	}
	q := slices.Clone(h.queries[hd*sh.dk : (hd+1)*sh.dk])
	hadamard(q, sh.rotation)
	kernels.Scale(q, h.scale())
	if sh.tk.Quantised() && !h.unrounded {
		row := make([]float32, kernels.QueryLen(sh.tk, sh.dk))
		kernels.Queries(sh.tk, row, q, 1, sh.dk)
		ints := unsafe.Slice((*int8)(unsafe.Pointer(&row[0])), sh.dk)
		for i := range q {
			q[i] = float32(ints[i]) * row[sh.dk/4+i/32]
		}
	}
	return q
}

// exact is float64 attention of query head hd of the token at k over the entries
// of its sequence for which see is true.
func (h *host) exact(k key, hd int, see func(entry int) bool) []float64 {
	sh := h.shape
	kvh := hd / (sh.heads / sh.kv)
	q := h.query(k, hd)
	keys, values := h.e.layers[k.layer].keys(kvh), h.e.layers[k.layer].values(kvh)
	kv, vv := make([]float32, sh.dk), make([]float32, sh.dv)
	acc := make([]float64, sh.dv)
	m, l := math.Inf(-1), 0.0
	if sinks := h.sinks(int(k.layer)); sinks != nil {
		m, l = float64(sinks[hd]), 1
	}
	for i, e := range h.table[k.seq] {
		if e.pos > k.pos || !see(i) {
			continue
		}
		kernels.Load(kv, &keys, []int32{e.cell})
		kernels.Load(vv, &values, []int32{e.cell})
		x := 0.0
		for j := range q {
			x += float64(q[j]) * float64(kv[j])
		}
		if c := float64(sh.softCap); c > 0 {
			x = c * math.Tanh(x/c)
		}
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

// logits are those of a query head of the token at k for the entries up to it, in float64.
func (h *host) logits(k key, hd int) (all []float64) {
	sh := h.shape
	q := h.query(k, hd)
	keys := h.e.layers[k.layer].keys(hd / (sh.heads / sh.kv))
	kv := make([]float32, sh.dk)
	for _, e := range h.table[k.seq] {
		if e.pos > k.pos {
			break
		}
		kernels.Load(kv, &keys, []int32{e.cell})
		x := 0.0
		for j := range q {
			x += float64(q[j]) * float64(kv[j])
		}
		if c := float64(sh.softCap); c > 0 {
			x = c * math.Tanh(x/c)
		}
		all = append(all, x)
	}
	return all
}

// share is how much of its attention a query head of the token at k pays to the entries for
// which see is true, attention sinks aside.
func (h *host) share(k key, hd int, see func(entry int) bool) float64 {
	seen, all := 0.0, 0.0
	for i, x := range h.logits(k, hd) {
		all += math.Exp(x)
		if see(i) {
			seen += math.Exp(x)
		}
	}
	return seen / all
}

// encode writes x in ggml's layout of a type.
func encode(t kernels.Type, dst []byte, x []float32) {
	le := binary.LittleEndian
	for i, v := range x {
		switch t {
		case kernels.F32:
			le.PutUint32(dst[4*i:], math.Float32bits(v))
		case kernels.F16:
			le.PutUint16(dst[2*i:], half(v))
		case kernels.BF16:
			le.PutUint16(dst[2*i:], uint16((math.Float32bits(v)+0x8000)>>16))
		}
	}
	if !t.Quantised() {
		return
	}
	for b := 0; b < len(x); b += 32 {
		block, top := x[b:b+32], float32(0)
		for _, v := range block {
			top = max(top, float32(math.Abs(float64(v))))
		}
		size, s := 34, top/127
		if t == kernels.Q4_0 {
			size, s = 18, top/-8
		}
		out := dst[b/32*size:]
		le.PutUint16(out, half(s))
		for i, v := range block {
			n := math.Round(float64(v / s))
			if t == kernels.Q8_0 {
				out[2+i] = byte(int8(n))
				continue
			}
			nibble := byte(min(15, max(0, n+8)))
			if i < 16 {
				out[2+i] = nibble
			} else {
				out[2+i-16] |= nibble << 4
			}
		}
	}
}

func half(x float32) uint16 {
	var h [1]uint16
	kernels.ToF16(h[:], []float32{x})
	return h[0]
}

func requireClose(t testing.TB, want []float64, got []float32, tol float64, what string) {
	t.Helper()
	for i := range want {
		if d := math.Abs(want[i] - float64(got[i])); !(d <= tol) {
			require.FailNow(t, fmt.Sprintf("%s: [%d] is %v, want %v", what, i, got[i], want[i]))
		}
	}
}
