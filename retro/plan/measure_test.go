package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// fakeTimer takes the times of a formula: the first so many layers have a budget of their own.
type fakeTimer struct {
	own    int
	start  Start
	factor func(x Step, step int) float64 // of what it takes
	steps  int
	open   bool
}

const fakeLayers, fakeHeads, fakeKnee, fakeOwn = 6, 3, 670, 512 // as newCase

func (f *fakeTimer) opened(s Start) (Timer, error) {
	f.start, f.open = s, true
	return f, nil
}

func (f *fakeTimer) Fill(window, budget int) error { return nil }
func (f *fakeTimer) Close()                        { f.open = false }

func (f *fakeTimer) Step(x Step) (got []Timing, err error) {
	for i := range fakeLayers {
		tokens, supplements := x.Budget, x.Past*x.Budget/2
		if i < f.own {
			tokens, supplements = fakeOwn, x.Past*fakeOwn/2
		}
		ns := 1e5 + 100*float64(x.Window-1) + 1000*float64(x.Past) +
			fakeHeads*float64(2*tokens+7*min(tokens, fakeKnee)+3*supplements)
		got = append(got, Timing{NS: f.factor(x, f.steps) * ns, Tokens: uint64(fakeHeads * tokens),
			Supplements: uint64(fakeHeads * supplements)})
	}
	f.steps++
	return got, nil
}

// The costs of the formula are found again.
func TestMeasureFindsCosts(t *testing.T) {
	f := &fakeTimer{factor: func(_ Step, step int) float64 {
		if step%5 == 1 { // what else the machine does
			return 1.3
		}
		return 1
	}}
	m := measured{Threads: 2}
	require.NoError(t, newCase(t, "").measure(&m, f.opened))
	require.False(t, f.open)
	require.Equal(t, Start{Threads: 2, Depth: 4096, Window: 8}, f.start)
	require.Equal(t, []int{fakeLayers * fakeHeads, 4096, 4016, fakeKnee},
		[]int{m.Heads, m.Depth, m.Far, m.Knee})
	require.InEpsilon(t, 6*1e5, m.StepNS, 1e-6)
	require.InEpsilon(t, 2.0, m.ReadNS, 1e-6)
	require.InEpsilon(t, 7.0, m.ChooseNS, 1e-6)
	require.InEpsilon(t, 3.0, m.SupplementNS, 1e-6)
	require.InEpsilon(t, 6*100, m.WindowNS, 1e-4)
	require.InEpsilon(t, 6*1000, m.PastNS, 1e-4)
}

// Layers with a budget of their own take the same time with any budget.
func TestMeasureBesideLayerBudgets(t *testing.T) {
	f := &fakeTimer{own: 2, factor: func(Step, int) float64 { return 1 }}
	m := measured{Threads: 2}
	require.NoError(t, newCase(t, "layer_budget=0-1:512").measure(&m, f.opened))
	const open, own = fakeLayers - 2, 2 * fakeHeads * fakeOwn
	require.Equal(t, []int{open * fakeHeads, fakeKnee}, []int{m.Heads, m.Knee})
	require.InEpsilon(t, 6*1e5+own*(2+7), m.StepNS, 1e-6)
	require.InEpsilon(t, 6*1000+own*3/2, m.PastNS, 1e-6)
	require.InEpsilon(t, 2.0, m.ReadNS, 1e-6)
	require.InEpsilon(t, 7.0, m.ChooseNS, 1e-6)
	require.InEpsilon(t, 3.0, m.SupplementNS, 1e-6)
}

// Times that do not fit together are no plan, and are told.
func TestMeasureOnABusyMachine(t *testing.T) {
	f := &fakeTimer{factor: func(x Step, _ int) float64 { return 1 / float64(x.Budget) }}
	o, err := newCase(t, "").New(Passes{Threads: 2, Rows: []int{1}, NS: []uint64{1e6}}, f.opened)
	require.NoError(t, err)
	require.Positive(t, f.steps)
	require.False(t, f.open)
	require.True(t, o.Done)
	require.Equal(t, options.Fallback, o.Options.Choice())
	require.Contains(t, o.Line, "the machine is too busy to measure; the next start tries again")
}

func TestShapes(t *testing.T) {
	c := newCase(t, "layer_budget=2:all/4-5:64")
	c.Layers[1].Alike, c.Layers[5].Alike = 1, 1
	shapes, heads := c.shapes()
	require.Equal(t, []layerShape{{0, false}, {1, false}, {2, true}, {0, false}, {4, true},
		{5, true}}, shapes)
	require.Equal(t, 9, heads)
}
