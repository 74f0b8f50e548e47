package kernels

import "unsafe"

// cellTile is how many cells the kernels place at once.
const cellTile = 16

func dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32, next Ahead) {
	if level == isaGeneric {
		dotGeneric(dst, ldDst, q, rows, k, cells)
		return
	}
	products(true, dst, ldDst, q, QueryLen(k.Type, k.Dim), rows, k, cells, &next)
}

func accumulate(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache,
	cells []int32, next Ahead) {
	switch {
	case level == isaGeneric:
		accGeneric(acc, ldAcc, p, ldP, rows, v, cells)
	case level >= isaAVX2 && v.Type.Quantised() && rows >= loadRows(v.Type) &&
		len(cells) >= loadCells && v.Dim <= loadFloats/8:
		accLoaded(acc, ldAcc, p, ldP, rows, v, cells, &next)
	default:
		products(false, acc, ldAcc, p, ldP, rows, v, cells, &next)
	}
}

// products is dot, or acc.
func products(dot bool, out []float32, ldOut int, in []float32, ldIn, rows int, c *Cache,
	cells []int32, next *Ahead) {
	size := c.Type.RowBytes(c.Dim)
	a := blockArgs{out: &out[0], ldOut: ldOut, in: &in[0], ldIn: ldIn, rows: rows,
		d: c.Dim, base: c.Base, stride: c.Stride, size: size,
		end: lastLine(c, size), scales: c.Dim, biases: c.Dim + c.Dim/8}
	near, far := lead(c.Type, size)
	if level < isaAVX2 || !next.Asked { // below, nobody has asked
		Prefetch(c, cells[:min(max(near, far), len(cells))])
	}
	for at := 0; at < len(cells); at += a.n {
		a.n = step(len(cells)-at, near)
		if far > 0 {
			a.n = min(a.n, step(len(cells)-at, far))
			from, ask := next.ahead(c, cells, at, far)
			a.farBase, a.farStride, a.farCells = from.Base, from.Stride, &ask[0]
			a.farN = min(a.n, len(ask))
		}
		from, ask := next.ahead(c, cells, at, near)
		a.askBase, a.askStride, a.askCells = from.Base, from.Stride, &ask[0]
		a.askN, a.cells = min(a.n, len(ask)), &cells[at]
		if dot {
			a.out = &out[at]
			dotASM(&a, c.Type)
		} else {
			a.in = &in[at]
			accASM(&a, c.Type)
		}
	}
}

// step is how many of n cells go together, in whole tiles: those that have others of the list so
// far ahead, or, if there are none, all.
func step(n, ahead int) int {
	if level < isaAVX2 || n <= ahead { // below, kernels ask for rows by themselves
		return n
	}
	return (n - ahead + cellTile - 1) &^ (cellTile - 1)
}

// ahead is what to ask for with the cells from at on: those so far ahead in the list, or, past its
// end, in the next one. If there are none, it is what is in work, which costs little.
func (next *Ahead) ahead(c *Cache, cells []int32, at, ahead int) (*Cache, []int32) {
	if over := at + ahead - len(cells); over < 0 {
		return c, cells[at+ahead:]
	} else if over &^= cellTile - 1; over < len(next.Cells) {
		return next.Cache, next.Cells[over:]
	}
	return c, cells[at:]
}

// lead is how many rows lie between the one in work and those that are asked for: into the L1 cache
// about 8 kB ahead, a fourth of the smallest; or, where rows are a line or two, half as far, and into
// the L2 cache far ahead, since that has more lines on their way. Of other rows this gains nothing.
func lead(t Type, size int) (near, far int) {
	if size <= 128 && !t.Quantised() {
		return 2 * cellTile, 6 * cellTile
	}
	return cellTile * max(1, min(3, 512/size)), 0
}

// lastLine is the offset of the last byte of a row, or 0 where its cache line is asked
// for anyhow: with those at multiples of 64 bytes or with the next row. To ask
// again for a line that is on its way is slow on Zen 4.
func lastLine(c *Cache, size int) int {
	if c.Stride < uintptr(size)+64 || (uintptr(c.Base)|c.Stride)&63 == 0 {
		return 0
	}
	return size - 1
}

// From loadRows rows on, quantised values are converted once for all rows, loadFloats
// at a time, which the L1 cache holds. It needs some cells to be worth clearing them.
const (
	loadFloats = 2048
	loadCells  = 32
)

func loadRows(t Type) int {
	rows := 12
	if t == Q4_0 {
		rows = 6
	}
	if level >= isaAVX512 {
		rows += 4
	}
	return rows
}

// accLoaded does what the acc kernels of quantised values do, bit for bit.
func accLoaded(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache,
	cells []int32, after *Ahead) {
	const line = 64
	var room [loadFloats + line/4]float32
	buf := room[-uintptr(unsafe.Pointer(&room))%line/4:][:loadFloats]
	d, size := v.Dim, v.Type.RowBytes(v.Dim)
	tokens := loadFloats / d
	next := cells[:min(tokens, len(cells))]
	if !after.Asked {
		prefetch(v.Base, v.Stride, size, next)
	}
	for j := 0; j < len(cells); j += tokens {
		part := next
		if rest := cells[j+len(part):]; len(rest) > 0 {
			next = rest[:min(tokens, len(rest))]
			prefetch(v.Base, v.Stride, size, next)
		} else if len(after.Cells) > 0 {
			Prefetch(after.Cache, after.Cells[:min(tokens, len(after.Cells))])
		}
		load(buf, d, v, part)
		a := blockArgs{out: &acc[0], ldOut: ldAcc, in: &p[j], ldIn: ldP, rows: rows, d: d,
			base: unsafe.Pointer(&buf[0]), stride: uintptr(4 * d), cells: &ascending[0],
			n: len(part), size: 4 * d}
		// The kernel asks for something with every tile; this is at hand.
		a.askBase, a.askStride, a.askCells, a.askN = a.base, a.stride, a.cells, a.n
		accF32ASM(&a)
	}
}
