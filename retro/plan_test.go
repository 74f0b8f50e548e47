package retro

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
)

func planOptions(t testing.TB, text string) options.Options {
	o, err := options.Parse(text)
	require.NoError(t, err)
	return o
}

var planModel = shape{layers: 6, seqs: 1, cells: 6000, heads: 9, kv: 3, dk: 64, dv: 64,
	tk: kernels.F16, tv: kernels.F16}

var planPasses = plan.Passes{Threads: 2, Rows: []int{1, 2, 4, 8},
	NS: []uint64{1e6, 1.7e6, 2.2e6, 4e6}}

// A plan is measured, kept, and used by the next engine of that shape; it leaves nothing else
// behind.
func TestPlanIsMeasuredOnce(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		of   kernels.Type
		text string
	}{{kernels.F16, ""}, {kernels.Q8_0, ""}, {kernels.Q8_0, ",select=oracle"}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			sh := planModel
			sh.tk, sh.tv = c.of, c.of
			text := "target=balanced,plan=" + filepath.Join(dir, fmt.Sprint(i)) + c.text
			h := newHost(t, sh, planOptions(t, text), 2, 1)
			done, line, err := h.e.Plan(planPasses)
			require.NoError(t, err)
			require.True(t, done)
			t.Log(line)
			require.Regexp(t, `^plan: budget \d+, window \d`, line)
			require.False(t, h.e.ready)
			require.Zero(t, h.e.Stats())
			if strings.Contains(line, "too busy") {
				t.Skip(line)
			}
			again := newHost(t, sh, planOptions(t, text), 2, 1)
			done, line, err = again.e.Plan(plan.Passes{Threads: 2})
			require.NoError(t, err)
			require.True(t, done)
			require.Contains(t, line, "says)")
			require.Equal(t, h.e.opt, again.e.opt)
			require.Equal(t, h.e.budgets, again.e.budgets)
		})
	}
}

// A timer's steps read what their kind says, in each layer, from summaries that tell pages apart.
func TestTimer(t *testing.T) {
	for _, text := range []string{"", "select=minmax,summary_bits=16", "select=oracle"} {
		t.Run(text, func(t *testing.T) {
			h := newHost(t, planModel, planOptions(t, text), 2, 1)
			timer, err := h.e.newTimer(plan.Start{Threads: 2, Depth: 4096, Window: 4})
			require.NoError(t, err)
			defer timer.Close()
			require.NoError(t, timer.Fill(4, 256))
			var steps [][]plan.Timing
			for _, x := range []plan.Step{{Budget: 256}, {Budget: 512}, {Budget: 256, Past: 3}} {
				x.Window = 4
				got, err := timer.Step(x)
				require.NoError(t, err)
				require.Len(t, got, planModel.layers)
				steps = append(steps, slices.Clone(got))
			}
			for i, x := range steps[0] {
				require.Positive(t, x.NS)
				require.Greater(t, steps[1][i].Tokens, x.Tokens)
				if text != "select=oracle" { // which reads the keys, and they are all alike
					require.Positive(t, steps[2][i].Supplements, "steps choose different tokens")
				}
			}
			require.NoError(t, timer.Fill(1, 256))
			alone, err := timer.Step(plan.Step{Window: 1, Budget: 256})
			require.NoError(t, err)
			require.Zero(t, alone[0].Supplements)
			require.False(t, h.e.ready)
		})
	}
}

func TestPlanOutOfOrder(t *testing.T) {
	h := newHost(t, planModel, planOptions(t, "budget=512,window=1"), 2, 1)
	done, line, err := h.e.Plan(plan.Passes{Threads: 1})
	require.NoError(t, err)
	require.True(t, done)
	require.Empty(t, line)
	_, err = h.e.SeqWindow(0, 0)
	require.NoError(t, err)
	_, _, err = h.e.Plan(plan.Passes{})
	require.ErrorIs(t, err, failure.State)

	e, err := Open(Config{Layers: 1, Seqs: 1, Cells: 8192, Rows: 16, Threads: 1},
		planOptions(t, "target=speed"))
	require.NoError(t, err)
	_, _, err = e.Plan(plan.Passes{Threads: 1})
	require.ErrorIs(t, err, failure.State)

	h = newHost(t, planModel, planOptions(t, "target=speed"), 2, 1)
	for _, bad := range []plan.Passes{{}, {Threads: 3}, {Threads: 1, Rows: []int{1}},
		{Threads: 1, Rows: []int{2}, NS: []uint64{1}},
		{Threads: 1, Rows: []int{1, 1}, NS: []uint64{1, 1}},
		{Threads: 1, Rows: []int{1}, NS: []uint64{0}}} {
		_, _, err = h.e.Plan(bad)
		require.ErrorIs(t, err, failure.Argument)
	}
}

