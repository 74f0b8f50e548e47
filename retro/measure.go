package retro

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"retroattn/kernels"
)

// A measurement runs steps of an engine of its own on the keys and values of the
// registered layers, wherever they may lie and whatever they hold: one sequence of
// planDepth tokens spread over all cells. Queries and page summaries are random, so
// that every step reads other tokens, and the caches are emptied between steps, as the
// weights of the dense layers do it in a real one. Layers are timed one by one, and those
// of one shape together: of many times of some 50 us each, the shortest tenth is free of
// what else the machine does, where hardly any whole step would be.
const (
	measureTime   = 900 * time.Millisecond  // after which no more than the necessary is done
	measureMost   = 1500 * time.Millisecond // the same, where the times do not fit together yet
	measureEnd    = 2500 * time.Millisecond // after which it is given up
	measureRounds = 8
	measureRuns   = 3 // of each kind, per round
	measureWindow = 8
	measureLow    = 256  // tokens of budget
	measureHigh   = 2048 // and this
	cacheBytes    = 32 << 20
)

type measurement struct {
	*Engine
	depth   int
	far     int
	team    *team
	rng     *rand.Rand
	queries []float32 // steps take theirs from random places in it
	out     []float32
	cache   []byte
	groups  []group
	rules   []Budget // per layer: a budget of its own, or 0
	shapes  []int    // per layer: equal for layers of one shape and rule
	end     time.Time
}

// errBusy ends a measurement that does not get the processors, or whose times do not
// fit together.
var errBusy = errors.New("the machine is too busy to measure")

// group is the kinds of steps that are run after one another in one window.
type group struct {
	window int
	kinds  []sample
}

// sample is a kind of step and what its runs gave.
type sample struct {
	budget, wide int // tokens
	window, past int // past is the rows embedded again

	runs                int
	layerNS             [][]float64 // by shape: each layer's time in each run
	tokens, supplements float64     // read in all runs, over all layers and KV heads
}

// ns is the time of a step: for each shape, as many layers as it has times the mean of
// the shortest tenth.
func (x *sample) ns() (sum float64) {
	for _, all := range x.layerNS {
		if len(all) == 0 {
			continue
		}
		slices.Sort(all)
		n, fast := (len(all)+9)/10, 0.0
		for _, ns := range all[:n] {
			fast += ns
		}
		sum += fast / float64(n) * float64(len(all)) / float64(x.runs)
	}
	return sum
}

// measureDepth is the tokens that a measurement would have, and how many of them
// are far; cells are left for the steps.
func (e *Engine) measureDepth() (depth, far int) {
	depth = min(planDepth(e.cfg.Cells), e.cfg.Cells-2*maxWindow)
	return depth, max(0, (depth-e.opt.Local)/e.opt.Page-1) * e.opt.Page
}

// measure fills in what the passes of the host left open.
func (e *Engine) measure(m *Measured) error {
	defer debug.FreeOSMemory()
	s, err := e.newMeasurement(m.Threads)
	if err != nil {
		return err
	}
	defer s.team.stop()
	if err := s.prime(); err != nil {
		return err
	}
	start, most := time.Now(), measureTime
	s.end = start.Add(measureEnd)
	for round := 0; round < measureRounds || most > measureTime; round++ {
		for i := range s.groups {
			if round > 0 && time.Since(start) > most {
				break
			}
			// The first round sees to it that there is one run of each.
			if err := s.run(&s.groups[i], round == 0); err != nil {
				return err
			}
		}
		if m.fit(s.groups); m.noisy() {
			most = measureMost
		} else {
			most = measureTime
		}
		if time.Since(start) > most {
			break
		}
	}
	if m.noisy() {
		return errBusy
	}
	m.Depth, m.Far = s.depth, s.far
	for i, rule := range s.rules {
		if rule == 0 {
			m.Heads += s.layers[i].KVHeads
		}
	}
	return nil
}

