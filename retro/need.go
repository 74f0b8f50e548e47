package retro

import (
	"math"

	"github.com/retroattn/retroattn/kernels"
)

// nearRows is for how many queries one thread adds up what is near at once.
const nearRows = 16

// weighs tells whether the item spends its budget by need.
func (s *selection) weighs() bool {
	return s.e.opt.Need && 0 < s.cut.budget && s.cut.budget < s.candidates()
}

// candidates is how many tokens have a score.
func (s *selection) candidates() int { return len(s.it.pages) * s.e.opt.Page }

// partsOfNear is how many parts of the queries add up what is near.
func (s *selection) partsOfNear() int {
	if !s.weighs() {
		return 0
	}
	return (s.queries() + nearRows - 1) / nearRows
}

// weighed is a part of the candidates, of codeTokens of them.
type weighed struct {
	listed int  // candidates that have the share that the sequence asks for
	hit    bool // there are some that have foundShare
}

// addUp leaves the softmax denominators of a part of the candidates by their estimates, for each query.
func (s *selection) addUp(part int, est []float32, ld, n int) {
	it, parts := s.it, s.partsOfCodes()
	for r := range s.queries() {
		x, at := est[r*ld:][:n], r*parts+part
		if s.l.SoftCap > 0 {
			kernels.SoftCap(x, s.l.SoftCap)
		}
		it.sumM[at], it.sumL[at] = kernels.ExpSum(x, negInf)
	}
}

// addUpAll joins the denominators of all parts and of what is near, for weigh.
func (s *selection) addUpAll() {
	it, parts := s.it, s.partsOfCodes()
	for r := range s.queries() {
		near, all := partial{m: it.nearM[r], l: it.nearL[r]}, partial{}
		m, l := it.sumM[r*parts:][:parts], it.sumL[r*parts:][:parts]
		all.m, _ = kernels.SoftmaxRow(m, near.m)
		all.l = near.l * kernels.Exp32(near.m-all.m)
		for part, f := range m {
			all.l += f * l[part]
		}
		it.less[r] = negInf
		if all.l > 0 {
			it.less[r] = -all.logSum()
		}
	}
}

// weigh turns the estimates of a part of the candidates into the shares of the attention that they
// have, the largest of the queries', as logarithms, and lists the entries of those that have the
// share that the sequence asks for.
func (s *selection) weigh(part int) {
	it, first, shares, w := s.it, part*codeTokens, s.shares(part), &s.it.weighed[part]
	copy(shares, noShare[:])
	kernels.MaxAdd(shares, it.est[first:], s.candidates(), it.less[:s.queries()])
	w.hit = kernels.Above(s.w.hits[:], shares, logFound) > 0
	w.listed = kernels.Above(it.listed[first:], shares, s.q.s.need.share(s.cut.budget))
	s.toEntries(it.listed[first:][:w.listed], first)
}

// noShare is what no query gives to each candidate of a part: one copy, where fill makes nine.
var noShare = func() (x [codeTokens]float32) {
	fill(x[:], negInf)
	return x
}()

// shares are those of a part of the candidates.
func (s *selection) shares(part int) []float32 {
	first := part * codeTokens
	return s.it.tokens[first:min(s.candidates(), first+codeTokens)]
}

// chooseByNeed lists the candidates that have at least the share that the sequence asks for, or the
// best, where they are more or fewer than an item reads.
func (s *selection) chooseByNeed() {
	it, budget, n := s.it, s.cut.budget, 0
	for part := range s.partsOfCodes() {
		n += copy(it.entries[n:], it.listed[part*codeTokens:][:it.weighed[part].listed])
	}
	k := min(max(n, budget/needLeast), budget*needMost, s.candidates())
	it.entries = it.entries[:k]
	if k != n {
		s.chooseBest()
	}
	s.noteFound()
	s.q.budget.add(uint64(budget))
	s.q.taken.add(uint64(k))
}

// addUpNear leaves the softmax denominator of sink and local window, for a part of the queries that
// select, for weigh.
func (s *selection) addUpNear(part int) {
	s.prepare()
	w, l, q := s.w, s.l, s.q
	first := part * nearRows
	last := min(first+nearRows, s.queries())
	x := w.q[first*l.DK : last*l.DK] // prepare left them there
	hadamard(x, l.Rotation)          // as the keys are
	s.keyQueries(x)
	m, d := s.it.nearM[first:last], s.it.nearL[first:last]
	if s.attendsNear() {
		c := chunkState{l: l, s: q.s, head: s.h, k: l.keys(s.h), v: l.values(s.h), rows: 1, q: w.keyQ,
			m: m, d: d, acc: s.it.nearAcc[:last*l.DV]}
		w.begin(&c)
		s.e.addLocal(w, &c, q)
		w.flush(&c)
		return
	}
	near := w.near[:last-first]
	for r := range near {
		near[r] = partial{m: negInf}
	}
	page, keys := s.e.opt.Page, l.keys(s.h)
	w.addMass(near, l, &keys, w.keyQ, q.s.cell[:page])
	for at, end := q.newest().local*page, q.newest().entry+1; at < end; at += blockCols {
		w.addMass(near, l, &keys, w.keyQ, q.s.cell[at:min(end, at+blockCols)])
	}
	for r := range near {
		m[r], d[r] = near[r].m, near[r].l
	}
}

// attendsNear tells whether addUpNear does all that attention does with what is near, which is its
// first chunk, so that it need not be done again: of one row, with the queries as attention has
// them. Where a layer has one KV head, all others would wait for it.
func (s *selection) attendsNear() bool {
	return s.q.rows == 1 && s.l.KVHeads > 1 && s.l.Rotation == 0 && s.partsOfNear() == 1
}

// need is how a sequence spends its budget: on every token that has at least a certain share of the
// attention of a query. So a head whose attention is spread, or lies in what is near, reads little,
// and one that looks many things up reads much; the share is such that the mean over layers, heads
// and steps is the budget.
type need struct {
	log   float64 // of that share, times the budget
	steps int     // sparse tokens so far
}

// Bounds of what an item reads, as parts and times of its budget, and of the controller's gain.
const (
	needLeast = 8
	needMost  = 4
	leastGain = 1.0 / 16
)

// firstShare is where a sequence begins: at a quarter of what each token has if as many as the
// budget share all.
const firstShare = 0.25

// share is the logarithm of the least share that is read with a budget.
func (n *need) share(budget int) float32 {
	share := math.Log(firstShare)
	if n.steps > 0 {
		share = n.log
	}
	return float32(share - math.Log(float64(budget)))
}

// adapt raises the share after a step that read more than the budget, less and less strongly.
func (n *need) adapt(read, budget uint64) {
	if budget == 0 || read == 0 {
		return
	}
	if n.steps == 0 {
		n.log = math.Log(firstShare)
	}
	gain := max(leastGain, 1/float64(1+n.steps))
	n.log = min(maxNeed, max(-maxNeed, n.log+gain*math.Log(float64(read)/float64(budget))))
	n.steps++
}

const maxNeed = 20 // e^20 is far beyond any share of a token
