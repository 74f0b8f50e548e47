package retro

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
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

// Plan chooses the options that a target was given for, after all layers are there and
// before the first step. Without passes it is a question: done tells that no passes
// are wanted, because there is nothing to plan or a file held the plan. With them it
// measures the attention, for about a second, and decides. line is for people, empty
// if there is no target.
func (e *Engine) Plan(p Passes) (done bool, line string, err error) {
	if e.ready {
		return false, "", statef("a plan is wanted after the first step or sequence")
	}
	for i := range e.layers {
		if e.layers[i].K == nil {
			return false, "", statef("a plan is wanted before layer %d was added", i)
		}
	}
	o := &e.opt
	if o.Planning.Target == NoTarget {
		return true, "", nil
	}
	if err := p.check(e); err != nil {
		return false, "", err
	}
	shape := e.planShape(p.Threads)
	if len(p.Rows) == 0 {
		return e.knownPlan(shape)
	}
	m := Measured{Threads: p.Threads, Rows: slices.Clone(p.Rows)}
	for i, ns := range p.NS { // more rows never take less time
		m.PassNS = append(m.PassNS, float64(ns))
		if i > 0 {
			m.PassNS[i] = max(m.PassNS[i], m.PassNS[i-1])
		}
	}
	if err := e.measure(&m); errors.Is(err, errBusy) {
		return true, fmt.Sprintf("plan: %v (the fixed defaults, as %v; the next start tries again)", o.choice(), errBusy), nil
	} else if err != nil {
		return false, "", err
	}
	line, err = e.planFrom(m, shape)
	return err == nil, line, err
}

// planFrom decides, and writes the plan where the options say.
func (e *Engine) planFrom(m Measured, shape planShape) (line string, err error) {
	o := &e.opt
	f := planFile{Format: planFormat, Version: planVersion, Shape: shape, Made: e.made(), Measured: m, Plan: m.decide(o, e.cfg.Rows)}
	if err := e.adopt(f.Plan.Choice); err != nil {
		return "", err
	}
	note, err := o.Planning.keep(f)
	if err != nil {
		return "", err
	}
	return f.Plan.line(o, note), nil
}

// knownPlan looks for a plan that needs no measurement.
func (e *Engine) knownPlan(shape planShape) (done bool, line string, err error) {
	o := &e.opt
	if path := o.Planning.File; path != "" {
		f, err := readPlan(path)
		if err == nil {
			err = e.applyPlan(&f, shape)
		}
		switch {
		case err == nil:
			return true, f.Plan.line(o, "; as "+path+" says"), nil
		case !errors.Is(err, fs.ErrNotExist):
			return false, "", argumentf("plan %s %v: remove it to have it made anew, or name another", path, err)
		}
	}
	_, far := e.measureDepth()
	switch {
	case o.Select == Streaming:
		return true, fmt.Sprintf("plan: %v (nothing to choose with select=streaming)", o.choice()), nil
	case e.cfg.Cells < o.MinCtx || far < 8:
		return true, fmt.Sprintf("plan: %v (nothing to choose, as a context of %d tokens is attended to exactly)", o.choice(), e.cfg.Cells), nil
	}
	if path := o.Planning.Cache; path != "" {
		f, err := readPlan(path)
		if err == nil && f.Made == e.made() && e.applyPlan(&f, shape) == nil {
			return true, f.Plan.line(o, "; measured in an earlier run"), nil
		}
	}
	return false, "", nil
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

// adopt sets the options of a choice, or none if they are not valid here.
func (e *Engine) adopt(c Choice) error {
	opt := e.opt
	c.apply(&opt)
	if err := opt.check(); err != nil {
		return err
	}
	if opt.Window > e.cfg.Rows {
		return argumentf("a window of %d does not fit in steps of %d rows", opt.Window, e.cfg.Rows)
	}
	e.opt = opt
	e.budgets = e.layerBudgets()
	return nil
}
