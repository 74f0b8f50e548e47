package retro

import (
	"time"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
)

// looks is how often a thread looks for work that others open, some ten microseconds: one of them
// may have lost its processor.
var looks = 256

// One thread takes scanPart pages at once, or keptPart groups with as many.
const (
	scanPart = chunkPages / 2
	keptPart = scanPart / groupPages
)

// Select computes this thread's part of the selection of one layer of the
// open step. Keys and values of the rows must be there. All threads must have returned before any
// calls Attend for the layer. ith is below nth, the number of threads that call.
//
// Scoring falls into levels, and a level of an item into parts that any thread may take. Who
// finishes the last part of a level chooses from its scores, and opens the next level or, after the
// last, fills the item. Who finds nothing to take looks again for a moment: the host's barrier
// would keep it in any case, and what others are about to open is as much work as what they do now.
func (e *Engine) Select(a *Attn, ith, nth int) error {
	if err := e.checkAttn(a, ith, nth); err != nil {
		return err
	}
	w, l, job := &e.workers[ith], &e.layers[a.Layer], &e.jobs[a.Layer]
	for k := range e.step.seqs {
		if q := &e.step.seqs[k]; !q.decodes() {
			e.buildMissing(w, l, q, a.Layer)
		}
	}
	start := time.Now()
	n := len(e.step.seqs) * l.KVHeads
	clear(w.passed[:n])
	for look := 0; look < looks && job.unfilled.Load() > 0; look++ {
		for k := range n {
			i := (k + ith*n/nth) % n
			if w.passed[i] == levels || !e.step.seqs[i/l.KVHeads].decodes() {
				continue
			}
			s := e.selection(w, a, i)
			if s.work(ith) {
				look = 0
			}
		}
	}
	e.spent(w, ith, start)
	return nil
}

// selection is one item as a thread works on it.
type selection struct {
	e     *Engine
	w     *worker
	l     *layer
	a     *Attn
	i     int // of the item in the layer
	it    *item
	q     *stepSeq
	h     int
	cut   *cut
	claim *claim
}

func (e *Engine) selection(w *worker, a *Attn, i int) selection {
	l := &e.layers[a.Layer]
	q := &e.step.seqs[i/l.KVHeads]
	return selection{e: e, w: w, l: l, a: a, i: i, it: &e.items[i], q: q, h: i % l.KVHeads,
		cut: &q.cuts[a.Layer], claim: &e.jobs[a.Layer].claims[i]}
}

// The levels of the selection. Each may have no parts.
const (
	scanLevel  = iota // scores all pages, where no groups are kept
	groupLevel        // scores the pages of those that are
	codeLevel         // scores the tokens of the best pages, and adds up these and what is near
	weighLevel        // their shares of the attention, by need
	levels
)

// work takes parts until there are none left, of all levels that open, and tells whether there were
// any.
func (s *selection) work(ith int) (some bool) {
	passed := &s.w.passed[s.i]
	for level := int(*passed); level < levels; level++ {
		parts := int(s.claim.parts[level].Load())
		if parts == 0 {
			continue // it may open later, or never
		}
		*passed = uint8(level + 1)
		some = s.takeParts(ith, level, parts) || some
	}
	return some
}

// takeParts does parts of a level until there are none left, of its own range first, and tells whether
// there were any.
func (s *selection) takeParts(ith, level, parts int) (some bool) {
	number, left := s.number(level), &s.claim.left[level]
	n := owners(s.i, len(s.e.step.seqs)*s.l.KVHeads, s.e.step.threads)
	for k := range n {
		at := (ith + k) % n
		from, end, done := at*parts/n, (at+1)*parts/n, int32(0)
		for {
			part := from + s.it.ranges[at].take(number, end-from, left)
			if part >= end {
				break
			}
			s.do(level, part)
			done++
		}
		if done > 0 {
			some = true
			if left.Add(-done) == 0 {
				s.done(level)
			}
		}
	}
	return some
}

// number is that of a level of a layer in a step, which no other has.
func (s *selection) number(level int) uint64 {
	layer := s.e.step.number*uint64(len(s.e.layers)) + uint64(s.a.Layer)
	return layer*levels + uint64(level)
}

// do does a part of a level.
func (s *selection) do(level, part int) {
	switch {
	case s.cut.exact || s.cut.pages == 0:
	case level == weighLevel:
		s.weigh(part)
	case level == codeLevel:
		if near := s.partsOfNear(); part < near {
			s.addUpNear(part)
		} else {
			s.scoreCodes(part - near)
		}
	case level == groupLevel:
		s.scoreKept(part)
	case s.claim.reuse:
		s.build(0, s.q.newest().local)
	default:
		s.scoreSome(part)
	}
}

// done follows a level.
func (s *selection) done(i int) {
	if i == scanLevel && s.claim.reuse {
		s.takeKept()
		s.claim.open(groupLevel, (len(s.it.groups)+keptPart-1)/keptPart)
		return
	}
	if i == codeLevel && s.weighs() {
		s.addUpAll()
		s.claim.open(weighLevel, s.partsOfCodes())
		return
	}
	if i < codeLevel {
		s.choosePages()
		if s.e.byTokens() && len(s.it.pages) > 0 {
			s.claim.open(codeLevel, s.partsOfNear()+s.partsOfCodes())
			return
		}
	}
	s.choose()
}

