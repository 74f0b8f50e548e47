package retro

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"retroattn/kernels"
)

// dear is a CPU: a second row costs almost what the first does, and tokens are cheap.
// cheap is dense layers on a GPU and a slow memory.
var (
	dear = Measured{Threads: 2, Rows: []int{1, 2, 4, 8}, PassNS: []float64{5e6, 8.5e6, 11e6, 16e6}, Depth: 4096, Far: 4016, Heads: 90,
		StepNS: 1.2e6, ReadNS: 9, SupplementNS: 5, PastNS: 0.3e6, WideNS: -1}
	cheap = Measured{Threads: 8, Rows: []int{1, 2, 4, 8}, PassNS: []float64{4e6, 4.01e6, 4.02e6, 4.05e6}, Depth: 16384, Far: 16304, Heads: 64,
		StepNS: 1e6, ReadNS: 94, SupplementNS: 1.25, PastNS: 0.01e6, WideNS: -1}
)

func planOptions(t testing.TB, text string) Options {
	o, err := ParseOptions(text)
	require.NoError(t, err)
	return o
}

func TestDecide(t *testing.T) {
	o := planOptions(t, "target=balanced")
	p := dear.decide(&o, 16)
	require.Equal(t, p, dear.decide(&o, 16))
	require.Equal(t, 1, p.Window)
	require.Greater(t, p.Budget, 512.0, "what correction would cost buys budget")
	require.Contains(t, p.Why, "2 rows cost 1.7x of a pass")
	require.Contains(t, p.Why, "correction would cost more than it brings")

	p = cheap.decide(&o, 16)
	require.Greater(t, p.Window, 1)
	require.Contains(t, p.Why, "correction brings more")
	require.LessOrEqual(t, cheap.decide(&o, 4).Window, 4, "rows of the host")
}

// A target that allows more time takes no less of it and is no less faithful.
func TestTargetsAreOrdered(t *testing.T) {
	for name, m := range map[string]Measured{"dear": dear, "cheap": cheap} {
		var last Plan
		for i, target := range []string{"speed", "balanced", "quality"} {
			o := planOptions(t, "target="+target)
			p := m.decide(&o, 16)
			t.Logf("%s, %s: %v, %.2f ms, KL %.2f", name, target, p.Choice, p.TokenNS/1e6, p.KL)
			require.LessOrEqual(t, p.TokenNS, p.FastestNS*o.Planning.Target.slack()*1.0001)
			require.LessOrEqual(t, p.Budget, float64(m.Depth)/2)
			require.Equal(t, target, p.Target)
			if i > 0 {
				require.GreaterOrEqual(t, p.TokenNS, last.TokenNS)
				require.LessOrEqual(t, p.KL, last.KL*1.03)
			}
			last = p
		}
	}
}

// Whatever the user set stays; the rest is chosen around it.
func TestDecideKeepsWhatIsSet(t *testing.T) {
	for _, text := range []string{"budget=700", "budget=0.3", "window=4", "window=3", "window=16", "window=1", "period=4", "window=8,period=3",
		"period=5", "correct_budget=4096", "correct_budget=0", "budget=512,window=2,period=1,correct_budget=0", "window=2,period=2,budget=100000"} {
		for _, target := range []string{"speed", "quality"} {
			for _, m := range []Measured{dear, cheap} {
				o := planOptions(t, text+",target="+target)
				e, err := Open(Config{Layers: 1, Seqs: 1, Cells: 8192, Rows: 16, Threads: 1}, o)
				require.NoError(t, err)
				require.NoError(t, e.adopt(m.decide(&o, 16).Choice), text)
				for part := range strings.SplitSeq(text, ",") {
					require.Contains(t, e.opt.String()+",correct_budget=0", part)
				}
			}
		}
	}
	o := planOptions(t, "target=quality,window=8,budget=512,select=pages")
	wide := cheap
	wide.WideNS = 0
	require.EqualValues(t, 2048, wide.decide(&o, 16).CorrectBudget, "with the budget set, more on some steps is what is left")
	require.Zero(t, cheap.decide(&o, 16).CorrectBudget, "an engine that cannot")
}

func TestPlanOptions(t *testing.T) {
	require.Equal(t, Planning{File: "x"}, planOptions(t, "plan=x").Planning)
	require.Zero(t, planOptions(t, "budget=64,window=4").Planning)
	for text, want := range map[string]string{
		"target=best":            "option target=best: must be one of speed, balanced, quality",
		"target=none":            "option target=none: must be one of speed, balanced, quality",
		"plan=":                  "option plan=: has no value",
		"plan=a,plan_cache=b":    "options plan=a and plan_cache=b exclude one another",
		"period=3,window=2":      "option period=3: must be 1..2, as window=2 limits it",
		"period=17,target=speed": "option period=17: must be 1..16",
		"correct_budget=-1":      "option correct_budget=-1: must be a whole number",
	} {
		_, err := ParseOptions(text)
		require.ErrorContains(t, err, want)
	}
}

