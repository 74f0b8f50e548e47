package kernels

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// ranking sorts all indices: better scores first, of equal ones the lower index, NaNs last.
func ranking(x []float32) []int32 {
	idx := make([]int32, len(x))
	for i := range idx {
		idx[i] = int32(i)
	}
	slices.SortFunc(idx, func(a, b int32) int {
		// to cmp.Compare a NaN is the least
		return cmp.Or(cmp.Compare(x[b], x[a]), cmp.Compare(a, b))
	})
	return idx
}

// patterns of scores, by name.
var patterns = map[string]func(rng *rand.Rand, x []float32){
	"normal": func(rng *rand.Rand, x []float32) {
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
	},
	"wanted": func(rng *rand.Rand, x []float32) {
		fillFloats(rng, x, 1)
		for i := range x {
			if rng.IntN(20) == 0 {
				x[i] = math.MaxFloat32
			}
		}
	},
	"ties": func(rng *rand.Rand, x []float32) { sprinkle(rng, x, 1, 0, negZ, 1, -1, 2) },
	"few": func(rng *rand.Rand, x []float32) {
		sprinkle(rng, x, 1, -inf32)
		sprinkle(rng, x, 20, 1, 2, inf32)
	},
	"wild": func(rng *rand.Rand, x []float32) {
		fillFloats(rng, x, 1)
		sprinkle(rng, x, 3, nan32, inf32, -inf32, 0, negZ, tiny32, -tiny32)
	},
	"all NaN": func(rng *rand.Rand, x []float32) { sprinkle(rng, x, 1, nan32, -nan32) },
	"most NaN": func(rng *rand.Rand, x []float32) {
		sprinkle(rng, x, 1, nan32)
		sprinkle(rng, x, 16, 1, -inf32)
	},
	"all equal": func(rng *rand.Rand, x []float32) { sprinkle(rng, x, 1, -3) },
	"all -Inf":  func(rng *rand.Rand, x []float32) { sprinkle(rng, x, 1, -inf32) },
	"ascending": func(_ *rand.Rand, x []float32) {
		for i := range x {
			x[i] = float32(i) - 1000
		}
	},
	"descending": func(_ *rand.Rand, x []float32) {
		for i := range x {
			x[i] = 1000 - float32(i)
		}
	},
	"high samples": func(rng *rand.Rand, x []float32) {
		fillFloats(rng, x, 1)
		sampled(x, func(v *float32) { *v += 10 })
	},
	"low samples": func(rng *rand.Rand, x []float32) {
		fillFloats(rng, x, 1)
		sampled(x, func(v *float32) { *v = -inf32 })
	},
	"NaN samples": func(rng *rand.Rand, x []float32) {
		fillFloats(rng, x, 1)
		sampled(x, func(v *float32) { *v = nan32 })
	},
}

// sampled visits the scores that TopK guesses its threshold from.
func sampled(x []float32, f func(v *float32)) {
	if n := sampleSize(len(x)); len(x) > 0 {
		for i := range n {
			f(&x[i*len(x)/n])
		}
	}
}

func checkTopK(t *testing.T, name string, x []float32, ranked, dst []int32, scratch []uint32) {
	t.Helper()
	want := slices.Sorted(slices.Values(ranked[:len(dst)]))
	TopK(dst, x, scratch)
	if !slices.Equal(dst, want) {
		for i, j := range dst {
			if j != want[i] {
				t.Fatalf("%s %s: n=%d k=%d: [%d] = %d, want %d", ISA(), name, len(x), len(dst), i,
					j, want[i])
			}
		}
	}
}

func TestTopK(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const long = 1 << 16
		xZone, dstZone, scratchZone := newZone(t, 4*long), newZone(t, 4*long), newZone(t, 8*long)
		for name, draw := range patterns {
			rng := newRand(len(name))
			sizes := []int{511, 512, 513, 1000, 1024, 2047, 3000, long - 1, long}
			if raceEnabled {
				sizes = sizes[:4]
			}
			for n := 0; n < 3000; n += 1 + n/32 + rng.IntN(1+n/16) {
				sizes = append(sizes, n)
			}
			for _, n := range sizes {
				p := place(rng.IntN(2) == 0)
				x, scratch := in[float32](xZone, n, p), in[uint32](scratchZone, 2*n, p)
				draw(rng, x)
				ranked := ranking(x)
				for _, k := range []int{0, 1, 2, 3, 16, 17, 256, n / 100, n / 4, n/4 + 1, n / 2,
					n - 1, n, rng.IntN(n + 1)} {
					if k >= 0 && k <= n {
						checkTopK(t, name, x, ranked, in[int32](dstZone, k, p), scratch)
					}
				}
			}
		}
	})
}

// Indices are written up to the count, or beyond it as far as x is long.
func TestAbove(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		xZone, dstZone := newZone(t, 4*(maxTokens+1)), newZone(t, 4*(maxTokens+1))
		for name, draw := range patterns {
			for n := range maxTokens + 1 {
				rng := newRand(n, len(name))
				for _, p := range places {
					x, dst := in[float32](xZone, n, p), in[int32](dstZone, n, p)
					draw(rng, x)
					for _, limit := range []float32{0, negZ, 0.5, -1, inf32, -inf32, nan32, tiny32,
						float32(rng.NormFloat64())} {
						var want []int32
						for i, v := range x {
							if v >= limit {
								want = append(want, int32(i))
							}
						}
						got := above(dst, x, limit)
						if got != len(want) || !slices.Equal(dst[:got], want) {
							t.Fatalf("%s: n=%d: those above %g are %v, want %v", name, n, limit,
								dst[:got], want)
						}
					}
				}
			}
		}
	})
}

func TestKthLargest(t *testing.T) {
	for n := 1; n < 500; n += 1 + n/20 {
		for trial := range 20 {
			rng := newRand(n, trial)
			x, k := make([]uint32, n), 1+rng.IntN(n)
			for i := range x {
				x[i] = uint32(rng.IntN(1 + n*trial/10))
			}
			if trial == 0 {
				x, k = misleading(n), 1
			}
			sorted := slices.Sorted(slices.Values(x))
			want, ties := sorted[n-k], 0
			for i := n - k; i < n && sorted[i] == want; i++ {
				ties++
			}
			if got, equal := kthLargest(slices.Clone(x), k); got != want || equal != ties {
				t.Fatalf("n=%d k=%d: %d and %d equal, want %d and %d", n, k, got, equal, want, ties)
			}
		}
	}
}

// misleading has its numbers in as few of the parts as kthLargest makes, every time.
func misleading(n int) []uint32 {
	x := make([]uint32, n)
	for i := range x {
		x[i] = 1<<(i%32) + uint32(i/32)
	}
	return x
}
