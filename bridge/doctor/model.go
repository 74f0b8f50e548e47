package main

import (
	"fmt"
	"strings"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
)

// model tells what of a model is served, what its cache takes, and what the plan would choose.
func (d *doctor) model(say func(name, format string, args ...any), m *bridge.Description,
	rate float64) error {
	say("model", "%s, %d layers", m.Text, m.Layers)
	if m.Refused != "" {
		say("served", "nothing: %s", m.Refused)
		return nil
	}
	say("served", "%s", served(m))
	say("KV cache", "%s", cache(m))
	perToken, pass := cacheRow(m), float64(m.PassSize)/rate
	say("a token", "reads %.0f MiB of weights, %.1f ms at that rate, and in full attention to %d "+
		"tokens %.0f MiB of keys and values, %.1f ms", float64(m.PassSize)/(1<<20), pass*1e3, m.Ctx,
		perToken*float64(m.Ctx)/(1<<20), perToken*float64(m.Ctx)/rate*1e3)
	o, err := options.Parse(d.Options)
	if err != nil {
		return err
	}
	line, err := planned(m, o, d.Threads, pass)
	if err != nil {
		say("plan", "none, sparse attention is refused: %v", err)
		return nil
	}
	say("plan", "%s", strings.TrimPrefix(line, "plan: "))
	say("", "%s", "The first start measures how long a pass through the model takes, also of several "+
		"tokens, and may choose otherwise: here it is taken to last as long as reading its weights.")
	return nil
}

// served says which layers are, and what becomes of the others.
func served(m *bridge.Description) string {
	parts := []string{fmt.Sprintf("%d of %d layers", len(m.Served), m.Layers)}
	if m.WindowLayers > 0 {
		parts = append(parts, fmt.Sprintf("%d have a sliding window of %d tokens", m.WindowLayers,
			m.Window))
	}
	if m.RecurrentLayers > 0 {
		parts = append(parts, fmt.Sprintf("%d are recurrent", m.RecurrentLayers))
	}
	if rest := m.Layers - len(m.Served) - m.WindowLayers - m.RecurrentLayers; rest > 0 {
		parts = append(parts, fmt.Sprintf("%d have no attention of their own", rest))
	}
	if len(parts) > 1 {
		parts[len(parts)-1] += " (llama.cpp's, as ever)"
	}
	return strings.Join(parts, "; ")
}

// cache says what a token takes, of the type that was asked for and of others.
func cache(m *bridge.Description) string {
	row := cacheRow(m)
	text := fmt.Sprintf("%.1f KiB per token as it is asked for, %.2f GiB for %d tokens", row/1024,
		row*float64(m.Ctx)/(1<<30), m.Ctx)
	for _, t := range []kernels.Type{kernels.F16, kernels.Q8_0, kernels.Q4_0} {
		if row := cacheRowOf(m, t); row > 0 {
			text += fmt.Sprintf("; %v: %.1f KiB", t, row/1024)
		}
	}
	return text
}

// cacheRow is the bytes of a token in the layers that are served.
func cacheRow(m *bridge.Description) float64 {
	return rowSum(m, func(l *bridge.DescribedLayer) (k, v uint64) { return l.KRow, l.VRow })
}

// cacheRowOf is the same in another type, 0 if a layer's heads do not fit it.
func cacheRowOf(m *bridge.Description, t kernels.Type) float64 {
	fits := true
	sum := rowSum(m, func(l *bridge.DescribedLayer) (k, v uint64) {
		k, v = uint64(l.KVHeads*t.RowBytes(l.DK)), uint64(l.KVHeads*t.RowBytes(l.DV))
		fits = fits && k > 0 && v > 0
		return k, v
	})
	if !fits {
		return 0
	}
	return sum
}

// rowSum adds up what layers keep themselves, given the bytes of their keys and values.
func rowSum(m *bridge.Description, row func(l *bridge.DescribedLayer) (k, v uint64)) (sum float64) {
	for i := range m.Served {
		l := &m.Served[i]
		k, v := row(l)
		if l.Latent {
			v = 0
		}
		if !l.Shared {
			sum += float64(k + v)
		}
	}
	return sum
}
