package options

import (
	"fmt"
	"strings"

	"github.com/retroattn/retroattn/retro/failure"
)

// Target is how much time a plan may spend on fidelity.
type Target int

// The targets. Without one it is Balanced, or what a plan file was made for.
const (
	NoTarget Target = iota
	Speed
	Balanced
	Quality
)

var targetNames = [...]string{NoTarget: "balanced", Speed: "speed", Balanced: "balanced",
	Quality: "quality"}

func (t Target) String() string { return targetNames[t] }

// Prompts says who computes the attention of prompts where a device, such as a GPU, could.
type Prompts int

// Whoever is faster by measurement, or always the one.
const (
	PromptsPlanned Prompts = iota
	PromptsDevice
	PromptsCPU
)

var promptsNames = [...]string{PromptsPlanned: "plan", PromptsDevice: "device", PromptsCPU: "cpu"}

func (p Prompts) String() string { return promptsNames[p] }

// Planning is how to choose what the options leave open, and where plans are kept.
type Planning struct {
	Target  Target
	Prompts Prompts
	// File is a plan that is used as it is, or is to be written there. No commas.
	File string
	// Cache is a plan that is used if it fits, and is replaced if not. No commas.
	Cache string
}

func (p *Planning) check() error {
	if p.Target < NoTarget || int(p.Target) >= len(targetNames) {
		return failure.Argumentf("target %d: must be 0..%d", int(p.Target), len(targetNames)-1)
	}
	if p.Prompts < 0 || int(p.Prompts) >= len(promptsNames) {
		return failure.Argumentf("prompts %d: must be 0..%d", int(p.Prompts), len(promptsNames)-1)
	}
	for _, c := range []struct{ name, v string }{{"plan", p.File}, {"plan_cache", p.Cache}} {
		if strings.ContainsAny(c.v, ",\x00") || c.v != strings.TrimSpace(c.v) {
			return failure.Argumentf("option %s=%q: the name must not contain a comma, nor begin or end with a blank", c.name, c.v)
		}
	}
	if p.File != "" && p.Cache != "" {
		return failure.Argumentf("options plan=%s and plan_cache=%s exclude one another: give one",
			p.File, p.Cache)
	}
	return nil
}

// Choice is what a plan chooses, as in Options. Choice{} is nothing.
type Choice struct {
	Budget Budget `json:"budget"`
	Window int    `json:"window"`
	Period int    `json:"period"`
}

// Choice is what the options say of it, 0 where they leave it open.
func (o *Options) Choice() Choice { return Choice{o.Budget, o.Window, o.Period} }

func (c Choice) String() string {
	s := fmt.Sprintf("budget %v, window %d", c.Budget, c.Window)
	if c.Period > 1 {
		s += fmt.Sprintf(", period %d", c.Period)
	}
	return s
}
