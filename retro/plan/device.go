package plan

import (
	"fmt"
	"strings"

	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// Device is what a host measured that computes dense layers on a device, such as a GPU. All times
// are nanoseconds.
type Device struct {
	Batches []Batch // behind Depth tokens, of rising numbers of rows; none: not measured
	Depth   int
	// Decode steps with attention here on so many threads, where the device has all dense layers.
	Threads []int
	StepNS  []uint64
}

// Batch is one of several tokens of a sequence, such as drafts or a prompt: computed by the device
// alone, and with attention here.
type Batch struct {
	Rows            int
	DeviceNS, CPUNS uint64
}

// gain is what attention here saves.
func (b Batch) gain() float64 { return float64(b.DeviceNS) - float64(b.CPUNS) }

const mostRows = 1 << 30 // of a batch

// check refuses times that are none, and more threads than there can be.
func (d *Device) check(threads int) error {
	if d == nil {
		return nil
	}
	const most = 1 << 50
	last := 1
	for _, b := range d.Batches {
		if b.Rows <= last || b.Rows > mostRows || d.Depth < 0 || b.DeviceNS == 0 ||
			b.DeviceNS > most || b.CPUNS == 0 || b.CPUNS > most {
			return failure.Argumentf("%d tokens behind %d take %d ns by the device and %d here: must be "+
				"more than %d tokens, and take some time", b.Rows, d.Depth, b.DeviceNS, b.CPUNS, last)
		}
		last = b.Rows
	}
	if len(d.Threads) != len(d.StepNS) {
		return failure.Argumentf("%d times of steps for %d numbers of threads", len(d.StepNS),
			len(d.Threads))
	}
	for i, n := range d.Threads {
		if n < 1 || n > threads || d.StepNS[i] == 0 || d.StepNS[i] > most {
			return failure.Argumentf("a step on %d threads in %d ns: must be 1..%d threads, and take "+
				"some time", n, d.StepNS[i], threads)
		}
	}
	return nil
}

// Host is what a plan chooses for a host with a device.
type Host struct {
	// Rows is the most tokens of a sequence at once that are attended to here. The device is faster
	// for more. 0: all.
	Rows    int    `json:"rows"`
	Threads int    `json:"threads"` // of decode steps; 0: as many as the host has for them
	Why     string `json:"why"`
}

// draftRows is how many tokens of a sequence at once are drafts, where nothing else is known: what
// is longer is a prompt.
const draftRows = 64

// fewer threads are taken where they cost no more than this: what else runs wants processors, too.
const fewer = 1.05

// host decides for a host with a device.
func (d *Device) host(asked options.Prompts) Host {
	h := Host{Rows: d.rows()}
	switch {
	case asked == options.PromptsCPU:
		h.Rows = 0
	case asked == options.PromptsDevice && (h.Rows == 0 || h.Rows > draftRows):
		h.Rows = draftRows
	}
	switch h.Rows {
	case 0:
		h.Why = "prompts and drafts by the cpu"
	case 1:
		h.Why = "prompts and drafts by the device"
	default:
		h.Why = fmt.Sprintf("prompts by the device, but up to %d tokens at once by the cpu", h.Rows)
	}
	switch {
	case len(d.Batches) > 0:
		h.Why += d.times()
	case asked == options.PromptsPlanned:
		h.Why += ", as they could not be measured"
	}
	if asked != options.PromptsPlanned {
		h.Why += ", prompts as was set"
	}
	if len(d.Threads) == 0 {
		return h
	}
	fastest, most := 0, 0
	for i, ns := range d.StepNS {
		if ns < d.StepNS[fastest] {
			fastest = i
		}
		if d.Threads[i] > d.Threads[most] {
			most = i
		}
	}
	best := fastest
	for i, ns := range d.StepNS {
		if d.Threads[i] < d.Threads[best] && float64(ns) <= fewer*float64(d.StepNS[fastest]) {
			best = i
		}
	}
	h.Threads = d.Threads[best]
	h.Why += fmt.Sprintf("; attention on %d of %d threads: %s ms per token", h.Threads,
		d.Threads[most], ms(d.StepNS[best]))
	if best != most {
		h.Why += fmt.Sprintf(", on all %s", ms(d.StepNS[most]))
	}
	return h
}

// rows is up to how many tokens at once attention is faster here: of one it always is. 0: of all.
func (d *Device) rows() int {
	n := len(d.Batches)
	if n == 0 {
		return draftRows
	}
	if d.Batches[n-1].gain() > 0 {
		return 0
	}
	for i := n - 2; i >= 0; i-- {
		a, b := d.Batches[i], d.Batches[i+1]
		if a.gain() > 0 { // and that of b is not: what is between lies on a line
			return a.Rows + int(float64(b.Rows-a.Rows)*a.gain()/(a.gain()-b.gain()))
		}
	}
	return 1
}

// times are what tells who is faster.
func (d *Device) times() string {
	var rows, device, cpu []string
	for _, b := range d.Batches {
		rows = append(rows, fmt.Sprint(b.Rows))
		device, cpu = append(device, ms(b.DeviceNS)), append(cpu, ms(b.CPUNS))
	}
	return fmt.Sprintf(" (%s tokens behind %d take %s ms by the device, %s by the cpu)",
		strings.Join(rows, ", "), d.Depth, strings.Join(device, ", "), strings.Join(cpu, ", "))
}

func ms(ns uint64) string { return digits(float64(ns)/1e6, 3) }
