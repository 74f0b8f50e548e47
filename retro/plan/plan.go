package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// Passes are a host's times of a pass of Rows[i] tokens through the model, with little
// context and without this library, in nanoseconds, on the threads that it decodes with.
type Passes struct {
	Threads int
	Rows    []int // rising from 1
	NS      []uint64
	Device  *Device // nil: all is computed by processors
}

// Check refuses times that are none, and more threads or rows than there can be.
func (p *Passes) Check(threads, rows int) error {
	if p.Threads < 1 || p.Threads > threads {
		return failure.Argumentf("%d threads: must be 1..%d", p.Threads, threads)
	}
	if len(p.Rows) != len(p.NS) || len(p.Rows) > 0 && p.Rows[0] != 1 {
		return failure.Argumentf("times of %d passes: the first must be of 1 row", len(p.Rows))
	}
	for i, ns := range p.NS {
		if ns == 0 || ns > 1<<50 || p.Rows[i] > rows || i > 0 && p.Rows[i] <= p.Rows[i-1] {
			return failure.Argumentf("pass %d of %d rows in %d ns: rows must rise and take some time",
				i, p.Rows[i], ns)
		}
	}
	return p.Device.check(p.Threads)
}

// Case is what a plan is for.
type Case struct {
	Asked   options.Options // what the user set
	Threads int             // that decode
	Cells   int             // of the KV cache
	Rows    int             // of a sequence in a step, at most
	Layers  []Layer
	Model   string // tells these attention layers from others, for people and by a hash
	Kernels string // the instructions in use
	Device  bool   // such as a GPU computes dense layers, and can compute prompts
}

// Layer is what matters of an attention layer.
type Layer struct {
	KVHeads int
	Alike   int // the first layer that costs the same
}

// Outcome is what a plan comes to.
type Outcome struct {
	Options options.Options // with nothing left open
	Host    Host            // zero without a device
	Done    bool            // false: with times of passes there would be a better one
	Line    string          // for people: what is chosen and why; empty if nothing was to choose
}

// Known looks for a plan that needs no measurement.
func (c *Case) Known() (Outcome, error) {
	o, settled := c.settled()
	if settled && !c.Device {
		return o, nil
	}
	if path := c.Asked.Planning.File; path != "" {
		f, err := readFile(path)
		if err == nil {
			var o options.Options
			if o, err = c.apply(&f); err == nil {
				return c.outcome(&f, o, "; as "+path+" says"), nil
			}
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Outcome{}, failure.Argumentf(
				"plan %s %v: remove it to have it made anew, or name another", path, err)
		}
	}
	if path := c.Asked.Planning.Cache; path != "" {
		if f, err := readFile(path); err == nil && f.Made == c.made() {
			if o, err := c.apply(&f); err == nil {
				return c.outcome(&f, o, "; measured in an earlier run"), nil
			}
		}
	}
	if !settled {
		o = c.without("nothing could be measured, as in a context that is in use")
	}
	o.Done = false
	if c.Device {
		o.Host = (&Device{}).host(c.Asked.Planning.Prompts)
		o.Line = joined(o.Line, o.Host.Why)
	}
	return o, nil
}

// settled is what there is to say where nothing of the options is left to choose.
func (c *Case) settled() (o Outcome, ok bool) {
	path := c.Asked.Planning.File
	_, far := c.depth()
	switch {
	case c.exact():
		return c.without("everything is read: attention is exact"), true
	case !c.Asked.Planned() && (path == "" || c.Device):
		return Outcome{Options: c.fallback(), Done: true}, true
	case !c.Asked.Planned():
		return c.without("all of it was set, so that %s is not used", path), true
	case c.Asked.Select == options.Streaming:
		return c.without("nothing to choose with select=streaming"), true
	case c.Cells < c.Asked.MinCtx || far < 8*c.Asked.Page:
		return c.without(
			"nothing to choose, as a context of %d tokens is attended to exactly", c.Cells), true
	}
	return o, false
}

// New measures attention by the timer, about a second long, decides, and writes the plan where the
// options say.
func (c *Case) New(p Passes, open func(Start) (Timer, error)) (Outcome, error) {
	var host Host
	if p.Device != nil {
		host = p.Device.host(c.Asked.Planning.Prompts)
	}
	o, settled := c.settled()
	if settled && !c.Device {
		return o, nil
	}
	m := measured{Threads: p.Threads, Rows: slices.Clone(p.Rows)}
	if settled {
		return c.from(m, host)
	}
	for i, ns := range p.NS { // more rows never take less time
		m.PassNS = append(m.PassNS, float64(ns))
		if i > 0 {
			m.PassNS[i] = max(m.PassNS[i], m.PassNS[i-1])
		}
	}
	if host.Threads > 0 {
		m.Threads = host.Threads
	}
	if err := c.measure(&m, open); errors.Is(err, errBusy) {
		o := c.without("%v; the next start tries again", errBusy)
		o.Host, o.Line = host, joined(o.Line, host.Why)
		return o, nil
	} else if err != nil {
		return Outcome{}, err
	}
	return c.from(m, host)
}

