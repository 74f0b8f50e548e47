package bench

import (
	"math/rand/v2"
	"slices"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/kernels/peak"
)

// Gathered tokens are those that a head has chosen of a long context: gatherTokens of each
// gatherShare times as many, in ascending order.
const (
	gatherTokens = 512
	gatherShare  = 64
)

// gather measures attention over chosen tokens, and a bare read of their rows, beside a plain read
// of as many cache lines. One choice after the other has all tokens once, so that nothing is found
// in a cache.
func (b *bench) gather(c workload) (result, error) {
	chosen := gatherTokens
	if b.quick {
		chosen = 16
	}
	b.kv = nil
	kv, err := b.makeKV(c.typ, c.dim, headCount, chosen*gatherShare, b.setBytes(setMemory, 1), 1)
	if err != nil {
		return result{}, err
	}
	group, window := groupWindow(c.rows)
	cells := choices(kv.tokens, chosen)
	t := b.team[c.threads]
	ours := &variant{run: newAttention(kv, t, group, window, cells, chosen).run}
	bare := b.bare(kv, t, cells, chosen)
	read := b.reader(&kv.planeSet, t)
	if err := b.interleave(kv.units(), ours, bare, read); err != nil {
		return result{}, err
	}
	tokens := float64(kv.perUnit / 2 * kv.heads * kv.tokens)
	r := b.result(c, &kv.planeSet, ours, read, 4*tokens*float64(c.dim*c.rows))
	// Neighbours are rarely chosen together, so that a line is read for one row alone.
	r.BWShare = rounded(r.BWShare * kv.linesPerRow() * 64 / float64(kv.row))
	r.bareShare(ours, bare)
	return r, nil
}

// choices are all of n cells, in lists of some that ascend.
func choices(n, chosen int) []int32 {
	cells := cellList(n)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(n, func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	for list := range slices.Chunk(cells, chosen) {
		slices.Sort(list)
	}
	return cells
}

// linesPerRow is how many cache lines the rows of a plane lie in, on average.
func (s *kvSet) linesPerRow() float64 {
	sum := 0
	for r := range 64 { // then it begins anew
		first, last := r*s.row, (r+1)*s.row-1
		sum += last/64 - first/64 + 1
	}
	return float64(sum) / 64
}

// bare reads the rows that attention over cells reads, in the same order, and does nothing else.
func (b *bench) bare(kv *kvSet, t *team, cells []int32, per int) *variant {
	j := newAttention(kv, t, 1, 1, cells, per)
	j.bare = true
	return &variant{run: j.run}
}

// touch reads the rows of an item.
func (j *attention) touch(w *attentionWorker, item int, k, v kernels.Cache) {
	cells, size := j.cellsOf(item), j.kv.row
	w.touched ^= peak.ReadRows(k.Base, k.Stride, size, cells) ^
		peak.ReadRows(v.Base, v.Stride, size, cells)
}
