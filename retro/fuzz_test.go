package retro

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// drawn is a source of numbers whose leading bits are the fuzzer's, so that it decides
// what happens; the others keep rand from drawing again and again.
type drawn struct {
	data []byte
	rest *rand.PCG
}

func (d *drawn) Uint64() uint64 {
	x := d.rest.Uint64() >> 16
	for i := 56; i >= 48; i -= 8 {
		if len(d.data) > 0 {
			x |= uint64(d.data[0]) << i
			d.data = d.data[1:]
		}
	}
	return x
}

// FuzzEvents is TestModel with what happens decoded from bytes.
func FuzzEvents(f *testing.F) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 8))
		data := make([]byte, 60+40*seed)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		source := &drawn{data, rand.NewPCG(1, 1)}
		w := drawWorld(t, rand.New(source), 1)
		for n := 0; len(source.data) > 0 && n < 100; n++ {
			w.step()
		}
		for seq := range int32(worldSeqs) {
			if w.length(seq) > 0 {
				w.decodeSome(seq)
			}
		}
	})
}

// FuzzPlanFile holds that what a file says, also one with the right checksum, is refused or
// leaves valid options, and that what is read is written again as it was.
func FuzzPlanFile(f *testing.F) {
	h := newHost(f, plainShape, planOptions(f, "target=balanced"), 2, 1)
	shape := h.e.planShape(2)
	o := h.e.asked
	good := planFile{Format: planFormat, Version: planVersion, Shape: shape, Made: h.e.made(), Measured: dear, Plan: dear.decide(&o, h.e.cfg.Rows)}
	f.Add(good.encode(), false)
	for _, choice := range []Choice{{Budget: 64, Window: 99, Period: 1}, {Budget: 1e300, Window: 1, Period: 1}, {Budget: -1, Window: 2, Period: 2}, {Window: 16, Period: -5}, {}} {
		bad := good
		bad.Plan.Choice = choice
		f.Add(bad.encode(), true)
	}
	f.Add([]byte(`{"format":"retroattn-plan","version":2}`), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			var p planFile
			_ = json.Unmarshal(data, &p)
			p.Format, p.Version, p.Shape = planFormat, planVersion, shape
			data = p.encode()
		}
		p, err := decodePlan(data)
		if err != nil {
			return
		}
		again, err := decodePlan(p.encode())
		require.NoError(t, err)
		require.Equal(t, p, again)
		e, err := Open(h.e.cfg, o)
		require.NoError(t, err)
		copy(e.layers, h.e.layers)
		if err := e.applyPlan(&p, shape); err != nil {
			require.Equal(t, h.e.opt, e.opt)
			return
		}
		require.NoError(t, e.opt.Validate())
		require.NotEmpty(t, e.planned(&p, ""))
		_, err = ParseOptions(e.opt.String())
		require.NoError(t, err)
		require.NoError(t, e.prepare())
	})
}
