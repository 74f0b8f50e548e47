package retro

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
)

func testOptions() options.Options {
	o := options.Default()
	o.Budget, o.Window, o.Period, o.MinCtx, o.Local = 64, 2, 1, 0, 32
	o.Need = false // what is read is known then
	return o
}

// checkUnion holds, for every row of every step, that the output is exact
// attention over sink, own local window and the union of the tokens seen
// (invariant 2). It keeps its own record of what was seen.
func checkUnion(h *host) func(layer int, rows []Row, out []float32) {
	sh := h.shape
	return func(layer int, rows []Row, out []float32) {
		h.checkExact(layer, rows, out)
		l := &h.e.layers[layer]
		for i := range h.e.step.seqs {
			q := &h.e.step.seqs[i]
			if q.exact.n > 0 {
				continue
			}
			for kv := range sh.kv {
				it := &h.e.items[i*sh.kv+kv]
				if c := q.cuts[layer]; !it.exact && !h.e.opt.Need {
					require.Len(h.t, it.entries, c.budget)
				}
				for r := range q.rows {
					view := q.views[r]
					k := key{int32(q.id), h.table[int32(q.id)][view.entry].pos, int32(layer)}
					if h.seen[k] == nil {
						h.seen[k] = make([]map[int32]bool, sh.kv)
					}
					if h.seen[k][kv] == nil {
						h.seen[k][kv] = map[int32]bool{}
					}
					for _, t := range it.entries {
						if int(t) < view.local*h.e.opt.Page {
							h.seen[k][kv][t] = true
						}
					}
					if r < q.emit {
						continue
					}
					row := q.firstRow + r - q.emit
					require.Equal(h.t, k.pos, rows[row].Pos)
					see := func(e int) bool {
						p := e / h.e.opt.Page
						return it.exact || p == 0 || p >= view.local || h.seen[k][kv][int32(e)]
					}
					for g := range l.gqa {
						hd := kv*l.gqa + g
						got := out[(row*sh.heads+hd)*sh.dv:][:sh.dv]
						requireClose(h.t, h.exact(k, hd, see), got, 2e-5,
							fmt.Sprintf("%+v head %d of row %d/%d", k, hd, r, q.rows))
					}
				}
			}
		}
	}
}

// trials is how many cases of so many run: fewer in passes that repeat them, and least where each
// takes long.
func trials(n int) int {
	switch {
	case !testing.Short():
		return n
	case raceEnabled || runtime.GOARCH != "amd64": // perhaps emulated
		return n / 16
	}
	return n / 4
}

func TestUnionInvariant(t *testing.T) {
	for trial := range trials(64) {
		rng := rand.New(rand.NewPCG(uint64(trial), 9))
		opt := testOptions()
		opt.Page = []int{8, 16, 32}[rng.IntN(3)]
		opt.Window = []int{1, 2, 3, 8, 16}[trial%5]
		opt.Period = 1 + rng.IntN(opt.Window)
		opt.Select = options.Selector(rng.IntN((int(options.Oracle) + 1)))
		varySelector(&opt, rng)
		opt.Budget = options.Budget(opt.Page * (1 + rng.IntN(5)))
		if rng.IntN(4) == 0 {
			opt.Budget = 0.2
		}
		varyOptions(&opt, rng)
		kv := 1 + rng.IntN(3)
		sh := shape{layers: 2, seqs: 3, cells: 2000, kv: kv, heads: kv * (1 + rng.IntN(4)),
			dk: 8 * (1 + rng.IntN(6)), dv: 8 * (1 + rng.IntN(6)),
			tk: kernels.Types[rng.IntN(5)], tv: kernels.Types[rng.IntN(5)], sinks: rng.IntN(3) == 0}
		if sh.tk.Quantised() {
			sh.dk = 32 * (1 + rng.IntN(2))
		}
		if sh.tv.Quantised() {
			sh.dv = 32 * (1 + rng.IntN(2))
		}
		if rng.IntN(3) == 0 {
			sh.softCap = 3
		}
		if sh.dk%32 == 0 && rng.IntN(2) == 0 {
			sh.rotation = 32
		}
		t.Run(fmt.Sprintf("%v/%+v", opt, sh), func(t *testing.T) {
			h := newHost(t, sh, opt, 1+trial%3, uint64(trial))
			var seqs []int32
			for s := range int32(1 + rng.IntN(sh.seqs)) {
				seqs = append(seqs, s)
				h.prefill(s, 300+rng.IntN(200))
			}
			check := checkUnion(h)
			for step := range 30 {
				if step == 15 { // a tail is taken back, and a step that is not ours
					h.truncate(0, h.table[0][len(h.table[0])-3].pos)
					h.prefill(seqs[len(seqs)-1], 2)
				}
				h.decode(seqs, check)
			}
			st := h.e.Stats()
			require.NotZero(t, st.SparseTokens)
			if opt.Window > 1 && opt.Select != options.Streaming {
				require.NotZero(t, st.CorrectedTokens)
				require.NotZero(t, st.SupplementTokens)
				require.Greater(t, st.Figures().Exposure, 1.0)
			}
			require.LessOrEqual(t, st.KVReadBytes, st.KVFullBytes)
		})
	}
}