// fetchGroup asks for the summaries of the pages of a group, which lie anywhere.
func (s *selection) fetchGroup(g int32) {
	page := int(g) * groupPages
	for j := range s.l.parts {
		p := &s.l.parts[j]
		n := p.sumPages / (blockPages / groupPages)
		pages := p.pages(s.q.s, planesOf(options.Tokens), s.h, 0, page/blockPages)
		kernels.PrefetchBytes(pages[page%blockPages/groupPages*n:][:n])
	}
}

// build makes the summaries of pages first..last-1 that prompts have not made.
func (s *selection) build(first, last int) {
	s.w.stats.LatePages += uint64(s.e.buildChunk(s.w, s.l, s.q.s, s.h, first, last))
}

// byTokens tells whether single tokens are chosen.
func (e *Engine) byTokens() bool { return e.opt.Select == options.Tokens }

// scoreSome scores the pages of a part, and builds what is missing there.
func (s *selection) scoreSome(part int) {
	first := part * scanPart
	n := min(s.q.newest().local-first, scanPart)
	s.build(first, first+n)
	s.prepare()
	best := s.it.best[first:][:n]
	switch s.e.opt.Select {
	case options.Tokens:
		var tiles [scanPart / groupPages]int32
		for i := range tiles {
			tiles[i] = int32(first/groupPages + i)
		}
		s.scoreTiles(best, first, tiles[:(n+groupPages-1)/groupPages])
		if s.cut.groups > 0 {
			s.scoreGroups(best, first)
		}
		return
	case options.Oracle:
		s.scanKeys(first, n)
	default:
		s.scanPages(first, n)
	}
	s.combine(best, s.w.dots[0], chunkPages)
}

// scoreKept scores the pages of a part of the kept groups.
func (s *selection) scoreKept(part int) {
	groups := s.it.groups[part*keptPart:]
	follow := groups[:min(len(groups), keptPart+2)] // and what this thread takes next, mostly
	groups = groups[:min(len(groups), keptPart)]
	local, last := s.q.newest().local, len(groups)-1
	col, n := part*scanPart, last*groupPages+min(groupPages, local-int(groups[last])*groupPages)
	best := s.it.best[col:][:n] // the last group may not be whole
	s.fetchGroup(groups[0])
	s.fetchGroup(groups[min(1, last)])
	s.prepare()
	s.scoreTiles(best, col, follow)
}

// scoreTiles scores the pages of tiles of 4-bit summaries, and leaves their means for the estimates
// of tokens, from column col on.
func (s *selection) scoreTiles(best []float32, col int, tiles []int32) {
	means := s.it.means[col:]
	s.scanTiles(means, s.cols(), tiles, len(best))
	s.combine(best, means, s.cols())
}

// prepare makes the queries ready that select, unless this worker has them from its last part.
func (s *selection) prepare() {
	w := s.w
	if now := (prepared{s.e.step.number, s.a.Layer, s.i}); w.ready != now {
		w.ready = now
		s.scanQueries()
	}
}

// cols is how many pages get a score.
func (s *selection) cols() int {
	local := s.q.newest().local
	if s.claim.reuse {
		return s.cut.groups*groupPages + local%groupPages
	}
	return local
}

// scanPages leaves the products of the queries with the summaries of n pages in the worker.
func (s *selection) scanPages(page, n int) {
	for col, end := 0, page+n; page < end; {
		n := min(end-page, blockPages-page%blockPages)
		s.scan(col, page, n)
		col, page = col+n, page+n
	}
}

// scan adds up the products with all parts of the summaries of n pages, which lie in one block.
func (s *selection) scan(col, page, n int) {
	w, planes, queries := s.w, planesOf(s.e.opt.Select), s.queries()
	for j := range s.l.parts {
		p := &s.l.parts[j]
		x, y := w.dots[0][col:], w.dots[1][col:]
		if j > 0 {
			x, y = w.more, w.more[len(w.more)/2:]
		}
		for i, dst := range [][]float32{x, y}[:planes] {
			s.e.scanPlane(dst, w.scanQ[i][queries*p.scanAt:], p.dim, i, queries,
				p.pages(s.q.s, planes, s.h, i, page/blockPages), page%blockPages, n)
		}
		if j > 0 {
			addTo(w.dots[0][col:], chunkPages, x, chunkPages, queries, n)
			addTo(w.dots[1][col:], chunkPages, y, chunkPages, queries, n)
		}
		w.stats.ScanBytes += uint64(planes * n * p.sumPages / blockPages)
	}
}

// scanTiles does so with the first n pages of tiles of 4-bit summaries. Products with means go to
// mean, rows of which lie ld apart, those with spreads to the worker.
func (s *selection) scanTiles(mean []float32, ld int, tiles []int32, n int) {
	w, queries, spread := s.w, s.queries(), s.w.dots[1]
	if s.takesAll() {
		spread = nil // means are all that is needed
	}
	for j := range s.l.parts {
		p := &s.l.parts[j]
		x, ldX, y := mean, ld, spread
		if j > 0 {
			x, ldX = w.more, chunkPages
			if y != nil {
				y = w.more[len(w.more)/2:]
			}
		}
		in, _ := p.coded(s.q.s, s.h)
		kernels.ScanTiles4(x, ldX, y, chunkPages, w.scanQ[0][queries*p.scanAt:], queries, p.dim, in,
			tiles, n)
		if j > 0 {
			addTo(mean, ld, x, ldX, queries, n)
			if y != nil {
				addTo(spread, chunkPages, y, chunkPages, queries, n)
			}
		}
		w.stats.ScanBytes += uint64(n * p.sumPages / blockPages)
	}
}