func TestLeastSquares(t *testing.T) {
	want := [costs]float64{1e6, 150, 80, 2e4, 3e5}
	var rows [][costs]float64
	var y []float64
	for _, r := range [][costs]float64{{1, 1440}, {1, 11520}, {1, 1440, 9000, 7}, {1, 1440, 9000, 7, 7}, {1, 11520, 40000, 7}, {1, 11520, 40000, 7, 7}} {
		sum := 0.0
		for i, x := range r {
			sum += want[i] * x
		}
		rows, y = append(rows, r), append(y, sum)
	}
	got := leastSquares(rows, y)
	for i := range want {
		require.InEpsilon(t, want[i], got[i], 1e-6)
	}
	got = leastSquares(rows[:2], y[:2])
	require.InEpsilon(t, want[1], got[1], 1e-6)
	require.Zero(t, got[2])
	y[3] = y[2] * 0.8 // rows that cost nothing
	y[5] = y[4] * 0.9
	got = leastSquares(rows, y)
	require.Zero(t, got[4])
	for _, x := range got {
		require.GreaterOrEqual(t, x, 0.0)
	}
}

var planModel = shape{layers: 6, seqs: 1, cells: 6000, heads: 9, kv: 3, dk: 64, dv: 64, tk: kernels.F16, tv: kernels.F16}

var planPasses = Passes{Threads: 2, Rows: []int{1, 2, 4, 8}, NS: []uint64{1e6, 1.7e6, 2.2e6, 4e6}}

// The measurement gives costs in the order of what memory and arithmetic allow, ends
// in time, and leaves nothing behind: decoding goes on as in an engine without it.
func TestMeasure(t *testing.T) {
	for _, c := range []struct {
		of      kernels.Type
		options string
	}{{kernels.F16, ""}, {kernels.Q8_0, ""}, {kernels.Q8_0, ",select=oracle"}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) { testMeasure(t, c.of, c.options) })
	}
}

func testMeasure(t *testing.T, of kernels.Type, options string) {
	sh := planModel
	sh.tk, sh.tv = of, of
	h := newHost(t, sh, planOptions(t, "target=balanced"+options), 2, 1)
	start := time.Now()
	done, line, err := h.e.Plan(planPasses)
	require.NoError(t, err)
	require.True(t, done)
	require.Less(t, time.Since(start), 10*time.Second)
	t.Log(time.Since(start), line)
	require.Regexp(t, `^plan: budget \d+, window \d`, line)
	require.False(t, h.e.ready)
	require.Zero(t, h.e.Stats())
	m := Measured{Threads: 2}
	if err := h.e.measure(&m); errors.Is(err, errBusy) {
		t.Skip(err)
	}
	require.False(t, h.e.ready)
	t.Logf("%+v", m)
	require.Equal(t, 18, m.Heads)
	require.Equal(t, 4096, m.Depth)
	require.Less(t, m.ReadNS, 1e4)
	require.Less(t, m.StepNS, 1e9)
	for _, ns := range []float64{m.StepNS, m.ReadNS, m.SupplementNS, m.WindowNS, m.PastNS} {
		require.GreaterOrEqual(t, ns, 0.0)
	}
	require.Greater(t, m.StepNS+m.ReadNS, 0.0)
	require.GreaterOrEqual(t, m.WideNS, 0.0, "a budget for correction was measured")
}

