package retro

import (
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// maxFootprint is more than the largest models need on the largest machines.
const maxFootprint = 64 << 30

// checkFootprint refuses shapes that would need absurdly much memory beside the KV cache, or more
// than there is room for when all cells are taken by all sequences: running out of it ends the
// host's process, where an error would do.
func (e *Engine) checkFootprint() error {
	need, heads, dk := e.footprint(e.opt.Window), e.allHeads(), e.largest().dk
	if need > maxFootprint {
		return failure.Argumentf("%d threads, %d sequences and window=%d on %d layers need %.0f GiB of memory beside the KV cache, at most %d are allowed: choose fewer threads, fewer sequences or a smaller window",
			e.cfg.Threads, e.cfg.Seqs, e.opt.Window, len(e.layers), need/(1<<30), maxFootprint>>30)
	}
	if e.cfg.Room == nil {
		return nil
	}
	pages := float64(e.cfg.Cells/e.opt.Page + e.cfg.Seqs*blockPages)
	page := float64(planesOf(e.opt.Select) * planeBytes(&e.opt, dk,
		kernels.TilePages) / kernels.TilePages)
	if e.byTokens() {
		page += float64(kernels.CodeBytes(e.opt.CodeBits, dk)) +
			4.0/groupPages + 4.0/foundPart // what is kept
	}
	summaries := float64(heads) * page * pages
	seen := 0.0
	if e.opt.Window > 1 {
		seen = float64(heads*e.opt.Window) * float64(e.cfg.Cells+e.cfg.Seqs*seenEntries) / 8
	}
	return e.cfg.Room(uint64(need + summaries + seen))
}

// footprint is what the engine would take with a window, without what grows with the tokens.
func (e *Engine) footprint(window int) float64 {
	opt := e.opt
	opt.Window = window
	claims := float64(cap(e.step.seqs)*e.allHeads()) * float64(unsafe.Sizeof(claim{}))
	claims += float64(cap(e.step.seqs)*e.largest().kv) * float64(e.cfg.Threads) // worker.passed
	return claims + float64(e.cfg.Seqs)*e.ringBytes(window) +
		float64(e.cfg.Threads)*workerBytes(&opt, e.largest())
}

// window is the most rows of a sequence in a step that the host and memory allow: of many query
// heads with large values, as latent attention has, a few tokens fill it.
func (e *Engine) window() int {
	w := min(e.cfg.Rows, options.MaxWindow)
	for w > 1 && e.footprint(w) > maxFootprint {
		w--
	}
	return w
}

// allHeads are the KV heads of all layers.
func (e *Engine) allHeads() (n int) {
	for i := range e.layers {
		n += e.layers[i].KVHeads
	}
	return n
}

// largest are the largest sizes of any layer.
func (e *Engine) largest() (m sizes) {
	for i := range e.layers {
		l := &e.layers[i]
		scan, code := 0, 0
		for _, p := range l.parts {
			scan, code = scan+scanLen(p.dim), code+kernels.CodeQueryLen(p.dim)
		}
		m = sizes{max(m.kv, l.KVHeads), max(m.gqa, l.gqa), max(m.dk, l.DK), max(m.dv, l.DV),
			max(m.parts, len(l.parts)), max(m.scan, scan), max(m.code, code)}
	}
	return m
}

type sizes struct {
	kv, gqa, dk, dv, parts int
	scan, code             int // of a query that was made ready
}

// workerBytes is the larger part of what worker.allocate does, and what attention makes of it.
func workerBytes(o *options.Options, m sizes) float64 {
	queries := m.gqa
	if o.CorrectBudget > 0 {
		queries *= o.Window
	}
	return 4 * (float64(o.Window*m.gqa)*(blockCols+float64(m.dk+m.dv)) +
		float64(queries)*2*(chunkPages+2*float64(m.dk)))
}

// ringBytes is the output cache of one sequence, without the bits of what was read.
func (e *Engine) ringBytes(window int) (sum float64) {
	if window == 1 {
		return 0
	}
	for i := range e.layers {
		l := &e.layers[i]
		sum += 4 * float64(l.Heads*(l.DK+l.DV+2))
	}
	return sum * float64(window)
}
