package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

type dotCase struct {
	shape
	c         *testCache
	q         []float32 // made by Queries
	ld        int
	want, tol []float64 // [rows][n]
}

func (m memory) dotCase(s shape, what content) *dotCase {
	c := &dotCase{shape: s, c: m.cache(s), ld: max(1, s.n+s.rng.IntN(8))}
	c.c.fill(s.rng, what)
	x := make([]float32, s.rows*s.d)
	fillFloats(s.rng, x, 2)
	switch what {
	case extreme:
		for i := range x {
			x[i] = []float32{-1.5, 1.5}[s.rng.IntN(2)]
		}
	case special:
		sprinkle(s.rng, x, 4*s.d*s.rows, inf32, -inf32, nan32)
		sprinkle(s.rng, x, 8, 1e-41, -tiny32, 0, negZ)
	}
	c.q = in[float32](m.in, s.rows*QueryLen(s.typ, s.d), s.p)
	Queries(s.typ, c.q, x, s.rows, s.d)
	return c
}

func (c *dotCase) reference() {
	c.want, c.tol = make([]float64, c.rows*c.n), make([]float64, c.rows*c.n)
	if c.typ.Quantised() {
		c.referenceQuantised()
		return
	}
	row := make([]float64, c.d)
	for j, cell := range c.c.cells {
		decode(c.typ, c.c.bytes(cell), row)
		for r := range c.rows {
			s, abs := 0.0, 0.0
			for i, x := range row {
				v := float64(c.q[r*c.d+i]) * x
				s += v
				abs += magnitude(v)
			}
			// One rounding per step of the longest chain and of the sum tree.
			c.want[r*c.n+j], c.tol[r*c.n+j] = s, tolerance(abs, c.d/4+8)
		}
	}
}

// Sums of products of a block are exact integers; their float sum over blocks may be in
// lanes, so that the tolerance is of all products.
func (c *dotCase) referenceQuantised() {
	nb := c.d / 32
	ints, scales := make([]int32, c.d), make([]float64, nb)
	queries := make([]query, c.rows)
	for r := range queries {
		queries[r] = parseQuery(c.q[r*QueryLen(c.typ, c.d):], c.d)
	}
	for j, cell := range c.c.cells {
		decodeInts(c.typ, c.c.bytes(cell), ints, scales)
		for r, q := range queries {
			s, abs := 0.0, 0.0
			for b := range nb {
				var sum, all int32
				for i, x := range ints[32*b:][:32] {
					v := x * int32(q.ints[32*b+i])
					sum += v
					all += max(v, -v)
				}
				f := scales[b] * float64(q.scales[b])
				s += f * float64(sum)
				abs += magnitude(f * float64(all))
			}
			// A product of scales may be subnormal.
			c.want[r*c.n+j], c.tol[r*c.n+j] = s, tolerance(abs, nb+8)+0x1p-129*float64(nb)
		}
	}
}

// query is a row for quantised keys, read as Queries documents it.
type query struct {
	ints   []int8
	scales []float32
	bias   []int32
}

func parseQuery(row []float32, d int) query {
	q := query{make([]int8, d), row[d/4:][:d/32], make([]int32, d/32)}
	for i := range q.ints {
		q.ints[i] = int8(math.Float32bits(row[i/4]) >> (8 * (i % 4)))
	}
	for b := range q.bias {
		q.bias[b] = int32(math.Float32bits(row[d/4+d/32+b]))
	}
	return q
}

// check verifies the results and that the gaps between the rows of dst survive.
func (c *dotCase) check(t *testing.T, m memory) {
	t.Helper()
	dst := clean(in[float32](m.out, (c.rows-1)*c.ld+c.n, c.p))
	Dot(dst, c.ld, c.q, c.rows, &c.c.Cache, c.c.cells)
	for i, got := range dst {
		r, j := i/c.ld, i%c.ld
		if j >= c.n {
			if got != untouched {
				t.Fatalf("%s %v rows=%d d=%d n=%d: wrote to row %d column %d", ISA(), c.typ, c.rows,
					c.d, c.n, r, j)
			}
			continue
		}
		if want, tol := c.want[r*c.n+j], c.tol[r*c.n+j]; !matches(got, want, tol) {
			t.Fatalf("%s %v rows=%d d=%d n=%d stride=%d: [%d][%d] = %g, want %g +- %g",
				ISA(), c.typ, c.rows, c.d, c.n, c.c.Stride, r, j, got, want, tol)
		}
	}
}

func TestDot(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		m := newMemory(t)
		sweep(testRows, 8, func(s shape) {
			c := m.dotCase(s, drawContent(s.rng))
			c.reference()
			c.check(t, m)
			c.c.release()
		})
	})
}

// A logit has the same bits whatever other tokens there are, wherever its own is
// in the list and however many rows there are.
func TestDotBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		m := newMemory(t)
		sweepBits(func(s shape, what content) {
			c := m.dotCase(s, what)
			ql := QueryLen(s.typ, s.d)
			whole := make([]float32, s.rows*s.n)
			Dot(whole, s.n, c.q, s.rows, &c.c.Cache, c.c.cells)
			for _, part := range subsets(s.rng, s.rows, s.n) {
				n := len(part.tokens)
				cells, dst := make([]int32, n), make([]float32, part.rows*n)
				for i, j := range part.tokens {
					cells[i] = c.c.cells[j]
				}
				Dot(dst, n, c.q[part.row*ql:], part.rows, &c.c.Cache, cells)
				for r := range part.rows {
					for i, j := range part.tokens {
						if got, want := dst[r*n+i],
							whole[(part.row+r)*s.n+j]; !sameBits(got, want) {
							t.Fatalf("%v d=%d: row %d token %d is %g among %d rows and %d tokens, %g among %d and %d",
								s.typ, s.d, part.row+r, j, got, part.rows, n, want, s.rows, s.n)
						}
					}
				}
			}
			c.c.release()
		})
	})
}

