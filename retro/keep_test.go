package retro

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
)

// keeper is a host whose selection has groups.
func keeper(t *testing.T, window int) *host {
	opt := testOptions()
	opt.Page, opt.Local, opt.Budget, opt.Candidates, opt.Groups = 16, 64, 32, 2, 2
	opt.Window, opt.Period, opt.Need = window, window, true
	sh := shape{layers: 3, seqs: 2, cells: 4000, kv: 2, heads: 4, dk: 8, dv: 8, tk: kernels.F16,
		tv: kernels.F16}
	return newHost(t, sh, opt, 2, 7)
}

// chosen decodes a token, and tells which layers took the groups of the one before.
func (h *host) chosen(seq int32) (reuse []bool) {
	h.decode([]int32{seq}, nil)
	for l := range h.shape.layers {
		claims := h.e.jobs[l].claims[:h.shape.kv]
		reuse = append(reuse, claims[0].reuse)
		for i := range claims {
			require.Equal(h.t, claims[0].reuse, claims[i].reuse)
		}
	}
	return reuse
}

var noLayer = []bool{false, false, false}

// takenAt are the layers that take the groups of the token before an entry: one in keepSteps scores
// all pages.
func takenAt(entry int) (reuse []bool) {
	for l := range noLayer {
		reuse = append(reuse, (entry+l)%keepSteps != 0)
	}
	return reuse
}

// Layers take turns; what changes the past, or comes between, makes all of them score all pages.
func TestKeptGroups(t *testing.T) {
	h := keeper(t, 1)
	h.prefill(0, 2000)
	last := func() int32 { return h.table[0][len(h.table[0])-1].pos }
	require.Equal(t, noLayer, h.chosen(0), "the first")
	for entry := 2001; entry < 2010; entry++ {
		require.Equal(t, takenAt(entry), h.chosen(0), "entry %d", entry)
	}
	h.truncate(0, last())
	require.Equal(t, noLayer, h.chosen(0), "the context decodes as it did at first")

	h.prefill(0, 2)
	require.Equal(t, noLayer, h.chosen(0), "tokens came between")
	h.compute(h.exactRows(0, 1), nil)
	require.Equal(t, noLayer, h.chosen(0), "an exact one came between")

	for (len(h.table[0])+1-64)%256 != 0 {
		h.chosen(0)
	}
	require.Equal(t, noLayer, h.chosen(0), "another group is whole")
	require.Equal(t, takenAt(len(h.table[0])), h.chosen(0))

	h.prefill(1, 1500)
	require.Equal(t, noLayer, h.chosen(1), "of another sequence nothing is known")
}

// Drafts that are rolled back, and steps that fail, leave nothing behind.
func TestKeptGroupsRollback(t *testing.T) {
	h := keeper(t, 1)
	h.prefill(0, 2000)
	h.chosen(0)
	n := len(h.table[0])
	pos := h.table[0][n-1].pos
	require.NoError(t, h.e.StepBegin([]Row{{Seq: 0, Pos: pos + 1, Cell: h.free[0]}}, 1))
	x := make([]float32, h.shape.heads*h.shape.dk)
	for l := range h.shape.layers { // in vain
		a := h.attn(l, 1, x, x)
		require.NoError(t, h.e.Select(&a, 0, 1))
		require.NoError(t, h.e.Attend(&a, 0, 1))
	}
	require.NoError(t, h.e.StepEnd(false))
	for i := range h.e.seqs[0].kept {
		for _, list := range h.e.seqs[0].kept[i].lists() {
			require.Less(t, list.entry, n, "head %d", i)
		}
	}
	for range 4 {
		h.compute([]Row{h.draft(0)}, nil)
	}
	h.truncate(0, pos+1)
	h.compute(h.exactRows(0, 4), nil)
	require.Equal(t, noLayer, h.chosen(0))
}

// draft is the row of a new token that will be taken back.
func (h *host) draft(seq int32) Row {
	rows := h.lone([]int32{seq})
	rows[0].Draft = 1
	return rows[0]
}

// What was saved goes on as if it had not been, with the groups that were kept.
func TestKeptGroupsSaved(t *testing.T) {
	for steps := range 4 {
		a := keeper(t, 4)
		a.prefill(0, 2000)
		for range 2 + steps {
			a.decode([]int32{0}, nil)
		}
		data := a.save(0, "")
		b := newHost(t, a.shape, a.e.opt, 1, 8)
		b.fill(0, a)
		_, err := b.e.SeqLoad(0, data)
		require.NoError(t, err)
		require.Equal(t, data, b.save(0, ""))
		require.Equal(t, takenAt(len(b.table[0])), b.chosen(0))
		a.decode([]int32{0}, nil)
		for _, k := range a.emitted {
			require.Equal(t, a.out[k], b.out[k], "%d steps, %+v", steps, k)
		}
		sameSteps(t, a, b, 5)
	}
}

