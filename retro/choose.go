package retro

import (
	"slices"

	"retroattn/kernels"
)

// choose fills an item once its pages are scored: queries, selected pages, and how
// the work is cut into chunks.
func (s *selection) choose() {
	e, w, l, it, q := s.e, s.w, s.l, s.it, s.q
	if !s.take() {
		return // Attend will say so
	}
	it.exact, it.audited, it.auditChunks = s.cut.exact, false, 0
	e.loadQueries(l, s.a, it, q, s.h)
	v := q.newest()
	n := v.entry + 1
	cellBytes := uint64(l.kBytes + l.vBytes)
	w.stats.KVBytesFull += uint64(n) * cellBytes
	if it.exact {
		it.pages, it.rows = it.pages[:0], it.rows[:0]
		it.per = max(exactChunk, (n+maxChunks-1)/maxChunks)
		it.near = (n + it.per - 1) / it.per
		it.chunks = it.near
		w.stats.KVBytesRead += uint64(n) * cellBytes
	} else {
		s.choosePages()
		s.planAudit()
		s.markRows()
		k := len(it.pages)
		it.near = 1
		it.per = max(farChunk/e.opt.Page, (k+maxChunks-2)/(maxChunks-1))
		it.chunks = 1 + (k+it.per-1)/it.per
		read := e.opt.Page*(1+k) + n - q.views[q.emit].local*e.opt.Page
		w.stats.KVBytesRead += uint64(read) * cellBytes
		w.stats.FarTokens += uint64((v.local - 1) * e.opt.Page)
		w.stats.SelectedTokens += uint64(k * e.opt.Page)
	}
	rows := q.rows * l.group
	all := it.chunks + it.auditChunks
	it.m, it.l = grow(it.m, all*rows), grow(it.l, all*rows)
	it.acc = grow(it.acc, it.chunks*rows*l.DV)
	s.claim.chunks = int32(all)
	s.claim.left.Store(int32(all))
	it.owner.Store(int32(s.a.Layer) + 1)
}

// taken is the owner of an item that is being filled.
const taken = -1

// take makes the item free to fill, unless another layer's attention is not complete: under a
// host that does not keep to the order of calls, an item must not change while a thread reads it.
func (s *selection) take() bool {
	owner := s.it.owner.Load()
	if owner == taken || owner > 0 && !s.e.jobs[owner-1].claims[s.i].merged.Load() {
		return false
	}
	return s.it.owner.CompareAndSwap(owner, taken)
}

// choosePages takes the best far pages, in ascending order.
func (s *selection) choosePages() {
	it := s.it
	it.pages = grow(it.pages, s.cut.budget)
	if s.cut.budget == 0 {
		return
	}
	built := &s.q.s.summed[s.l.headOff+s.h]
	*built = max(*built, int32(s.q.newest().local))
	lo := 0 // the first column that may be chosen: page 0 is not far
	if s.cut.groups == 0 || it.groups[0] == 0 {
		lo = 1
	}
	kernels.TopK(it.pages, it.best[lo:s.cut.cols], s.w.keys)
	for i, c := range it.pages {
		c += int32(lo)
		if s.cut.groups > 0 {
			c = it.groups[c/groupPages]*groupPages + c%groupPages
		}
		it.pages[i] = c
	}
}

// markRows marks, for each past row, the pages that were far for it and that it
// has not seen.
func (s *selection) markRows() {
	e, w, l, it, q := s.e, s.w, s.l, s.it, s.q
	it.rows = grow(it.rows, len(it.pages))
	newest := uint16(1) << (q.rows - 1)
	for i := range it.rows {
		it.rows[i] = newest
	}
	if q.slots[q.rows-1] == nil {
		return
	}
	words := e.pageWords()
	seen := func(r int) []uint64 { return q.slots[r].pages[l.ring.pages+s.h*words:][:words] }
	supplements := false
	for r := range q.rows - 1 {
		set, local, added := seen(r), int32(q.views[r].local), 0
		for i, p := range it.pages {
			if bit := uint64(1) << (p & 63); p < local && set[p>>6]&bit == 0 {
				set[p>>6] |= bit
				it.rows[i] |= 1 << r
				added++
			}
		}
		if added > 0 {
			added *= e.opt.Page
			q.slots[r].seen.add(uint64(added))
			w.stats.SupplementTokens += uint64(added)
			q.corrected[r].set()
			supplements = true
		}
	}
	own := seen(q.rows - 1)
	clear(own)
	for _, p := range it.pages {
		own[p>>6] |= 1 << (p & 63)
	}
	tokens := uint64(len(it.pages) * e.opt.Page)
	q.slots[q.rows-1].selected.add(tokens)
	q.slots[q.rows-1].seen.add(tokens)
	if supplements {
		it.groupByRows()
	}
}

// groupByRows puts pages that the same rows read next to each other, so that one
// pass of the kernels takes them together.
func (it *item) groupByRows() {
	it.order = grow(it.order, len(it.pages))
	for i, p := range it.pages {
		it.order[i] = uint64(it.rows[i])<<32 | uint64(p)
	}
	slices.Sort(it.order)
	for i, x := range it.order {
		it.pages[i], it.rows[i] = int32(uint32(x)), uint16(x>>32)
	}
}
