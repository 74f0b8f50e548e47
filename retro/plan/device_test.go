package plan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// Who is faster computes prompts, unless it was set.
func TestPromptsByWhoIsFaster(t *testing.T) {
	slow := &Device{Rows: 512, Depth: 4096, DeviceNS: 180e6, CPUNS: 60e6}
	fast := &Device{Rows: 512, Depth: 4096, DeviceNS: 60e6, CPUNS: 180e6}
	require.Equal(t, Host{Prompts: true, Why: "attention of prompts by the cpu: 512 tokens behind " +
		"4096 take 180 ms by the device, 60 by the cpu"}, slow.host(options.PromptsPlanned))
	require.False(t, fast.host(options.PromptsPlanned).Prompts)
	require.Contains(t, fast.host(options.PromptsPlanned).Why, "by the device: ")
	require.False(t, slow.host(options.PromptsDevice).Prompts)
	require.True(t, fast.host(options.PromptsCPU).Prompts)
	h := (&Device{}).host(options.PromptsPlanned)
	require.False(t, h.Prompts)
	require.Contains(t, h.Why, "could not be measured")
}

// The fewest threads are taken that are about as fast as any.
func TestThreadsOfAttention(t *testing.T) {
	for _, c := range []struct {
		ns   []uint64 // of 2, 4, 8, 16 threads
		want int
	}{
		{[]uint64{40e6, 22e6, 13e6, 21e6}, 8},
		{[]uint64{40e6, 22e6, 13.5e6, 13e6}, 8},
		{[]uint64{40e6, 22e6, 15e6, 13e6}, 16},
		{[]uint64{13e6, 13e6, 13e6, 13e6}, 2},
	} {
		d := &Device{Threads: []int{2, 4, 8, 16}, StepNS: c.ns}
		h := d.host(options.PromptsPlanned)
		require.Equal(t, c.want, h.Threads)
		require.Contains(t, h.Why, "; attention on ")
	}
	require.Zero(t, (&Device{}).host(options.PromptsPlanned).Threads)
}

// What was chosen for a device is kept with the plan, also where all options were set, and is asked
// for again where nothing could be measured.
func TestDeviceIsKept(t *testing.T) {
	d := &Device{Rows: 512, Depth: 4096, DeviceNS: 180e6, CPUNS: 60e6, Threads: []int{1, 2},
		StepNS: []uint64{9e6, 5e6}}
	passes := Passes{Threads: 2, Rows: []int{1, 2}, NS: []uint64{4e6, 4e6}, Device: d}
	for _, asked := range []string{"", "budget=512,window=1", "budget=all", "select=streaming"} {
		path := filepath.Join(t.TempDir(), "plan")
		c := newCase(t, asked+",plan_cache="+path)
		c.Device = true
		o, err := c.Known()
		require.NoError(t, err)
		require.False(t, o.Done, asked)
		require.False(t, o.Host.Prompts)
		require.Contains(t, o.Line, "could not be measured")

		f := &fakeTimer{factor: func(Step, int) float64 { return 1 }}
		made, err := c.New(passes, f.opened)
		require.NoError(t, err)
		require.True(t, made.Done)
		require.Equal(t, []any{true, 2}, []any{made.Host.Prompts, made.Host.Threads})
		require.Contains(t, made.Line, "by the cpu: 512 tokens")
		require.Equal(t, asked == "", f.steps > 0, "what is set needs no measurement")

		o, err = c.Known()
		require.NoError(t, err)
		require.True(t, o.Done, asked)
		require.Equal(t, made.Host, o.Host)
		require.Equal(t, made.Options, o.Options)
		require.Contains(t, o.Line, "measured in an earlier run")

		c.Device = false
		o, err = c.Known()
		require.NoError(t, err)
		require.Zero(t, o.Host, "a plan with a device is not one without")
	}
}

// A plan that was named is of a host with a device or of one without, does what was set, and has
// only threads that there are.
func TestDeviceOfPlanFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan")
	open := func(text string, device bool) *Case {
		c := newCase(t, text+"plan="+path)
		c.Device = device
		return c
	}
	made, err := open("", true).from(dear, Host{Prompts: true, Threads: 2, Why: "by the cpu"})
	require.NoError(t, err)
	o, err := open("prompts=cpu,", true).Known()
	require.NoError(t, err)
	require.Equal(t, made.Host, o.Host)
	_, err = open("", false).Known()
	require.ErrorContains(t, err, "was made for a host with a device such as a GPU, this has none")
	_, err = open("prompts=device,", true).Known()
	require.ErrorContains(t, err, "does not leave prompts to the device, as was set")

	f, err := readFile(path)
	require.NoError(t, err)
	for _, n := range []int{-1, 3} {
		f.Host.Threads = n
		require.NoError(t, os.WriteFile(path, f.encode(), 0o644))
		_, err = open("", true).Known()
		require.ErrorContains(t, err, "threads for steps, of 2")
	}
	f.Host.Threads, f.Shape.Device = 0, false
	require.NoError(t, os.WriteFile(path, f.encode(), 0o644))
	_, err = open("", true).Known()
	require.ErrorContains(t, err, "was made for a host without a device such as a GPU, this has one")
}

func TestDeviceIsChecked(t *testing.T) {
	for _, d := range []Device{
		{DeviceNS: 1}, {CPUNS: 1}, {Rows: -1}, {DeviceNS: 1 << 60, CPUNS: 1},
		{Threads: []int{1}}, {Threads: []int{0}, StepNS: []uint64{1}},
		{Threads: []int{3}, StepNS: []uint64{1}}, {Threads: []int{1}, StepNS: []uint64{0}},
	} {
		p := Passes{Threads: 2, Device: &d}
		require.Error(t, p.Check(2, 8))
	}
	p := Passes{Threads: 2, Device: &Device{Threads: []int{2}, StepNS: []uint64{1}}}
	require.NoError(t, p.Check(2, 8))
}