// Lists that are not what a selection leaves are refused.
func TestKeptRefused(t *testing.T) {
	a := keeper(t, 1)
	a.prefill(0, 2000)
	a.decode([]int32{0}, nil)
	many := make([]int32, 200)
	for i := range many {
		many[i] = int32(i)
	}
	for name, numbers := range map[string][]int32{"order": {3, 1}, "twice": {1, 1},
		"range": {1, 999}, "many": many} {
		for _, list := range a.e.seqs[0].kept[1].lists() {
			was := list.of
			list.of = numbers
			data := a.save(0, "")
			list.of = was
			b := newHost(t, a.shape, a.e.opt, 1, 8)
			b.fill(0, a)
			_, err := b.e.SeqLoad(0, data)
			require.ErrorContains(t, err, "does not fit", name)
		}
	}
}

// Pages in which a token found much are those of candidates with a large share, and candidates of
// the next token, also where groups are kept.
func TestFoundPages(t *testing.T) {
	for _, groups := range []int{0, 2} {
		h := keeper(t, 1)
		h.e.opt.Groups, h.e.opt.Candidates = groups, 8
		h.prefill(0, 3900) // 15 whole groups
		before, reused, noted := make([][]int32, len(h.e.seqs[0].kept)), 0, 0
		for range 12 {
			h.decode([]int32{0}, func(layer int, _ []Row, _ []float32) {
				l, q := &h.e.layers[layer], &h.e.step.seqs[0]
				for head := range l.KVHeads {
					it, k := &h.e.items[head], l.headOff+head
					for _, page := range before[k] {
						if group := page / groupPages; !h.e.jobs[layer].claims[head].reuse ||
							slices.Contains(it.groups, group) {
							require.Contains(t, it.pages, page)
							continue
						}
						require.Equal(t, page%groupPages, int32(0), "only what follows a group is new")
					}
					if h.e.jobs[layer].claims[head].reuse {
						reused++
					}
					want := foundIn(it, h.e.opt.Page)
					found := h.e.seqs[0].kept[k].found
					require.Equal(t, q.newest().entry, found.entry)
					require.LessOrEqual(t, len(found.of), q.cuts[layer].found())
					require.Subset(t, want, found.of)
					if len(want) <= q.cuts[layer].found() {
						require.Len(t, found.of, len(want))
					}
					before[k] = slices.DeleteFunc(slices.Clone(found.of),
						func(page int32) bool { return int(page) >= q.newest().local })
					noted += len(before[k])
				}
			})
		}
		require.NotZero(t, noted)
		require.Equal(t, groups > 0, reused > 0)
	}
}

// foundIn are the pages that are to be noted of an item by need.
func foundIn(it *item, size int) (pages []int32) {
	for i, page := range it.pages {
		for j, share := range it.tokens[i*size : (i+1)*size] {
			if share < logFound {
				continue
			}
			pages = append(pages, page)
			if j == size-1 {
				pages = append(pages, page+1)
			}
		}
	}
	return slices.Compact(pages)
}

// A page in which something was found is a candidate even if its score is low, of kept groups, too;
// not without a token right before, and not if there are too many.
func TestFoundPageIsCandidate(t *testing.T) {
	for _, groups := range []int{0, 2} {
		for _, c := range []struct {
			gap, more int
			candidate bool
		}{{0, 0, true}, {1, 0, false}, {0, 99, false}} {
			h := keeper(t, 1)
			h.e.opt.Groups = groups
			h.prefill(0, 2001)
			h.decode([]int32{0}, nil)
			kept := &h.e.seqs[0].kept[0]
			absent := int32(1)
			if groups > 0 {
				absent = max(1, kept.groups.of[0]*groupPages)
			}
			for slices.Contains(h.e.items[0].pages, absent) {
				absent++
			}
			kept.found.of = []int32{absent}
			for i := range c.more {
				kept.found.of = append(kept.found.of, absent+1+int32(i))
			}
			kept.found.entry -= c.gap
			seen, reuse := false, false
			h.decode([]int32{0}, func(layer int, _ []Row, _ []float32) {
				if layer == 0 {
					seen = slices.Contains(h.e.items[0].pages, absent)
					reuse = h.e.jobs[0].claims[0].reuse
				}
			})
			require.Equal(t, c.candidate, seen, "%d groups, %+v", groups, c)
			require.Equal(t, groups > 0, reuse)
		}
	}
}
