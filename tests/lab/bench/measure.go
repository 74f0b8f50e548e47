package bench

import (
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// variant is one of the things that are measured in turns over the same units of data.
type variant struct {
	run   func(first, n int) // does n units from first on; past the last comes unit 0
	spins bool               // leaves threads spinning behind
	n     int                // units in a run
	times []float64          // seconds for a unit, of each run
}

// interleave lets the variants take turns. They go through the units together, so that nobody finds
// in a cache what another has left there, unless the whole set fits.
func (b *bench) interleave(units int, variants ...*variant) error {
	// A collection would take a processor. There is next to no garbage.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	at := 0
	turn := func(c *variant) time.Duration {
		begun := time.Now()
		c.run(at, c.n)
		took := time.Since(begun)
		at = (at + c.n) % units
		if c.spins {
			machine.Idle()
		}
		return took
	}
	for _, c := range variants {
		c.n, c.times = 1, make([]float64, 0, b.runs)
		for {
			took := turn(c)
			if took >= b.slice/2 {
				c.n = max(1, int(float64(c.n)*float64(b.slice)/float64(took)))
				break
			}
			c.n *= int(min(10, max(2, b.slice/(took+1))))
		}
	}
	for range b.runs {
		for _, c := range variants {
			took := turn(c)
			c.times = append(c.times, took.Seconds()/float64(c.n))
		}
		if err := b.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// result is a JSON line. GB/s count each byte of K and V once. Shares and ratios compare best
// runs, other numbers are medians; pointers are nil where there is nothing to compare with.
type result struct {
	Name        string   `json:"name"`
	ISA         string   `json:"isa"`
	Type        string   `json:"type"`
	HeadDim     int      `json:"head_dim"`
	Rows        int      `json:"rows"`
	K           int      `json:"k,omitempty"` // of topk
	Set         string   `json:"set"`
	SetBytes    int      `json:"set_bytes"`
	Threads     int      `json:"threads"`
	Runs        int      `json:"runs"`
	GBps        float64  `json:"gbps"`
	GBpsMin     float64  `json:"gbps_min"`
	GBpsMax     float64  `json:"gbps_max"`
	ReadGBps    float64  `json:"read_gbps"`
	BWShare     float64  `json:"bw_share"`
	BareShare   *float64 `json:"bare_share,omitempty"` // of a bare read of the same rows
	GFlops      *float64 `json:"gflops"`
	FlopShare   *float64 `json:"flop_share"`
	RatioToGGML *float64 `json:"ratio_to_ggml"`
	GGMLGBps    *float64 `json:"ggml_gbps"`
	GGMLGBpsMin *float64 `json:"ggml_gbps_min"`
	GGMLGBpsMax *float64 `json:"ggml_gbps_max"`
	NMSE        *float64 `json:"nmse"` // of our output against ggml's
	RatioToSort *float64 `json:"ratio_to_sort"`
}

// result describes how ours did beside a plain read of the same bytes.
func (b *bench) result(c workload, set *planeSet, ours, read *variant, flops float64) result {
	r := result{Name: c.kernel, ISA: kernels.ISA(), Type: c.typeName(), HeadDim: c.dim,
		Rows: c.rows, Set: c.set,
		SetBytes: set.bytes(), Threads: c.threads, Runs: b.runs}
	r.GBps, r.GBpsMin, r.GBpsMax = rates(ours.times, set.unitBytes())
	r.ReadGBps, _, _ = rates(read.times, set.unitBytes())
	r.BWShare = rounded(best(read) / best(ours))
	if flops > 0 {
		r.GFlops = jsonNumber(flops / median(ours.times) / 1e9)
		r.FlopShare = jsonNumber(flops / best(ours) / b.measureFMA(b.team[c.threads]))
	}
	return r
}

// bareShare adds how ours did beside a bare read of the same rows.
func (r *result) bareShare(ours, bare *variant) {
	r.BareShare = jsonNumber(best(bare) / best(ours))
}

// worstNMSE is where two results are no longer of the same thing.
const worstNMSE = 1e-3

// compare adds how ggml did, with the ratio only if both computed the same.
func (r *result) compare(set *planeSet, ours, other *variant, nmse float64) {
	mid, low, high := rates(other.times, set.unitBytes())
	r.GGMLGBps, r.GGMLGBpsMin, r.GGMLGBpsMax = &mid, &low, &high
	if r.NMSE = jsonNumber(nmse); nmse < worstNMSE {
		r.RatioToGGML = jsonNumber(best(other) / best(ours))
	}
}

// rates are GB/s: median, least and most.
func rates(times []float64, bytes int) (mid, low, high float64) {
	rate := func(seconds float64) float64 { return rounded(float64(bytes) / seconds / 1e9) }
	return rate(median(times)), rate(slices.Max(times)), rate(slices.Min(times))
}

func best(c *variant) float64 { return slices.Min(c.times) }

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// nmse is the error of x relative to the square of want.
func nmse(x, want []float32) float64 {
	var err, sum float64
	for i, w := range want {
		d := float64(x[i]) - float64(w)
		err += d * d
		sum += float64(w) * float64(w)
	}
	return err / sum
}

// jsonNumber leaves out what JSON has no notation for.
func jsonNumber(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	x = rounded(x)
	return &x
}

// rounded keeps four digits, which is more than such a measurement is worth.
func rounded(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	return r
}
