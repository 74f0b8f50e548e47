package kernels

import (
	"math"
	"slices"
)

// TopK writes the indices of the len(dst) largest of x to dst, in ascending order.
// Of equal scores the lower index wins; a NaN loses to everything. scratch needs 2*len(x)
// elements. It panics if x is shorter than dst or too long, or scratch is too short.
//
// A threshold guessed from a sample lets one pass at memory speed drop nearly all
// scores; what is left is selected exactly. A bad guess costs time only.
func TopK(dst []int32, x []float32, scratch []uint32) {
	n, k := len(x), len(dst)
	if n < k || n >= maxDim || len(scratch) < 2*n {
		panicShort("x or scratch")
	}
	if k == 0 {
		return
	}
	if n >= 4*minSample && k <= n/4 {
		t := guess(x, k)
		idx := i32(scratch[:n])
		if c := above(idx, x, t); c >= k {
			topOf(dst, idx[:c], x, scratch[n:])
			return
		}
	}
	idx := i32(scratch[:n])
	for i := range idx {
		idx[i] = int32(i)
	}
	topOf(dst, idx, x, scratch[n:])
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
	key := kthLargest(sample, rank+1)
	if key == 0 {
		return float32(math.Inf(-1))
	}
	return keyFloat(key)
}

// topOf chooses from the candidates idx, which are ascending and include the best.
func topOf(dst []int32, idx []int32, x []float32, scratch []uint32) {
	keys := scratch[:len(idx)]
	for i, j := range idx {
		keys[i] = sortKey(x[j])
	}
	limit := kthLargest(keys, len(dst))
	more := 0
	for _, j := range idx {
		if sortKey(x[j]) > limit {
			more++
		}
	}
	ties, n := len(dst)-more, 0
	for _, j := range idx {
		key := sortKey(x[j])
		if key < limit || key == limit && ties == 0 {
			continue
		}
		if key == limit {
			ties--
		}
		dst[n] = j
		n++
	}
}

// sortKey orders floats as unsigned integers, NaN lowest. -0 equals 0.
func sortKey(x float32) uint32 {
	if x != x {
		return 0
	}
	b := math.Float32bits(x + 0)
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// keyFloat is the inverse of sortKey for keys that are not of NaN.
func keyFloat(key uint32) float32 {
	if key>>31 != 0 {
		return math.Float32frombits(key &^ (1 << 31))
	}
	return math.Float32frombits(^key)
}

// kthLargest returns the k-th largest of a, 1 <= k <= len(a), and disorders a.
func kthLargest(a []uint32, k int) uint32 {
	lo, hi := 0, len(a)-1
	want := len(a) - k // index in ascending order
	for depth := 0; hi-lo > 16; depth++ {
		if depth == 64 { // an adversary's order; sorting bounds the time
			break
		}
		m := medianOf3(a[lo], a[lo+(hi-lo)/2], a[hi])
		i, j := lo-1, hi+1
		for {
			for i++; a[i] < m; i++ {
			}
			for j--; a[j] > m; j-- {
			}
			if i >= j {
				break
			}
			a[i], a[j] = a[j], a[i]
		}
		if want <= j {
			hi = j
		} else {
			lo = j + 1
		}
	}
	slices.Sort(a[lo : hi+1])
	return a[want]
}

func medianOf3(a, b, c uint32) uint32 {
	return max(min(a, b), min(max(a, b), c))
}
