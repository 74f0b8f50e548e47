package retro

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Passes are a host's times of a pass of Rows[i] tokens through the model, with little
// context and without this engine, in nanoseconds, on the threads that it decodes with.
type Passes struct {
	Threads int
	Rows    []int // rising from 1
	NS      []uint64
}

func (p *Passes) check(e *Engine) error {
	if p.Threads < 1 || p.Threads > e.cfg.Threads {
		return argumentf("%d threads: must be 1..%d", p.Threads, e.cfg.Threads)
	}
	if len(p.Rows) != len(p.NS) || len(p.Rows) > 0 && p.Rows[0] != 1 {
		return argumentf("times of %d passes: the first must be of 1 row", len(p.Rows))
	}
	for i, ns := range p.NS {
		if ns == 0 || ns > 1<<50 || p.Rows[i] > MaxRows || i > 0 && p.Rows[i] <= p.Rows[i-1] {
			return argumentf("pass %d of %d rows in %d ns: rows must rise and take some time", i, p.Rows[i], ns)
		}
	}
	return nil
}

// Plan chooses the options that were left open, after all layers are there and
// before the first step. Without passes it is a question: done tells that no passes
// are wanted, because there is nothing to plan or a file held the plan. With them it
// measures the attention, for about a second, and decides. line is for people: what is
// chosen, or what is done if no passes come; it is empty if there is nothing to say.
func (e *Engine) Plan(p Passes) (done bool, line string, err error) {
	if e.ready {
		return false, "", statef("a plan is wanted after the first step or sequence")
	}
	for i := range e.layers {
		if e.layers[i].K == nil {
			return false, "", statef("a plan is wanted before layer %d was added", i)
		}
	}
	if err := p.check(e); err != nil {
		return false, "", err
	}
	if len(p.Rows) == 0 {
		done, line, err = e.knownPlan(e.planShape(p.Threads))
	} else {
		done, line, err = true, "", nil
		if e.asked.Planned() {
			line, err = e.newPlan(p)
		}
	}
	if err == nil && done {
		err = e.checkFootprint() // rather than in the first step
	}
	if warning := e.warning(); err == nil && warning != "" {
		line = strings.TrimPrefix(line+"; "+warning, "; ")
	}
	return done && err == nil, line, err
}

// fewTokens is a budget below which texts fall apart.
const fewTokens = 64

// warning is about budgets that were surely not meant.
func (e *Engine) warning() string {
	for i, b := range e.budgets {
		if b.Tokens(e.cfg.Cells) < fewTokens && e.opt.Select != Streaming {
			return fmt.Sprintf("warning: a budget of %v in layer %d is so little that texts fall apart: give %d tokens or more, or a share such as 15%%", b, i, fewTokens)
		}
	}
	return ""
}

// newPlan measures and decides.
func (e *Engine) newPlan(p Passes) (line string, err error) {
	m := Measured{Threads: p.Threads, Rows: slices.Clone(p.Rows)}
	for i, ns := range p.NS { // more rows never take less time
		m.PassNS = append(m.PassNS, float64(ns))
		if i > 0 {
			m.PassNS[i] = max(m.PassNS[i], m.PassNS[i-1])
		}
	}
	if err := e.measure(&m); errors.Is(err, errBusy) {
		return e.opt.planLine("%v; the next start tries again", errBusy), nil
	} else if err != nil {
		return "", err
	}
	return e.planFrom(m, e.planShape(p.Threads))
}

// planLine says what is done without a plan, and why.
func (o *Options) planLine(why string, args ...any) string {
	return fmt.Sprintf("plan: %v (%s)", o.choice(), fmt.Sprintf(why, args...))
}

// planFrom decides, and writes the plan where the options say.
func (e *Engine) planFrom(m Measured, shape planShape) (line string, err error) {
	f := planFile{Format: planFormat, Version: planVersion, Shape: shape, Made: e.made(), Measured: m, Plan: m.decide(&e.asked, e.window())}
	if err := e.adopt(f.Plan.Choice); err != nil {
		return "", err
	}
	note, err := e.asked.Planning.keep(f)
	if err != nil {
		return "", err
	}
	return e.planned(&f, note), nil
}

// knownPlan looks for a plan that needs no measurement.
func (e *Engine) knownPlan(shape planShape) (done bool, line string, err error) {
	o := &e.opt
	path := o.Planning.File
	_, far := e.measureDepth()
	switch {
	case e.exact():
		return true, o.planLine("everything is read: attention is exact"), nil
	case !e.asked.Planned() && path == "":
		return true, "", nil
	case !e.asked.Planned():
		return true, o.planLine("all of it was set, so that %s is not used", path), nil
	}
	if path != "" {
		f, err := readPlan(path)
		if err == nil {
			err = e.applyPlan(&f, shape)
		}
		switch {
		case err == nil:
			return true, e.planned(&f, "; as "+path+" says"), nil
		case !errors.Is(err, fs.ErrNotExist):
			return false, "", argumentf("plan %s %v: remove it to have it made anew, or name another", path, err)
		}
	}
	switch {
	case o.Select == Streaming:
		return true, o.planLine("nothing to choose with select=streaming"), nil
	case e.cfg.Cells < o.MinCtx || far < 8*o.Page:
		return true, o.planLine("nothing to choose, as a context of %d tokens is attended to exactly", e.cfg.Cells), nil
	}
	if path := o.Planning.Cache; path != "" {
		f, err := readPlan(path)
		if err == nil && f.Made == e.made() && e.applyPlan(&f, shape) == nil {
			return true, e.planned(&f, "; measured in an earlier run"), nil
		}
	}
	return false, o.planLine("nothing could be measured, as in a context that is in use"), nil
}

// keep writes the plan where the options say. The note is for the line.
func (p *Planning) keep(f planFile) (note string, err error) {
	switch {
	case p.File != "":
		if err := writePlan(p.File, f, false); err != nil {
			return "", argumentf("plan %s cannot be written (%v): name a file that can", p.File, bare(err))
		}
		return "; written to " + p.File, nil
	case p.Cache != "":
		if err := writePlan(p.Cache, f, true); err != nil {
			return fmt.Sprintf("; not kept: %v", bare(err)), nil
		}
	}
	return "", nil
}

// bare leaves the path out of errors of files, which the callers name.
func bare(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// exact says whether the budgets that were set read everything.
func (e *Engine) exact() bool {
	for _, b := range e.budgets {
		if e.asked.Budget == 0 && b == e.opt.Budget || b.Tokens(e.cfg.Cells) < e.cfg.Cells {
			return false
		}
	}
	return true
}

// adopt completes what was asked for by a choice, where that is valid.
func (e *Engine) adopt(c Choice) error {
	opt := e.asked.with(c)
	if err := opt.check(); err != nil {
		return err
	}
	if most := e.window(); opt.Window > most {
		return argumentf("option window=%d: steps of %d rows and memory allow %d, set window=%[3]d or less", opt.Window, e.cfg.Rows, most)
	}
	e.opt = opt
	e.budgets = e.layerBudgets()
	return nil
}
