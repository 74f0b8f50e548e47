package kernels

import (
	"math"
	"math/bits"
)

// TopK writes the indices of the len(dst) largest of x to dst, in ascending order.
// Of equal scores the lower index wins; a NaN loses to everything. A few of math.MaxFloat32, for what
// is wanted in any case, do not make it slower. scratch needs 2*len(x)
// elements. It panics if x is shorter than dst or too long, or scratch is too short.
//
// A threshold guessed from a sample lets one pass at memory speed drop nearly all
// scores, and further ones select from what is left. Bad guesses cost time only.
func TopK(dst []int32, x []float32, scratch []uint32) {
	n, k := len(x), len(dst)
	if n < k || n >= maxDim || len(scratch) < 2*n {
		panicShort("x or scratch")
	}
	if k == 0 {
		return
	}
	if n >= 4*minSample && k <= n/4 {
		idx := i32(scratch[:n])
		if c := above(idx, x, guess(x, k)); k <= c && c <= n/2 {
			best := f32(scratch[n : n+c])
			for i, j := range idx[:c] {
				best[i] = x[j]
			}
			topOf(dst, best, scratch[n+c:])
			for i, j := range dst {
				dst[i] = idx[j]
			}
			return
		}
	}
	topOf(dst, x, scratch)
}

// Above writes the indices of the x that are at least t to dst, in ascending order, and returns how
// many there are. It panics if dst is shorter than x, all of which it may write to, or x is too
// long.
func Above(dst []int32, x []float32, t float32) int {
	if len(dst) < len(x) || len(x) >= maxDim {
		panicShort("dst")
	}
	return above(dst[:len(x)], x, t)
}

// minSample to maxSample, one in sampleEvery, scores are looked at to guess a
// threshold: too few leave many candidates, too many take longer than they save.
const (
	minSample   = 64
	maxSample   = 512
	sampleEvery = 32
)

func sampleSize(n int) int { return min(maxSample, max(minSample, n/sampleEvery)) }

// guess returns a threshold that a little more than k of x should reach.
func guess(x []float32, k int) float32 {
	var store [maxSample]uint32
	sample := store[:sampleSize(len(x))]
	for i := range sample {
		sample[i] = sortKey(x[i*len(x)/len(sample)])
	}
	// The expected rank in the sample, plus three standard deviations.
	want := float64(k) * float64(len(sample)) / float64(len(x))
	rank := min(len(sample)-1, int(want+3*math.Sqrt(want)+2))
	key, _ := kthLargest(sample, rank+1)
	if key == 0 {
		return float32(math.Inf(-1))
	}
	return keyFloat(key)
}

// topOf does so without a guess. scratch needs len(x) elements. Nothing branches on a score: which
// ones are chosen cannot be predicted.
func topOf(dst []int32, x []float32, scratch []uint32) {
	keys := scratch[:len(x)]
	if idx := i32(keys); split(idx, x, len(dst)) {
		copy(dst, idx)
		return
	}
	for i, v := range x {
		keys[i] = sortKey(v)
	}
	limit, ties := kthLargest(keys, len(dst))
	n := 0
	for j, v := range x {
		if n == len(dst) {
			break
		}
		key := sortKey(v)
		dst[n] = int32(j)
		better, tie := 0, 0
		if key > limit {
			better = 1
		}
		if key == limit {
			tie = 1
		}
		if ties <= 0 {
			tie = 0
		}
		ties -= tie
		n += better | tie
	}
}

// splits is how many thresholds are tried, and splitSample how many scores are looked at for the
// first two.
const (
	splits      = 24
	splitSample = 16
)

// split looks for a threshold that exactly k of x reach, and leaves their indices in idx, which is
// as long as x. There may be none, as where scores are equal. The true one is closed in from both
// sides, in turns by halves and as if scores lay evenly between.
func split(idx []int32, x []float32, k int) bool {
	lo, hi := x[0], float32(math.Inf(-1))
	for i := range splitSample {
		v := x[i*len(x)/splitSample]
		lo = min(lo, v)
		if v < math.MaxFloat32 { // what wins in any case would make the range too wide
			hi = max(hi, v)
		}
	}
	hi = max(hi, lo)
	many, few := len(x), 0 // that reach lo and hi, until they are counted about
	t, wide := hi, hi-lo
	for i := range splits {
		n := above(idx, x, t)
		switch {
		case n == k:
			return true
		case n > k && t >= hi: // the ends were those of a sample
			lo, hi, many = t, t+wide, n
			t = hi
			continue
		case n < k && t <= lo:
			hi, lo, few = t, t-wide, n
			t = lo
			continue
		case n > k:
			lo, many = t, n
		default:
			hi, few = t, n
		}
		if i&1 == 0 {
			t = lo + (hi-lo)/2
		} else {
			t = lo + (hi-lo)*float32(many-k)/float32(many-few)
		}
		if !(lo < t && t < hi) { // nothing lies between, or not all is finite
			return false
		}
	}
	return false
}

// sortKey orders floats as unsigned integers, NaN lowest. -0 equals 0.
func sortKey(x float32) uint32 {
	if x != x {
		return 0
	}
	b := math.Float32bits(x + 0)
	return b ^ (uint32(int32(b)>>31) | 1<<31)
}

// keyFloat is the inverse of sortKey for keys that are not of NaN.
func keyFloat(key uint32) float32 {
	if key>>31 != 0 {
		return math.Float32frombits(key &^ (1 << 31))
	}
	return math.Float32frombits(^key)
}

// kthLargest returns the k-th largest of a, 1 <= k <= len(a), and how many that are equal to it are
// among the k largest. It changes a. It counts how many lie in each of 256 parts of their range,
// and goes on with the part that the k-th is in: four times at most.
func kthLargest(a []uint32, k int) (key uint32, ties int) {
	for {
		lo, hi := a[0], a[0]
		for _, v := range a {
			lo, hi = min(lo, v), max(hi, v)
		}
		if lo == hi {
			return lo, k
		}
		shift := max(0, bits.Len32(hi-lo)-8)
		var count [256]uint32
		for _, v := range a {
			count[(v-lo)>>shift&255]++
		}
		part := uint32(255)
		for ; int(count[part]) < k; part-- {
			k -= int(count[part])
		}
		n := 0
		for _, v := range a {
			a[n] = v
			if (v-lo)>>shift == part {
				n++
			}
		}
		a = a[:n]
	}
}
