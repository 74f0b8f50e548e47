package bench

import (
	"math/rand/v2"
	"slices"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/kernels/peak"
)

// blank is a set of bytes that mean nothing.
func (b *bench) blank(size int) (*planeSet, error) {
	const plane = 64 << 10
	return b.planesFor(min(plane, size), size, func(p []byte) {
		for i := range p {
			p[i] = byte(i)
		}
	})
}

// reader reads the planes of a set as fast as the team can.
func (b *bench) reader(set *planeSet, t *team) *variant {
	sums := make([]uint64, 8*t.n) // each on a cache line of its own
	return &variant{run: func(first, n int) {
		t.do(func(ith int) {
			for u := first; u < first+n; u++ {
				for _, p := range set.unit(u) {
					from, to := lines(len(p)*ith/t.n), lines(len(p)*(ith+1)/t.n)
					sums[8*ith] ^= peak.Read(p[from:min(to, len(p))])
				}
			}
		})
	}}
}

// blockCols is how many tokens the engine gives to a kernel at once.
const blockCols = 256

// worker is the scratch of one thread of dot, acc or scan.
type worker struct {
	q, out, weights []float32
	_               [64]byte
}

// stream measures dot or acc over each head of each plane in blocks of tokens.
func (b *bench) stream(c workload) (result, error) {
	kv, err := b.kvFor(c)
	if err != nil {
		return result{}, err
	}
	t, d := b.team[c.threads], c.dim
	block := b.streamBlock(c, kv.tokens)
	blocks := (kv.tokens + blockCols - 1) / blockCols
	items := kv.heads * blocks
	// The split is fixed, so that in a small set each thread finds its part in its own cache.
	ours := &variant{run: func(first, n int) {
		t.do(func(ith int) {
			for u := first; u < first+n; u++ {
				for _, p := range kv.unit(u) {
					for i := items * ith / t.n; i < items*(ith+1)/t.n; i++ {
						cache := kv.cache(p, i/blocks)
						block(ith, &cache, i%blocks)
					}
				}
			}
		})
	}}
	read := b.reader(&kv.planeSet, t)
	if err := b.interleave(kv.units(), ours, read); err != nil {
		return result{}, err
	}
	tokens := float64(kv.perUnit * kv.heads * kv.tokens)
	return b.result(c, &kv.planeSet, ours, read, 2*tokens*float64(d*c.rows)), nil
}

// streamBlock returns the function that does one block of one head.
func (b *bench) streamBlock(c workload, tokens int,
) func(ith int, cache *kernels.Cache, block int) {
	rows, d := c.rows, c.dim
	cells := cellList(tokens)
	workers := make([]worker, c.threads)
	for i := range workers {
		w := &workers[i]
		w.q = make([]float32, rows*kernels.QueryLen(c.typ, d))
		kernels.Queries(c.typ, w.q, normals(rows*d, 1), rows, d)
		w.weights = make([]float32, rows*blockCols)
		for j := range w.weights {
			w.weights[j] = rand.Float32()
		}
		w.out = make([]float32, rows*max(d, blockCols))
	}
	if c.kernel == "dot" {
		return func(ith int, cache *kernels.Cache, block int) {
			w := &workers[ith]
			kernels.Dot(w.out, blockCols, w.q, rows, cache, blockOf(cells, block))
		}
	}
	return func(ith int, cache *kernels.Cache, block int) {
		w := &workers[ith]
		clear(w.out[:rows*d]) // or it would grow without bound
		kernels.Acc(w.out, d, w.weights, blockCols, rows, cache, blockOf(cells, block))
	}
}

func cellList(n int) []int32 {
	cells := make([]int32, n)
	for i := range cells {
		cells[i] = int32(i)
	}
	return cells
}

func blockOf(cells []int32, block int) []int32 {
	return cells[block*blockCols : min(len(cells), (block+1)*blockCols)]
}

const topScores = 1 << 16

// topk measures the choice of the best scores against sorting a copy.
func (b *bench) topk(c workload) (result, error) {
	const arrays = 16 // so that branches cannot be learnt
	seed := uint64(4)
	set, err := b.planesFor(4*topScores, arrays*4*topScores, func([]byte) {})
	if err != nil {
		return result{}, err
	}
	set.perUnit = 1
	for _, p := range set.planes {
		seed++
		copy(floatsOf(p), normals(topScores, seed))
	}
	scores := func(u int) []float32 { return floatsOf(set.unit(u)[0]) }
	dst, scratch, sorted := make([]int32, c.rows), make([]uint32, 2*topScores),
		make([]float32, topScores)
	t := b.team[c.threads]
	ours := &variant{run: func(first, n int) {
		for u := first; u < first+n; u++ {
			kernels.TopK(dst, scores(u), scratch)
		}
	}}
	sort := &variant{run: func(first, n int) {
		for u := first; u < first+n; u++ {
			copy(sorted, scores(u))
			slices.Sort(sorted)
		}
	}}
	read := b.reader(set, t)
	if err := b.interleave(set.units(), ours, sort, read); err != nil {
		return result{}, err
	}
	r := b.result(c, set, ours, read, 0)
	r.K, r.Rows, r.RatioToSort = c.rows, 1, jsonNumber(best(sort)/best(ours))
	return r, nil
}
