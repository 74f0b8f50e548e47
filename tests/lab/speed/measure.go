package speed

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	opt "github.com/retroattn/retroattn/retro/options"
)

// variant is a policy in a cell.
type variant struct {
	policy
	parsed  opt.Options // zero for stock
	plan    string      // line of the plan that chose the options, if any
	kept    string      // more options: where what it chose for a device is kept
	runs    []Ran
	failure error
}

// all measures cell after cell; what it has is kept even when it cannot go on.
func (b *runner) all(cells []cell) error {
	total, done := 0.0, 0.0
	for _, c := range cells {
		total += b.cost(c)
	}
	begun := time.Now()
	for i, c := range cells {
		left := total - done // as on the machine that cost was measured on, until this one is known
		if done > 0 {
			left *= time.Since(begun).Seconds() / done
		}
		b.note("[%d/%d] %s: about %s left ...", i+1, len(cells), c,
			clock(time.Duration(left*float64(time.Second))))
		results, err := b.measure(c)
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		if err != nil { // the other cells may work
			results = []Result{b.blank(c, policy{name: stockName})}
			results[0].Error = err.Error()
		}
		b.results = append(b.results, results...)
		for _, r := range results {
			if err := b.record(r); err != nil {
				return err
			}
		}
		if last := i+1 == len(cells); last || cells[i+1].kv != c.kv || cells[i+1].seqs != c.seqs {
			b.table(c)
		}
		done += b.cost(c)
	}
	return nil
}

// cost is roughly how many seconds a cell takes, with a small model on two cores.
func (b *runner) cost(c cell) float64 {
	tokens := float64(c.seqs * max(1, c.depth))
	total := 2 + 4e-5*tokens
	for _, p := range c.policies {
		step := 0.01*float64(c.seqs) + 2e-7*tokens
		switch {
		case p.stock():
			step += 3.2e-6 * tokens
		case p.name == denseName:
			step += 1e-6 * tokens
		default:
			total += 3e-6 * tokens * float64(b.o.Runs) // page summaries
		}
		total += float64(b.o.Runs) * (max(b.o.Seconds+3*step, (3+minSteps)*step) + 0.1)
	}
	return total
}

// measure lets the policies of a cell take turns, in an order that rotates.
func (b *runner) measure(c cell) ([]Result, error) {
	variants, err := b.prepare(c)
	if err != nil {
		return nil, err
	}
	for round := range b.o.Runs {
		for i := range variants {
			t := variants[(i+round)%len(variants)]
			if t.failure == nil {
				t.failure = b.turn(c, t)
			}
			if b.ctx.Err() != nil {
				return nil, b.ctx.Err()
			}
		}
	}
	results, err := b.evaluate(c, variants)
	for _, slot := range []string{ramSlot, gpuSlot} { // the next cell may need the memory
		err = errors.Join(err, b.stock.call("Close", slot, new(bool)),
			b.ours.call("Close", slot, new(bool)))
	}
	return results, err
}

// prepare fills the contexts, and lets plans be made while they are empty.
func (b *runner) prepare(c cell) ([]*variant, error) {
	if c.depth > 0 {
		if err := b.make(c); err != nil {
			return nil, err
		}
	}
	if err := b.open(b.ours, ramSlot, c, b.threads); err != nil {
		return nil, err
	}
	var variants []*variant
	for _, p := range c.policies {
		t := &variant{policy: p}
		if !p.stock() {
			t.failure = b.resolve(t)
		}
		variants = append(variants, t)
	}
	if err := b.ours.call("Policy", Policy{Slot: ramSlot}, new(string)); err != nil {
		return nil, err
	}
	if err := b.open(b.stock, ramSlot, c, b.threads); err != nil {
		return nil, err
	}
	if err := errors.Join(b.fill(b.stock, ramSlot, c.depth),
		b.fill(b.ours, ramSlot, c.depth)); err != nil {
		return nil, err
	}
	for _, t := range variants {
		if t.name == stockGPUName { // it may not fit there
			if t.failure = b.open(b.stock, gpuSlot, c, b.threads); t.failure == nil {
				t.failure = b.fill(b.stock, gpuSlot, c.depth)
			}
		}
	}
	return variants, b.forget()
}

// planTries is how often a plan is asked for on a machine that is too busy to measure.
const planTries = 4

// resolve parses a policy's options. Where they leave something to a plan, it is made here, so that
// all runs use the same.
func (b *runner) resolve(t *variant) (err error) {
	if t.parsed, err = opt.Parse(t.options); err != nil {
		return err
	}
	if t.parsed.Planned() {
		if err := b.choose(t); err != nil {
			return err
		}
	}
	if b.o.GPULayers == 0 {
		return nil
	}
	// What it chooses for a device can only be measured in an empty context: it is kept for the
	// runs.
	if t.parsed.Planning.File == "" && t.parsed.Planning.Cache == "" {
		t.kept = ",plan_cache=" + filepath.Join(b.plans, t.name)
	}
	var line string
	if err := b.ours.call("Policy", Policy{Slot: ramSlot, Options: t.options + t.kept,
		On: true}, &line); err != nil {
		return err
	}
	b.note("%s: %s", t.name, line)
	return nil
}

// choose lets a plan complete the options.
func (b *runner) choose(t *variant) (err error) {
	for range planTries {
		if err := b.ours.call("Policy", Policy{Slot: ramSlot, Options: t.options, On: true},
			&t.plan); err != nil {
			return err
		}
		if !strings.Contains(t.plan, "too busy") {
			break
		}
	}
	choice, err := planOptions(t.plan)
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(t.options, ",") {
		if key, _, _ := strings.Cut(strings.TrimSpace(part), "="); key != "target" &&
			key != "plan" && key != "plan_cache" && part != "" {
			choice += "," + part
		}
	}
	t.options = choice
	t.parsed, err = opt.Parse(choice)
	return err
}

// turn is one run of a policy.
func (b *runner) turn(c cell, t *variant) error {
	r := Run{Slot: ramSlot, Depth: max(1, c.depth), Period: 1, Seconds: b.o.Seconds}
	worker := b.stock
	switch {
	case t.name == stockGPUName:
		r.Slot = gpuSlot
	case !t.stock():
		worker, r.Period = b.ours, len(rowsOf(t.parsed))
		if err := worker.call("Policy", Policy{Slot: ramSlot, Options: t.options + t.kept,
			On: true}, new(string)); err != nil {
			return err
		}
	}
	if t.lossless() {
		r.Draft = b.o.Draft
	}
	if need := 1 + r.Period + max(maxSteps, r.Period); need > room {
		return fmt.Errorf("policy %s: it repeats after %d tokens, more than a run has room for: "+
			"name a smaller period", t.name, r.Period)
	}
	var ran Ran
	if err := worker.call("Run", r, &ran); err != nil {
		return err
	}
	t.runs = append(t.runs, ran)
	return nil
}

// pass is the time of a dense pass in nanoseconds, measured when it is first wanted.
func (b *runner) pass(kv string, seqs, rows int) (float64, error) {
	key := [2]int{seqs, rows}
	if ns, ok := b.passes[key]; ok {
		return ns, nil
	}
	var ns int64
	if err := b.stock.call("Dense", Dense{Type: kv, Seqs: seqs, Rows: rows, Threads: b.threads},
		&ns); err != nil {
		return 0, err
	}
	b.passes[key] = float64(ns)
	return float64(ns), nil
}
