package retro

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

var modelOps = flag.Int("ops", 10000, "operations that TestModel drives; 1000000 is the long run")

// world drives an engine through everything that llama.cpp can do to a KV cache. Beside
// it stands a second engine that forgets everything before every step: what the first remembers
// (summaries, tables, windows) must choose the same pages. Outputs are checked
// against float64 attention over the pages that the world has recorded as seen.
type world struct {
	*host
	rng   *rand.Rand
	fresh *Engine
	done  map[string]int
	long  int // tokens that a sequence may begin with beside the usual
	kept  int // layers that took the groups of the token before
}

const worldSeqs = 4

func newWorld(t *testing.T, seed uint64) *world {
	return drawWorld(t, rand.New(rand.NewPCG(seed, 3)), seed)
}

func drawWorld(t *testing.T, rng *rand.Rand, seed uint64) *world {
	w := &world{rng: rng, done: map[string]int{}}
	opt := testOptions()
	opt.Page, opt.Local = 8, 16
	opt.Window = []int{1, 2, 4, 8}[w.rng.IntN(4)]
	opt.Period = 1 + w.rng.IntN(opt.Window)
	opt.Select = []options.Selector{options.Tokens, options.Pages, options.MinMax,
		options.Oracle}[w.rng.IntN(4)]
	varySelector(&opt, w.rng)
	opt.Budget = options.Budget(8 * (1 + w.rng.IntN(4)))
	opt.MinCtx = w.rng.IntN(100)
	varyOptions(&opt, w.rng)
	opt.Need = false
	opt.CorrectBudget = 0 // the fresh engine never corrects, and would choose other pages
	sh := shape{layers: 2, seqs: worldSeqs, cells: 1600, heads: 4, kv: 2, dk: 8, dv: 8,
		tk: kernels.F16, tv: kernels.F16}
	if opt.Select == options.Tokens && w.rng.IntN(4) == 0 { // long enough for groups of pages
		opt.Groups, opt.Candidates, w.long, sh.cells = 1, 1+w.rng.IntN(2), 1000, 6000
	}
	if w.rng.IntN(4) == 0 {
		sh.kv, sh.dk, sh.latent = 1, 16, true
	}
	w.host = newHost(t, sh, opt, 1, seed)
	w.limit = w.unshared
	w.fresh = w.another(opt)
	return w
}

// another is an engine over the same keys and values.
func (w *world) another(opt options.Options) *Engine {
	opt.Window, opt.Period = 1, 1
	e, err := Open(Config{Layers: w.shape.layers, Seqs: worldSeqs, Cells: w.shape.cells,
		Rows: worldSeqs * opt.Window, Threads: 1}, opt)
	require.NoError(w.t, err)
	for i := range w.shape.layers {
		require.NoError(w.t, e.AddLayer(i, w.e.layers[i].Layer))
	}
	return e
}

// unshared is how many of the last n tokens lie in cells of their own, which alone may be written.
func (w *world) unshared(seq int32, n int) int {
	t := w.table[seq]
	for i := range n {
		c := t[len(t)-1-i].cell
		for other, u := range w.table {
			if other != seq && slices.ContainsFunc(u, func(e entry) bool { return e.cell == c }) {
				return i
			}
		}
	}
	return n
}

// branch is for what takes many numbers, of which a fuzzer has few.
func (w *world) branch() *rand.Rand { return rand.New(rand.NewPCG(w.rng.Uint64(), 5)) }

// collect makes cells free that no sequence holds, in an order of chance.
func (w *world) collect() {
	used := make([]bool, w.shape.cells)
	for _, t := range w.table {
		for _, e := range t {
			used[e.cell] = true
		}
	}
	w.free = w.free[:0]
	for c := range int32(w.shape.cells) {
		if !used[c] {
			w.free = append(w.free, c)
		}
	}
	rng := w.branch()
	for range len(w.free) / 24 {
		i, j := rng.IntN(len(w.free)), rng.IntN(len(w.free))
		w.free[i], w.free[j] = w.free[j], w.free[i]
	}
}