// varySelector draws what only some selectors have.
func varySelector(o *options.Options, rng *rand.Rand) {
	o.SummaryBits, o.CodeBits, o.Candidates = 8*(1+rng.IntN(2)), 1+rng.IntN(2), 1+rng.IntN(8)
	o.Need = rng.IntN(3) == 0
	if o.Select == options.Tokens {
		o.Page = kernels.CodeTokens
		o.Local = max(o.Local, o.Page)
	}
}

// varyOptions switches on, now and then, what changes which pages are read and when.
func varyOptions(o *options.Options, rng *rand.Rand) {
	some := func() bool { return rng.IntN(3) == 0 }
	o.Audit = rng.IntN(4)
	if o.Groups = 1 + rng.IntN(3); some() {
		o.Groups = 0
	}
	if some() {
		o.CorrectBudget = options.Budget(o.Page * (1 + rng.IntN(8)))
	}
	if some() {
		o.LayerBudget = []string{"1:48", "0:0.1", "0-1:all/1:64"}[rng.IntN(3)]
	}
}

// Invariant 1 on the engine: a budget that covers the context is exact attention
// and says so, also with the window rewritten.
func TestBudgetCoversContext(t *testing.T) {
	for _, window := range []int{1, 4} {
		opt := testOptions()
		opt.Budget, opt.Window, opt.Always = 4096, window, true
		h := newHost(t, shape{layers: 1, seqs: 2, cells: 1500, heads: 3, kv: 1, dk: 64, dv: 64,
			tk: kernels.F16, tv: kernels.F16}, opt, 2, 3)
		h.prefill(0, 600)
		h.prefill(1, 5)
		for range 12 {
			h.decode([]int32{0, 1}, checkUnion(h))
		}
		st := h.e.Stats()
		require.Zero(t, st.SparseTokens)
		require.Zero(t, st.SelectedTokens)
		require.Equal(t, st.KVFullBytes, st.KVReadBytes)
		require.EqualValues(t, 24, st.Tokens)
		if window > 1 {
			require.NotZero(t, st.RewrittenTokens)
		}
	}
}

var plainShape = shape{layers: 2, seqs: 4, cells: 4000, heads: 6, kv: 2, dk: 32, dv: 32,
	tk: kernels.F16, tv: kernels.F16}

// decodeSteps decodes n steps of the given sequences and returns the newest outputs.
func decodeSteps(t *testing.T, opt options.Options, threads int, seqs []int32, steps int) (*host,
	map[key][]float32) {
	h := newHost(t, plainShape, opt, threads, 5)
	for _, s := range seqs {
		h.prefill(s, 300+40*int(s))
	}
	newest := map[key][]float32{}
	for range steps {
		h.decode(seqs, nil)
		for _, k := range h.emitted {
			if last := h.table[k.seq]; k.pos == last[len(last)-1].pos {
				newest[k] = h.out[k]
			}
		}
	}
	return h, newest
}

// Invariant 3: correction does not touch the newest token's own attention. (The
// fixed keys and values of this host take away the one way in which it may: by
// revising the keys and values of past tokens.) Pages that past tokens take up are
// read first, so sums are rounded otherwise.
func TestCorrectionLeavesNewestAlone(t *testing.T) {
	one, many := testOptions(), testOptions()
	one.Window = 1
	many.Window, many.Period = 8, 3
	_, a := decodeSteps(t, one, 1, []int32{0, 1}, 20)
	h, b := decodeSteps(t, many, 1, []int32{0, 1}, 20)
	require.NotZero(t, h.e.Stats().CorrectedTokens)
	require.Len(t, b, len(a))
	for k, x := range a {
		for i := range x {
			require.InDelta(t, x[i], b[k][i], 2e-6)
		}
	}
}

