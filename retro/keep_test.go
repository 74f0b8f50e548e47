package retro

import (
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
	for i, k := range h.e.seqs[0].kept {
		require.Less(t, k.entry, n, "head %d", i)
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

// Kept groups that are not what a selection leaves are refused.
func TestKeptGroupsRefused(t *testing.T) {
	a := keeper(t, 1)
	a.prefill(0, 2000)
	a.decode([]int32{0}, nil)
	for name, groups := range map[string][]int32{"order": {3, 1}, "twice": {1, 1}, "range": {1, 99},
		"many": {0, 1, 2, 3, 4, 5, 6, 7}} {
		kept := &a.e.seqs[0].kept[1]
		was := kept.groups
		kept.groups = groups
		data := a.save(0, "")
		kept.groups = was
		b := newHost(t, a.shape, a.e.opt, 1, 8)
		b.fill(0, a)
		_, err := b.e.SeqLoad(0, data)
		require.ErrorContains(t, err, "does not fit", name)
	}
}
