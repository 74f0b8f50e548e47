package retro

import (
	"math"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/stats"
)

// An audit measures how much of its attention the newest token of a sparse step kept, for the
// query heads of one KV head of one layer: it adds up the softmax over the far tokens that were
// left out, from their keys, and compares it with what attention has added up over the others.
// These keys are read in chunks like those of attention, that any thread may take.

const (
	auditChunk = 1024 // tokens, at least, in a chunk
)

// layoutAudits chooses auditTurn, from which the order follows in which KV heads are audited: a
// step of about the golden ratio of all heads leads from one to the next, so that few audits
// are spread over the layers already, which differ more than tokens do.
func (e *Engine) layoutAudits() {
	heads := uint64(e.kvHeads)
	step := uint64(1)
	golden := func(s uint64) float64 { return math.Abs(float64(s)/float64(heads) - (math.Sqrt(5)-1)/2) }
	for s := range heads {
		if gcd(s, heads) == 1 && golden(s) < golden(step) {
			step = s
		}
	}
	e.auditTurn = 1 // inverse of step
	for step*e.auditTurn%heads != 1%heads {
		e.auditTurn++
	}
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// audits tells whether KV head p, of all layers' in order, is audited on a sequence's sparse
// step number t. Audit number k is due on step k*Audit/heads, and is of head k*step, so that in
// any Audit steps each head is audited once.
func (e *Engine) audits(t uint64, p int) bool {
	n, heads := uint64(e.opt.Audit), uint64(e.kvHeads)
	if n == 0 {
		return false
	}
	first, next := (t*heads+n-1)/n, ((t+1)*heads+n-1)/n // the audits due
	turn := uint64(p) * e.auditTurn % heads             // the head's, modulo heads
	return (turn+heads-first%heads)%heads < next-first
}

// planAudit cuts the far entries into chunks, of which those are audited that were left out.
func (s *selection) planAudit() {
	it, far := s.it, s.q.newest().far(s.e.opt.Page)
	if !s.e.audits(s.q.s.audits, s.l.headOff+s.h) {
		return
	}
	it.auditPer = max(auditChunk, (far+maxChunks-1)/maxChunks)
	it.auditChunks = (far + it.auditPer - 1) / it.auditPer
	s.w.stats.AuditBytes += uint64((far - len(it.entries)) * s.l.kBytes)
}

// auditChunk adds up one of the audit's chunks for the queries of the newest row.
func (e *Engine) auditChunk(w *worker, l *layer, it *item, q *stepSeq, h, chunk int) {
	first := e.opt.Page + (chunk-it.chunks)*it.auditPer
	last := min(first+it.auditPer, q.newest().local*e.opt.Page)
	newest := (q.rows - 1) * l.gqa
	keys, x := l.keys(h), it.kq[newest*kernels.QueryLen(l.TypeK, l.DK):]
	sums := w.near[:l.gqa]
	for g := range sums {
		sums[g] = partial{m: negInf}
	}
	chosen, n := it.entries[countBelow(it.entries, int32(first)):], 0
	for t := first; t < last; t++ {
		if len(chosen) > 0 && int(chosen[0]) == t {
			chosen = chosen[1:]
		} else {
			w.cells[n] = q.s.cell[t]
			n++
		}
		if n == blockCols || n > 0 && t == last-1 {
			w.addMass(sums, l, &keys, x, w.cells[:n])
			n = 0
		}
	}
	at := chunk*q.rows*l.gqa + newest
	for g := range sums {
		it.m[at+g], it.l[at+g] = sums[g].m, sums[g].l
	}
}

// auditHead counts what a query head kept, given all that it attended to. rows and at are as in
// merge.
func (w *worker) auditHead(it *item, rows, at int, kept *partial) {
	rest := partial{m: negInf}
	for c := it.chunks; c < it.chunks+it.auditChunks; c++ {
		rest.merge(it.m[c*rows+at], it.l[c*rows+at], nil)
	}
	// Relative to what was kept, which is never nothing.
	share := 1 / (1 + float64(rest.l)/float64(kept.l)*math.Exp(float64(rest.m)-float64(kept.m)))
	if share >= 0 { // not where keys are not finite
		w.stats.KeptMass += uint64(math.Round(stats.KeptUnit * share))
	}
	w.stats.AuditedHeads++
}