func sweepBits(f func(s shape, what content)) {
	for _, typ := range Types {
		for _, d := range testDims {
			for rows := 1; rows <= 13 && rowSize(typ, d) > 0; rows++ {
				if raceEnabled && rows%4 != 3 {
					continue
				}
				rng := newRand(int(typ), d, rows, -1)
				f(shape{typ, d, rows, 1 + rng.IntN(70), atEnd, rng}, content(rows%3))
			}
		}
	}
}

// subset is some rows and some tokens, in any order, of a larger case.
type subset struct {
	row, rows int
	tokens    []int
}

func subsets(rng *rand.Rand, rows, n int) []subset {
	list := []subset{{0, rows, []int{rng.IntN(n)}}} // one token
	for r := range rows {
		list = append(list, subset{r, 1, rng.Perm(n)})
	}
	for range 6 {
		r := rng.IntN(rows)
		list = append(list, subset{r, 1 + rng.IntN(rows-r), rng.Perm(n)[:1+rng.IntN(n)]})
	}
	return list
}

// Subnormals must not be flushed, nor an Inf turn into a large number.
func TestDotSpecial(t *testing.T) {
	type value struct {
		typ     Type
		k       uint32
		q, want float32
	}
	values := []value{
		{F16, 0x0001, 1 << 24, 1},
		{F16, 0x83ff, 1 << 14, -1023.0 / 1024},
		{F16, 0x7c00, 1, inf32},
		{F16, 0xfc00, 1, -inf32},
		{F16, 0x7c00, 0, nan32},
		{F16, 0x7e00, 0, nan32},
		{F16, 0x7bff, 1, 65504},
		{F16, 0x3c00, tiny32, tiny32},
		{BF16, 0x0001, 1 << 20, 0x1p-113},
		{BF16, 0x807f, 1, -127 * 0x1p-133},
		{BF16, 0x7f80, 1, inf32},
		{BF16, 0xff80, 0, nan32},
		{BF16, 0x7f81, 0, nan32},
		{F32, 1, 1 << 20, 0x1p-129},
		{F32, 0x807fffff, 1, -0x7fffff * tiny32},
		{F32, 0xff800000, 1, -inf32},
		{F32, 0x7f800001, 0, nan32},
		{F32, 0x3f800000, -tiny32, -tiny32},
	}
	eachISA(t, func(t *testing.T) {
		for _, v := range values {
			for n := 1; n <= 9; n++ {
				for rows := 1; rows <= 9; rows++ {
					size := rowSize(v.typ, 8)
					k, q, dst := make([]byte, size*n), make([]float32, 8*rows),
						make([]float32, rows*n)
					cells := make([]int32, n)
					for j := range n {
						cells[j] = int32(j)
						if b := k[size*j+5*size/8:]; v.typ == F32 {
							binary.LittleEndian.PutUint32(b, v.k)
						} else {
							binary.LittleEndian.PutUint16(b, uint16(v.k))
						}
					}
					for r := range rows {
						q[8*r+5] = v.q
					}
					Dot(dst, n, q, rows, &Cache{v.typ, 8, unsafe.Pointer(&k[0]), uintptr(size)},
						cells)
					for i, got := range dst {
						if !sameBits(got, v.want) {
							t.Fatalf("%v %#x * %g, rows=%d n=%d: [%d] = %g, want %g", v.typ, v.k,
								v.q, rows, n, i, got, v.want)
						}
					}
				}
			}
		}
	})
}

// A stride beyond 2^32 needs 64-bit products.
func TestLongStride(t *testing.T) {
	const d, cell = 32, 3
	stride := uint64(1<<33 + 1<<32 + 64)
	zone := newZone(t, 4096)
	addr := uint64(uintptr(unsafe.Pointer(&zone[0])))
	if addr < 1<<32+cell*stride || !offHeap(addr-cell*stride) {
		t.Skip("no room below")
	}
	eachISA(t, func(t *testing.T) {
		for _, typ := range Types {
			fillRow(newRand(1), typ, zone[:rowSize(typ, d)], plain, 1)
			near := &Cache{typ, d, unsafe.Pointer(&zone[0]), 64}
			far := &Cache{typ, d, unsafe.Add(near.Base, -cell*int(stride)), uintptr(stride)}
			q, p := make([]float32, QueryLen(typ, d)), make([]float32, 5)
			Queries(typ, q, clean(make([]float32, d)), 1, d)
			var got [2][5 + 6*d]float32
			for i, c := range []*Cache{near, far} {
				cells := make([]int32, 5)
				for j := range cells {
					cells[j], p[j] = int32(i)*cell, 1
				}
				out := got[i][:]
				Dot(out, 0, q, 1, c, cells)
				Acc(out[5:], 0, p, 0, 1, c, cells)
				Load(out[5+d:], c, cells)
				Prefetch(c, cells)
			}
			if got[0] != got[1] {
				t.Fatalf("%v: %v, want %v", typ, got[1], got[0])
			}
		}
	})
}