// from decides, and writes the plan where the options say.
func (c *Case) from(m measured, host Host) (Outcome, error) {
	f := file{Format: fileFormat, Version: fileVersion, Shape: c.shape(), Made: c.made(),
		Measured: m, Host: host}
	if _, settled := c.settled(); settled {
		all := c.fallback()
		f.Plan = decision{Choice: all.Choice(), Target: c.Asked.Planning.Target.String()}
	} else {
		f.Plan = m.decide(&c.Asked, c.Rows)
	}
	o, err := c.complete(f.Plan.Choice)
	if err != nil {
		return Outcome{}, err
	}
	note, err := f.keep(&c.Asked.Planning)
	if err != nil {
		return Outcome{}, err
	}
	return c.outcome(&f, o, note), nil
}

// fallback is what is done without a plan.
func (c *Case) fallback() options.Options { return c.Asked.With(options.Fallback) }

// without says what is done without a plan, and why.
func (c *Case) without(why string, args ...any) Outcome {
	o := c.fallback()
	return Outcome{Options: o, Done: true, Line: line(&o, fmt.Sprintf(why, args...))}
}

// outcome is the plan, with where it comes from.
func (c *Case) outcome(f *file, o options.Options, from string) Outcome {
	if settled, ok := c.settled(); ok {
		return Outcome{Options: o, Host: f.Host, Done: true,
			Line: joined(settled.Line, f.Host.Why+from)}
	}
	set, p := "", &f.Plan
	if c.Asked.Choice() != (options.Choice{}) {
		set = ", with what was set"
	}
	why := fmt.Sprintf("%s%s: %s ms per token expected, %s with the fastest; %s%s",
		p.Target, set, digits(p.TokenNS/1e6, 3), digits(p.FastestNS/1e6, 3), p.Why, from)
	return Outcome{Options: o, Host: f.Host, Done: true, Line: joined(line(&o, why), f.Host.Why)}
}

// joined are two sentences, either of which may be empty.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// digits writes v with so many digits that count, and never as a power of ten.
func digits(v float64, n int) string {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', n, 64), 64)
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func line(o *options.Options, why string) string {
	return fmt.Sprintf("plan: %v (%s)", o.Choice(), why)
}

// exact says whether the budgets that were set read everything.
func (c *Case) exact() bool {
	o := c.fallback()
	for _, b := range o.LayerBudgets(len(c.Layers)) {
		if c.Asked.Budget == 0 && b == o.Budget || b.Tokens(c.Cells) < c.Cells {
			return false
		}
	}
	return true
}

// complete takes a choice for what was left open, where that is valid.
func (c *Case) complete(choice options.Choice) (options.Options, error) {
	o := c.Asked.With(choice)
	if err := o.Check(); err != nil {
		return o, err
	}
	if o.Window > c.Rows {
		return o, failure.Argumentf("option window=%d: the rows of the host's steps and memory "+
			"allow %d, set window=%[2]d or less", o.Window, c.Rows)
	}
	return o, nil
}

// made is what the choice depends on beside the shape and the machine.
func (c *Case) made() string {
	o := c.Asked
	o.Planning.File, o.Planning.Cache, o.Audit = "", "", 0 // none of which it depends on
	made := fmt.Sprintf("%v; %s; n_row %d; at least 1/%d", o, c.Kernels, c.Rows, leastPart)
	if o.Whole {
		made += "; whole windows"
	}
	return made
}

// depth is the context, in tokens, that a plan is for: half of what fits, as a
// context fills up from nothing, but no less than 4096, below which attention takes
// little of the time, and no more than 32768, to bound the measurement. far are the
// tokens of it that are far. Cells are left for the steps of the measurement.
func (c *Case) depth() (depth, far int) {
	depth = min(c.Cells, max(4096, min(c.Cells/2, 32768)))
	depth = min(depth, c.Cells-2*options.MaxWindow)
	page := c.Asked.Page
	return depth, max(0, (depth-c.Asked.Local)/page-1) * page
}