func (e *Engine) newMeasurement(threads int) (*measurement, error) {
	s := &measurement{rng: rand.New(rand.NewPCG(1, 2)), cache: make([]byte, cacheBytes)}
	s.depth, s.far = e.measureDepth()
	opt := e.opt
	opt.Planning, opt.MinCtx, opt.Always, opt.Audit = Planning{}, 0, false, 0
	opt.CorrectBudget = measureHigh // makes room for it
	opt.whole = false
	window := measureWindow
	if e.asked.Window != 0 {
		window = e.asked.Window
	}
	opt.Window, opt.Period = min(window, opt.Local, e.window()), 1
	var err error
	s.Engine, err = Open(Config{Layers: e.cfg.Layers, Seqs: 1, Cells: e.cfg.Cells, Rows: opt.Window, Threads: threads, Room: e.cfg.Room}, opt)
	if err != nil {
		return nil, err
	}
	heads, dim := 0, 0
	for i := range e.layers {
		l := e.layers[i].Layer
		if err := s.AddLayer(i, l); err != nil {
			return nil, err
		}
		heads, dim = max(heads, l.Heads), max(dim, l.DK, l.DV)
	}
	s.queries = make([]float32, 2*opt.Window*heads*dim)
	for i := range s.queries {
		s.queries[i] = 2*s.rng.Float32() - 1
	}
	s.out = make([]float32, threads*opt.Window*heads*dim)
	for i := range s.cache {
		s.cache[i] = byte(i)
	}
	w, low, high := opt.Window, min(measureLow, s.far/4), min(measureHigh, s.far/2)
	s.groups = []group{{1, []sample{{budget: low}, {budget: high}}}}
	if w > 1 {
		s.groups = append(s.groups, group{w, []sample{{budget: low}, {budget: low, past: w - 1},
			{budget: high}, {budget: high, past: w - 1}, {budget: low, wide: high, past: w - 1}}})
	}
	for _, g := range s.groups {
		for i := range g.kinds {
			g.kinds[i].window = g.window
			g.kinds[i].layerNS = make([][]float64, len(s.layers))
		}
	}
	s.opt.Budget = 0
	s.rules = s.layerBudgets()
	for i := range s.layers {
		first := 0
		for s.rules[first] != s.rules[i] || !s.layers[first].sameShape(&s.layers[i]) {
			first++
		}
		s.shapes = append(s.shapes, first)
	}
	s.team = newTeam(threads)
	return s, nil
}

// sameShape tells whether two layers cost the same.
func (l *layer) sameShape(o *layer) bool {
	return l.TypeK == o.TypeK && l.TypeV == o.TypeV && l.Heads == o.Heads && l.KVHeads == o.KVHeads && l.DK == o.DK && l.DV == o.DV
}

// prime makes the sequence and builds the summaries: in a step that is then given up,
// from random keys, since the cache of a host that has just started holds zeros, and
// equal pages would be chosen in order.
func (s *measurement) prime() error {
	const rows = 1024
	random := make([]uint16, (rows+1)*maxHeadDim)
	for i := range random {
		random[i] = uint16(s.rng.Uint32())&0x83ff | 0x3800 // F16, +-0.5..1
	}
	saved := make([]Layer, len(s.layers))
	pos, real := make([]int32, s.depth), make([]int32, s.depth)
	for i := range pos {
		page := i / s.opt.Page
		pos[i] = int32(i)
		real[i] = int32(page*s.cfg.Cells/s.depth*s.opt.Page + i%s.opt.Page)
		if real[i] >= int32(s.cfg.Cells) {
			real[i] = int32(i)
		}
	}
	cells := make([]int32, s.depth)
	for i := range cells {
		cells[i] = int32(s.rng.IntN(min(rows, s.cfg.Cells)))
	}
	if err := s.SeqExtend(0, pos, cells); err != nil {
		return err
	}
	for i := range s.layers {
		l := &s.layers[i].Layer
		saved[i] = *l
		l.TypeK, l.K, l.KRow, l.KHead = kernels.F16, unsafe.Pointer(&random[0]), uint64(2*l.DK), 0
	}
	s.set(s.groups[0].kinds[0].budget, 0)
	err := s.StepBegin([]Row{{Seq: 0, Pos: int32(s.depth), Cell: 0}}, s.team.threads)
	for i := range s.layers {
		if err == nil {
			err = s.team.run(func(ith int) error { return s.Select(s.attn(i, 1, ith), ith, s.team.threads) })
		}
	}
	if err == nil {
		err = s.StepEnd(false)
	}
	for i := range s.layers {
		s.layers[i].Layer = saved[i]
	}
	copy(s.seqs[0].cell, real)
	return err
}