// forget tells the engine that positions >= pos of a sequence (-1: of all) have changed.
func (w *world) forget(seq, pos int32) {
	require.NoError(w.t, w.e.SeqTruncate(int(seq), pos))
	for k := range w.seen {
		if (seq < 0 || k.seq == seq) && k.pos >= pos {
			delete(w.seen, k)
		}
	}
}

func (w *world) length(seq int32) int { return len(w.table[seq]) }

// somewhere is where a position of the sequence begins, or its end.
func (w *world) somewhere(seq int32) int { return w.edge(seq, w.rng.IntN(w.length(seq)+1)) }

// edge is the first entry with the position of that one.
func (w *world) edge(seq int32, i int) int {
	t := w.table[seq]
	for i > 0 && i < len(t) && t[i].pos == t[i-1].pos {
		i--
	}
	return i
}

// step is one operation.
func (w *world) step() string {
	seq := int32(w.rng.IntN(worldSeqs))
	if len(w.free) < 300+w.long {
		w.table[seq] = nil
		w.forget(seq, 0)
		w.collect()
		return "clear"
	}
	if w.length(seq) == 0 || w.length(seq) < 60 && w.rng.IntN(4) > 0 {
		w.prefill(seq, 40+w.rng.IntN(120+w.long))
		return "prefill"
	}
	switch w.rng.IntN(22) {
	case 21:
		w.sync(seq)
		w.build(w.rng.IntN(w.shape.layers+1), w.rng.IntN(4) > 0)
		return "build"
	case 20:
		w.picture(seq, 1+w.rng.IntN(40))
		return "picture"
	case 0:
		w.prefill(seq, 1+w.rng.IntN(1+w.rng.IntN(30)))
		return "prefill"
	case 1:
		w.truncateAt(seq)
		return "truncate"
	case 2:
		w.removeMiddle(seq)
		return "remove"
	case 3:
		w.copySeq(seq)
		return "copy"
	case 4:
		return w.shift(seq)
	case 5:
		w.defragment()
		return "defragment"
	case 6:
		w.failStep(seq)
		return "fail"
	case 7, 8:
		w.reload(seq)
		return "reload"
	case 9:
		if w.rng.IntN(4) == 0 {
			w.keep(seq)
			return "keep"
		}
	case 10:
		w.wrong(seq)
		return "wrong"
	case 11, 12:
		w.exactSome(seq)
		return "exact"
	}
	w.decodeSome(seq)
	return "decode"
}

func (w *world) truncateAt(seq int32) {
	n := w.edge(seq, max(0, w.length(seq)-w.rng.IntN(1+w.rng.IntN(40))))
	if w.rng.IntN(5) == 0 {
		n = w.somewhere(seq)
	}
	if n < w.length(seq) {
		w.forget(seq, w.table[seq][n].pos)
		w.table[seq] = w.table[seq][:n]
		w.collect()
	}
}

// removeMiddle leaves a gap in the positions.
func (w *world) removeMiddle(seq int32) {
	a := w.somewhere(seq)
	b := w.edge(seq, min(w.length(seq), a+1+w.rng.IntN(30)))
	if a < b {
		w.forget(seq, w.table[seq][a].pos)
		w.table[seq] = slices.Delete(slices.Clone(w.table[seq]), a, b)
		w.collect()
	}
}

// copySeq makes a prefix of the sequence another's, in the same cells.
func (w *world) copySeq(seq int32) {
	dst := (seq + 1 + int32(w.rng.IntN(worldSeqs-1))) % worldSeqs
	n := w.somewhere(seq)
	w.forget(dst, 0)
	w.table[dst] = slices.Clone(w.table[seq][:n])
	w.collect()
	if n > 0 && w.rng.IntN(2) == 0 { // else it is found out later, and summarised anew
		require.NoError(w.t, w.e.SeqCopy(int(seq), int(dst), w.table[seq][n-1].pos+1, 0))
	}
}

// reload saves the sequence, forgets it, and takes it back. Nothing may show of it.
func (w *world) reload(seq int32) {
	data, err := w.e.SeqSave(int(seq), []byte("note"), nil)
	require.NoError(w.t, err)
	require.NoError(w.t, w.e.SeqTruncate(int(seq), 0))
	w.sync(seq)
	if len(data) > 0 {
		_, err = w.e.SeqLoad(int(seq), data)
		require.NoError(w.t, err)
	}
}

