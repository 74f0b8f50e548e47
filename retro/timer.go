package retro

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
	"github.com/retroattn/retroattn/retro/stats"
)

// A timer runs steps of an engine of its own on the keys and values of the registered
// layers, wherever they may lie and whatever they hold: one sequence of tokens that is
// spread over all cells. Queries, page summaries and codes are random, so that every
// step reads other tokens (the cache of a host that has just started holds zeros, and of
// equal pages the first would be chosen), and the caches are emptied between steps, as
// the weights of the dense layers do it in a real one.
type timer struct {
	*Engine
	depth   int
	team    *team
	rng     *rand.Rand
	queries []float32 // steps take theirs from random places in it
	out     []float32
	cache   []byte
	timings []plan.Timing
}

const cacheBytes = 32 << 20

func (e *Engine) newTimer(start plan.Start) (plan.Timer, error) {
	t := &timer{depth: start.Depth, rng: rand.New(rand.NewPCG(1, 2)),
		cache: make([]byte, cacheBytes), timings: make([]plan.Timing, len(e.layers))}
	opt := e.opt
	opt.Planning, opt.MinCtx, opt.Audit = options.Planning{}, 0, 0
	opt.Always, opt.Whole, opt.CorrectBudget = false, false, 0
	opt.Window, opt.Period = start.Window, 1
	var err error
	t.Engine, err = Open(Config{Layers: e.cfg.Layers, Seqs: 1, Cells: e.cfg.Cells, Rows: opt.Window,
		Threads: start.Threads, Room: e.cfg.Room}, opt)
	if err != nil {
		return nil, err
	}
	heads, dim := 0, 0
	for i := range e.layers {
		l := e.layers[i].Layer
		if err := t.AddLayer(i, l); err != nil {
			return nil, err
		}
		heads, dim = max(heads, l.Heads), max(dim, l.DK, l.DV)
	}
	t.queries = make([]float32, 2*opt.Window*heads*dim)
	for i := range t.queries {
		t.queries[i] = 2*t.rng.Float32() - 1
	}
	t.out = make([]float32, start.Threads*opt.Window*heads*dim)
	for i := range t.cache {
		t.cache[i] = byte(i)
	}
	t.team = newTeam(start.Threads)
	if err := t.prime(); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close ends the threads and gives the memory back.
func (t *timer) Close() {
	t.team.stop()
	t.Engine = nil
	debug.FreeOSMemory()
}

// prime makes the sequence, and summaries and codes from random keys.
func (t *timer) prime() error {
	pos, cells := make([]int32, t.depth), make([]int32, t.depth)
	for i := range pos {
		page := i / t.opt.Page
		pos[i], cells[i] = int32(i), int32(page*t.cfg.Cells/t.depth*t.opt.Page+i%t.opt.Page)
		if cells[i] >= int32(t.cfg.Cells) {
			cells[i] = int32(i)
		}
	}
	if err := t.SeqExtend(0, pos, cells); err != nil {
		return err
	}
	if t.sumBlock == 0 { // nothing is scored by summaries
		return nil
	}
	pages := t.viewAt(t.depth, false, t.cuts).local
	t.roomForSummaries(t.seqs[0], pages)
	keys := make([]float32, 2*t.opt.Page*maxHeadDim)
	for i := range keys { // +-0.5..1
		keys[i] = (0.5 + t.rng.Float32()/2) * float32(1-2*t.rng.IntN(2))
	}
	return t.team.run(func(ith int) error {
		rng := rand.New(rand.NewPCG(3, uint64(ith)))
		for i := ith; i < len(t.layers); i += t.team.threads {
			t.summariseAll(&t.workers[ith], &t.layers[i], pages, keys, rng)
		}
		return nil
	})
}

// summariseAll makes the summaries of a layer from random parts of keys.
func (t *timer) summariseAll(w *worker, l *layer, pages int, keys []float32, rng *rand.Rand) {
	s := t.seqs[0]
	for h := range l.KVHeads {
		for p := range pages {
			for j := range l.parts {
				n := t.opt.Page * l.parts[j].dim
				x := w.page[:n]
				copy(x, keys[rng.IntN(len(keys)-n):])
				t.summarise(w, s, &l.parts[j], h, p, x)
			}
		}
		s.summed[l.headOff+h] = int32(pages)
	}
}

// Fill is of plan.Timer.
func (t *timer) Fill(window, budget int) error {
	t.opt.Window = window
	if err := t.SeqTruncate(0, int32(t.depth)); err != nil {
		return err
	}
	t.seqs[0].ring.reset()
	t.set(budget)
	for range window - 1 {
		if err := t.decode(0); err != nil {
			return err
		}
	}
	return nil
}

// set chooses the budget of the next steps.
func (t *timer) set(budget int) {
	t.opt.Budget = options.Budget(budget)
	t.budgets = t.opt.LayerBudgets(len(t.layers))
}

// Step is of plan.Timer.
func (t *timer) Step(x plan.Step) ([]plan.Timing, error) {
	for i := 0; i < len(t.cache); i += 64 {
		t.cache[i]++
	}
	t.set(x.Budget)
	t.seqs[0].forgetKept(0)
	if err := t.decode(x.Past); err != nil || !t.keeps() {
		return t.timings, err
	}
	// In that step all layers scored all pages, in the next one most of them do not: as many as when
	// decoding, and the shortest times are those of the same layers.
	all := slices.Clone(t.timings)
	err := t.decode(x.Past)
	for i := range t.timings {
		t.timings[i].NS += (all[i].NS - t.timings[i].NS) / keepSteps
	}
	return t.timings, err
}

// keeps tells whether layers have kept groups.
func (t *timer) keeps() bool {
	return slices.ContainsFunc(t.seqs[0].kept, func(k kept) bool { return k.groups.entry != keptNone })
}

// decode decodes a token and embeds past ones again.
func (t *timer) decode(past int) error {
	q := t.seqs[0]
	at := len(q.pos)
	var rows []Row
	for i := at - past; i < at; i++ {
		rows = append(rows, Row{Seq: 0, Pos: q.pos[i], Cell: q.cell[i]})
	}
	rows = append(rows, Row{Seq: 0, Pos: int32(at), Cell: int32(at)})
	if err := t.StepBegin(rows, t.team.threads); err != nil {
		return err
	}
	before := t.counted()
	for i := range t.layers {
		start := time.Now()
		for _, phase := range []func(*Attn, int, int) error{t.Select, t.Attend} {
			err := t.team.run(func(ith int) error {
				return phase(t.attn(i, len(rows), ith), ith, t.team.threads)
			})
			if err != nil {
				return fmt.Errorf("measuring layer %d: %w", i, err)
			}
		}
		ns, now := time.Since(start), t.counted()
		t.timings[i] = plan.Timing{NS: float64(ns),
			Tokens:      now.SelectedTokens - before.SelectedTokens,
			Supplements: now.SupplementTokens - before.SupplementTokens}
		before = now
	}
	return t.StepEnd(true)
}

// counted is what the threads have counted in this step.
func (t *timer) counted() (sum stats.Stats) {
	for i := range t.workers {
		sum.Add(&t.workers[i].stats)
	}
	return sum
}

// attn is a layer with random queries. Outputs are written by every thread to a place
// of its own; nobody reads them.
func (t *timer) attn(layer, rows, ith int) *Attn {
	l := &t.layers[layer]
	n := rows * l.Heads * l.DK
	at := (layer*7919 + int(t.step.number)*104729) % (len(t.queries) - n + 1)
	return &Attn{
		Layer: layer, Rows: rows, Scale: float32(1 / math.Sqrt(float64(l.DK))),
		Q:    unsafe.Pointer(&t.queries[at]),
		QRow: uint64(4 * l.Heads * l.DK), QHead: uint64(4 * l.DK),
		Out:    unsafe.Pointer(&t.out[ith*len(t.out)/t.team.threads]),
		OutRow: uint64(4 * l.Heads * l.DV),
	}
}
