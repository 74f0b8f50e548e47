package plan

import (
	"fmt"

	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// Device is what a host measured that computes dense layers on a device, such as a GPU. All times
// are nanoseconds.
type Device struct {
	// A micro-batch of a prompt, of Rows tokens behind Depth others: computed by the device alone,
	// and with attention here. 0: not measured.
	Rows, Depth     int
	DeviceNS, CPUNS uint64
	// Decode steps with attention here on so many threads, where the device has all dense layers.
	Threads []int
	StepNS  []uint64
}

// check refuses times that are none, and more threads than there can be.
func (d *Device) check(threads int) error {
	if d == nil {
		return nil
	}
	const most = 1 << 50
	if d.DeviceNS > most || d.CPUNS > most || (d.DeviceNS == 0) != (d.CPUNS == 0) || d.Rows < 0 ||
		d.Depth < 0 {
		return failure.Argumentf("a prompt of %d tokens behind %d takes %d ns by the device and %d here: "+
			"both must take some time, or none if not measured", d.Rows, d.Depth, d.DeviceNS, d.CPUNS)
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
	Prompts bool   `json:"prompts"` // are attended to here, not by the device
	Threads int    `json:"threads"` // of decode steps; 0: as many as the host has for them
	Why     string `json:"why"`
}

// fewer threads are taken where they cost no more than this: what else runs wants processors, too.
const fewer = 1.05

// host decides for a host with a device.
func (d *Device) host(asked options.Prompts) Host {
	var h Host
	switch {
	case asked != options.PromptsPlanned:
		h.Prompts = asked == options.PromptsCPU
		h.Why = "prompts by the " + asked.String() + ", as was set"
	case d.DeviceNS == 0:
		h.Why = "prompts by the device, as they could not be measured"
	default:
		h.Prompts = d.CPUNS < d.DeviceNS
		by := "the device"
		if h.Prompts {
			by = "the cpu"
		}
		h.Why = fmt.Sprintf("attention of prompts by %s: %d tokens behind %d take %s ms by the device, "+
			"%s by the cpu", by, d.Rows, d.Depth, ms(d.DeviceNS), ms(d.CPUNS))
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

func ms(ns uint64) string { return digits(float64(ns)/1e6, 3) }