// shift takes tokens out and moves those behind to lower positions, which rotates their keys.
func (w *world) shift(seq int32) string {
	t := w.table[seq]
	a := w.somewhere(seq)
	b := w.edge(seq, min(len(t), a+1+w.rng.IntN(30)))
	if a == b || w.unshared(seq, len(t)-a) < len(t)-a {
		return "nothing"
	}
	w.forget(-1, t[a].pos)
	moved := slices.Delete(slices.Clone(t), a, b)
	by := t[b-1].pos - t[a].pos + 1
	for i := a; i < len(moved); i++ {
		moved[i].pos -= by
		w.write(seq, moved[i])
	}
	w.table[seq] = moved
	w.collect()
	return "shift"
}

// defragment moves all tokens to other cells.
func (w *world) defragment() {
	w.forget(-1, 0)
	to := make([]int32, w.shape.cells)
	for i, c := range w.branch().Perm(w.shape.cells) {
		to[i] = int32(c)
	}
	for l := range w.k {
		for _, m := range [][]byte{w.k[l], w.v[l]} {
			old, row := slices.Clone(m), len(m)/w.shape.cells
			for from, c := range to {
				copy(m[int(c)*row:][:row], old[from*row:])
			}
		}
	}
	for _, t := range w.table {
		for i := range t {
			t[i].cell = to[t[i].cell]
		}
	}
	w.collect()
}

func (w *world) failStep(seq int32) {
	w.sync(seq)
	t := w.table[seq]
	pos := t[len(t)-1].pos + 1
	n, err := w.e.SeqWindow(int(seq), pos)
	require.NoError(w.t, err)
	var rows []Row
	for _, e := range t[len(t)-w.unshared(seq, n):] {
		rows = append(rows, Row{Seq: seq, Pos: e.pos, Cell: e.cell})
	}
	rows = append(rows, Row{Seq: seq, Pos: pos, Cell: w.free[0]})
	if w.rng.IntN(3) == 0 {
		rows = rows[:0]
		for i := range 1 + w.rng.IntN(20) {
			rows = append(rows, Row{Seq: seq, Pos: pos + int32(i), Cell: w.free[i], Exact: 1})
		}
	}
	require.NoError(w.t, w.e.StepBegin(rows, 1))
	if w.rng.IntN(2) == 0 { // in the middle
		x := make([]float32, len(rows)*w.shape.heads*w.shape.dk)
		a := w.attn(0, len(rows), x, x)
		require.NoError(w.t, w.e.Select(&a, 0, 1))
	}
	require.NoError(w.t, w.e.StepEnd(false))
}

func (w *world) keep(seq int32) {
	for s := range w.table {
		if s != seq {
			w.table[s] = nil
		}
	}
	w.forget(-1, 0)
	w.collect()
}

// exactSome decodes several tokens of the sequence, perhaps beside single ones of others, and may
// take some of them back.
func (w *world) exactSome(seq int32) {
	rows := w.exactOf(seq)
	for s := range int32(worldSeqs) {
		if s != seq && w.length(s) > 0 && w.rng.IntN(3) == 0 {
			w.sync(s)
			rows = append(rows, w.lone([]int32{s})...)
		}
	}
	check := checkUnion(w.host)
	w.compute(rows, func(layer int, rows []Row, out []float32) {
		check(layer, rows, out)
		w.compareSelection(layer)
	})
	if w.rng.IntN(2) == 0 {
		w.truncateAt(seq)
	}
}

func (w *world) exactOf(seq int32) []Row {
	w.sync(seq)
	return w.exactRows(seq, 1+w.rng.IntN(1+w.rng.IntN(40)))
}

// decodeSome decodes a token of the sequence and perhaps of others.
func (w *world) decodeSome(seq int32) {
	seqs := []int32{seq}
	for s := range int32(worldSeqs) {
		if s != seq && w.length(s) > 0 && w.rng.IntN(3) == 0 {
			seqs = append(seqs, s)
		}
	}
	for _, s := range seqs {
		w.sync(s)
	}
	check := checkUnion(w.host)
	w.decode(seqs, func(layer int, rows []Row, out []float32) {
		check(layer, rows, out)
		w.compareSelection(layer)
	})
}

