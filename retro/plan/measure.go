package plan

import (
	"errors"
	"slices"
	"time"

	"github.com/retroattn/retroattn/retro/options"
)

// Timer takes the time of steps over a context that it has made up.
type Timer interface {
	// Fill begins a series of steps: before them come as many as fill the window.
	Fill(window, budget int) error
	// Step takes one step. What it says of each layer is valid until the next one.
	Step(Step) ([]Timing, error)
	Close()
}

// Start is what a timer must be ready for.
type Start struct {
	Threads int
	Depth   int // tokens in the context
	Window  int // the most tokens in a window
}

// Step is a kind of step, in tokens.
type Step struct {
	Budget       int
	Window, Past int // tokens in the window; how many of them are embedded again
}

// Timing is what a step took in a layer, and read there.
type Timing struct {
	NS          float64
	Tokens      uint64 // far tokens read for the newest token, over all KV heads
	Supplements uint64 // and for past ones
}

// A measurement times layers one by one, and those of one shape together: of many times of some 50
// us each, the shortest tenth is free of what else the machine does, where hardly any whole step
// would be.
const (
	measureTime   = 900 * time.Millisecond  // after which no more than the necessary is done
	measureMost   = 1500 * time.Millisecond // the same, where the times do not fit together yet
	measureEnd    = 2500 * time.Millisecond // after which it is given up
	measureRounds = 8
	measureRuns   = 3 // of each kind, per round
	measureWindow = 8
	measureLow    = leastBudget
)

// errBusy ends a measurement that does not get the processors, or whose times do not
// fit together.
var errBusy = errors.New("the machine is too busy to measure")

// series is the kinds of steps that are run after one another in one window.
type series struct {
	window int
	kinds  []sample
}

// sample is a kind of step and what its runs gave.
type sample struct {
	Step

	runs                int
	layerNS             [][]float64 // by shape: each layer's time in each run
	tokens, supplements float64     // read in all runs, over Heads
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

// measure fills in what the passes of the host left open.
func (c *Case) measure(m *measured, open func(Start) (Timer, error)) error {
	m.Depth, m.Far = c.depth()
	shapes, heads := c.shapes()
	m.Heads = heads
	window := measureWindow
	if c.Asked.Window != 0 {
		window = c.Asked.Window
	}
	window = min(window, c.Asked.Local, c.Rows)
	low, high := min(measureLow, m.Far/4), m.Far/2
	if m.Knee = knee(&c.Asked, m.Far); m.Knee <= low || m.Knee >= high {
		m.Knee = 0 // nowhere between them
	}
	t, err := open(Start{Threads: m.Threads, Depth: m.Depth, Window: window})
	if err != nil {
		return err
	}
	defer t.Close()
	all := kinds(window, low, m.Knee, high)
	start, most := time.Now(), measureTime
	for round := 0; round < measureRounds || most > measureTime; round++ {
		for i := range all {
			if round > 0 && time.Since(start) > most {
				break
			}
			runs := measureRuns
			if round == 0 { // sees to it that there is one run of each
				runs = 1
			}
			if err := all[i].run(t, runs, shapes, start.Add(measureEnd)); err != nil {
				return err
			}
		}
		if m.fit(all); m.noisy() {
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
	return nil
}

// knee is the budget from which on all far tokens are candidates; 0 if there are none to choose from.
func knee(o *options.Options, far int) int {
	if o.Select != options.Tokens {
		return 0
	}
	return (far + o.Candidates - 1) / o.Candidates
}

// kinds are the steps to time: at both ends and at the knee, and what past rows cost below it.
func kinds(window, low, knee, high int) []series {
	all := []series{{1, []sample{{Step: Step{Budget: low}}, {Step: Step{Budget: high}}}}}
	if knee > 0 {
		all[0].kinds = append(all[0].kinds, sample{Step: Step{Budget: knee}})
		high = knee
	} else {
		high = min(high, 8*low) // past rows read what their steps add
	}
	if past := window - 1; past > 0 {
		all = append(all, series{window, []sample{
			{Step: Step{Budget: low}}, {Step: Step{Budget: low, Past: past}},
			{Step: Step{Budget: high}}, {Step: Step{Budget: high, Past: past}},
		}})
	}
	for _, s := range all {
		for i := range s.kinds {
			s.kinds[i].Window = s.window
		}
	}
	return all
}

// layerShape is what is to know of a layer.
type layerShape struct {
	first int  // layer that costs the same and has the same budget
	own   bool // a budget of its own
}

// shapes are those of all layers; heads the KV heads of layers that have no budget of their own.
func (c *Case) shapes() (shapes []layerShape, heads int) {
	o := c.Asked
	o.Budget = 0
	rules := o.LayerBudgets(len(c.Layers))
	for i, l := range c.Layers {
		first := 0
		for rules[first] != rules[i] || c.Layers[first].Alike != l.Alike {
			first++
		}
		shapes = append(shapes, layerShape{first, rules[i] != 0})
		if rules[i] == 0 {
			heads += l.KVHeads
		}
	}
	return shapes, heads
}

// run takes so many steps of each kind, after filling the window.
func (s *series) run(t Timer, runs int, shapes []layerShape, end time.Time) error {
	if err := t.Fill(s.window, s.kinds[0].Budget); err != nil {
		return err
	}
	for range runs {
		for i := range s.kinds {
			if time.Now().After(end) {
				return errBusy
			}
			if err := s.kinds[i].run(t, shapes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *sample) run(t Timer, shapes []layerShape) error {
	got, err := t.Step(x.Step)
	if err != nil {
		return err
	}
	if x.layerNS == nil {
		x.layerNS = make([][]float64, len(shapes))
	}
	for i, l := range got {
		s := shapes[i]
		x.layerNS[s.first] = append(x.layerNS[s.first], l.NS)
		if !s.own { // else it reads the same with any budget
			x.tokens += float64(l.Tokens)
			x.supplements += float64(l.Supplements)
		}
	}
	x.runs++
	return nil
}
