package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	blockTokens = 16   // resampled together, since the KL of neighbours correlates
	resamples   = 2000 // of a bootstrap
)

// Estimate is a figure and its 95 % interval.
type Estimate struct{ Value, Lo, Hi float64 }

func (e Estimate) String() string {
	if math.IsNaN(e.Value) {
		return "-"
	}
	if math.IsNaN(e.Lo) {
		return figure(e.Value)
	}
	d := digits(e.Value)
	return fmt.Sprintf("%.*f [%.*f, %.*f]", d, e.Value, d, e.Lo, d, e.Hi)
}

// scaled is the estimate times a factor.
func (e Estimate) scaled(by float64) Estimate {
	return Estimate{e.Value * by, e.Lo * by,
		e.Hi * by}
}

// Interval is the mean of x and its 95 % interval by a block bootstrap: blocks of 16
// tokens drawn within each stream, wrapping around its end. x holds streams of equal
// length one after another; it may be empty.
func Interval(x []float32, streams int) (mean, lo, hi float64) {
	s := sample{tracks(x, streams)}
	if len(s[0]) == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	e := s.estimate()
	return e.Value, e.Lo, e.Hi
}

// Ratio is mean KL(a) / mean KL(b) over the texts that both have, which weigh the
// same. The same blocks are drawn of both, so what makes a passage hard for both
// cancels out. Not ok: no common text.
func Ratio(a, b []Record) (e Estimate, ok bool) {
	s := paired(a, b)
	if s == nil {
		return Estimate{}, false
	}
	return estimate(func(m []float64) float64 { return m[0] / m[1] }, s...), true
}

// Quarters is the mean KL of each quarter of the positions, over all streams.
func Quarters(x []float32, streams int) [4]float64 {
	var q [4]float64
	copy(q[:], byPosition(x, streams, 4))
	return q
}

// byPosition is the mean of each of n equal parts of the positions, over all streams.
func byPosition(x []float32, streams, parts int) []float64 {
	mean := make([]float64, parts)
	t := tracks(x, streams)
	for i := range mean {
		for _, s := range t {
			n := s.tokens()
			from, to := i*n/parts, (i+1)*n/parts
			mean[i] += (s[to] - s[from]) / float64(to-from) / float64(len(t))
		}
	}
	if len(t) == 0 {
		for i := range mean {
			mean[i] = math.NaN()
		}
	}
	return mean
}

// wilson is the 95 % interval of a share, right of total.
func wilson(right, total int) Estimate {
	if total == 0 {
		return Estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	return wilsonShare(float64(right)/float64(total), total)
}

// wilsonShare is the same of a share p of n answers. Where answers are partly right the interval is
// a little too wide.
func wilsonShare(p float64, answers int) Estimate {
	const z = 1.96
	n := float64(answers)
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Estimate{p, max(0, mid-half), min(1, mid+half)}
}

// track is one stream: the running sum of its values, twice over, so that a block that
// wraps around the end is one difference too.
type track []float64

func (t track) tokens() int { return len(t) / 2 }

// mean is that of the stream.
func (t track) mean() float64 { return t[t.tokens()] / float64(t.tokens()) }

func tracks(x []float32, streams int) []track {
	streams = max(1, streams)
	n := len(x) / streams
	if n == 0 {
		return nil
	}
	out := make([]track, streams)
	for i := range out {
		t := make(track, 2*n+1)
		for j := range 2 * n {
			t[j+1] = t[j] + float64(x[i*n+j%n])
		}
		out[i] = t
	}
	return out
}

// sample is what one policy did: the streams of each text.
type sample [][]track

// mean weighs texts, and streams within a text, the same.
func (s sample) mean() (mean float64) {
	for _, text := range s {
		for _, t := range text {
			mean += t.mean() / float64(len(text)*len(s))
		}
	}
	return mean
}

func (s sample) estimate() Estimate {
	return estimate(func(m []float64) float64 { return m[0] }, s)
}

// estimate is f of the samples' means, with its interval. All samples have the same
// texts and lengths; each resample draws the same blocks of all.
func estimate(f func(means []float64) float64, samples ...sample) Estimate {
	means := make([]float64, len(samples))
	for k, s := range samples {
		means[k] = s.mean()
	}
	e := Estimate{Value: f(means)}
	rng := rand.New(rand.NewPCG(16, 2000)) // the same report from the same records
	var draws []float64
	for range resamples {
		clear(means)
		for text := range samples[0] {
			for stream := range samples[0][text] {
				resample(rng, samples, text, stream, means)
			}
		}
		if v := f(means); !math.IsNaN(v) {
			draws = append(draws, v)
		}
	}
	e.Lo, e.Hi = ends(draws)
	return e
}

// ends are those of the 95 % interval of what was drawn.
func ends(draws []float64) (lo, hi float64) {
	if len(draws) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(draws)
	last := float64(len(draws) - 1)
	return draws[int(0.025*last+0.5)], draws[int(0.975*last+0.5)]
}

// resample adds the mean of one resampled stream to each sample's mean, at the weight it has.
func resample(rng *rand.Rand, samples []sample, text, stream int, means []float64) {
	n := samples[0][text][stream].tokens()
	weight := 1 / float64(n*len(samples[0][text])*len(samples[0]))
	block := min(blockTokens, max(1, n/4)) // a short stream still has some blocks to draw
	for at := 0; at < n; at += block {
		from := rng.IntN(n)
		to := from + min(block, n-at)
		for k, s := range samples {
			t := s[text][stream]
			means[k] += (t[to] - t[from]) * weight
		}
	}
}

// paired builds a sample of each group, over the texts for which every group has the
// KL of as many tokens; nil if there is none.
func paired(groups ...[]Record) []sample {
	type id struct {
		test, text, model, kv string
		ctx, streams, tokens  int
	}
	ident := func(r *Record) id {
		return id{r.Test, r.Text, r.Model, r.KV, r.Ctx, max(1, r.Streams), len(r.KLTokens)}
	}
	have := make([]map[id]*Record, len(groups))
	for k, g := range groups {
		have[k] = map[id]*Record{}
		for i := range g {
			if r := &g[i]; len(r.KLTokens) >= max(1, r.Streams) {
				have[k][ident(r)] = r
			}
		}
	}
	samples := make([]sample, len(groups))
	for i := range groups[0] {
		key := ident(&groups[0][i])
		if slices.ContainsFunc(have, func(h map[id]*Record) bool { return h[key] == nil }) {
			continue
		}
		for k := range groups {
			samples[k] = append(samples[k], tracks(have[k][key].KLTokens, key.streams))
		}
	}
	if len(samples[0]) == 0 {
		return nil
	}
	return samples
}

// average is the mean of the values that were measured; NaN if none was.
func average[T any](all []T, value func(T) float64) float64 {
	sum, n := 0.0, 0
	for _, a := range all {
		if v := value(a); !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// figure writes three significant digits without an exponent.
func figure(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits(v), v)
}

// digits behind the point to show three that are significant, four at most.
func digits(v float64) int {
	switch a := math.Abs(v); {
	case a == 0 || a >= 99.95:
		return 0
	case a >= 9.995:
		return 1
	case a >= 0.9995:
		return 2
	case a >= 0.09995:
		return 3
	default:
		return 4
	}
}

// percent writes a share in per cent.
func percent(v float64, digits int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, 100*v)
}
