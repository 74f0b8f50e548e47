package retro

import (
	"slices"

	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// Row is one token of a step. Rows of a sequence are adjacent with rising positions; the last is
// the sequence's new token, the others are past tokens that keep their cells. Or all of them are
// new and exact: each attends to everything before it and to itself. A draft is a new token that
// will be truncated: what is read for it adapts what the next ones read.
type Row struct{ Seq, Pos, Cell, Exact, Draft int32 }

// step is what StepBegin decided.
type step struct {
	open    bool
	number  uint64 // of this step; tells a worker's prepared queries from older ones
	rows    int
	threads int // that will call
	seqs    []stepSeq

	decodes bool // there are sequences whose rows are not exact
}

// stepSeq is one sequence in a step. Its virtual rows are past tokens, oldest
// first, then the new token. On a step that embeds the window again the past
// tokens are rows of the host's batch and get an output. On others they are ring
// entries, whose stored queries take up the tokens that are read anyway.
type stepSeq struct {
	id            int
	s             *sequence
	firstRow      int // row in the batch of virtual row emit
	rows          int // virtual rows
	emit          int // first virtual row that is in the batch
	sparse, draft bool
	cuts          []cut // per layer
	views         [options.MaxWindow]view
	slots         [options.MaxWindow]*ringSlot // nil without ring
	corrected     [options.MaxWindow]mark
	taken, budget counter // tokens read, and what the budget allows
	exact         exactSeq
}

// decodes tells whether it has a new token that is not exact.
func (q *stepSeq) decodes() bool { return q.rows > 0 }

func (q *stepSeq) newest() view { return q.views[q.rows-1] }

// StepBegin starts a step: new tokens enter the tables, and each sequence's rows
// get their views. threads is how many will call Attend for each layer. Without rows, nothing is
// attended to: Select builds what is missing of the summaries of all sequences.
func (e *Engine) StepBegin(rows []Row, threads int) error {
	if e.step.open {
		return failure.Statef("a step is open already")
	}
	if len(rows) > e.cfg.Rows {
		return failure.Argumentf("%d rows in a step: must be 0..%d", len(rows), e.cfg.Rows)
	}
	if threads < 1 || threads > e.cfg.Threads {
		return failure.Argumentf("%d threads: must be 1..%d", threads, e.cfg.Threads)
	}
	if err := e.prepare(); err != nil {
		return err
	}
	e.step.seqs = e.step.seqs[:0]
	e.step.rows, e.step.threads, e.step.decodes = len(rows), threads, false
	for i := 0; i < len(rows); {
		n := 1
		for i+n < len(rows) && rows[i+n].Seq == rows[i].Seq {
			n++
		}
		if err := e.beginSeq(rows[i:i+n], i); err != nil {
			e.undo()
			return err
		}
		i += n
	}
	if len(rows) == 0 {
		e.addUnbuilt()
	}
	e.prepareExact()
	for i := range e.layers {
		heads := e.layers[i].KVHeads
		e.jobs[i].unfilled.Store(0)
		for k := range e.step.seqs {
			q := &e.step.seqs[k]
			if q.decodes() {
				e.jobs[i].unfilled.Add(int32(heads))
			}
			for h := range heads {
				c := &e.jobs[i].claims[k*heads+h]
				parts := q.cuts[i].parts
				if c.reuse = e.reuses(q, i, h); c.reuse {
					parts = 1
				}
				c.reset(parts)
			}
		}
	}
	e.step.number++
	e.roomForScores()
	e.step.open = true
	return nil
}

// roomForScores makes room in the items, while no other thread is in.
func (e *Engine) roomForScores() {
	pages, tokens, queries, dv := 0, 0, 0, 0
	for i := range e.step.seqs {
		q := &e.step.seqs[i]
		if !q.sparse {
			continue
		}
		pages = max(pages, q.newest().local)
		for j := range q.cuts {
			tokens = max(tokens, q.cuts[j].pages*e.opt.Page)
			queries, dv = max(queries, e.layers[j].gqa), max(dv, e.layers[j].DV)
		}
	}
	if e.opt.CorrectBudget > 0 {
		queries *= e.opt.Window
	}
	for i := range e.items[:len(e.step.seqs)*len(e.items)/cap(e.step.seqs)] {
		it := &e.items[i]
		it.owner.Store(0)
		it.best = grow(it.best, pages)
		if e.byTokens() {
			it.means = grow(it.means, pages*queries)
			it.tokens = grow(it.tokens, tokens)
			it.groupBest = grow(it.groupBest, pages/groupPages)
			if e.opt.Need {
				it.est, it.listed = grow(it.est, tokens*queries), grow(it.listed, tokens)
				parts := (tokens + codeTokens - 1) / codeTokens
				it.sumM, it.sumL = grow(it.sumM, parts*queries), grow(it.sumL, parts*queries)
				it.weighed, it.less = grow(it.weighed, parts), grow(it.less, queries)
				it.nearM, it.nearL = grow(it.nearM, queries), grow(it.nearL, queries)
				it.nearAcc = grow(it.nearAcc, nearRows*dv)
			}
		}
	}
	for i := range e.workers {
		e.workers[i].keys = grow(e.workers[i].keys, 2*max(pages, tokens))
	}
}

// beginSeq plans one sequence and appends its new token.
func (e *Engine) beginSeq(rows []Row, first int) error {
	newest := rows[len(rows)-1]
	id := int(newest.Seq)
	s, err := e.openSequence(id)
	if err != nil {
		return err
	}
	for i := range e.step.seqs {
		if e.step.seqs[i].s == s {
			return failure.Argumentf("sequence %d: its rows are not adjacent", id)
		}
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Exact != 0 }) {
		return e.beginExact(rows, first, s)
	}
	e.step.decodes = true
	t := len(s.pos)
	past := len(rows) - 1
	switch {
	case past > 0 && newest.Draft != 0:
		return failure.Argumentf("sequence %d: a draft comes with %d past rows, must be alone", id,
			past)
	case past > e.MaxWindow():
		return failure.Argumentf("sequence %d: %d past rows, the options allow %d", id, past,
			e.MaxWindow())
	case newest.Cell < 0 || int(newest.Cell) >= e.cfg.Cells:
		return failure.Argumentf("sequence %d: cell %d, must be 0..%d", id, newest.Cell,
			e.cfg.Cells-1)
	case newest.Pos < 0 || newest.Pos == 1<<31-1 || t > 0 && newest.Pos <= s.pos[t-1]:
		return failure.Argumentf("sequence %d: position %d does not follow what is known", id,
			newest.Pos)
	case t >= e.cfg.Cells:
		return failure.Argumentf("sequence %d: all %d cells are taken", id, e.cfg.Cells)
	}
	q := e.addSeq(id, s, first)
	q.draft = newest.Draft != 0
	if err := e.plan(q, t, past, rows); err != nil {
		e.step.seqs = e.step.seqs[:len(e.step.seqs)-1]
		return err
	}
	s.pos, s.cell = append(s.pos, newest.Pos), append(s.cell, newest.Cell)
	return nil
}