// compareSelection holds that an engine which knows nothing chooses the same pages for the newest
// tokens.
func (w *world) compareSelection(layer int) {
	sh := w.shape
	for i := range w.e.step.seqs {
		q := &w.e.step.seqs[i]
		if q.exact.n > 0 || q.cuts[layer].exact {
			continue
		}
		got := w.chosenAt(w.e, i)
		if !w.e.jobs[layer].claims[i*sh.kv].reuse {
			require.Equal(w.t, w.chosenAnew(q.id, layer, 0), got, "sequence %d layer %d", q.id, layer)
			continue
		}
		w.kept++ // the groups of a token before, if it could choose anew
		found := false
		for age := 1; age < keepSteps && !found; age++ {
			found = reflect.DeepEqual(w.chosenAnew(q.id, layer, age), got)
		}
		require.True(w.t, found, "sequence %d layer %d", q.id, layer)
	}
}

// chosenAt are the entries that each KV head reads of the step's i-th sequence.
func (w *world) chosenAt(e *Engine, i int) (chosen [][]int32) {
	for kv := range w.shape.kv {
		chosen = append(chosen, slices.Clone(e.items[i*w.shape.kv+kv].entries))
	}
	return chosen
}

// chosenAnew is what an engine chooses for the newest token that knows nothing before the age-th
// token before it.
func (w *world) chosenAnew(seq, layer, age int) [][]int32 {
	e, t := w.fresh, w.table[int32(seq)]
	first := len(t) - 1 - age
	require.NoError(w.t, e.SeqTruncate(-1, 0))
	var pos, cell []int32
	for _, x := range t[:first] {
		pos, cell = append(pos, x.pos), append(cell, x.cell)
	}
	require.NoError(w.t, e.SeqExtend(seq, pos, cell))
	for _, x := range t[first : len(t)-1] {
		w.selectFresh(seq, layer, x)
		require.NoError(w.t, e.StepEnd(true))
	}
	w.selectFresh(seq, layer, t[len(t)-1])
	chosen := w.chosenAt(e, 0)
	require.NoError(w.t, e.StepEnd(false))
	return chosen
}

// selectFresh begins a step of the engine that knows nothing.
func (w *world) selectFresh(seq, layer int, x entry) {
	require.NoError(w.t, w.fresh.StepBegin([]Row{{Seq: int32(seq), Pos: x.pos, Cell: x.cell}}, 1))
	q := w.vector(3, int32(seq), x.pos, int32(layer), w.shape.heads*w.shape.dk)
	a := w.attn(layer, 1, q, q)
	require.NoError(w.t, w.fresh.Select(&a, 0, 1))
}

func TestModel(t *testing.T) {
	const perWorld = 500
	total, ops := map[string]int{}, *modelOps
	if testing.Short() {
		ops /= 5
	}
	var st stats.Stats
	kept := 0
	for n := 0; n < ops; n += perWorld {
		w := newWorld(t, uint64(n))
		ok := t.Run(fmt.Sprintf("world %d", n/perWorld), func(t *testing.T) {
			w.t = t
			for i := range perWorld {
				w.done[w.step()]++
				if i%50 == 0 {
					w.collect()
				}
			}
		})
		if !ok {
			t.Fatalf("options %v", w.e.opt)
		}
		for op, k := range w.done {
			total[op] += k
		}
		kept += w.kept
		s := w.e.Stats()
		st.SparseTokens += s.SparseTokens
		st.CorrectedTokens += s.CorrectedTokens
	}
	t.Logf("%v; %d tokens sparse, %d corrected, %d layers with kept groups", total, st.SparseTokens,
		st.CorrectedTokens, kept)
	for _, op := range []string{"prefill", "truncate", "remove", "copy", "shift", "defragment",
		"fail", "keep", "reload", "wrong", "decode", "picture", "exact",
		"build"} {
		require.NotZero(t, total[op], op)
	}
	require.Greater(t, int(st.SparseTokens), ops/4)
	require.NotZero(t, st.CorrectedTokens)
	require.Greater(t, kept, ops/100)
}
