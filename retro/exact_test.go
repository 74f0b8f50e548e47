package retro

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
)

// Exact rows attend to everything before them, whatever they come with, and what is sparse after
// them is as after a prompt that the host computed.
func TestExactRows(t *testing.T) {
	for trial := range trials(48) {
		rng := rand.New(rand.NewPCG(uint64(trial), 21))
		opt := testOptions()
		opt.Window = []int{1, 2, 8}[trial%3]
		opt.Select = options.Selector(rng.IntN((int(options.Oracle) + 1)))
		varySelector(&opt, rng)
		varyOptions(&opt, rng)
		kv := 1 + rng.IntN(3)
		sh := shape{layers: 2, seqs: 3, cells: 3000, kv: kv, heads: kv * (1 + rng.IntN(4)),
			dk: 32 * (1 + rng.IntN(2)), dv: 32 * (1 + rng.IntN(2)),
			tk: kernels.Types[rng.IntN(5)], tv: kernels.Types[rng.IntN(5)], sinks: rng.IntN(3) == 0}
		if rng.IntN(3) == 0 {
			sh.softCap = 3
		}
		if rng.IntN(2) == 0 {
			sh.rotation = 32
		}
		t.Run(fmt.Sprintf("%v/%+v", opt, sh), func(t *testing.T) {
			h := newHost(t, sh, opt, 1+trial%3, uint64(trial))
			check, exact := checkUnion(h), 0
			for step := range 12 {
				var rows []Row
				for s := range int32(sh.seqs) {
					n := 1 + rng.IntN([]int{4, 20, 170}[rng.IntN(3)])
					if len(h.table[s]) > 300 && rng.IntN(2) == 0 {
						rows = append(rows, h.lone([]int32{s})...)
						continue
					}
					rows = append(rows, h.exactRows(s, n)...)
					exact += n
				}
				h.compute(rows, check)
				if step%3 == 2 { // drafts are rejected
					h.truncate(0, h.table[0][len(h.table[0])-1-rng.IntN(min(40,
						len(h.table[0])))].pos)
				}
			}
			h.prefill(1, 250)
			h.compute(h.exactRows(1, 70), check)
			for range 5 {
				h.decode([]int32{1}, check)
			}
			st := h.e.Stats()
			require.EqualValues(t, exact+70, st.ExactTokens)
			require.NotZero(t, st.SparseTokens)
		})
	}
}

// Blocks of rows are of about one size: one of a few rows would convert all keys for them alone.
func TestExactBlocksAreEven(t *testing.T) {
	for _, gqa := range []int{1, 3, 4, 8, 16, 300} {
		l := &layer{Layer: Layer{KVHeads: 3}, gqa: gqa}
		for n := 1; n <= 2048; n++ {
			c := cutRows(n, 4096+n, l)
			last := n - (c.blocks-1)*c.tokens
			require.True(t, 0 < last && last <= c.tokens && last > c.tokens-c.blocks &&
				c.tokens*gqa <= max(exactRows, gqa), "%d tokens of %d heads: %+v", n, gqa, c)
		}
	}
}

// Ranges hold all entries, none of them nothing, and units are about as many as are wanted.
func TestExactRanges(t *testing.T) {
	for _, heads := range []int{1, 2, 3, 5, 8} {
		for _, gqa := range []int{1, 3, 8} {
			l := &layer{Layer: Layer{KVHeads: heads}, gqa: gqa}
			for _, n := range []int{1, 8, 60, 85, 512, 2048} {
				for entries := n; entries < 40000; entries += 1 + entries/50 {
					c := cutRows(n, entries, l)
					require.True(t, c.ranges*c.per >= entries && (c.ranges-1)*c.per < entries,
						"%d of %d: %+v", n, entries, c)
					units, most := c.ranges*c.blocks*heads/c.heads, exactUnits/(c.blocks*heads)
					switch {
					case n*gqa <= readRows:
						require.LessOrEqual(t, c.ranges, exactRanges)
					case most > 1 && entries >= exactRange*most:
						wanted := most * c.blocks * heads
						require.True(t, c.per%exactRange == 0 && units*3 >= wanted*2 && units*2 <= wanted*3+
							2*c.blocks*heads, "%d of %d: %d units of %d: %+v", n, entries, units, wanted, c)
					}
				}
			}
		}
	}
}

// Company and threads change no bit.
func TestExactAloneAndInCompany(t *testing.T) {
	run := func(threads int, seqs ...int32) map[key][]float32 {
		h := newHost(t, plainShape, testOptions(), threads, 5)
		for _, n := range []int{200, 90, 7} {
			var rows []Row
			for _, s := range seqs {
				rows = append(rows, h.exactRows(s, n+int(s))...)
			}
			h.compute(rows, nil)
		}
		h.decode(seqs[:1], nil)
		require.EqualValues(t, 1, h.e.Stats().SparseTokens)
		return h.out
	}
	together := run(1, 0, 1)
	require.Equal(t, together, run(3, 0, 1))
	for k, x := range run(2, 1) {
		if len(together[k]) > 0 {
			require.Equal(t, x, together[k], "%+v", k)
		}
	}
}