// attn is a layer with random queries. Outputs are written by every thread to a place
// of its own; nobody reads them.
func (s *measurement) attn(layer, rows, ith int) *Attn {
	l := &s.layers[layer]
	n := rows * l.Heads * l.DK
	at := (layer*7919 + int(s.step.number)*104729) % (len(s.queries) - n + 1)
	return &Attn{Layer: layer, Rows: rows, Scale: float32(1 / math.Sqrt(float64(l.DK))),
		Q: unsafe.Pointer(&s.queries[at]), QRow: uint64(4 * l.Heads * l.DK), QHead: uint64(4 * l.DK),
		Out: unsafe.Pointer(&s.out[ith*len(s.out)/s.team.threads]), OutRow: uint64(4 * l.Heads * l.DV)}
}

// run times the steps of a group, after filling the window.
func (s *measurement) run(g *group, once bool) error {
	s.opt.Window = g.window
	s.set(g.kinds[0].budget, 0)
	if err := s.SeqTruncate(0, int32(s.depth)); err != nil {
		return err
	}
	s.seqs[0].ring.reset()
	for range g.window - 1 {
		if err := s.oneStep(0, nil); err != nil {
			return err
		}
	}
	for range measureRuns {
		for i := range g.kinds {
			if err := s.time(&g.kinds[i]); err != nil {
				return err
			}
		}
		if once {
			break
		}
	}
	return nil
}

func (s *measurement) time(x *sample) error {
	for i := 0; i < len(s.cache); i += 64 {
		s.cache[i]++
	}
	s.set(x.budget, x.wide)
	before := s.stats
	if err := s.oneStep(x.past, x.layerNS); err != nil {
		return err
	}
	x.runs++
	x.tokens += float64(s.stats.SelectedTokens - before.SelectedTokens)
	x.supplements += float64(s.stats.SupplementTokens - before.SupplementTokens)
	return nil
}

// set chooses the budgets, in tokens, of the next steps.
func (s *measurement) set(budget, correct int) {
	s.opt.Budget, s.opt.CorrectBudget = Budget(budget), Budget(correct)
	s.budgets = s.layerBudgets()
}

// oneStep decodes a token and embeds past ones again. Times of layers are added to ns.
func (s *measurement) oneStep(past int, ns [][]float64) error {
	q := s.seqs[0]
	at := len(q.pos)
	var rows []Row
	for i := at - past; i < at; i++ {
		rows = append(rows, Row{Seq: 0, Pos: q.pos[i], Cell: q.cell[i]})
	}
	rows = append(rows, Row{Seq: 0, Pos: int32(at), Cell: int32(at)})
	if err := s.StepBegin(rows, s.team.threads); err != nil {
		return err
	}
	for i := range s.layers {
		start := time.Now()
		if start.After(s.end) {
			return errors.Join(errBusy, s.StepEnd(false))
		}
		for _, phase := range []func(*Attn, int, int) error{s.Select, s.Attend} {
			err := s.team.run(func(ith int) error { return phase(s.attn(i, len(rows), ith), ith, s.team.threads) })
			if err != nil {
				return fmt.Errorf("measuring layer %d: %w", i, err)
			}
		}
		if ns != nil {
			ns[s.shapes[i]] = append(ns[s.shapes[i]], float64(time.Since(start)))
		}
	}
	return s.StepEnd(true)
}
