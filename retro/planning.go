package retro

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

// optionKeys is a set of options that a plan could choose.
type optionKeys uint8

const (
	keyBudget optionKeys = 1 << iota
	keyWindow
	keyPeriod
	keyCorrectBudget
	keyTarget // not chosen, but a plan file for another is refused
)

var planKeys = map[string]optionKeys{
	"budget": keyBudget, "window": keyWindow, "period": keyPeriod, "correct_budget": keyCorrectBudget, "target": keyTarget,
}

// Planning is what is to be planned, and where plans are kept.
type Planning struct {
	Target Target
	// File is a plan that is used as it is, or is to be written there.
	File string
	// Cache is a plan that is used if it fits, and is replaced if not.
	Cache string

	fixed optionKeys // options the user set, which a plan leaves alone; none without Target
}

// settle completes what the options say: a plan file asks for a plan, and a
// period asks for a window that holds it.
func (p *Planning) settle(o *Options) {
	if p.Target == NoTarget && (p.File != "" || p.Cache != "") {
		p.Target = Balanced
	}
	if p.Target == NoTarget {
		p.fixed = 0
		return
	}
	if p.fixed&keyWindow == 0 {
		o.Window = min(max(o.Window, o.Period), maxWindow)
	}
}

func (p *Planning) check() error {
	if p.Target < NoTarget || int(p.Target) >= len(targetNames) {
		return argumentf("target %d: must be 0..%d", int(p.Target), len(targetNames)-1)
	}
	if p.File != "" && p.Cache != "" {
		return argumentf("options plan=%s and plan_cache=%s exclude one another: give one", p.File, p.Cache)
	}
	return nil
}
