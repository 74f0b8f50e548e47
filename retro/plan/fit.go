package plan

import "math"

// minLayerTimes is how many times of layers a shortest tenth is made of, at least.
const minLayerTimes = 20

// costs is the number of costs that are fitted.
const costs = 6

// row is how often each cost of measured occurs in a step; knee is counted as tokens are.
func (x *sample) row(knee float64) [costs]float64 {
	n := float64(x.runs)
	return [costs]float64{1, x.tokens / n, min(x.tokens/n, knee), x.supplements / n,
		float64(x.Window - 1), float64(x.Past)}
}

// fit finds the costs of measured from the samples: least squares of relative errors.
func (m *measured) fit(all []series) {
	var rows [][costs]float64
	var ns []float64
	m.Error = 0
	for _, g := range all {
		for _, x := range g.kinds {
			rows, ns = append(rows, x.row(float64(m.Knee*m.Heads))), append(ns, x.ns())
			if x.runs*len(x.layerNS) < minLayerTimes {
				m.Error = 1
			}
		}
	}
	c := leastSquares(rows, ns)
	m.StepNS, m.ReadNS, m.ChooseNS, m.SupplementNS, m.WindowNS, m.PastNS = c[0], c[1], c[2], c[3],
		c[4], c[5]
	for i, r := range rows {
		y := 0.0
		for j, x := range r {
			y += c[j] * x
		}
		m.Error = max(m.Error, math.Abs(y/ns[i]-1))
	}
}

// leastSquares minimises the sum of (row.c/y - 1)^2 over c >= 0. A cost that comes out
// below 0 (noise) is set to 0, the worst first, and the others are fitted again. One
// that no row has is 0.
func leastSquares(rows [][costs]float64, y []float64) (c [costs]float64) {
	use := [costs]bool{}
	for i := range use {
		for _, r := range rows {
			use[i] = use[i] || r[i] != 0
		}
	}
	for {
		c = normalEquations(rows, y, use)
		worst, at := 0.0, -1
		for i, x := range c {
			if x < worst || math.IsNaN(x) {
				worst, at = x, i
			}
		}
		if at < 0 {
			return c
		}
		use[at] = false
	}
}

// normalEquations solves without regard to signs, for the columns in use.
func normalEquations(rows [][costs]float64, y []float64, use [costs]bool) (c [costs]float64) {
	// Columns are scaled to their largest entry.
	scale := [costs]float64{}
	for _, r := range rows {
		for i, x := range r {
			scale[i] = max(scale[i], x)
		}
	}
	var a [costs][costs + 1]float64
	for k, r := range rows {
		for i := range costs {
			if !use[i] {
				continue
			}
			u := r[i] / scale[i] / y[k]
			for j := range costs {
				if use[j] {
					a[i][j] += u * r[j] / scale[j] / y[k]
				}
			}
			a[i][costs] += u // the right side is y/y
		}
	}
	for i := range costs {
		if !use[i] {
			a[i][i] = 1
		}
	}
	solve(&a)
	for i := range c {
		if use[i] {
			c[i] = a[i][costs] / scale[i]
		}
	}
	return c
}

// solve is Gauss-Jordan elimination; the solution is left in the last column.
func solve(a *[costs][costs + 1]float64) {
	for i := range a {
		p := i
		for r := i + 1; r < costs; r++ {
			if math.Abs(a[r][i]) > math.Abs(a[p][i]) {
				p = r
			}
		}
		a[i], a[p] = a[p], a[i]
		for r := range a {
			if r == i {
				continue
			}
			f := a[r][i] / a[i][i]
			for j := i; j <= costs; j++ {
				a[r][j] -= f * a[i][j]
			}
		}
		f := a[i][i]
		for j := i; j <= costs; j++ {
			a[i][j] /= f
		}
	}
}
