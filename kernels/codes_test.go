package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// code reads that of a channel of a token as EncodeCodes documents it.
func code(codes []byte, bits, t, c int) int {
	span := 32 / bits
	b := codes[c/span*64+4*t+c%4]
	return int(b>>(c%span/4*bits)) & (1<<bits - 1)
}

func TestEncodeCodes(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		xZone, meanZone, sdZone, dstZone := newZone(t, 4*16*1024), newZone(t, 4*1024),
			newZone(t, 4*1024), newZone(t, 4*1024)
		for _, d := range dims4 {
			for n := range CodeTokens + 1 {
				for bits := 1; bits <= 2; bits++ {
					rng := newRand(d, n, bits)
					p := place(rng.IntN(2) == 0)
					x, mean, sd := in[float32](xZone, n*d, p), in[float32](meanZone, d, p),
						in[float32](sdZone, d, p)
					fillFloats(rng, x, 3)
					fillFloats(rng, mean, 1)
					for c := range sd {
						sd[c] = rng.Float32()
					}
					sprinkle(rng, sd, 9, 0, nan32, inf32)
					for i := range x {
						// at the thresholds, or nothing like a key
						switch m, s := mean[i%d], sd[i%d]; rng.IntN(12) {
						case 0:
							x[i] = m
						case 1:
							x[i] = m + s
						case 2:
							x[i] = m - s
						case 3:
							x[i] = []float32{nan32, inf32, -inf32, 1e-42}[rng.IntN(4)]
						}
					}
					dst := in[byte](dstZone, CodeBytes(bits, d), p)
					for i := range dst {
						dst[i] = 0xa5
					}
					EncodeCodes(dst, bits, x, mean, sd)
					checkCodes(t, dst, bits, x, mean, sd)
				}
			}
		}
	})
}

func checkCodes(t *testing.T, dst []byte, bits int, x, mean, sd []float32) {
	t.Helper()
	d := len(mean)
	for tok := range CodeTokens {
		for c := range len(dst) / 64 * 32 / bits {
			want := 0
			if c < d && tok < len(x)/d {
				e, s := x[tok*d+c]-mean[c], sd[c]
				limits := []float32{0}
				if bits == 2 {
					limits = []float32{-s, 0, s}
				}
				for _, l := range limits {
					if e >= l {
						want++
					}
				}
			}
			if got := code(dst, bits, tok, c); got != want {
				t.Fatalf("%s bits=%d d=%d: token %d channel %d is %d, want %d", ISA(), bits, d, tok,
					c, got, want)
			}
		}
	}
}

// codeRow reads a prepared row as CodeQueries documents it.
func codeRow(row []float32, d int) (x []int, scale float32) {
	pad := (d + 63) / 64 * 64
	words := unsafe.Slice((*int16)(unsafe.Pointer(&row[0])), pad)
	x = make([]int, pad)
	for c := range x {
		x[c] = int(words[c%2*pad/2+c/2])
	}
	return x, row[pad/2]
}

func TestCodeQueries(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		qZone, dstZone := newZone(t, 4*3*1024), newZone(t, 4*3*CodeQueryLen(1024))
		for _, d := range dims4 {
			for rows := range 4 {
				rng := newRand(d, rows)
				p := place(rng.IntN(2) == 0)
				q, dst := in[float32](qZone, rows*d, p),
					in[float32](dstZone, rows*CodeQueryLen(d), p)
				for r := range rows {
					drawSummary(rng, q[r*d:][:d], Signed)
				}
				CodeQueries(dst, q, rows, d)
				for r := range rows {
					checkCodeRow(t, dst[r*CodeQueryLen(d):][:CodeQueryLen(d)], q[r*d:][:d])
				}
			}
		}
	})
}

func checkCodeRow(t *testing.T, row, q []float32) {
	t.Helper()
	m := largest(q)
	x, scale := codeRow(row, len(q))
	checkScale(t, scale/8, m, 145)
	if m != m {
		return
	}
	for c, n := range x {
		v := float32(0)
		if c < len(q) {
			v = q[c]
		}
		if !within(n, scale/8, v, 145) {
			t.Fatalf("%s d=%d: channel %d is %d * %g, want %g", ISA(), len(q), c, n, scale/8, v)
		}
	}
}

type codesCase struct {
	d, rows, bits, ld int
	q                 []float32 // made by CodeQueries
	base              []float32 // [rows][ldBase], or none
	ldBase            int
	tiles, codes      []byte
	pages             []int32
	cols              []int32
	p                 place
}

// codedPages are pages of planes of summaries and codes.
func codedPages(tiles, codes []byte, d, bits int, pages, cols []int32) (list []Coded) {
	list = make([]Coded, len(pages))
	CodedPages(list, one(tiles), one(codes), d, bits, pages, cols)
	return list
}

// one is a block of all pages.
func one(b []byte) Blocks { return Blocks{[][]byte{b}, 0, 64} }

