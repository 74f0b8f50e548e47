package retro

import "strings"

// Target is how much time a plan may spend on fidelity.
type Target int

// The targets; see slack. Without one nothing is planned.
const (
	NoTarget Target = iota
	Speed
	Balanced
	Quality
)

var targetNames = [...]string{NoTarget: "none", Speed: "speed", Balanced: "balanced", Quality: "quality"}

func (t Target) String() string { return targetNames[t] }

// slack is how many times as long as with the fastest choice a token may take.
func (t Target) slack() float64 {
	switch t {
	case Speed:
		return 1.05
	case Quality:
		return 2
	}
	return 1.2
}

// Fixed is a set of options that a plan leaves as they are.
type Fixed uint8

// The options that a plan could choose, and the target: where that is fixed, a plan file made for another is refused.
const (
	FixBudget Fixed = 1 << iota
	FixWindow
	FixPeriod
	FixCorrectBudget
	FixTarget
)

var planKeys = map[string]Fixed{
	"budget": FixBudget, "window": FixWindow, "period": FixPeriod, "correct_budget": FixCorrectBudget, "target": FixTarget,
}

// Planning is what is to be planned, and where plans are kept.
type Planning struct {
	Target Target
	// File is a plan that is used as it is, or is to be written there. No commas.
	File string
	// Cache is a plan that is used if it fits, and is replaced if not. No commas.
	Cache string
	// Fixed are the options that the plan does not choose. ParseOptions sets those that the text names. Without a
	// Target it means nothing.
	Fixed Fixed
}

// planned are the options that are left to the plan.
func (p *Planning) planned() Fixed {
	switch {
	case p.Target == NoTarget:
		return 0
	case p.Target == Balanced && (p.File != "" || p.Cache != ""): // the target that a file implies
		return ^p.Fixed
	}
	return ^(p.Fixed | FixTarget)
}

// settle completes what the options say: a plan file asks for a plan, and a
// period asks for a window that holds it.
func (p *Planning) settle(o *Options) {
	if p.Target == NoTarget && (p.File != "" || p.Cache != "") {
		p.Target = Balanced
	}
	if p.Target == NoTarget {
		p.Fixed = 0
		return
	}
	if p.Fixed&FixWindow == 0 {
		o.Window = min(max(o.Window, o.Period), maxWindow)
	}
}

func (p *Planning) check() error {
	if p.Target < NoTarget || int(p.Target) >= len(targetNames) {
		return argumentf("target %d: must be 0..%d", int(p.Target), len(targetNames)-1)
	}
	for _, c := range []struct{ name, v string }{{"plan", p.File}, {"plan_cache", p.Cache}} {
		if strings.ContainsAny(c.v, ",\x00") || c.v != strings.TrimSpace(c.v) {
			return argumentf("option %s=%q: the name must not contain a comma, nor begin or end with a blank", c.name, c.v)
		}
	}
	if p.File != "" && p.Cache != "" {
		return argumentf("options plan=%s and plan_cache=%s exclude one another: give one", p.File, p.Cache)
	}
	return nil
}
