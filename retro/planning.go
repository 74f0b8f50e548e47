package retro

import "strings"

// Target is how much time a plan may spend on fidelity.
type Target int

// The targets; see slack. Without one it is Balanced, or what a plan file was made for.
const (
	NoTarget Target = iota
	Speed
	Balanced
	Quality
)

var targetNames = [...]string{NoTarget: "balanced", Speed: "speed", Balanced: "balanced", Quality: "quality"}

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

// Planning is how to choose what the options leave open, and where plans are kept.
type Planning struct {
	Target Target
	// File is a plan that is used as it is, or is to be written there. No commas.
	File string
	// Cache is a plan that is used if it fits, and is replaced if not. No commas.
	Cache string
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