// Pages are found wherever their blocks are.
func TestCodedPages(t *testing.T) {
	const d, bits = 24, 2
	tile, codes := TileBytes4(d), TilePages*CodeBytes(bits, d)
	tiles := Blocks{At: 3, Pages: 2 * TilePages}
	lines := Blocks{At: 5, Pages: TilePages}
	for range 3 {
		tiles.Bytes = append(tiles.Bytes, make([]byte, 3+2*tile))
	}
	for range 6 {
		lines.Bytes = append(lines.Bytes, make([]byte, 5+codes))
	}
	pages, cols := []int32{0, 1, 15, 16, 17, 31, 32, 95, 48, 47, 0}, make([]int32, 11)
	for i := range cols {
		cols[i] = int32(7 * i)
	}
	list := make([]Coded, len(pages))
	CodedPages(list, tiles, lines, d, bits, pages, cols)
	for i, p := range pages {
		summary := tiles.Bytes[p/32][3+int(p/16%2)*tile:]
		want := Coded{&summary[at4(d, int(p%16), 0)], &lines.Bytes[p/16][5+int(p%16)*codes/TilePages],
			(*uint32)(unsafe.Pointer(&summary[4*(p%16)])), cols[i]}
		if list[i] != want {
			t.Errorf("page %d: %v, want %v", p, list[i], want)
		}
	}
}

// check compares all estimates with those of the documented integers, bit by bit.
func (c *codesCase) check(t *testing.T, zone []byte) {
	t.Helper()
	n := 16 * len(c.pages)
	dst := clean(in[float32](zone, max(0, (c.rows-1)*c.ld+n), c.p))
	ScoreCodes(dst, c.ld, c.q, c.rows, c.d, c.bits, c.base, c.ldBase,
		codedPages(c.tiles, c.codes, c.d, c.bits, c.pages, c.cols))
	for r := range c.rows {
		row := c.q[r*CodeQueryLen(c.d):][:CodeQueryLen(c.d)]
		for i, page := range c.pages {
			base := float32(0)
			if c.base != nil {
				base = c.base[r*c.ldBase+int(c.cols[i])]
			}
			want := c.estimates(row, int(page), base)
			for tok, w := range want {
				if got := dst[r*c.ld+16*i+tok]; !sameBits(got, w) {
					t.Fatalf("%s bits=%d d=%d rows=%d pages=%d: [%d][page %d, token %d] = %g, want %g",
						ISA(), c.bits, c.d, c.rows, len(c.pages), r, page, tok, got, w)
				}
			}
		}
	}
	for i, v := range dst {
		if i%c.ld >= n && v != untouched {
			t.Fatalf("%s bits=%d d=%d rows=%d pages=%d: wrote to %d", ISA(), c.bits, c.d, c.rows,
				len(c.pages), i)
		}
	}
}

// estimates are those of a page. Products are converted, so that they are rounded.
func (c *codesCase) estimates(row []float32, page int, base float32) (dst [16]float32) {
	x, scale := codeRow(row, c.d)
	_, sd, _, scaleSd := summary4(c.tiles, c.d, page)
	weights, sum := make([]int, c.d), 0
	for i, s := range sd {
		weights[i] = int(math.Floor(float64(x[i]*s)/8 + 0.5))
		sum += weights[i]
	}
	unit, middle := float32(1), float32(1.5)
	if c.bits == 1 {
		unit, middle = 1.6, 0.5
	}
	factor := float32(float32(scale*scaleSd) * unit)
	base -= float32(float32(float32(sum)*middle) * factor)
	codes := c.codes[page*CodeBytes(c.bits, c.d):]
	for tok := range dst {
		n := 0
		for i, w := range weights {
			n += w * code(codes, c.bits, tok, i)
		}
		dst[tok] = float32(float32(n)*factor) + base
	}
	return dst
}

const maxCodePages = 48

type codesZones struct{ tiles, codes, q, base, dst []byte }

func newCodesZones(t testing.TB) *codesZones {
	return &codesZones{newZone(t, 3*TileBytes4(1024)), newZone(t, maxCodePages*4096),
		newZone(t, 4*maxScanRows*CodeQueryLen(1024)), newZone(t, 4*maxScanRows*100),
		newZone(t, 4*maxScanRows*(16*maxCodePages+8))}
}

// drawCodes has n pages of maxCodePages in any order.
func drawCodes(rng *rand.Rand, z *codesZones, d, rows, bits, n int) *codesCase {
	c := &codesCase{d: d, rows: rows, bits: bits, ld: max(1, 16*n+rng.IntN(8)),
		p: place(rng.IntN(2) == 0)}
	c.tiles = tiles4(rng, z.tiles, d, maxCodePages, c.p)
	c.codes = in[byte](z.codes, maxCodePages*CodeBytes(bits, d), c.p)
	for i := range c.codes {
		c.codes[i] = byte(rng.Uint32())
	}
	for range n {
		c.pages = append(c.pages, int32(rng.IntN(maxCodePages)))
		c.cols = append(c.cols, int32(rng.IntN(60)))
	}
	if n > 0 && rng.IntN(3) > 0 {
		c.ldBase = 60 + rng.IntN(40)
		c.base = in[float32](z.base, (rows-1)*c.ldBase+60, c.p)
		fillFloats(rng, c.base, 5)
	}
	x := make([]float32, rows*d)
	for r := range rows {
		drawRow(rng, x[r*d:][:d])
	}
	c.q = in[float32](z.q, rows*CodeQueryLen(d), c.p)
	CodeQueries(c.q, x, rows, d)
	return c
}

