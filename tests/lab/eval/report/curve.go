package report

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Point is one policy of a curve, over all texts.
type Point struct {
	Policy string
	Share  float64  // of the KV bytes of full attention
	MS     float64  // per token; with several streams the time divides by them
	KL     Estimate // nats per token

	policy *policy
}

// Curve is a family: policies that differ in budget only.
type Curve struct {
	Family string
	Points []Point // by share
	oracle bool
	bytime []Point
}

// curves are the families of a setup, without full attention, and without policies that lack a text
// others have.
func (s *setup) curves() []Curve {
	var all []Curve
	for _, p := range s.policies {
		if p.full() || !p.complete || !(p.kl.Value > 0) || !(p.share > 0) {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Family != p.family {
			all = append(all, Curve{Family: p.family, oracle: !p.attainable()})
		}
		c := &all[len(all)-1]
		c.Points = append(c.Points, Point{p.name, p.share, p.ms, p.kl, p})
	}
	for i := range all {
		c := &all[i]
		slices.SortStableFunc(c.Points, func(a, b Point) int {
			return cmp.Compare(a.Share, b.Share)
		})
		for _, p := range c.Points {
			if p.MS > 0 {
				c.bytime = append(c.bytime, p)
			}
		}
		slices.SortStableFunc(c.bytime, func(a, b Point) int { return cmp.Compare(a.MS, b.MS) })
	}
	return all
}

// At is the KL at a share of KV bytes: log KL linear in log share between the two
// points around it. Not ok outside of the points.
func (c *Curve) At(share float64) (kl float64, ok bool) { return at(c.Points, share, byShare) }

// AtTime is the same at a time per token in ms.
func (c *Curve) AtTime(ms float64) (kl float64, ok bool) { return at(c.bytime, ms, byTime) }

func byShare(p Point) float64 { return p.Share }
func byTime(p Point) float64  { return p.MS }

func at(points []Point, x float64, of func(Point) float64) (kl float64, ok bool) {
	i, w, ok := between(points, x, of)
	if !ok {
		return 0, false
	}
	return geometric(points[i].KL.Value, points[i+1].KL.Value, w), true
}

// between finds the points i and i+1 around x, and the weight of the second.
func between(points []Point, x float64, of func(Point) float64) (i int, w float64, ok bool) {
	last := len(points) - 1
	// rounding is no extrapolation
	if last < 1 || x < of(points[0])*0.999 || x > of(points[last])*1.001 {
		return 0, 0, false
	}
	i = sort.Search(last-1, func(i int) bool { return of(points[i+1]) >= x })
	a, b := math.Log(of(points[i])), math.Log(of(points[i+1]))
	if b-a < 1e-9 {
		return i, 1, true
	}
	return i, min(1, max(0, (math.Log(x)-a)/(b-a))), true
}

// geometric is the weighted geometric mean.
func geometric(a, b, weight float64) float64 {
	return math.Exp((1-weight)*math.Log(a) + weight*math.Log(b))
}

// counterpart is what a point is compared with on another curve.
type counterpart struct {
	// share or ms of the counterpart, the point's own if the curve has it between two points
	x     float64
	kl    float64  // of the counterpart
	ratio Estimate // KL of the point over the counterpart's, paired over the common texts
}

// against compares a point with a curve at the same x. Beyond the curve's ends it compares
// with the end, and is ok only if one of the two has both the lower KL and the lower x.
func (p *Point) against(points []Point, of func(Point) float64) (r counterpart, ok bool) {
	if len(points) == 0 {
		return r, false
	}
	r.x = of(*p)
	i, w, inside := between(points, r.x, of)
	if !inside {
		if r.x > of(points[0]) {
			i = len(points) - 1
		}
		r.x = of(points[i])
	}
	next := min(i+1, len(points)-1)
	samples := paired(p.policy.records, points[i].policy.records, points[next].policy.records)
	if samples == nil {
		return r, false
	}
	r.ratio = estimate(func(m []float64) float64 { return m[0] / geometric(m[1], m[2], w) },
		samples...)
	r.kl = geometric(points[i].KL.Value, points[next].KL.Value, w)
	worse, dearer := r.ratio.Lo > 1, of(*p) > r.x
	better, cheaper := r.ratio.Hi < 1, of(*p) < r.x
	return r, inside || worse && dearer || better && cheaper
}

// commonShares are the columns of the table at equal bytes: those which at least half of
// the curves reach.
func commonShares(curves []Curve) []float64 {
	var common []float64
	for _, share := range []float64{0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48} {
		if reached(curves, 2, func(c *Curve) bool { _, ok := c.At(share); return ok }) {
			common = append(common, share)
		}
	}
	return common
}

// commonTimes are up to six times per token, in even steps of a round factor, that at
// least a quarter of the curves reach: what a correction costs may keep it from the rest.
func commonTimes(curves []Curve) []float64 {
	common := func(ms float64) bool {
		return reached(curves, 4, func(c *Curve) bool { _, ok := c.AtTime(ms); return ok })
	}
	lo, hi := math.Inf(1), 0.0
	for _, c := range curves {
		for _, p := range c.bytime {
			if common(p.MS) {
				lo, hi = min(lo, p.MS), max(hi, p.MS)
			}
		}
	}
	if !(hi > lo) {
		return nil
	}
	var times []float64
	for i := range 6 {
		if ms := round2(geometric(lo, hi, float64(i)/5)); !slices.Contains(times, ms) &&
			common(ms) {
			times = append(times, ms)
		}
	}
	return times
}

// round2 rounds to two significant digits.
func round2(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/unit) * unit
}

// reached: by at least one in so many of the curves that have more than one point, and by two.
func reached(curves []Curve, oneIn int, by func(*Curve) bool) bool {
	n, of := 0, 0
	for i := range curves {
		if len(curves[i].Points) > 1 {
			of++
			if by(&curves[i]) {
				n++
			}
		}
	}
	return n >= 2 && oneIn*n >= of
}
