package retro

import "github.com/retroattn/retroattn/kernels"

// Tokens that follow each other look into much the same groups of pages. So one of keepSteps scores
// all pages, and keeps the groups with the best ones, of which the others choose pages anew. The
// layers take turns, so that steps take the same time.
const keepSteps = 4

// kept are the groups that serve the next token, for one KV head of a layer.
type kept struct {
	entry  int // of the token that had them last; keptNone: none had, or it is gone
	groups []int32
}

const keptNone = -1

// forgetKept forgets what tokens at entries >= n had.
func (s *sequence) forgetKept(n int) {
	for i := range s.kept {
		if s.kept[i].entry >= n {
			s.kept[i].entry = keptNone
		}
	}
}

// reuses tells whether KV head h of a layer takes the groups that the token before had: it came
// right before, and there are no more whole groups since.
func (e *Engine) reuses(q *stepSeq, layer, h int) bool {
	if !q.decodes() || q.cuts[layer].groups == 0 {
		return false
	}
	k, v := &q.s.kept[e.layers[layer].headOff+h], q.newest()
	return (v.entry+layer)%keepSteps != 0 && k.entry == v.entry-1 &&
		len(k.groups) == q.cuts[layer].groups &&
		v.local/groupPages == e.localAt(k.entry)/groupPages
}

// reserveKept makes room for the groups that layers with such cuts keep.
func (e *Engine) reserveKept(s *sequence, cuts []cut) {
	for i := range cuts {
		for h := range e.layers[i].KVHeads {
			k, n := &s.kept[e.layers[i].headOff+h], cuts[i].groups
			if cap(k.groups) < n {
				k.groups = append(make([]int32, 0, n+n/4), k.groups...)
			}
		}
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

// keep notes the groups with the best pages for the next tokens, in ascending order.
func (s *selection) keep() {
	k := s.kept()
	k.entry, k.groups = s.q.newest().entry, k.groups[:s.cut.groups]
	kernels.TopK(k.groups, s.it.groupBest[:s.q.newest().local/groupPages], s.w.keys)
}

// takeKept takes the groups that the token before had, and the pages behind the last whole one.
func (s *selection) takeKept() {
	k, local := s.kept(), s.q.newest().local
	k.entry = s.q.newest().entry
	s.it.groups = append(s.it.groups[:0], k.groups...)
	if local%groupPages > 0 {
		s.it.groups = append(s.it.groups, int32(local/groupPages))
	}
}

func (s *selection) kept() *kept { return &s.q.s.kept[s.l.headOff+s.h] }
