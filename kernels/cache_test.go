package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

// memory is what the cases of a test share, all between guard pages.
type memory struct{ rows, cells, in, out []byte }

func newMemory(t testing.TB) memory {
	m := memory{
		rows:  newZone(t, 2<<20),
		cells: newZone(t, 4*maxTokens),
		in:    newZone(t, 4*maxRows*(256+16)),
		out:   newZone(t, 4*maxTokens*256),
	}
	poison(m.rows)
	return m
}

// poison makes every value and every scale a NaN.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

// testCache is a Cache whose lowest and highest used cell lie at the ends of b. What
// is not a used row is poisoned.
type testCache struct {
	Cache
	cells []int32
	b     []byte
	first int32 // the lowest cell; those below are not mapped
}

// rowSize is the size of a row, or 0 where the type does not allow d.
func rowSize(typ Type, d int) int {
	switch {
	case typ == F32:
		return 4 * d
	case typ == F16 || typ == BF16:
		return 2 * d
	case d%32 != 0:
		return 0
	case typ == Q8_0:
		return d / 32 * 34
	}
	return d / 32 * 18
}

// listOf draws n cells, in order or not, with repeats or gaps or without. It is
// certain to have 0 and span-1.
func listOf(rng *rand.Rand, n int) (cells []int, span int) {
	if n < 2 {
		return make([]int, n), n
	}
	cells, span = make([]int, n), n
	switch rng.IntN(4) {
	case 0:
		for i := range cells {
			cells[i] = i
		}
	case 1:
		cells = rng.Perm(n)
	case 2:
		span = 1 + rng.IntN(n)
		for i := range cells {
			cells[i] = rng.IntN(span)
		}
		ends := rng.Perm(n)
		cells[ends[0]], cells[ends[1]] = 0, span-1
	case 3:
		span += 1 + rng.IntN(n/2+1)
		for i, c := range rng.Perm(span - 2)[:n-2] {
			cells[i] = c + 1
		}
		cells[n-2], cells[n-1] = span-1, 0
		if rng.IntN(2) == 0 {
			slices.Sort(cells)
		}
	}
	return cells, span
}

// cache lays out a cache: rows close together, of one head of several, or padded
// such that they are misaligned in every way that is allowed.
func (m memory) cache(s shape) *testCache {
	rng, size, unit := s.rng, rowSize(s.typ, s.d), 2
	if s.typ == F32 {
		unit = 4
	}
	stride := size
	switch rng.IntN(4) {
	case 0:
		stride += unit * (1 + 2*rng.IntN(16))
	case 1:
		stride *= 1 + rng.IntN(8)
	case 2:
		stride = stride*(1+rng.IntN(8)) + unit*(1+2*rng.IntN(16))
	}
	cells, span := listOf(rng, s.n)
	c := &testCache{Cache: Cache{Type: s.typ, Dim: s.d, Stride: uintptr(stride)}}
	if s.n == 0 {
		return c
	}
	c.b = in[byte](m.rows, (span-1)*stride+size, s.p)
	c.first = firstCell(rng, c.b, stride, span)
	c.Base = unsafe.Add(unsafe.Pointer(&c.b[0]), -int(c.first)*stride)
	c.cells = in[int32](m.cells, s.n, place(rng.IntN(2) == 0))
	for i, cell := range cells {
		c.cells[i] = c.first + int32(cell)
	}
	return c
}

// firstCell lets Base point to where nothing is mapped, up to 2^31 rows before the
// cells in use.
func firstCell(rng *rand.Rand, b []byte, stride, span int) int32 {
	addr := uint64(uintptr(unsafe.Pointer(&b[0])))
	top := min((addr-min(addr, 1<<32))/uint64(stride), uint64(math.MaxInt32-span))
	first := []uint64{0, top, uint64(rng.Float64() * float64(top))}[rng.IntN(3)]
	if !offHeap(addr - first*uint64(stride)) {
		return 0
	}
	return int32(first)
}

// offHeap holds if base is far from Go's heap. The garbage collector would report
// a pointer to a free part of that.
func offHeap(base uint64) bool {
	return runtime.GOOS == "linux" && max(base, heapAddr)-min(base, heapAddr) > 1<<40
}

var heapAddr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(make([]byte, len(Types))))))

func (c *testCache) bytes(cell int32) []byte {
	return c.b[int(cell-c.first)*int(c.Stride):][:rowSize(c.Type, c.Dim)]
}

// release poisons the rows that were used.
func (c *testCache) release() {
	for _, cell := range c.cells {
		poison(c.bytes(cell))
	}
}

