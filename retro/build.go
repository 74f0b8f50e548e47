package retro

import "slices"

// Summaries are built while a prompt is processed, so that the sparse token after it finds them: by
// Select in the steps of exact rows, and in steps without rows where others compute the prompt.

// missing tells which pages are far for the next token where it is sparse, those below local, and
// how many of them have their summaries in all layers.
func (e *Engine) missing(s *sequence) (local, built int) {
	v := e.viewAt(len(s.pos), false, e.cuts)
	if !v.sparse || e.sumBlock == 0 {
		return 0, 0
	}
	return v.local, int(slices.Min(s.summed))
}

// addUnbuilt adds the sequences to the step whose summaries are not complete, as many as there is
// room for.
func (e *Engine) addUnbuilt() {
	for id, s := range e.seqs {
		if s == nil || len(e.step.seqs) == cap(e.step.seqs) {
			continue
		}
		if local, built := e.missing(s); built < local {
			e.roomForSummaries(s, local)
			q := e.addSeq(id, s, 0)
			q.exact.local, q.exact.built = local, built
		}
	}
}

// parts is how many groups of pages lack summaries, for each KV head.
func (x *exactSeq) parts() int {
	if x.built >= x.local {
		return 0
	}
	return (x.local+groupPages-1)/groupPages - x.built/groupPages
}

// buildMissing takes groups of pages, and builds what is missing of their summaries, until there are
// none left.
func (e *Engine) buildMissing(w *worker, l *layer, q *stepSeq, layer int) {
	x, j := &q.exact, &q.exact.jobs[layer]
	parts := int32(x.parts() * l.KVHeads)
	for j.build.Load() < parts {
		part := int(j.build.Add(1) - 1)
		if part >= int(parts) {
			return
		}
		first := (x.built/groupPages + part/l.KVHeads) * groupPages
		e.buildChunk(w, l, q.s, part%l.KVHeads, first, min(x.local, first+groupPages))
		if j.unbuilt.Add(-1) == 0 {
			for h := range l.KVHeads {
				q.s.summed[l.headOff+h] = max(q.s.summed[l.headOff+h], int32(x.local))
			}
		}
	}
}
