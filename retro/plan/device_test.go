package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// batches are measured with 2, 8 and 512 rows, in ms.
func batches(device, cpu [3]uint64) (all []Batch) {
	for i, rows := range []int{2, 8, 512} {
		all = append(all, Batch{rows, device[i] * 1e6, cpu[i] * 1e6})
	}
	return all
}

// Who is faster attends to drafts and prompts; what is between two batches lies on a line.
func TestBatchesByWhoIsFaster(t *testing.T) {
	for _, c := range []struct {
		device, cpu [3]uint64
		want        int
		why         string
	}{
		{[3]uint64{50, 52, 180}, [3]uint64{20, 22, 60}, 0, "prompts and drafts by the cpu ("},
		{[3]uint64{20, 20, 80}, [3]uint64{25, 30, 70}, 0, "prompts and drafts by the cpu ("},
		{[3]uint64{30, 30, 60}, [3]uint64{19, 20, 670}, 16,
			"prompts by the device, but up to 16 tokens at once by the cpu ("},
		{[3]uint64{20, 20, 60}, [3]uint64{16, 28, 670}, 4,
			"prompts by the device, but up to 4 tokens at once by the cpu ("},
		{[3]uint64{20, 20, 60}, [3]uint64{21, 28, 670}, 1, "prompts and drafts by the device ("},
		{[3]uint64{20, 20, 60}, [3]uint64{20, 20, 60}, 1, "prompts and drafts by the device ("},
	} {
		d := &Device{Depth: 4096, Batches: batches(c.device, c.cpu)}
		h := d.host(options.PromptsPlanned)
		require.Equal(t, c.want, h.Rows, c)
		require.True(t, strings.HasPrefix(h.Why, c.why), h.Why)
	}
}

// Where it was set who attends to prompts, drafts are decided by what was measured as far as it
// leaves that open.
func TestPromptsAsSet(t *testing.T) {
	slow := &Device{Depth: 4096, Batches: batches([3]uint64{50, 52, 180}, [3]uint64{20, 22, 60})}
	fast := &Device{Depth: 4096, Batches: batches([3]uint64{20, 20, 60}, [3]uint64{16, 28, 670})}
	require.Equal(t, Host{Rows: 64, Why: "prompts by the device, but up to 64 tokens at once by the " +
		"cpu (2, 8, 512 tokens behind 4096 take 50, 52, 180 ms by the device, 20, 22, 60 by the cpu)" +
		", prompts as was set"}, slow.host(options.PromptsDevice))
	require.Equal(t, 4, fast.host(options.PromptsDevice).Rows)
	for _, d := range []*Device{slow, fast, {}} {
		h := d.host(options.PromptsCPU)
		require.Zero(t, h.Rows)
		require.Contains(t, h.Why, "prompts as was set")
	}
	for asked, want := range map[options.Prompts]string{options.PromptsPlanned: "not be measured",
		options.PromptsDevice: "as was set"} {
		h := (&Device{}).host(asked)
		require.Equal(t, 64, h.Rows)
		require.Contains(t, h.Why, want)
	}
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
	d := &Device{Depth: 4096, Batches: batches([3]uint64{20, 20, 60}, [3]uint64{16, 28, 670}),
		Threads: []int{1, 2}, StepNS: []uint64{9e6, 5e6}}
	passes := Passes{Threads: 2, Rows: []int{1, 2}, NS: []uint64{4e6, 4e6}, Device: d}
	for _, asked := range []string{"", "budget=512,window=1", "budget=all", "select=streaming"} {
		path := filepath.Join(t.TempDir(), "plan")
		c := newCase(t, asked+",plan_cache="+path)
		c.Device = true
		o, err := c.Known()
		require.NoError(t, err)
		require.False(t, o.Done, asked)
		require.Equal(t, 64, o.Host.Rows)
		require.Contains(t, o.Line, "could not be measured")

		f := &fakeTimer{factor: func(Step, int) float64 { return 1 }}
		made, err := c.New(passes, f.opened)
		require.NoError(t, err)
		require.True(t, made.Done)
		require.Equal(t, []int{4, 2}, []int{made.Host.Rows, made.Host.Threads})
		require.Contains(t, made.Line, "up to 4 tokens at once by the cpu")
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
	made, err := open("", true).from(dear, Host{Threads: 2, Why: "by the cpu"})
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
	f.Host.Rows = draftRows + 1 // prompts of so many tokens would stay here
	require.NoError(t, os.WriteFile(path, f.encode(), 0o644))
	_, err = open("prompts=device,", true).Known()
	require.ErrorContains(t, err, "does not leave prompts to the device, as was set")
	for _, n := range []int{-1, 3} {
		f.Host.Threads = n
		require.NoError(t, os.WriteFile(path, f.encode(), 0o644))
		_, err = open("", true).Known()
		require.ErrorContains(t, err, "threads for steps, of 2")
	}
	for _, n := range []int{-1, 1<<30 + 1} {
		f.Host.Threads, f.Host.Rows = 2, n
		require.NoError(t, os.WriteFile(path, f.encode(), 0o644))
		_, err = open("", true).Known()
		require.ErrorContains(t, err, "tokens at once attended to here")
	}
	f.Host.Rows, f.Shape.Device = 0, false
	require.NoError(t, os.WriteFile(path, f.encode(), 0o644))
	_, err = open("", true).Known()
	require.ErrorContains(t, err, "was made for a host without a device such as a GPU, this has one")
}

func TestDeviceIsChecked(t *testing.T) {
	for _, d := range []Device{
		{Batches: []Batch{{8, 1, 0}}}, {Batches: []Batch{{8, 0, 1}}},
		{Batches: []Batch{{8, 1 << 60, 1}}}, {Batches: []Batch{{8, 1, 1 << 60}}},
		{Batches: []Batch{{1, 1, 1}}}, {Batches: []Batch{{8, 1, 1}, {8, 1, 1}}},
		{Batches: []Batch{{1<<30 + 1, 1, 1}}}, {Batches: []Batch{{8, 1, 1}}, Depth: -1},
		{Threads: []int{1}}, {Threads: []int{0}, StepNS: []uint64{1}},
		{Threads: []int{3}, StepNS: []uint64{1}}, {Threads: []int{1}, StepNS: []uint64{0}},
	} {
		p := Passes{Threads: 2, Device: &d}
		require.Error(t, p.Check(2, 8))
	}
	p := Passes{Threads: 2, Device: &Device{Threads: []int{2}, StepNS: []uint64{1}}}
	require.NoError(t, p.Check(2, 8))
}