// addSeq adds a sequence to the step.
func (e *Engine) addSeq(id int, s *sequence, first int) *stepSeq {
	e.step.seqs = e.step.seqs[:len(e.step.seqs)+1]
	q := &e.step.seqs[len(e.step.seqs)-1]
	*q = stepSeq{id: id, s: s, firstRow: first, cuts: q.cuts, exact: exactSeq{jobs: q.exact.jobs}}
	return q
}

// plan decides how the new token at entry t, with past rows of the batch before it, is read.
func (e *Engine) plan(q *stepSeq, t, past int, rows []Row) error {
	s, id := q.s, q.id
	v := e.viewAt(t, past > 0, q.cuts)
	usable := 0
	if e.opt.Window > 1 {
		usable = s.ring.usable(t, q.cuts)
	}
	if past > usable {
		return failure.Argumentf("sequence %d: %d past rows, only %d can be embedded again", id,
			past, usable)
	}
	for j, r := range rows[:past] {
		if at := t - past + j; r.Pos != s.pos[at] || r.Cell != s.cell[at] {
			return failure.Argumentf("sequence %d: past row at position %d cell %d, known is %d in %d", id, r.Pos, r.Cell, s.pos[at], s.cell[at])
		}
	}
	e.reserve(s, v, q.cuts)
	q.sparse = v.sparse
	back := past // virtual past rows
	if past == 0 && v.sparse {
		back = usable
		q.emit = back
	}
	q.rows = back + 1
	for j := range back {
		q.views[j] = e.viewAt(t-back+j, false, nil)
		q.slots[j] = s.ring.back(back - j)
	}
	q.views[back] = v
	if e.opt.Window > 1 {
		q.slots[back] = s.ring.take(&e.stats)
	}
	return nil
}

// undo forgets the new tokens of the step and resets the windows of its sequences.
func (e *Engine) undo() {
	for i := range e.step.seqs {
		q := &e.step.seqs[i]
		q.s.ring.reset()
		added := max(1, q.exact.n)
		q.s.spare += added // nothing was learned from them
		e.truncate(q.s, q.s.pos[len(q.s.pos)-added])
	}
	e.step.seqs = e.step.seqs[:0]
}

// StepEnd commits the step, or, when the host could not finish it, forgets its
// new tokens. Past rows' cells hold valid keys and values either way.
func (e *Engine) StepEnd(ok bool) error {
	if !e.step.open {
		return failure.Statef("no step is open")
	}
	e.step.open = false
	if e.step.rows == 0 { // summaries stay
		e.step.seqs = e.step.seqs[:0]
	}
	if !ok {
		for i := range e.workers {
			e.workers[i].stats = stats.Stats{}
		}
		e.undo()
		return nil
	}
	st := &e.stats
	for i := range e.workers {
		st.Add(&e.workers[i].stats)
		e.workers[i].stats = stats.Stats{}
	}
	for i := range e.step.seqs {
		q := &e.step.seqs[i]
		if n := q.exact.n; n > 0 {
			st.ExactTokens += uint64(n)
			q.s.ring.retire(st)
			q.s.since = 0
			q.s.spare += n
			continue
		}
		st.Tokens++
		switch {
		case q.sparse:
			st.SparseTokens++
		case q.newest().entry+1 < e.opt.MinCtx:
			st.ShortTokens++
		}
		past := q.rows - 1 - q.emit
		st.RewrittenTokens += uint64(past)
		for r := q.emit; r < q.rows-1; r++ {
			if q.corrected[r].isSet() {
				st.CorrectedTokens++
			}
		}
		e.commit(q, past)
	}
	return nil
}

// commit brings the sequence's window up to date after a step with past rows in the batch.
func (e *Engine) commit(q *stepSeq, past int) {
	s := q.s
	if s.since++; past > 0 {
		s.since = 0
	}
	if q.sparse {
		s.audits++
	}
	if s.spare++; !q.draft {
		s.spare = 0
	}
	s.need.adapt(q.taken.load(), q.budget.load())
	if e.opt.Window > 1 {
		s.ring.push(q.newest().entry, q.sparse, q.cuts)
	}
}