// Every way that a plan comes about, and that it is refused.
func TestPlanFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "plan.json")
	open := func(options string, sh shape) *Engine { return newHost(t, sh, planOptions(t, options), 2, 1).e }
	ask := func(e *Engine, threads int) (bool, string, error) { return e.Plan(Passes{Threads: threads}) }

	// Made once, then used as it is.
	first := open("plan="+path, planModel)
	done, _, err := ask(first, 2)
	require.NoError(t, err)
	require.False(t, done)
	line, err := first.planFrom(dear, first.planShape(2))
	require.NoError(t, err)
	require.Contains(t, line, "written to "+path)
	again := open("plan="+path, planModel)
	done, line, err = ask(again, 2)
	require.NoError(t, err)
	require.True(t, done)
	require.Contains(t, line, "as "+path+" says")
	require.Equal(t, first.opt, again.opt)
	kept := open("plan="+path+",window=4,budget=333", planModel)
	done, _, err = ask(kept, 2)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, Choice{333, 4, 1, 0}, kept.opt.choice())
	all := open("plan="+path+",window=4,budget=333,period=2", planModel)
	done, line, err = ask(all, 2)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, "plan: budget 333, window 4, period 2 (all of it was set, so that "+path+" is not used)", line)

	good, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := decodePlan(good)
	require.NoError(t, err)
	require.Equal(t, good, f.encode())
	other := planModel
	other.layers = 5
	small := planModel
	small.cells = 5000
	refuse := func(data []byte, options string, sh shape, threads int, want string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, data, 0o644))
		e := open("plan="+path+options, sh)
		before := e.opt
		_, _, err := ask(e, threads)
		require.ErrorIs(t, err, ErrArgument)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "remove it")
		require.Equal(t, before, e.opt)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, data, after, "never overwritten")
	}
	refuse(good, "", other, 2, "was made for a model with 6 layers")
	refuse(good, "", small, 2, "was made for a context of 6000 tokens, this one has 5000")
	refuse(good, "", planModel, 1, "was made for 2 threads, this is 1")
	refuse(good, ",target=speed", planModel, 2, "was made for target=balanced, not for speed")
	refuse(bytes.Replace(good, []byte(`"version": 2`), []byte(`"version": 3`), 1), "", planModel, 2, "is of version 3")
	f.Plan.Window = 99
	refuse(f.encode(), "", planModel, 2, "window=99")
	damage := [][]byte{{}, []byte("{}"), []byte("budget=512"), good[:len(good)/2], append(bytes.Clone(good), "{}"...),
		bytes.Replace(good, []byte(`"far"`), []byte(`"fat"`), 1), bytes.Repeat([]byte(" "), maxPlanFile+1)}
	for i := 0; i < len(good)-1; i += 7 {
		b := bytes.Clone(good)
		b[i] ^= 1
		if !bytes.Contains(b, []byte(`"version": 2`)) {
			continue
		}
		damage = append(damage, b)
	}
	for _, b := range damage {
		refuse(b, "", planModel, 2, "is damaged")
	}

	// A cached plan that does not fit is measured again and replaced.
	require.NoError(t, os.WriteFile(path, damage[2], 0o644))
	for _, options := range []string{"target=balanced", "target=speed", "target=speed,window=2"} {
		options += ",plan_cache=" + path
		e := open(options, planModel)
		done, _, err = ask(e, 2)
		require.NoError(t, err)
		require.False(t, done, options)
		line, err = e.planFrom(dear, e.planShape(2))
		require.NoError(t, err)
		require.NotContains(t, line, "not kept")
		known := open(options, planModel)
		done, line, err = ask(known, 2)
		require.NoError(t, err)
		require.True(t, done, options)
		require.Contains(t, line, "measured in an earlier run")
		require.Equal(t, e.opt, known.opt)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "temporary files are gone")

	// What cannot be written is a note for a cache and an error for a plan.
	e := open("plan_cache=/proc/none/plan,target=speed", planModel)
	line, err = e.planFrom(dear, e.planShape(2))
	require.NoError(t, err)
	require.Contains(t, line, "not kept: ")
	_, err = open("plan=/proc/none/plan", planModel).planFrom(dear, planShape{})
	require.ErrorContains(t, err, "plan /proc/none/plan cannot be written")
}

func TestPlanOutOfOrder(t *testing.T) {
	h := newHost(t, planModel, planOptions(t, "budget=512,window=1"), 2, 1)
	done, line, err := h.e.Plan(Passes{Threads: 1})
	require.NoError(t, err)
	require.True(t, done)
	require.Empty(t, line)
	_, err = h.e.SeqWindow(0, 0)
	require.NoError(t, err)
	_, _, err = h.e.Plan(Passes{})
	require.ErrorIs(t, err, ErrState)

	e, err := Open(Config{Layers: 1, Seqs: 1, Cells: 8192, Rows: 16, Threads: 1}, planOptions(t, "target=speed"))
	require.NoError(t, err)
	_, _, err = e.Plan(Passes{Threads: 1})
	require.ErrorIs(t, err, ErrState)

	h = newHost(t, planModel, planOptions(t, "target=speed"), 2, 1)
	for _, bad := range []Passes{{}, {Threads: 3}, {Threads: 1, Rows: []int{1}}, {Threads: 1, Rows: []int{2}, NS: []uint64{1}},
		{Threads: 1, Rows: []int{1, 1}, NS: []uint64{1, 1}}, {Threads: 1, Rows: []int{1}, NS: []uint64{0}}} {
		_, _, err = h.e.Plan(bad)
		require.ErrorIs(t, err, ErrArgument)
	}
}

// What needs no measurement, in whole lines: one choice where nothing can be chosen, and what was set.
func TestPlanWithoutMeasurement(t *testing.T) {
	const warning = "is so little that texts fall apart: give 64 tokens or more, or a share such as 15%"
	for options, want := range map[string]string{
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
		h := newHost(t, planModel, planOptions(t, options), 2, 1)
		done, line, err := h.e.Plan(Passes{Threads: 2})
		require.NoError(t, err)
		require.Equal(t, !strings.Contains(line, "nothing could be measured"), done, options)
		require.Equal(t, want, line, options)
	}
}

// In a context that is smaller than what summaries are built from, a plan is made like in any other.
func TestPlanOfASmallContext(t *testing.T) {
	sh := shape{layers: 1, seqs: 1, cells: 256, kv: 1, heads: 1, dk: 32, dv: 32, tk: kernels.F16, tv: kernels.F16}
	h := newHost(t, sh, planOptions(t, "budget=16,window=2,min_ctx=0,local=16"), 1, 1)
	done, line, err := h.e.Plan(Passes{Threads: 1, Rows: []int{1, 2}, NS: []uint64{1e6, 15e5}})
	require.NoError(t, err)
	require.True(t, done, line)
}
