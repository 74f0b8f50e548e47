package retro

import (
	"math"
	"slices"

	"github.com/retroattn/retroattn/kernels"
)

// Tokens that follow each other look into much the same groups of pages. So one of keepSteps scores
// all pages, and keeps the groups with the best ones, of which the others choose pages anew. The
// layers take turns, so that steps take the same time.
const keepSteps = 4

// kept is what serves the next token, for one KV head of a layer.
type kept struct {
	groups noted // that have the best pages
	found  noted // pages in which much was found
}

// noted are groups or pages, in ascending order.
type noted struct {
	entry int // of the token that had them last; keptNone: none had, or it is gone
	of    []int32
}

const keptNone = -1

// lists are all that are kept.
func (k *kept) lists() [2]*noted { return [...]*noted{&k.groups, &k.found} }

// forgetKept forgets what tokens at entries >= n had.
func (s *sequence) forgetKept(n int) {
	for i := range s.kept {
		for _, list := range s.kept[i].lists() {
			if list.entry >= n {
				list.entry = keptNone
			}
		}
	}
}

// reuses tells whether KV head h of a layer takes the groups that the token before had: it came
// right before, and there are no more whole groups since.
func (e *Engine) reuses(q *stepSeq, layer, h int) bool {
	if !q.decodes() || q.cuts[layer].groups == 0 {
		return false
	}
	k, v := &q.s.kept[e.layers[layer].headOff+h].groups, q.newest()
	return (v.entry+layer)%keepSteps != 0 && k.entry == v.entry-1 &&
		len(k.of) == q.cuts[layer].groups &&
		v.local/groupPages == e.localAt(k.entry)/groupPages
}

// reserveKept makes room for what layers with such cuts keep.
func (e *Engine) reserveKept(s *sequence, cuts []cut) {
	for i := range cuts {
		for h := range e.layers[i].KVHeads {
			k := &s.kept[e.layers[i].headOff+h]
			k.groups.reserve(cuts[i].groups)
			k.found.reserve(cuts[i].found() + 2*codePart) // those of a part more, and what follows each
		}
	}
}

func (l *noted) reserve(n int) {
	if cap(l.of) < n {
		l.of = append(make([]int32, 0, n+n/4), l.of...)
	}
}

// scoreGroups gives each whole group of a part the score of its best page.
func (s *selection) scoreGroups(best []float32, first int) {
	var tops [scanPart]float32
	n := copy(tops[:], best)
	for d := groupPages / 2; d > 0 && d < n; d /= 2 { // of 2 pages from each on, 4, and so on
		kernels.MaxAdd(tops[:n-d], tops[d:n], 0, unraised[:])
	}
	for g := range n / groupPages {
		s.it.groupBest[first/groupPages+g] = tops[g*groupPages]
	}
}

// keep notes the groups with the best pages for the next tokens, and those in which much was found.
func (s *selection) keep() {
	k, whole := s.kept(), s.q.newest().local/groupPages
	if k.found.entry == s.q.newest().entry {
		for _, page := range k.found.of {
			if g := int(page) / groupPages; g < whole {
				s.it.groupBest[g] = math.MaxFloat32
			}
		}
	}
	k.groups.entry, k.groups.of = s.q.newest().entry, k.groups.of[:s.cut.groups]
	kernels.TopK(k.groups.of, s.it.groupBest[:whole], s.w.keys)
}

// takeKept takes the groups that the token before had, and the pages behind the last whole one.
func (s *selection) takeKept() {
	k, local := &s.kept().groups, s.q.newest().local
	k.entry = s.q.newest().entry
	s.it.groups = append(s.it.groups[:0], k.of...)
	if local%groupPages > 0 {
		s.it.groups = append(s.it.groups, int32(local/groupPages))
	}
}

func (s *selection) kept() *kept { return &s.q.s.kept[s.l.headOff+s.h] }

// A token that copies goes on where the one before has found something. So where the budget goes by
// need, pages of which a token has at least foundShare of the attention of a query are candidates of
// the next token, whatever their scores, but at most one of foundPart of them.
const (
	foundShare = 0.01
	foundPart  = 4
)

// found is how many pages may be noted.
func (c *cut) found() int { return c.pages / foundPart }

// found are the pages in which the token before found much: none if they are too many, since it had
// another budget.
func (s *selection) found() []int32 {
	k := &s.kept().found
	if k.entry != s.q.newest().entry-1 || len(k.of) > s.cut.found() {
		return nil
	}
	return k.of
}

// prefer makes candidates of these pages, as far as they have a score.
func (s *selection) prefer() {
	for _, page := range s.found() {
		col := int(page)
		if s.claim.reuse {
			at, there := slices.BinarySearch(s.it.groups, page/groupPages)
			if !there {
				continue
			}
			col = at*groupPages + col%groupPages
		}
		if col < s.cols() {
			s.it.best[col] = math.MaxFloat32
		}
	}
}

var logFound = float32(math.Log(foundShare))

// noteFound notes the pages of candidates with such a share, of a larger one where they would be too
// many, or none. Where the last token of a page is one, what it goes on with is in the next page.
func (s *selection) noteFound() {
	k, most := &s.kept().found, s.cut.found()
	k.entry = s.q.newest().entry
	for least := logFound; least < 0; least++ {
		k.of = k.of[:0]
		for part := range s.partsOfCodes() {
			if s.it.weighed[part].hit && len(k.of) <= most {
				s.notePart(k, part, least)
			}
		}
		if len(k.of) <= most {
			return
		}
	}
	k.of = k.of[:0]
}

// notePart notes the pages of a part of the candidates.
func (s *selection) notePart(k *noted, part int, least float32) {
	size := int32(s.e.opt.Page)
	for _, t := range s.w.hits[:kernels.Above(s.w.hits[:], s.shares(part), least)] {
		page := s.it.pages[(int32(part*codeTokens)+t)/size]
		k.note(page)
		if t%size == size-1 {
			k.note(page + 1)
		}
	}
}

// note adds a page, if it is not the last one.
func (l *noted) note(page int32) {
	if n := len(l.of); n == 0 || l.of[n-1] != page {
		l.of = append(l.of, page)
	}
}
