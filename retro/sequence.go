package retro

import (
	"sort"

	"github.com/retroattn/retroattn/retro/failure"
)

// sequence is what the engine knows of one sequence: its entries in order of
// position, the summaries and codes of its far pages, and the output cache.
type sequence struct {
	pos  []int32 // position of each entry; tokens of an image can share one, decoded ones do not
	cell []int32 // its KV cell

	// blocks[b] holds the summaries of pages b*blockPages.., of all layers and KV heads, codes[b] the
	// codes of the tokens of pages b*codePages..
	blocks, codes [][]byte

	memory slab // of all of them
	// summed[layer head] is the number of leading pages whose summary is built.
	summed []int32
	kept   []kept // by the same index

	// starts anew where tokens that it learned from are taken back, so that the same context
	// decodes the same
	need  need
	spare int // of the newest entries, how many need not be there for that: drafts, and exact ones
	ring  ring
	since int // steps since the window was last embedded again

	// sparse steps so far, for the rotation of audits; it does not affect results and is not saved
	audits uint64
}

func (e *Engine) sequenceAt(id int) (*sequence, error) {
	if id < 0 || id >= len(e.seqs) {
		return nil, failure.Argumentf("sequence %d: must be 0..%d", id, len(e.seqs)-1)
	}
	return e.seqs[id], nil
}

// openSequence returns the sequence, created when it is new.
func (e *Engine) openSequence(id int) (*sequence, error) {
	s, err := e.sequenceAt(id)
	if err != nil || s != nil {
		return s, err
	}
	if err := e.prepare(); err != nil {
		return nil, err
	}
	s = e.newSequence()
	e.seqs[id] = s
	e.stats.RingBytes += s.ring.bytes()
	return s, nil
}

func (e *Engine) newSequence() *sequence {
	s := &sequence{summed: make([]int32, e.kvHeads), kept: make([]kept, e.kvHeads)}
	s.forgetKept(0)
	s.ring.allocate(e)
	return s
}

// SeqNext is the first position of the sequence whose cell is not known.
func (e *Engine) SeqNext(id int) (int32, error) {
	s, err := e.sequenceAt(id)
	if err != nil || s == nil || len(s.pos) == 0 {
		return 0, err
	}
	return s.pos[len(s.pos)-1] + 1, nil
}

// SeqExtend appends entries that the host wrote outside of steps (prefill, state
// load). Positions do not fall, from the last known one on: tokens of an image can have the same.
func (e *Engine) SeqExtend(id int, pos, cell []int32) error {
	if e.step.open {
		return failure.Statef("sequence %d is extended inside a step", id)
	}
	if len(pos) != len(cell) {
		return failure.Argumentf("%d positions but %d cells", len(pos), len(cell))
	}
	s, err := e.openSequence(id)
	if err != nil {
		return err
	}
	last := int32(0)
	if n := len(s.pos); n > 0 {
		last = s.pos[n-1]
	}
	for i, p := range pos {
		if p < last || p == 1<<31-1 {
			return failure.Argumentf("sequence %d: position %d, where at least %d was due", id, p,
				last)
		}
		if cell[i] < 0 || int(cell[i]) >= e.cfg.Cells {
			return failure.Argumentf("sequence %d: cell %d, must be 0..%d", id, cell[i],
				e.cfg.Cells-1)
		}
		last = p
	}
	if len(s.pos)+len(pos) > e.cfg.Cells {
		return failure.Argumentf("sequence %d: %d entries do not fit in %d cells", id,
			len(s.pos)+len(pos), e.cfg.Cells)
	}
	// what is decoded next is not next to the window, and begins one as if it were the first
	if len(pos) > 0 {
		s.ring.retire(&e.stats)
		s.since = 0
		s.spare += len(pos)
	}
	s.pos = append(s.pos, pos...)
	s.cell = append(s.cell, cell...)
	return nil
}

// SeqTruncate forgets entries at positions >= pos; id -1 means every sequence.
func (e *Engine) SeqTruncate(id int, pos int32) error {
	if e.step.open {
		return failure.Statef("sequence %d is truncated inside a step", id)
	}
	if id == -1 {
		for _, s := range e.seqs {
			if s != nil {
				e.truncate(s, pos)
			}
		}
		return nil
	}
	s, err := e.sequenceAt(id)
	if err == nil && s != nil {
		e.truncate(s, pos)
	}
	return err
}

func (e *Engine) truncate(s *sequence, pos int32) {
	keep := sort.Search(len(s.pos), func(i int) bool { return s.pos[i] >= pos })
	if keep == len(s.pos) {
		return
	}
	whole := int32(keep / e.opt.Page)
	for i, n := range s.summed {
		s.summed[i] = min(n, whole)
	}
	if s.spare -= len(s.pos) - keep; s.spare < 0 {
		s.spare, s.need = 0, need{}
		s.forgetKept(0)
	} else {
		s.forgetKept(keep)
	}
	s.pos, s.cell = s.pos[:keep], s.cell[:keep]
	s.ring.truncate(keep)
	if s.ring.n == 0 {
		s.since = 0
	}
}

// SeqWindow is the number of past tokens, up to MaxWindow, that the step of the new
// token at pos wants embedded again. It also makes room for that token, so that
// the step itself need not allocate.
func (e *Engine) SeqWindow(id int, pos int32) (int, error) {
	s, err := e.openSequence(id)
	if err != nil {
		return 0, err
	}
	n := len(s.pos)
	if n > 0 && pos <= s.pos[n-1] {
		return 0, failure.Argumentf("sequence %d: window asked for position %d, but %d is known",
			id, pos, s.pos[n-1])
	}
	v := e.viewAt(n, false, e.cuts)
	e.reserve(s, v, e.cuts)
	if e.opt.Window == 1 || s.since+1 < e.opt.Period || !v.sparse && !e.opt.Always {
		return 0, nil
	}
	return s.ring.usable(n, e.cuts), nil
}

// reserve makes room for one more entry and, when sparse, for the summaries and codes of its far
// pages.
func (e *Engine) reserve(s *sequence, v view, cuts []cut) {
	if len(s.pos) == cap(s.pos) {
		room := min(e.cfg.Cells, len(s.pos)+len(s.pos)/4+1024)
		s.pos = append(make([]int32, 0, room), s.pos...)
		s.cell = append(make([]int32, 0, room), s.cell...)
	}
	if v.sparse {
		if e.byTokens() {
			e.reserveKept(s, cuts)
		}
		e.stats.RingBytes += s.ring.reserve(v.local*e.opt.Page, e.kvHeads)
		if e.sumBlock > 0 {
			e.roomForSummaries(s, v.local)
		}
	}
}

// roomForSummaries makes room for the summaries and codes of so many pages.
func (e *Engine) roomForSummaries(s *sequence, pages int) {
	for len(s.blocks)*blockPages < pages {
		s.blocks = append(s.blocks, s.memory.take(e.sumBlock))
		e.stats.SummaryBytes += uint64(e.sumBlock)
	}
	for e.codeBlock > 0 && len(s.codes)*codePages < pages {
		s.codes = append(s.codes, s.memory.take(e.codeBlock))
		e.stats.SummaryBytes += uint64(e.codeBlock)
	}
}

// view is how the row at one entry sees its context.
type view struct {
	entry  int
	local  int  // first local page; far pages are 1..local-1
	sparse bool // in some layer, some far token is left out
}

// far is the number of far tokens.
func (v view) far(page int) int { return max(0, v.local-1) * page }
