package kernels

import "math"

// QueryLen is the length, in float32, of a query row of dimension d that is ready
// for keys of type t. It is d unless t is quantised.
func QueryLen(t Type, d int) int {
	if !t.Quantised() {
		return d
	}
	return d/4 + 2*(d/blockLen)
}

// Queries makes rows of q [rows][d] ready for Dot: dst is [rows][QueryLen]. For
// quantised keys each block of 32 channels is rounded to int8 with a scale of its
// own, as ggml does, but with a float32 scale. It panics if a slice is too short.
//
// A row for quantised keys is d int8, then d/32 scales, then d/32 int32: minus the
// sum of the block's int8 times the zero point of the keys' unsigned form
// (128 for Q8_0, 8 for Q4_0).
func Queries(t Type, dst, q []float32, rows, d int) {
	size := QueryLen(t, d)
	if t.RowBytes(d) == 0 || uint64(rows) >= maxDim {
		panicDims()
	}
	if uint64(rows)*uint64(size) > uint64(len(dst)) || uint64(rows)*uint64(d) > uint64(len(q)) {
		panicShort("dst or q")
	}
	if !t.Quantised() {
		copy(dst, q[:rows*d])
		return
	}
	zero := int32(128)
	if t == Q4_0 {
		zero = 8
	}
	nb := d / blockLen
	for r := range rows {
		row := dst[r*size : (r+1)*size]
		scales, bias := row[d/4:][:nb], row[d/4+nb:][:nb]
		for b := range nb {
			x := q[r*d+b*blockLen:][:blockLen]
			inv, s := int8Scale(absMax(x), 127)
			scales[b] = s
			sum := quantise8(row[b*blockLen/4:][:blockLen/4], x, inv)
			bias[b] = math.Float32frombits(uint32(-zero * sum))
		}
	}
}

// int8Scale is the factor that maps +-m to +-top, and its inverse. A block with a
// NaN or an Inf has a NaN scale, so that its logits become NaN.
func int8Scale(m, top float32) (inv, scale float32) {
	if !(m <= math.MaxFloat32) {
		return 0, float32(math.NaN())
	}
	scale = m / top
	if inv = top / m; !(inv <= math.MaxFloat32) {
		return 0, 0 // all zero, or too small to matter
	}
	return inv, scale
}
