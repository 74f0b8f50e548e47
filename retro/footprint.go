package retro

import (
	"unsafe"

	"retroattn/kernels"
)

// maxFootprint is more than the largest models need on the largest machines.
const maxFootprint = 64 << 30

// checkFootprint refuses shapes that would need absurdly much memory beside the KV cache, or more than there is room for
// when all cells are taken by all sequences: running out of it ends the host's process, where an error would do.
func (e *Engine) checkFootprint(group, dk, dv int) error {
	heads := 0
	for i := range e.layers {
		heads += e.layers[i].KVHeads
	}
	claims := float64(cap(e.step.seqs)*heads) * float64(unsafe.Sizeof(claim{}))
	rings := float64(e.cfg.Seqs) * e.ringBytes()
	need := claims + rings + float64(e.cfg.Threads)*workerBytes(&e.opt, group, dk, dv)
	if need > maxFootprint {
		return argumentf("%d threads, %d sequences and window=%d on %d layers need %.0f GiB of memory beside the KV cache, at most %d are allowed: choose fewer threads, fewer sequences or a smaller window",
			e.cfg.Threads, e.cfg.Seqs, e.opt.Window, len(e.layers), need/(1<<30), maxFootprint>>30)
	}
	if e.cfg.Room == nil {
		return nil
	}
	pages := float64(e.cfg.Cells/e.opt.Page + e.cfg.Seqs*blockPages)
	page := float64(e.opt.Select.planes() * e.opt.planeBytes(dk, kernels.TilePages) / kernels.TilePages)
	if e.opt.Select == Tokens {
		page += float64(kernels.CodeBytes(e.opt.CodeBits, dk))
	}
	summaries := float64(heads) * page * pages
	seen := 0.0
	if e.opt.Window > 1 {
		seen = float64(heads*e.opt.Window) * float64(e.cfg.Cells+e.cfg.Seqs*seenEntries) / 8
	}
	return e.cfg.Room(uint64(need + summaries + seen))
}

// workerBytes is the larger part of what worker.allocate does, and what attention makes of it.
func workerBytes(o *Options, group, dk, dv int) float64 {
	queries := group
	if o.CorrectBudget > 0 {
		queries *= o.Window
	}
	return 4 * (float64(o.Window*group)*(blockCols+float64(dk+dv)) + float64(queries)*2*(chunkPages+2*float64(dk)))
}

// ringBytes is the output cache of one sequence, without the bits of what was read.
func (e *Engine) ringBytes() (sum float64) {
	if e.opt.Window == 1 {
		return 0
	}
	for i := range e.layers {
		l := &e.layers[i]
		sum += 4 * float64(l.Heads*(l.DK+l.DV+2))
	}
	return sum * float64(e.opt.Window)
}
