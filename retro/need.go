package retro

import (
	"math"

	"retroattn/kernels"
)

// weigh turns the estimates of an item's candidates into their shares of the attention, in the mean of the queries, and
// returns how many of the largest make up, with sink and local window, all but the loss that the sequence bears.
func (s *selection) weigh() int {
	it, l, q := s.it, s.l, s.q
	n, queries := len(it.pages)*kernels.CodeTokens, s.queries()
	near := s.nearMass()
	clear(it.tokens[:n])
	held := float32(0)
	for r := range near {
		x := it.est[r*n:][:n]
		if l.SoftCap > 0 {
			kernels.SoftCap(x, l.SoftCap)
		}
		m, sum := kernels.SoftmaxRow(x, near[r].m)
		local := near[r].l * kernels.Exp32(near[r].m-m)
		inv := 1 / (sum + local) / float32(queries)
		held += local * inv
		kernels.Axpby(it.tokens[:n], 1, x, inv)
	}
	k := countFor(it.tokens[:n], 1-q.s.need.bears()-held)
	return min(max(k, s.cut.budget/4), max(s.cut.budget, n/2))
}

// countFor is about how many of the largest of x, which are >= 0, add up to sum.
func countFor(x []float32, sum float32) int {
	const parts = 256
	var mass [parts]float32
	var count [parts]int32
	top := uint32(127 << 3) // of shares, the largest is 1
	for _, v := range x {
		i := min(top-min(top, math.Float32bits(v)>>20), parts-1)
		mass[i] += v
		count[i]++
	}
	k := 0
	for i := range parts {
		if mass[i] >= sum {
			return k + int(math.Ceil(float64(count[i])*float64(max(0, sum)/max(mass[i], 1e-30))))
		}
		sum -= mass[i]
		k += int(count[i])
	}
	return len(x)
}

// nearMass is, for each query that selects, the softmax denominator of sink and local window.
func (s *selection) nearMass() []partial {
	w, l, q, queries := s.w, s.l, s.q, s.queries()
	near := w.near[:queries]
	for r := range near {
		near[r] = partial{m: negInf}
	}
	x := w.q[:queries*l.DK] // prepare left them there
	hadamard(x, l.Rotation) // as the keys are
	s.keyQueries(x)
	page, keys := s.e.opt.Page, l.keys(s.h)
	w.addMass(near, l, &keys, w.keyQ, q.s.cell[:page])
	for at, end := q.newest().local*page, q.newest().entry+1; at < end; at += blockCols {
		w.addMass(near, l, &keys, w.keyQ, q.s.cell[at:min(end, at+blockCols)])
	}
	return near
}

// need is how a sequence spends its budget: more where more attention is missed, at the same mean.
type need struct {
	loss  float64 // share of the attention that may be missed, as estimated; 0: before the first sparse token
	steps int     // sparse tokens so far
}

const (
	firstLoss = 0.1
	leastGain = 1.0 / 16
)

func (n *need) bears() float32 {
	if n.loss == 0 {
		return firstLoss
	}
	return float32(n.loss)
}

// adapt makes the sequence bear more loss after a token that read more than the budget, less and less strongly.
func (n *need) adapt(taken, budget uint64) {
	if budget == 0 {
		return
	}
	over := float64(taken)/float64(budget) - 1
	gain := max(leastGain, 1/float64(1+n.steps))
	n.loss = min(0.9, max(1e-6, float64(n.bears())*math.Exp(gain*min(over, 2))))
	n.steps++
}
