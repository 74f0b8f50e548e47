package retro

// Tokens that follow each other look into much the same groups of pages. So those that one has
// chosen serve the next one as well, which chooses pages of them anew. Half of the layers choose
// groups in a step, so that steps take the same time.

// kept are the groups that a token has chosen for one KV head of a layer.
type kept struct {
	entry  int // of the token; keptNone: it chose none, or is gone
	groups []int32
}

const keptNone = -1

// forgetKept forgets what tokens at entries >= n chose.
func (s *sequence) forgetKept(n int) {
	for i := range s.kept {
		if s.kept[i].entry >= n {
			s.kept[i].entry = keptNone
		}
	}
}

// reuses tells whether KV head h of a layer takes the groups that the token before chose: it came
// right before, and chose from the same whole groups.
func (e *Engine) reuses(q *stepSeq, layer, h int) bool {
	if !q.decodes() || q.cuts[layer].groups == 0 {
		return false
	}
	k, v := &q.s.kept[e.layers[layer].headOff+h], q.newest()
	return (v.entry+layer)%2 != 0 && k.entry == v.entry-1 &&
		len(k.groups) == q.cuts[layer].groups &&
		v.local/groupPages == e.localAt(k.entry)/groupPages
}

// reserveKept makes room for the groups that layers with such cuts choose.
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

// keep notes the chosen groups for the next token. Whole pages are chosen as in the papers.
func (s *selection) keep() {
	if s.byTokens() {
		k := &s.q.s.kept[s.l.headOff+s.h]
		k.entry, k.groups = s.q.newest().entry, append(k.groups[:0], s.it.groups...)
	}
}
