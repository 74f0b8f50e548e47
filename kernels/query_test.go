package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQueries(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		qZone, dstZone := newZone(t, 4*9*256), newZone(t, 4*9*256)
		for _, typ := range Types {
			for _, d := range testDims {
				for rows := 0; rows <= 9 && rowSize(typ, d) > 0; rows++ {
					rng := newRand(int(typ), d, rows)
					p := place(rng.IntN(2) == 0)
					q := in[float32](qZone, rows*d, p)
					drawQueries(rng, q)
					dst := in[float32](dstZone, rows*QueryLen(typ, d), p)
					Queries(typ, dst, q, rows, d)
					if !typ.Quantised() {
						if !slices.EqualFunc(dst, q, sameBits) {
							t.Fatalf("%v d=%d rows=%d: not a copy", typ, d, rows)
						}
						continue
					}
					for r := range rows {
						checkQuery(t, typ, parseQuery(dst[r*QueryLen(typ, d):], d), q[r*d:][:d])
					}
				}
			}
		}
	})
}

// drawQueries has, now and then, a block of 8 or 32 that is tiny, huge, 0, at the limits or
// not finite.
func drawQueries(rng *rand.Rand, x []float32) {
	fillFloats(rng, x, 3)
	for at := 0; at < len(x); at += 32 {
		block := x[at:min(at+32, len(x))]
		switch rng.IntN(9) {
		case 0:
			fillFloats(rng, block, 1e-36)
		case 1:
			fillFloats(rng, block, 1e38)
		case 2:
			sprinkle(rng, block, 1, 0, negZ)
		case 3:
			sprinkle(rng, block, 1, 2.5, -2.5)
		case 4:
			sprinkle(rng, block, 20, nan32)
		case 5:
			sprinkle(rng, block, 20, inf32, -inf32)
		case 6:
			fillFloats(rng, block, 1e-42)
		}
	}
}

// largest is the largest magnitude, NaN if a value is not finite.
func largest(x []float32) float64 {
	m := 0.0
	for _, v := range x {
		a := math.Abs(float64(v))
		if math.IsInf(a, 0) || m != m {
			a = math.NaN()
		}
		m = max(m, a)
	}
	return m
}

// checkScale verifies the scale of integers up to top for values up to m. It is 0 for values
// too small for an inverse.
func checkScale(t *testing.T, scale float32, m, top float64) {
	t.Helper()
	if scale == 0 && m <= top/math.MaxFloat32*(1+eps32) {
		return
	}
	if !matches(scale, m/top, m/top*eps32+tiny32) {
		t.Fatalf("%s: scale %g for values up to %g", ISA(), scale, m)
	}
}

// within verifies that n*scale is the nearest to x, but for a little rounding.
func within(n int, scale float32, x float32, top int) bool {
	if max(n, -n) > top {
		return false
	}
	err := math.Abs(float64(n)*float64(scale) - float64(x))
	limit := float64(scale)*0.5 + math.Abs(float64(x))*4*eps32 + float64(top)*tiny32
	if scale == 0 {
		limit = float64(top) / math.MaxFloat32 * (1 + eps32)
	}
	return err <= limit
}

func checkQuery(t *testing.T, typ Type, q query, x []float32) {
	t.Helper()
	zero := int32(128)
	if typ == Q4_0 {
		zero = 8
	}
	for b, scale := range q.scales {
		block := x[32*b:][:32]
		m := largest(block)
		checkScale(t, scale, m, 127)
		if m != m {
			continue
		}
		var sum int32
		for i, v := range block {
			n := q.ints[32*b+i]
			sum += int32(n)
			if !within(int(n), scale, v, 127) {
				t.Fatalf("%s %v d=%d: channel %d of block %d is %d * %g, want %g", ISA(), typ,
					len(x), i, b, n, scale, v)
			}
		}
		if q.bias[b] != -zero*sum {
			t.Fatalf("%s %v d=%d: bias of block %d is %d, want %d", ISA(), typ, len(x), b,
				q.bias[b], -zero*sum)
		}
	}
}