// The token after a prompt finds the summaries built.
func TestExactRowsBuildSummaries(t *testing.T) {
	for _, text := range []string{"select=tokens", "select=pages,groups=1",
		"select=minmax,page=8"} {
		opt, err := options.Parse("budget=64,min_ctx=0,local=32,window=1," + text)
		require.NoError(t, err)
		h := newHost(t, plainShape, opt, 3, 5)
		h.prefill(0, 500) // of before
		for _, n := range []int{1, 300, 15, 2, 200} {
			h.compute(h.exactRows(0, n), nil)
			far := (len(h.table[0]) + 1 - opt.Local) / opt.Page
			for head, built := range h.e.seqs[0].summed {
				require.EqualValues(t, far, built, "head %d after %d", head, n)
			}
		}
	}
}

// A step that fails leaves nothing behind.
func TestExactStepFails(t *testing.T) {
	h := newHost(t, plainShape, testOptions(), 1, 5)
	h.prefill(0, 400)
	h.decode([]int32{0}, nil)
	before, next := h.e.Stats(), int32(401)
	var rows []Row
	for i := range int32(100) {
		rows = append(rows, Row{Seq: 0, Pos: next + i, Cell: h.free[i], Exact: 1})
	}
	x := make([]float32, len(rows)*plainShape.heads*plainShape.dk)
	require.NoError(t, h.e.StepBegin(rows, 1))
	a := h.attn(0, len(rows), x, x)
	require.NoError(t, h.e.Select(&a, 0, 1))
	require.NoError(t, h.e.StepEnd(false))
	got, err := h.e.SeqNext(0)
	require.NoError(t, err)
	require.Equal(t, next, got)
	require.Equal(t, before.ExactTokens, h.e.Stats().ExactTokens)
	for _, n := range h.e.seqs[0].summed {
		require.LessOrEqual(t, int(n)*h.e.opt.Page, 401,
			"what is written there next is another key")
	}
	h.compute(h.exactRows(0, 120), checkUnion(h))
	h.decode([]int32{0}, checkUnion(h))
}

// What is not finite in a later row's values is not seen by the rows before it.
func TestExactRowsSeeNothingLater(t *testing.T) {
	for _, n := range []int{3, 8, 40} {
		h := newHost(t, plainShape, testOptions(), 1, 5)
		h.prefill(0, 300)
		rows := h.exactRows(0, n)
		for l := range plainShape.layers {
			row := plainShape.kv * plainShape.vRow()
			last := h.v[l][int(rows[n-1].Cell)*row:][:row]
			for i := range last {
				last[i] = 0xff // NaN
			}
		}
		h.compute(rows, func(layer int, rows []Row, out []float32) {
			h.checkExact(layer, rows[:n-1], out)
		})
	}
}

// Steps of the same size use the room of those before.
func TestExactStepsDoNotAllocate(t *testing.T) {
	h := newHost(t, plainShape, testOptions(), 1, 5)
	h.prefill(0, 1500)
	const n = 8
	q, out := make([]float32, n*plainShape.heads*plainShape.dk),
		make([]float32, n*plainShape.heads*plainShape.dv)
	rows := make([]Row, n)
	require.Zero(t, testing.AllocsPerRun(20, func() {
		for i := range rows {
			rows[i] = Row{Seq: 0, Pos: int32(1500 + i), Cell: h.free[i], Exact: 1}
		}
		if err := h.e.StepBegin(rows, 1); err != nil {
			t.Fatal(err)
		}
		for l := range plainShape.layers {
			a := h.attn(l, n, q, out)
			if err := h.e.Select(&a, 0, 1); err != nil {
				t.Fatal(err)
			}
			if err := h.e.Attend(&a, 0, 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.e.StepEnd(true); err != nil {
			t.Fatal(err)
		}
		if err := h.e.SeqTruncate(0, 1500); err != nil {
			t.Fatal(err)
		}
	}))
}

// manyRows tells whether an exact row is in a block of many.
func (h *host) manyRows(layer int, row Row) bool {
	for i := range h.e.step.seqs {
		if q := &h.e.step.seqs[i]; q.id == int(row.Seq) {
			x, j := &q.exact, &q.exact.jobs[layer]
			at := int(row.Pos-h.table[row.Seq][x.first].pos) / j.tokens * j.tokens
			return min(j.tokens, x.n-at)*h.e.layers[layer].gqa > fewRows
		}
	}
	return false
}

// checkExact holds that each exact row attends to everything before it and to itself.
func (h *host) checkExact(layer int, rows []Row, out []float32) {
	sh := h.shape
	defer func(was bool) { h.unrounded = was }(h.unrounded)
	for r, row := range rows {
		if row.Exact == 0 {
			continue
		}
		k := key{row.Seq, row.Pos, int32(layer)}
		h.unrounded = h.manyRows(layer, row)
		tol := 2e-5
		if h.unrounded && kernels.ISA() == "amx" { // two bf16 each: an F16 of 2.5 is off by eight times as much
			tol = 0x1p-13
		}
		for hd := range sh.heads {
			got := out[(r*sh.heads+hd)*sh.dv:][:sh.dv]
			requireClose(h.t, h.exact(k, hd, func(int) bool { return true }), got, tol,
				fmt.Sprintf("%+v head %d", k, hd))
		}
	}
}