// A plan whose memory cannot be had leaves everything as it was.
func TestPlanWithoutRoom(t *testing.T) {
	opt := planOptions(t, "target=speed,plan="+filepath.Join(t.TempDir(), "plan"))
	first := newHost(t, planModel, opt, 2, 1)
	_, line, err := first.e.Plan(planPasses)
	require.NoError(t, err)
	h := newHost(t, planModel, opt, 2, 1)
	before, budgets := h.e.opt, h.e.budgets
	if strings.Contains(line, "too busy") || first.e.opt == before {
		t.Skip(line)
	}
	h.e.cfg.Room = func(uint64) error { return failure.Unsupported }
	done, line, err := h.e.Plan(plan.Passes{Threads: 2})
	require.ErrorIs(t, err, failure.Unsupported)
	require.False(t, done)
	require.Empty(t, line)
	require.Equal(t, before, h.e.opt)
	require.Equal(t, budgets, h.e.budgets)
	h.e.cfg.Room = nil
	done, _, err = h.e.Plan(plan.Passes{Threads: 2})
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, first.e.opt, h.e.opt)
}

// What needs no measurement, in whole lines: one choice where nothing can be chosen, and what was
// set.
func TestPlanWithoutMeasurement(t *testing.T) {
	const warning = "is so little that texts fall apart: give 64 tokens or more, or a share such as 15%"
	for text, want := range map[string]string{
		"select=streaming":                      "plan: budget 1024, window 1 (nothing to choose with select=streaming)",
		"min_ctx=8000,period=2":                 "plan: budget 1024, window 2, period 2 (nothing to choose, as a context of 6000 tokens is attended to exactly)",
		"budget=all,window=1":                   "plan: budget all, window 1 (everything is read: attention is exact)",
		"budget=6000":                           "plan: budget 6000, window 1 (everything is read: attention is exact)",
		"layer_budget=0-5:all":                  "plan: budget 1024, window 1 (everything is read: attention is exact)",
		"budget=all,layer_budget=0-4:64":        "plan: budget all, window 1 (nothing could be measured, as in a context that is in use)",
		"":                                      "plan: budget 1024, window 1 (nothing could be measured, as in a context that is in use)",
		"budget=512,window=2,period=2":          "",
		"budget=512,window=1,target=quality":    "",
		"budget=1,window=1":                     "warning: a budget of 1 in layer 0 " + warning,
		"budget=0.01,window=2,period=2":         "warning: a budget of 0.01 in layer 0 " + warning,
		"budget=512,window=1,layer_budget=3:63": "warning: a budget of 63 in layer 3 " + warning,
		"budget=32,min_ctx=8000":                "plan: budget 32, window 1 (nothing to choose, as a context of 6000 tokens is attended to exactly); warning: a budget of 32 in layer 0 " + warning,
	} {
		h := newHost(t, planModel, planOptions(t, text), 2, 1)
		done, line, err := h.e.Plan(plan.Passes{Threads: 2})
		require.NoError(t, err)
		require.Equal(t, !strings.Contains(line, "nothing could be measured"), done, text)
		require.Equal(t, want, line, text)
	}
}

// In a context that is smaller than what summaries are built from, a plan is made like in any
// other.
func TestPlanOfASmallContext(t *testing.T) {
	sh := shape{layers: 1, seqs: 1, cells: 256, kv: 1, heads: 1, dk: 32, dv: 32, tk: kernels.F16,
		tv: kernels.F16}
	h := newHost(t, sh, planOptions(t, "budget=16,window=2,min_ctx=0,local=16"), 1, 1)
	done, line, err := h.e.Plan(plan.Passes{Threads: 1, Rows: []int{1, 2}, NS: []uint64{1e6, 15e5}})
	require.NoError(t, err)
	require.True(t, done, line)
}