func TestScoreCodes(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		z := newCodesZones(t)
		for _, d := range dims4 {
			for rows := 1; rows <= maxScanRows; rows++ {
				for n := range 20 {
					for bits := 1; bits <= 2; bits++ {
						if rng := newRand(d, rows, n, bits); keep(rng, (4*rows+8)*d*n*16) {
							drawCodes(rng, z, d, rows, bits, n).check(t, z.dst)
						}
					}
				}
			}
		}
	})
}

// The largest sums, of either sign.
func TestScoreCodesLargest(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		z := newCodesZones(t)
		for bits := 1; bits <= 2; bits++ {
			for _, b := range []byte{0, 0xff} {
				for rows := 1; rows <= 9; rows++ {
					const d = maxScanDim
					c := drawCodes(newRand(3), z, d, rows, bits, 3)
					for i := range c.codes {
						c.codes[i] = b
					}
					for i := range c.tiles {
						if i%TileBytes4(d) >= 64 {
							c.tiles[i] = 0xff
						}
					}
					x := make([]float32, rows*d)
					for i := range x {
						x[i] = float32(1 - i/d%2*2)
					}
					CodeQueries(c.q, x, rows, d)
					c.check(t, z.dst)
				}
			}
		}
	})
}

// Estimates of encoded keys have the error that the codes are said to have.
func TestScoreCodesError(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for bits, want := range map[int]float64{1: 0.366, 2: 0.1188} {
			for _, d := range []int{64, 128, 256} {
				const rows, n = 5, 40
				rng := newRand(d, bits)
				tiles, codes := make([]byte, 3*TileBytes4(d)), make([]byte, 48*CodeBytes(bits, d))
				x, keys, pages := make([]float32, rows*d), make([]float32, n*16*d), make([]int32, n)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				noise := 0.0 // expected, sum of squares
				for p := range n {
					pages[p] = int32(p)
					mean, sd := make([]float32, d), make([]float32, d)
					fillFloats(rng, mean, 3)
					for c := range sd {
						sd[c] = 0.2 + rng.Float32()
					}
					tile := tiles[p/16*TileBytes4(d):]
					Pack4(tile, p%16, mean, sd)
					Unpack4(mean, sd, tile, p%16)
					page := keys[p*16*d:][:16*d]
					for i := range page {
						page[i] = mean[i%d] + sd[i%d]*float32(rng.NormFloat64())
					}
					EncodeCodes(codes[p*CodeBytes(bits, d):], bits, page, mean, sd)
					for i, v := range x {
						noise += 16 * want * float64(v) * float64(v) * float64(sd[i%d]) * float64(sd[i%d])
					}
				}
				q, dst := make([]float32, rows*CodeQueryLen(d)), make([]float32, rows*n*16)
				CodeQueries(q, x, rows, d)
				scan, means := make([]float32, rows*ScanLen4(d)), make([]float32, rows*n)
				ScanQueries4(scan, x, rows, d)
				scanPlane4(means, n, nil, 0, scan, rows, d, tiles, n)
				ScoreCodes(dst, n*16, q, rows, d, bits, means, n,
					codedPages(tiles, codes, d, bits, pages, pages))
				err := 0.0
				for i, got := range dst {
					e := float64(got)
					for c, v := range x[i/(n*16)*d:][:d] {
						e -= float64(v) * float64(keys[i%(n*16)*d+c])
					}
					err += e * e
				}
				if ratio := math.Sqrt(err / noise); math.Abs(ratio-1) > 0.05 {
					t.Errorf("%s bits=%d d=%d: error is %.3f of that expected", ISA(), bits, d,
						ratio)
				}
			}
		}
	})
}

func FuzzScoreCodes(f *testing.F) {
	f.Add(byte(7), byte(2), byte(6), byte(1), uint64(1), []byte{0, 0, 0x80, 0x7f, 1, 2})
	f.Add(byte(0), byte(0), byte(1), byte(0), uint64(2), []byte{})
	f.Add(byte(127), byte(23), byte(9), byte(1), uint64(3), []byte{0xff, 0xff, 0xff, 0xff})
	z := newCodesZones(f)
	f.Fuzz(func(t *testing.T, d, rows, n, bits byte, seed uint64, raw []byte) {
		c := drawCodes(rand.New(rand.NewPCG(seed, 6)), z, 8*(1+int(d)%128), 1+int(rows)%maxScanRows,
			1+int(bits)%2, int(n)%20)
		copy(c.tiles, raw)
		copy(c.codes, raw)
		levels(func() { c.check(t, z.dst) })
	})
}
