package kernels

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// genericBlock is how many channels the generic kernels convert at a time, so
// that one conversion serves all query rows without any allocation.
const genericBlock = 64

// loadChannels converts channels [at, at+len(dst)) of a row. Both are multiples of 8,
// and of 32 where the type is quantised.
func loadChannels(dst []float32, c *Cache, cell int32, at int) {
	p := c.row(cell)
	switch c.Type {
	case F32:
		b := unsafe.Slice((*byte)(unsafe.Add(p, 4*at)), 4*len(dst))
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case F16:
		b := unsafe.Slice((*byte)(unsafe.Add(p, 2*at)), 2*len(dst))
		for i := range dst {
			dst[i] = f16ToF32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case BF16:
		b := unsafe.Slice((*byte)(unsafe.Add(p, 2*at)), 2*len(dst))
		for i := range dst {
			dst[i] = bf16ToF32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case Q8_0:
		for ; len(dst) >= blockLen; dst, at = dst[blockLen:], at+blockLen {
			s, b := q8Block(p, at/blockLen)
			for i, x := range b {
				dst[i] = s * float32(int8(x))
			}
		}
	case Q4_0:
		for ; len(dst) >= blockLen; dst, at = dst[blockLen:], at+blockLen {
			s, b := q4Block(p, at/blockLen)
			for i, x := range b {
				dst[i], dst[blockLen/2+i] = s*float32(int(x&15)-8), s*float32(int(x>>4)-8)
			}
		}
	}
}

// q8Block returns the scale and the int8 of block b of a row.
func q8Block(row unsafe.Pointer, b int) (float32, []byte) {
	p := unsafe.Slice((*byte)(unsafe.Add(row, b*q8Bytes)), q8Bytes)
	return f16ToF32(binary.LittleEndian.Uint16(p)), p[2:]
}

// q4Block returns the scale and the nibbles of block b of a row.
func q4Block(row unsafe.Pointer, b int) (float32, []byte) {
	p := unsafe.Slice((*byte)(unsafe.Add(row, b*q4Bytes)), q4Bytes)
	return f16ToF32(binary.LittleEndian.Uint16(p)), p[2:]
}

func dotGeneric(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	if k.Type.Quantised() {
		dotQuantisedGeneric(dst, ldDst, q, rows, k, cells)
		return
	}
	var store [genericBlock]float32
	d := k.Dim
	for j, cell := range cells {
		for c := 0; c < d; c += genericBlock {
			buf := store[:min(genericBlock, d-c)]
			loadChannels(buf, k, cell, c)
			for r := range rows {
				s := dotFloats(q[r*d+c:][:len(buf)], buf)
				if c > 0 {
					s += dst[r*ldDst+j]
				}
				dst[r*ldDst+j] = s
			}
		}
	}
}

// dotFloats takes slices of equal length, a multiple of 8.
func dotFloats(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	return (s0 + s1) + (s2 + s3)
}

func dotQuantisedGeneric(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32) {
	nb, size := k.Dim/blockLen, QueryLen(k.Type, k.Dim)
	for j, cell := range cells {
		row := k.row(cell)
		for r := range rows {
			x := q[r*size : (r+1)*size]
			ints := bytesOf(x[:k.Dim/4])
			var sum float32
			for b := range nb {
				xs := ints[b*blockLen:][:blockLen]
				var s float32
				var n int32
				var bytes []byte
				if k.Type == Q8_0 {
					s, bytes = q8Block(row, b)
					for i, y := range bytes {
						n += int32(int8(y)) * int32(int8(xs[i]))
					}
				} else {
					s, bytes = q4Block(row, b)
					for i, y := range bytes {
						n += (int32(y&15)-8)*int32(int8(xs[i])) +
							(int32(y>>4)-8)*int32(int8(xs[blockLen/2+i]))
					}
				}
				sum += s * x[k.Dim/4+b] * float32(n)
			}
			dst[r*ldDst+j] = sum
		}
	}
}

func accGeneric(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32) {
	var store [genericBlock]float32
	for j, cell := range cells {
		for c := 0; c < v.Dim; c += genericBlock {
			buf := store[:min(genericBlock, v.Dim-c)]
			loadChannels(buf, v, cell, c)
			for r := range rows {
				w := p[r*ldP+j]
				a := acc[r*ldAcc+c:][:len(buf)]
				for i, x := range buf {
					a[i] += w * x
				}
			}
		}
	}
}

func loadGeneric(dst []float32, ld int, c *Cache, cells []int32) {
	for j, cell := range cells {
		loadChannels(dst[j*ld:][:c.Dim], c, cell, 0)
	}
}

func softmaxRowGeneric(x []float32, oldMax float32) (newMax, sum float32) {
	m := oldMax
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	if math.IsInf(float64(m), -1) {
		return m, clearMasked(x)
	}
	var s float64
	for i, v := range x {
		e := Exp32(v - m)
		x[i] = e
		s += float64(e)
	}
	return m, float32(s)
}

// clearMasked handles a row without any finite logit: all are -Inf, whose
// weight is 0, or NaN, which must not get lost.
func clearMasked(x []float32) (sum float32) {
	for i, v := range x {
		if v == v {
			x[i] = 0
		} else {
			sum = v
		}
	}
	return sum
}

func expSumGeneric(x []float32, oldMax float32) (newMax, sum float32) {
	m := oldMax
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	if math.IsInf(float64(m), -1) {
		return m, 0
	}
	for _, v := range x {
		if v -= m; v == v {
			sum += roughExp(v)
		}
	}
	return m, sum
}

// softCapGeneric uses tanh(y) = (1-t)/(1+t) with t = exp(-2y), for y >= 0.
func softCapGeneric(x []float32, c float32) {
	f := -2 / c
	for i, v := range x {
		t := Exp32(float32(math.Abs(float64(v))) * f)
		x[i] = float32(math.Copysign(float64(c*((1-t)/(1+t))), float64(v)))
	}
}

func scaleGeneric(x []float32, s float32) {
	for i := range x {
		x[i] *= s
	}
}

func axpbyGeneric(x []float32, a float32, y []float32, b float32) {
	for i, v := range y[:len(x)] {
		x[i] = a*x[i] + b*v
	}
}

func sumSqGeneric(sum, sumsq, x []float32, d, n int) {
	for j := range n {
		row := x[j*d:][:d]
		s, q := sum[:d], sumsq[:d]
		for i, v := range row {
			s[i] += v
			q[i] += v * v
		}
	}
}

func minMaxGeneric(lo, hi, x []float32, d, n int) {
	for j := range n {
		row := x[j*d:][:d]
		l, h := lo[:d], hi[:d]
		for i, v := range row {
			if v < l[i] {
				l[i] = v
			}
			if v > h[i] {
				h[i] = v
			}
		}
	}
}

func toF16Generic(dst []uint16, src []float32) {
	for i, x := range src {
		dst[i] = f32ToF16(x)
	}
}

// absMaxGeneric is the largest magnitude, or a NaN or Inf if there is one.
func absMaxGeneric(x []float32) float32 {
	var m uint32
	for _, v := range x {
		m = max(m, math.Float32bits(v)&^(1<<31)) // NaNs are above Inf
	}
	return math.Float32frombits(m)
}

// roundInt rounds to nearest even; |x| < 2^22.
func roundInt(x float32) int32 {
	const magic = 3 << 22
	return int32(math.Float32bits(x+magic)) - int32(math.Float32bits(magic))
}

// quantise8Generic writes round(x*inv) as int8 and returns their sum.
func quantise8Generic(dst, x []float32, inv float32) int32 {
	b := bytesOf(dst)
	var sum int32
	for i, v := range x {
		n := roundInt(float32(v * inv))
		b[i] = byte(n)
		sum += n
	}
	return sum
}

// quantise14Generic writes the four forms of round(x*inv) that ScanQueries
// describes and returns the sum.
func quantise14Generic(dst, x []float32, inv float32) int32 {
	d := len(x)
	b := bytesOf(dst)
	hi, lo, even, odd := b[:d], b[d:2*d], b[2*d:3*d], b[3*d:4*d]
	var sum int32
	for i, v := range x {
		n := roundInt(float32(v * inv))
		sum += n
		h := (n + scanBase/2) >> 6
		hi[i], lo[i] = byte(h), byte(n-scanBase*h)
		pairs := even
		if i&1 != 0 {
			pairs = odd
		}
		binary.LittleEndian.PutUint16(pairs[i&^3+i&2:], uint16(n))
	}
	return sum
}

func scanGeneric(dst []float32, ldDst int, q []float32, rows, d int, tiles []byte, n int,
	sign Sign) {
	for p := range n {
		tile := tiles[p/TilePages*TileBytes(d):][:TileBytes(d)]
		slot := p % TilePages
		s := math.Float32frombits(binary.LittleEndian.Uint32(tile[4*slot:]))
		col := tile[4*TilePages+4*slot:]
		for r := range rows {
			row := q[r*ScanLen(d):][:ScanLen(d)]
			b := bytesOf(row)
			hi, lo := b[:d], b[d:2*d]
			var sum int32
			for i := range d {
				u := int32(col[i/4*4*TilePages+i&3])
				sum += u * (scanBase*int32(int8(hi[i])) + int32(int8(lo[i])))
			}
			sum -= int32(sign) * int32(math.Float32bits(row[d+1]))
			dst[r*ldDst+p] = float32(sum) * (row[d] * s)
		}
	}
}

func maxAddGeneric(dst, x []float32, ld int, by []float32) {
	for r, b := range by {
		for i, v := range x[r*ld:][:len(dst)] {
			if v += b; v > dst[i] {
				dst[i] = v
			}
		}
	}
}

func maxAddSqrtGeneric(dst, a []float32, ldA int, beta float32, b []float32, ldB, rows int) {
	for i := range dst {
		best := negInf
		for r := range rows {
			v := a[r*ldA+i] + beta*float32(math.Sqrt(float64(max(b[r*ldB+i], 0))))
			if v > best {
				best = v
			}
		}
		dst[i] = best
	}
}

// aboveGeneric writes the indices of x >= t, ascending, and returns how many. dst is as
// long as x.
func aboveGeneric(dst []int32, x []float32, t float32) int {
	n := 0
	for i, v := range x {
		dst[n] = int32(i)
		if v >= t {
			n++
		}
	}
	return n
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

func f32(x []uint32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

func i32(x []uint32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}
