package retro

import (
	"math/bits"

	"github.com/retroattn/retroattn/kernels"
)

// choose fills an item once its far tokens are scored: queries, selected entries, and how
// the work is cut into chunks.
func (s *selection) choose() {
	e, w, l, it, q := s.e, s.w, s.l, s.it, s.q
	if !s.take() {
		return // Attend will say so
	}
	it.exact, it.auditChunks = s.cut.exact, 0
	e.loadQueries(l, s.a, it, q, s.h)
	v := q.newest()
	n := v.entry + 1
	cellBytes := uint64(l.kBytes + l.vBytes)
	w.stats.KVFullBytes += uint64(n) * cellBytes
	if it.exact {
		it.entries, it.rows = it.entries[:0], it.rows[:0]
		it.per = max(exactChunk, (n+exactChunks-1)/exactChunks)
		it.near = (n + it.per - 1) / it.per
		it.chunks = it.near
		w.stats.KVReadBytes += uint64(n) * cellBytes
	} else {
		s.chooseEntries()
		if s.cut.groups > 0 && !s.claim.reuse {
			s.keep()
		}
		s.markRows()
		s.planAudit()
		k := len(it.entries)
		it.near = 1
		it.per = max(farChunk, (k+maxChunks-2)/(maxChunks-1))
		it.chunks = 1 + (k+it.per-1)/it.per
		read := e.opt.Page + k + n - q.views[q.emit].local*e.opt.Page
		w.stats.KVReadBytes += uint64(read) * cellBytes
		w.stats.FarTokens += uint64(v.far(e.opt.Page))
		w.stats.SelectedTokens += uint64(k)
	}
	rows := q.rows * l.gqa
	all := it.chunks + it.auditChunks
	// so that a step that reads more finds room
	most := max(it.chunks, 1+min(maxChunks-1, (s.most()+farChunk-1)/farChunk))
	it.m, it.l = grow(grow(it.m, (most+it.auditChunks)*rows), all*rows),
		grow(grow(it.l, (most+it.auditChunks)*rows), all*rows)
	it.acc = grow(grow(it.acc, most*rows*l.DV), it.chunks*rows*l.DV)
	if !it.exact && len(it.entries) > 0 && s.attendsNear() { // there is a chunk left that ends with merging
		copy(it.m, it.nearM[:rows])
		copy(it.l, it.nearL[:rows])
		copy(it.acc, it.nearAcc[:rows*l.DV])
		s.claim.next.Store(1)
		all--
	}
	s.claim.chunks = int32(it.chunks + it.auditChunks)
	s.claim.undone.Store(int32(all))
	it.owner.Store(int32(s.a.Layer) + 1)
	e.jobs[s.a.Layer].unfilled.Add(-1)
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

// takesAll tells whether the tokens of all far pages are candidates, so that pages need no scores.
func (s *selection) takesAll() bool {
	return s.e.byTokens() && s.cut.pages == s.q.newest().local-1
}

// choosePages takes the best far pages, in ascending order.
func (s *selection) choosePages() {
	it := s.it
	it.cols, it.pages = grow(it.cols, s.cut.pages), grow(it.pages, s.cut.pages)
	if s.cut.exact || s.cut.pages == 0 {
		return
	}
	built := &s.q.s.summed[s.l.headOff+s.h]
	*built = max(*built, int32(s.q.newest().local))
	if s.takesAll() {
		for i := range it.pages {
			it.cols[i], it.pages[i] = int32(1+i), int32(1+i)
		}
		return
	}
	lo := 0 // the first column that may be chosen: page 0 is not far
	if !s.claim.reuse || it.groups[0] == 0 {
		lo = 1
	}
	s.prefer()
	kernels.TopK(it.cols, it.best[lo:s.cols()], s.w.keys)
	for i, c := range it.cols {
		c += int32(lo)
		it.cols[i] = c
		if s.claim.reuse {
			c = it.groups[c/groupPages]*groupPages + c%groupPages
		}
		it.pages[i] = c
	}
}

// chooseEntries lists the entries to read, in ascending order: the best of the chosen pages, or all
// of them.
func (s *selection) chooseEntries() {
	it, n := s.it, s.candidates()
	it.entries = grow(it.entries, n)
	switch k := s.cut.budget; {
	case s.weighs():
		s.chooseByNeed()
	case k < n:
		it.entries = it.entries[:k]
		s.chooseBest()
	default:
		for i := range it.entries {
			it.entries[i] = int32(i)
		}
		s.toEntries(it.entries, 0)
	}
}

// chooseBest lists as many entries as there is room for, of the best candidates.
func (s *selection) chooseBest() {
	kernels.TopK(s.it.entries, s.it.tokens[:s.candidates()], s.w.keys)
	s.toEntries(s.it.entries, 0)
}

// toEntries makes entries of candidates, which are counted from one of them on.
func (s *selection) toEntries(list []int32, from int) {
	pages, shift := s.it.pages, bits.TrailingZeros(uint(s.e.opt.Page))&31 // a power of two
	for i, t := range list {
		t += int32(from)
		list[i] = pages[t>>shift]<<shift + t&(1<<shift-1)
	}
}

// most is how many entries the item can choose at any step.
func (s *selection) most() int {
	most := s.cut.budget
	if s.e.opt.Need {
		most *= needMost
	}
	return min(most, len(s.it.pages)*s.e.opt.Page)
}

// markRows marks, for each past row, the entries that were far for it and that it has not read. The
// newest reads all.
func (s *selection) markRows() {
	l, it, q := s.l, s.it, s.q
	it.rows = grow(grow(it.rows, s.most()), len(it.entries))
	newest := q.rows - 1
	if newest == 0 && q.slots[0] == nil {
		return // nobody asks
	}
	fill(it.rows, 1<<newest)
	for r := range newest {
		far := countBelow(it.entries, int32(q.views[r].local*s.e.opt.Page))
		if added := q.slots[r].mark(l.headOff+s.h, it.entries[:far], it.rows, 1<<r); added > 0 {
			q.slots[r].shown.add(uint64(added))
			s.w.stats.SupplementTokens += uint64(added)
			q.corrected[r].set()
		}
	}
	own := q.slots[newest]
	own.forget(l.headOff+s.h, q.newest().local*s.e.opt.Page)
	own.mark(l.headOff+s.h, it.entries, it.rows, 0)
	own.selected.add(uint64(len(it.entries)))
	own.shown.add(uint64(len(it.entries)))
}
