package kernels

import "unsafe"

// maxDim bounds every size argument, so that products of two fit in uint64.
const maxDim = 1<<31 - 1

// ISA names the kernels in use: "amx", "avx512", "avx2", "dotprod", "neon" or "generic".
func ISA() string { return isaName(level) }

// Ahead is what goes on in memory around a call of Dot or Acc. Both ask for their rows some way
// ahead, so that a call begins with waiting for the first ones, and at its end asks for nothing any
// more. In a row of calls, each asks for the first rows of the next one: of Cells in Cache, where
// there are any. Asked says that those of this call have been asked for in this way.
type Ahead struct {
	Asked bool
	Cache *Cache
	Cells []int32
}

// Dot computes the logits dst[r*ldDst+j] = q_r . K[cells[j]] for r < rows. q holds
// rows made by Queries for the type of k. Logits of a token do not depend on what
// other tokens are in cells.
//
// It panics if k is not valid or a slice is too short.
func (next Ahead) Dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	checkCache(k, rows, len(cells))
	if rows == 0 || len(cells) == 0 {
		return
	}
	checkMatrix(len(dst), rows, ldDst, len(cells), "dst")
	if uint64(rows)*uint64(QueryLen(k.Type, k.Dim)) > uint64(len(q)) {
		panicShort("q")
	}
	dot(dst, ldDst, q, rows, k, cells, next)
}

// Dot is that of an Ahead without anything.
func Dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	Ahead{}.Dot(dst, ldDst, q, rows, k, cells)
}

// Acc computes acc[r*ldAcc+i] += sum_j p[r*ldP+j]*V[cells[j]][i] for r < rows and
// i < v.Dim. A weight of 0 does not hide a NaN or Inf in V: the caller must leave
// such tokens out.
//
// It panics if v is not valid or a slice is too short.
func (next Ahead) Acc(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache,
	cells []int32) {
	checkCache(v, rows, len(cells))
	if rows == 0 || len(cells) == 0 {
		return
	}
	checkMatrix(len(acc), rows, ldAcc, v.Dim, "acc")
	checkMatrix(len(p), rows, ldP, len(cells), "p")
	accumulate(acc, ldAcc, p, ldP, rows, v, cells, next)
}

// Acc is that of an Ahead without anything.
func Acc(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	Ahead{}.Acc(acc, ldAcc, p, ldP, rows, v, cells)
}

// Load converts the rows of cells to float32, exactly: dst[j*c.Dim+i].
func Load(dst []float32, c *Cache, cells []int32) {
	checkCache(c, 0, len(cells))
	if len(cells) == 0 {
		return
	}
	if uint64(len(cells))*uint64(c.Dim) > uint64(len(dst)) {
		panicShort("dst")
	}
	load(dst, c.Dim, c, cells)
}

// Prefetch asks for the rows of cells to be brought into the L2 cache, and does not
// wait. Dot and Acc prefetch by themselves. It never faults.
func Prefetch(c *Cache, cells []int32) {
	if size := c.Type.RowBytes(c.Dim); size > 0 && len(cells) > 0 {
		prefetch(c.Base, c.Stride, size, cells)
	}
}

// PrefetchBytes is Prefetch of b.
func PrefetchBytes(b []byte) {
	if len(b) > 0 {
		prefetch(unsafe.Pointer(&b[0]), 0, len(b), first[:])
	}
}

var first [1]int32

// ascending are the cells of a buffer.
var ascending = func() (t [64]int32) {
	for i := range t {
		t[i] = int32(i)
	}
	return t
}()

// ExpSum is newMax = max(oldMax, max x), and the sum of exp(x-newMax), where the logarithm of that is
// wanted: to 4 %, of many numbers to less than 1 %, in half the time of SoftmaxRow. It leaves x alone.
// A NaN is ignored.
func ExpSum(x []float32, oldMax float32) (newMax, sum float32) {
	if len(x) == 0 {
		return oldMax, 0
	}
	return expSum(x, oldMax)
}

// SoftmaxRow is one step of a running softmax: newMax = max(oldMax, max x),
// x[j] = exp(x[j]-newMax), sum = sum of the new x. Logits of -Inf give exactly
// 0; if newMax is -Inf, every x and the sum are 0. A NaN in x is passed over by
// the maximum and stays NaN, which makes the sum NaN.
func SoftmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if len(x) == 0 {
		return oldMax, 0
	}
	return softmaxRow(x, oldMax)
}

// SoftCap bounds logits: x = c*tanh(x/c) for c > 0, within 2^-21*c. -Inf and Inf
// become -c and c, and NaN stays.
func SoftCap(x []float32, c float32) {
	if len(x) > 0 {
		softCap(x, c)
	}
}

// Scale computes x *= s.
func Scale(x []float32, s float32) { scale(x, s) }

// Axpby computes x = a*x + b*y. It panics if y is shorter than x.
func Axpby(x []float32, a float32, y []float32, b float32) {
	if len(y) < len(x) {
		panicShort("y")
	}
	if len(x) > 0 {
		axpby(x, a, y[:len(x)], b)
	}
}

// SumSq adds the values of each channel of n rows x [n][d] to sum and their squares
// to sumsq. It panics if d is not a positive multiple of 8 or a slice is too short.
func SumSq(sum, sumsq, x []float32, d, n int) {
	if checkRows(len(x), d, n); n > 0 {
		if len(sum) < d || len(sumsq) < d {
			panicShort("sum or sumsq")
		}
		sumSq(sum, sumsq, x, d, n)
	}
}

// MinMax widens the range of each channel by n rows x [n][d]: lo[i] = min(lo[i],
// x[j][i]), hi[i] = max(hi[i], x[j][i]). NaNs in x are passed over.
func MinMax(lo, hi, x []float32, d, n int) {
	if checkRows(len(x), d, n); n > 0 {
		if len(lo) < d || len(hi) < d {
			panicShort("lo or hi")
		}
		minMax(lo, hi, x, d, n)
	}
}

// ToF16 rounds src to F16, to nearest even. Finite values beyond the range
// saturate at +-65504; Inf and NaN stay what they are. It panics if dst is
// shorter than src.
func ToF16(dst []uint16, src []float32) {
	if len(dst) < len(src) {
		panicShort("dst")
	}
	toF16(dst[:len(src)], src)
}

// checkCache costs a few predictable branches; the conversion to uint64 makes
// negative values fail the same comparison as huge ones.
func checkCache(c *Cache, rows, n int) {
	if uint64(rows)|uint64(n) >= maxDim || c.Type.RowBytes(c.Dim) == 0 {
		panicDims()
	}
}

func checkRows(size, d, n int) {
	if uint64(d)|uint64(n) >= maxDim || d == 0 || d&7 != 0 {
		panicDims()
	}
	if uint64(n)*uint64(d) > uint64(size) {
		panicShort("x")
	}
}

// checkMatrix requires size >= (rows-1)*ld + cols. Rows may not overlap.
func checkMatrix(size, rows, ld, cols int, name string) {
	if rows > 1 && (ld < cols || ld >= maxDim) {
		panicLd(name)
	}
	if uint64(rows-1)*uint64(ld)+uint64(cols) > uint64(size) {
		panicShort(name)
	}
}

//go:noinline
func panicDims() {
	panic("kernels: need a known type, rows >= 0, n >= 0 and d a positive multiple of 8, of 32 where quantised")
}

//go:noinline
func panicLd(name string) {
	panic("kernels: bad leading dimension of " + name)
}

//go:noinline
func panicShort(name string) {
	panic("kernels: slice too short: " + name)
}