// Invariant 4: with unchanged queries, a token corrected late has the output of
// one that was corrected on every step.
func TestDeferredEqualsPlainWindow(t *testing.T) {
	plain, deferred := testOptions(), testOptions()
	plain.Window, deferred.Window, deferred.Period = 8, 8, 5
	hp := newHost(t, plainShape, plain, 1, 5)
	hd := newHost(t, plainShape, deferred, 1, 5)
	hp.prefill(0, 400)
	hd.prefill(0, 400)
	corrected := 0
	for range 25 {
		hp.decode([]int32{0}, nil)
		hd.decode([]int32{0}, nil)
		for _, k := range hd.emitted {
			for i, x := range hd.out[k] {
				require.InDelta(t, hp.out[k][i], x, 1e-5)
			}
		}
		if len(hd.emitted) > plainShape.layers {
			corrected++
		}
	}
	require.GreaterOrEqual(t, corrected, 4)
	require.Less(t, corrected, 7)
}

// Invariant 6, bit for bit: company and threads change nothing.
func TestSameAloneAndInCompany(t *testing.T) {
	opt := testOptions()
	opt.Window, opt.Period = 4, 2
	_, together := decodeSteps(t, opt, 1, []int32{0, 1, 2, 3}, 15)
	_, threaded := decodeSteps(t, opt, 4, []int32{0, 1, 2, 3}, 15)
	require.Equal(t, together, threaded)
	for s := range int32(4) {
		_, alone := decodeSteps(t, opt, 2, []int32{s}, 15)
		require.NotEmpty(t, alone)
		for k, x := range alone {
			require.Equal(t, x, together[k], "%+v", k)
		}
	}
}

// Forgetting everything and resynchronising is only slower, never wrong.
func TestRebuild(t *testing.T) {
	opt := testOptions()
	h := newHost(t, plainShape, opt, 1, 5)
	h.prefill(0, 500)
	check := checkUnion(h)
	for step := range 12 {
		if cut := int32(100 * step); step%4 == 3 {
			require.NoError(t, h.e.SeqTruncate(-1, cut))
			h.sync(0)
			next := h.table[0][len(h.table[0])-1].pos + 1
			w, err := h.e.SeqWindow(0, next)
			require.NoError(t, err)
			require.Equal(t, cut >= next, w > 0, "the ring survives only if nothing was cut")
			if cut < next {
				clear(h.seen)
			}
		}
		h.decode([]int32{0}, check)
	}
}

func TestFailedStep(t *testing.T) {
	opt := testOptions()
	h := newHost(t, plainShape, opt, 1, 5)
	h.prefill(0, 400)
	h.decode([]int32{0}, nil)
	before := h.e.Stats()
	n := len(h.table[0])
	next := h.table[0][n-1].pos + 1
	require.NoError(t, h.e.StepBegin([]Row{{Seq: 0, Pos: next, Cell: h.free[0]}}, 1))
	require.NoError(t, h.e.StepEnd(false))
	got, err := h.e.SeqNext(0)
	require.NoError(t, err)
	require.Equal(t, next, got)
	require.Equal(t, before.Tokens, h.e.Stats().Tokens)
	w, err := h.e.SeqWindow(0, next)
	require.NoError(t, err)
	require.Zero(t, w, "the window is reset")
	h.decode([]int32{0}, checkUnion(h))
}

func TestStepsDoNotAllocate(t *testing.T) {
	for _, text := range []string{"period=1", "period=4", "groups=1",
		"groups=1,page=8,select=pages", "code_bits=1,candidates=2", "period=4,correct_budget=128",
		"audit=1", "select=oracle,audit=3"} {
		opt, err := options.Parse("budget=64,min_ctx=0,local=32,window=4," + text)
		require.NoError(t, err)
		sh := plainShape
		h := newHost(t, sh, opt, 1, 5)
		h.prefill(0, 1000)
		for range 40 {
			h.decode([]int32{0}, nil)
		}
		q, out := make([]float32, opt.Window*sh.heads*sh.dk),
			make([]float32, opt.Window*sh.heads*sh.dv)
		rows := make([]Row, 0, opt.Window)
		table := make([]entry, 0, 4000)
		table = append(table, h.table[0]...)
		pos := table[len(table)-1].pos
		require.Zero(t, testing.AllocsPerRun(200, func() {
			pos++
			w, err := h.e.SeqWindow(0, pos)
			if err != nil {
				t.Fatal(err)
			}
			table = append(table, entry{pos: pos, cell: int32(len(table))})
			rows = rows[:0]
			for _, e := range table[len(table)-1-w:] {
				rows = append(rows, Row{Seq: 0, Pos: e.pos, Cell: e.cell})
			}
			if err := h.e.StepBegin(rows, 1); err != nil {
				t.Fatal(err)
			}
			for l := range sh.layers {
				a := h.attn(l, len(rows), q, out)
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
		}))
	}
}