func TestAbsMax(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		zone := newZone(t, 4*1024)
		for d := 8; d <= 1024; d += 8 {
			for _, p := range places {
				rng := newRand(d)
				x := in[float32](zone, d, p)
				fillFloats(rng, x, 1e-3)
				x[rng.IntN(d)] *= 1e30 // anywhere, of either sign
				if got, want := absMax(x), largest(x); float64(got) != want {
					t.Fatalf("d=%d: %g, want %g", d, got, want)
				}
				fillFloats(rng, x, 1e-44)
				if got, want := absMax(x), largest(x); float64(got) != want {
					t.Fatalf("d=%d: %g, want %g", d, got, want)
				}
				// One that is not finite, among others that are.
				for _, v := range []float32{nan32, math.Float32frombits(0xff800001), inf32,
					-inf32} {
					x[rng.IntN(d)] = v
					if got := absMax(x); got <= math.MaxFloat32 {
						t.Fatalf("d=%d: %g, want NaN or Inf", d, got)
					}
					fillFloats(rng, x, math.MaxFloat32)
				}
			}
		}
	})
}

// drawRounding has values whose product with inv is near or at a tie, up to +-top.
func drawRounding(rng *rand.Rand, x []float32, top int) (inv float32) {
	inv = []float32{1, 0.5, 4, 1 / 3.0, 123.4}[rng.IntN(5)]
	for i := range x {
		n := float32(rng.IntN(2*top+1) - top)
		if rng.IntN(3) > 0 {
			n += []float32{-0.5, 0.5, 0.49999997, 0.25}[rng.IntN(4)]
		}
		x[i] = max(-float32(top), min(float32(top), n)) / inv
	}
	sprinkle(rng, x, 20, 0, negZ, tiny32, float32(top)/inv, -float32(top)/inv)
	return inv
}

func roundedTo(x, inv float32) int { return int(math.RoundToEven(float64(float32(x * inv)))) }

// Integers must be the same at every level.
func TestQuantise8(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		xZone, dstZone := newZone(t, 4*blockLen), newZone(t, blockLen)
		for i := range 2000 {
			rng := newRand(i)
			p := place(i&1 == 0)
			x, dst := in[float32](xZone, blockLen, p), in[float32](dstZone, blockLen/4, p)
			inv := drawRounding(rng, x, 127)
			sum, want := quantise8(dst, x, inv), 0
			for i, v := range x {
				n := roundedTo(v, inv)
				want += n
				if got := int8(math.Float32bits(dst[i/4]) >> (i % 4 * 8)); int(got) != n {
					t.Fatalf("round(%g*%g) = %d, want %d", v, inv, got, n)
				}
			}
			if int(sum) != want {
				t.Fatalf("sum %d, want %d", sum, want)
			}
		}
	})
}

func TestQuantise14(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		xZone, dstZone := newZone(t, 4*1024), newZone(t, 4*1024)
		for d := 8; d <= 1024; d += 8 {
			for _, p := range places {
				rng := newRand(d)
				x, dst := in[float32](xZone, d, p), in[float32](dstZone, d, p)
				inv := drawRounding(rng, x, scanTop)
				sum, want := quantise14(dst, x, inv), 0
				forms := scanForms(t, dst)
				for i, v := range x {
					n := roundedTo(v, inv)
					want += n
					if forms[i] != n {
						t.Fatalf("d=%d: round(%g*%g) = %d, want %d", d, v, inv, forms[i], n)
					}
				}
				if int(sum) != want {
					t.Fatalf("d=%d: sum %d, want %d", d, sum, want)
				}
			}
		}
	})
}

// scanForms reads the integers of a row made by ScanQueries, whose two forms must agree.
func scanForms(t testing.TB, row []float32) []int {
	t.Helper()
	d := len(row)
	b := func(i int) int { return int(byte(math.Float32bits(row[i/4]) >> (i % 4 * 8))) }
	x := make([]int, d)
	for i := range x {
		hi, lo := int(int8(b(i))), int(int8(b(d+i)))
		x[i] = 64*hi + lo
		pair := (2+i%2)*d + i/4*4 + i%4/2*2
		if n := int(int16(b(pair) | b(pair+1)<<8)); n != x[i] || lo < -32 || lo > 31 {
			t.Fatalf("%s d=%d: channel %d is 64*%d%+d and %d", ISA(), d, i, hi, lo, n)
		}
	}
	return x
}