// content says what a cache is filled with.
type content int

const (
	plain   content = iota // magnitudes below 4
	special                // with subnormals, and Inf and NaN so rarely that most results stay finite
	extreme                // only the largest integers of quantised types
)

func drawContent(rng *rand.Rand) content {
	return []content{plain, plain, plain, special, extreme}[rng.IntN(5)]
}

func (c *testCache) fill(rng *rand.Rand, what content) {
	for _, cell := range c.cells {
		fillRow(rng, c.Type, c.bytes(cell), what, 4*max(c.Dim, len(c.cells)))
	}
}

func fillRow(rng *rand.Rand, typ Type, row []byte, what content, odds int) {
	switch typ {
	case F32:
		for ; len(row) > 0; row = row[4:] {
			v := math.Float32bits(rng.Float32()*8 - 4)
			binary.LittleEndian.PutUint32(row, distort(rng, v, what, odds, 0x7f800000, 1<<31))
		}
	case BF16:
		for ; len(row) > 0; row = row[2:] {
			v := math.Float32bits(rng.Float32()*8-4) >> 16
			binary.LittleEndian.PutUint16(row, uint16(distort(rng, v, what, odds, 0x7f80, 1<<15)))
		}
	case F16:
		for ; len(row) > 0; row = row[2:] {
			v := uint32(rng.IntN(0x4400)) | uint32(rng.IntN(2))<<15
			binary.LittleEndian.PutUint16(row, uint16(distort(rng, v, what, odds, 0x7c00, 1<<15)))
		}
	default:
		size := rowSize(typ, 32)
		for ; len(row) > 0; row = row[size:] {
			scale := 0x1c00 + uint32(rng.IntN(0x800)) | uint32(rng.IntN(2))<<15
			scale = distort(rng, scale, what, odds, 0x7c00, 1<<15)
			binary.LittleEndian.PutUint16(row, uint16(scale))
			ends := [2]byte{0x80, 0x7f}
			if typ == Q4_0 {
				ends = [2]byte{0x0f, 0xf0}
			}
			for i := range row[2:size] {
				row[2+i] = byte(rng.Uint32())
				if what == extreme {
					row[2+i] = ends[rng.IntN(2)]
				}
			}
		}
	}
}

// distort makes a few special values: inf is the mask of the exponent.
func distort(rng *rand.Rand, v uint32, what content, odds int, inf, sign uint32) uint32 {
	if what != special {
		return v
	}
	switch r := rng.IntN(odds); {
	case r == 0:
		return v&sign | inf
	case r == 1:
		return v | inf | 1
	case r&7 == 2:
		return v &^ inf // subnormal
	}
	return v
}

// decodeF16 follows the definition, independent of f16ToF32.
func decodeF16(h uint16) float64 {
	sign, e, m := 1-2*float64(h>>15), int(h>>10&31), float64(h&0x3ff)
	switch {
	case e == 31 && m != 0:
		return math.NaN()
	case e == 31:
		return math.Inf(int(sign))
	case e == 0:
		return math.Copysign(math.Ldexp(m, -24), sign)
	}
	return sign * math.Ldexp(1024+m, e-25)
}

var halves = func() (table [1 << 16]float64) {
	for i := range table {
		table[i] = decodeF16(uint16(i))
	}
	return table
}()

// decode returns the values of a row. Those of quantised types are ints times the scale
// of their block.
func decode(typ Type, row []byte, values []float64) {
	for i := range values {
		switch typ {
		case F32:
			values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:])))
		case BF16:
			values[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(row[2*i:])) << 16))
		case F16:
			values[i] = halves[binary.LittleEndian.Uint16(row[2*i:])]
		}
	}
	if !typ.Quantised() {
		return
	}
	ints, scales := make([]int32, len(values)), make([]float64, len(values)/32)
	decodeInts(typ, row, ints, scales)
	for i, n := range ints {
		values[i] = scales[i/32] * float64(n)
	}
}

func decodeInts(typ Type, row []byte, ints []int32, scales []float64) {
	for b := range scales {
		x := ints[32*b:][:32]
		if typ == Q8_0 {
			block := row[34*b:][:34]
			scales[b] = halves[binary.LittleEndian.Uint16(block)]
			for i := range x {
				x[i] = int32(int8(block[2+i]))
			}
			continue
		}
		block := row[18*b:][:18]
		scales[b] = halves[binary.LittleEndian.Uint16(block)]
		for i := range x {
			x[i] = int32(block[2+i%16]>>(i/16*4)&15) - 8
		}
	}
}
