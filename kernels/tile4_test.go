package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

var dims4 = []int{8, 16, 24, 32, 40, 56, 64, 72, 80, 96, 120, 128, 136, 192, 256, 512, 1000, 1024}

// summary4 reads that of a page as Pack4 documents it.
func summary4(tiles []byte, d, page int) (mean, sd []int, scale, scaleSd float32) {
	pad := (d + 15) / 16 * 16
	slot, tile := page%16, tiles[page/16*(64+16*pad):]
	mean, sd = make([]int, d), make([]int, d)
	for c := range mean {
		b := tile[64+slot/4*4*pad+c/16*64+slot%4*16+c%16]
		mean[c], sd[c] = int(b%32)-16, int(b/32)
	}
	half := func(at int) float32 {
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(tile[at:])) << 16)
	}
	return mean, sd, half(4*slot + 2), half(4 * slot)
}

func TestPack4(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		meanZone, sdZone, tileZone := newZone(t, 4*1024), newZone(t, 4*1024),
			newZone(t, 64+16*1024)
		for _, d := range dims4 {
			for slot := range TilePages {
				rng := newRand(d, slot)
				p := place(rng.IntN(2) == 0)
				mean, sd, tile := in[float32](meanZone, d, p), in[float32](sdZone, d, p),
					in[byte](tileZone, TileBytes4(d), p)
				drawSummary(rng, mean, Signed)
				drawSummary(rng, sd, Unsigned)
				before := byte(rng.Uint32())
				for i := range tile {
					tile[i] = before
				}
				Pack4(tile, slot, mean, sd)
				checkSummary4(t, tile, slot, mean, sd)
				written := 0
				for _, b := range tile {
					if b != before {
						written++
					}
				}
				if written > 4+pad4(d) {
					t.Fatalf("d=%d slot %d: wrote %d bytes", d, slot, written)
				}
				for other := range TilePages {
					m, s, _, _ := summary4(tile, d, other)
					for c := range m {
						if other != slot && (m[c] != int(before%32)-16 || s[c] != int(before/32)) {
							t.Fatalf("d=%d slot %d: wrote to slot %d", d, slot, other)
						}
					}
				}
			}
		}
	})
}

// checkHalfScale verifies the scale of values up to m: never too small, nor larger than 8 bits of
// precision ask for.
func checkHalfScale(t *testing.T, scale float32, m, top float64) {
	t.Helper()
	if scale == 0 || m != m || m > math.MaxFloat32 {
		checkScale(t, scale, m, top)
		return
	}
	least := m / top * (1 - 2*eps32)
	most := m/top*(1+1.0/128) + math.Ldexp(1, -133)
	if bits := math.Float32bits(scale); bits&0xffff != 0 || !(float64(scale) >= least &&
		float64(scale) <= most) {
		t.Fatalf("%s: scale %g (%#x) for values up to %g", ISA(), scale, bits, m)
	}
}

// A scale is finite and not 0 wherever one of 32 bits is, and the largest value is at most top.
func TestHalfScale(t *testing.T) {
	try := func(m float32) {
		for _, top := range []float32{mean4, sd4} {
			inv, scale := halfScale(m, top)
			_, whole := int8Scale(m, top)
			checkHalfScale(t, scale, float64(m), float64(top))
			if (scale == 0) != (whole == 0) || (scale != scale) != (whole != whole) {
				t.Fatalf("scale %g for %g, in 32 bits %g", scale, m, whole)
			}
			if n := float32(m * inv); scale > 0 && !(n <= top+0.25 && n >= top*0.95) {
				t.Fatalf("%g is stored as %g times %g", m, n, scale)
			}
		}
	}
	for _, m := range []float32{0, 1e-45, 1e-40, 1e-38, math.MaxFloat32, inf32, nan32} {
		try(m)
	}
	for bits := uint32(0); bits < 0x7f80_0000; bits += 20011 {
		try(math.Float32frombits(bits))
	}
	for i := range uint32(2000) { // where its inverse is the largest
		try(math.Float32frombits(math.Float32bits(sd4*0x1p-128) - 1000 + i))
		try(math.Float32frombits(math.Float32bits(mean4*0x1p-128) - 1000 + i))
	}
}

func checkSummary4(t *testing.T, tile []byte, slot int, mean, sd []float32) {
	t.Helper()
	d := len(mean)
	ints, sds, scale, scaleSd := summary4(tile, d, slot)
	m := largest(mean)
	checkHalfScale(t, scale, m, 15)
	about := make([]float32, d)
	for c := range about {
		about[c] = float32(math.Hypot(float64(sd[c]),
			float64(mean[c]-float32(scale*float32(ints[c])))))
		if m != m {
			about[c] = nan32
		}
	}
	s := largest(about)
	checkHalfScale(t, scaleSd, s, 7)
	gotMean, gotSd := make([]float32, d), make([]float32, d)
	Unpack4(gotMean, gotSd, tile, slot)
	for c := range mean {
		if m == m && !within(ints[c], scale, mean[c], 15) {
			t.Fatalf("%s d=%d slot %d: mean of channel %d is %d * %g, want %g", ISA(), d, slot, c,
				ints[c], scale, mean[c])
		}
		if s == s && !within(sds[c], scaleSd, about[c], 7) {
			t.Fatalf("%s d=%d slot %d: spread of channel %d is %d * %g, want %g", ISA(), d, slot, c,
				sds[c], scaleSd, about[c])
		}
		if !sameBits(gotMean[c], scale*float32(ints[c])) ||
			!sameBits(gotSd[c], scaleSd*float32(sds[c])) {
			t.Fatalf("%s d=%d slot %d: channel %d is unpacked to %g and %g", ISA(), d, slot, c,
				gotMean[c], gotSd[c])
		}
	}
}

// tiles4 has any bytes, and scales that are, now and then, not ordinary.
func tiles4(rng *rand.Rand, zone []byte, d, n int, p place) []byte {
	tiles := in[byte](zone, (n+15)/16*TileBytes4(d), p)
	extreme := rng.IntN(4) == 0
	for i := range tiles {
		tiles[i] = byte(rng.Uint32())
		if extreme {
			tiles[i] = []byte{0, 0xff, 0xe0, 0x1f}[rng.IntN(4)]
		}
	}
	for page := range (n + 15) / 16 * 16 {
		for half := range 2 {
			scale := rng.Float32() * 0.1
			if rng.IntN(12) == 0 {
				scale = []float32{0, nan32, inf32, 1e-39}[rng.IntN(4)]
			}
			binary.LittleEndian.PutUint16(tiles[page/16*TileBytes4(d)+page%16*4+2*half:],
				uint16(math.Float32bits(scale)>>16))
		}
	}
	return tiles
}

type scan4Case struct {
	d, rows, n, ld int // ld is that of means
	ldSpread       int
	q              []float32 // made by ScanQueries4
	tiles          []byte
	p              place
	alone          bool    // means only
	list           []int32 // of tiles, where they are scanned by one
}

// check compares all scores, bit by bit.
func (c *scan4Case) check(t *testing.T, meanZone, spreadZone []byte) {
	t.Helper()
	size, pad := 2*(pad4(c.d)+2), pad4(c.d)
	mean := clean(in[float32](meanZone, (c.rows-1)*c.ld+c.n, c.p))
	var spread []float32
	if !c.alone {
		spread = clean(in[float32](spreadZone, (c.rows-1)*c.ldSpread+c.n, c.p))
	}
	if c.list != nil {
		c.scanTiles(mean, spread)
	} else {
		scanPlane4(mean, c.ld, spread, c.ldSpread, c.q, c.rows, c.d, c.tiles, c.n)
	}
	for page := range c.n {
		ms, ss, scale, scaleSd := summary4(c.tiles, c.d, page)
		for r := range c.rows {
			row := c.q[r*size:][:size]
			x, y := scanForms(t, row[:pad]), scanForms(t, row[pad+2:][:pad])
			if row[pad] != row[pad] || row[2*pad+2] != row[2*pad+2] {
				clear(x) // unspecified
				clear(y)
			}
			a, b := 0, 0
			for i := range ms {
				a += ms[i] * x[i]
				b += ss[i] * ss[i] * y[i]
			}
			if got, want := mean[r*c.ld+page],
				float32(a)*float32(row[pad]*scale); !sameBits(got, want) {
				t.Fatalf("%s d=%d rows=%d n=%d: mean [%d][%d] = %g, want %g", ISA(), c.d, c.rows,
					c.n, r, page, got, want)
			}
			if c.alone {
				continue
			}
			if got, want := spread[r*c.ldSpread+page],
				float32(b)*float32(row[2*pad+2]*float32(scaleSd*scaleSd)); !sameBits(got, want) {
				t.Fatalf("%s d=%d rows=%d n=%d: spread [%d][%d] = %g, want %g", ISA(), c.d, c.rows,
					c.n, r, page, got, want)
			}
		}
	}
	for j, dst := range [][]float32{mean, spread} {
		for i, v := range dst {
			if i%[]int{c.ld, c.ldSpread}[j] >= c.n && v != untouched {
				t.Fatalf("%s d=%d rows=%d n=%d: wrote to %d", ISA(), c.d, c.rows, c.n, i)
			}
		}
	}
}

// scanPlane4 scans tiles that lie one after another.
func scanPlane4(mean []float32, ldMean int, spread []float32, ldSpread int, q []float32, rows, d int,
	tiles []byte, n int) {
	list := make([]int32, (n+TilePages-1)/TilePages)
	for i := range list {
		list[i] = int32(i)
	}
	ScanTiles4(mean, ldMean, spread, ldSpread, q, rows, d, Blocks{[][]byte{tiles}, 0, 512}, list, n)
}

// scanTiles has the tiles by a list, each in a block of its own.
func (c *scan4Case) scanTiles(mean, spread []float32) {
	in, size := Blocks{At: 0, Pages: TilePages}, TileBytes4(c.d)
	in.Bytes = make([][]byte, len(c.list))
	for i := range (c.n + TilePages - 1) / TilePages {
		in.Bytes[c.list[i]] = c.tiles[i*size:][:size]
	}
	ScanTiles4(mean, c.ld, spread, c.ldSpread, c.q, c.rows, c.d, in, c.list, c.n)
}

func scan4Queries(rng *rand.Rand, zone []byte, rows, d int, p place) []float32 {
	x, q := make([]float32, rows*d), in[float32](zone, rows*ScanLen4(d), p)
	for r := range rows {
		drawRow(rng, x[r*d:][:d])
	}
	ScanQueries4(q, x, rows, d)
	return q
}

// drawRow has all values at the limits now and then, or one that is not finite.
func drawRow(rng *rand.Rand, x []float32) {
	fillFloats(rng, x, 2)
	switch rng.IntN(9) {
	case 0:
		sprinkle(rng, x, 1, 2.5, -2.5)
	case 1:
		x[rng.IntN(len(x))] = nan32
	case 2:
		fillFloats(rng, x, 0)
	}
}

func drawScan4(rng *rand.Rand, z *scan4Zones, d, rows, n int) *scan4Case {
	c := &scan4Case{d: d, rows: rows, n: n, p: place(rng.IntN(2) == 0), alone: rng.IntN(3) == 0}
	c.ld, c.ldSpread = max(1, n+rng.IntN(8)), max(1, n+rng.IntN(8))
	if rng.IntN(2) == 0 {
		for _, tile := range rng.Perm((n + TilePages - 1) / TilePages) {
			c.list = append(c.list, int32(tile))
		}
		for range min(len(c.list), rng.IntN(4)) { // which are not scanned
			c.list = append(c.list, c.list[rng.IntN(len(c.list))])
		}
	}
	c.tiles = tiles4(rng, z.tiles, d, n, c.p)
	c.q = scan4Queries(rng, z.q, rows, d, c.p)
	return c
}

// manyPages are more than a kernel gets at once.
const manyPages = tilesAtOnce*TilePages + 44 // and not whole tiles

type scan4Zones struct{ tiles, q, mean, spread []byte }

func newScan4Zones(t testing.TB) *scan4Zones {
	dst := 4 * maxScanRows * (manyPages + 8)
	return &scan4Zones{newZone(t, 9*TileBytes4(1024)), newZone(t, 4*maxScanRows*ScanLen4(1024)),
		newZone(t, dst), newZone(t, dst)}
}

func TestScan4(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		z := newScan4Zones(t)
		for _, d := range dims4 {
			for rows := 1; rows <= maxScanRows; rows++ {
				for n := range maxTokens + 1 {
					if rng := newRand(d, rows, n); keep(rng, (12*rows+8)*d*n) {
						drawScan4(rng, z, d, rows, n).check(t, z.mean, z.spread)
					}
				}
				for n := manyPages - 43; d <= 16 && n <= manyPages; n += 43 {
					drawScan4(newRand(d, rows, n), z, d, rows, n).check(t, z.mean, z.spread)
				}
			}
		}
	})
}

// The largest sums are just within int32.
func TestScan4Largest(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		z := newScan4Zones(t)
		for _, b := range []byte{0, 0xff, 0xe0, 0x1f} {
			for rows := 1; rows <= 9; rows++ {
				const d, n = maxScanDim, 19
				c := drawScan4(newRand(1), z, d, rows, n)
				for i := range c.tiles {
					if i%TileBytes4(d) >= 64 {
						c.tiles[i] = b
					}
				}
				x := make([]float32, rows*d)
				for i := range x {
					x[i] = float32(1 - i/d%2*2)
				}
				ScanQueries4(c.q, x, rows, d)
				c.check(t, z.mean, z.spread)
			}
		}
	})
}

// Scores are close to the products of what was packed, and those of a summary or a query that is
// not finite are NaN.
func TestScan4Packed(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, d := range []int{8, 64, 128, 200, 1024} {
			const rows, n = 5, 37
			rng := newRand(d)
			tiles, means, sds := make([]byte, 3*TileBytes4(d)), make([]float32, n*d),
				make([]float32, n*d)
			q, x := make([]float32, rows*ScanLen4(d)), make([]float32, rows*d)
			gotMean, gotSpread := make([]float32, rows*n), make([]float32, rows*n)
			fillFloats(rng, means, 2)
			fillFloats(rng, x, 2)
			for i := range sds {
				sds[i] = rng.Float32()
			}
			means[3*d+5], sds[18*d], x[2*d+1], x[4*d] = nan32, inf32, nan32, -inf32
			for p := range n {
				tile := tiles[p/TilePages*TileBytes4(d):]
				Pack4(tile, p%TilePages, means[p*d:][:d], sds[p*d:][:d])
				Unpack4(means[p*d:][:d], sds[p*d:][:d], tile, p%TilePages)
			}
			ScanQueries4(q, x, rows, d)
			scanPlane4(gotMean, n, gotSpread, n, q, rows, d, tiles, n)
			for i := range gotMean {
				r, p := i/n, i%n
				row, mean, sd := x[r*d:][:d], means[p*d:][:d], sds[p*d:][:d]
				a, b, tolA, tolB, top := 0.0, 0.0, 0.0, 0.0, largest(row)
				for c, v := range row {
					m, s := float64(mean[c]), float64(sd[c])
					a += float64(v) * m
					b += float64(v) * float64(v) * s * s
					tolA += math.Abs(m)*top/(2*8128) + 1e-6
					tolB += s*s*top*top/(2*8128) + 1e-6
				}
				if top != top {
					a, b = math.NaN(), math.NaN()
				}
				if !matches(gotMean[i], a, tolA*1.01) || !matches(gotSpread[i], b, tolB*1.01) {
					t.Fatalf("%s d=%d: [%d][%d] = %g, %g, want %g, %g", ISA(), d, r, p, gotMean[i],
						gotSpread[i], a, b)
				}
			}
		}
	})
}

func FuzzScan4(f *testing.F) {
	f.Add(byte(7), byte(2), byte(16), uint64(1), []byte{0, 0, 0x80, 0x7f, 1, 2})
	f.Add(byte(0), byte(0), byte(1), uint64(2), []byte{})
	f.Add(byte(127), byte(23), byte(130), uint64(3), []byte{0xff, 0xff, 0xff, 0xff})
	z := newScan4Zones(f)
	f.Fuzz(func(t *testing.T, d, rows, n byte, seed uint64, raw []byte) {
		c := drawScan4(rand.New(rand.NewPCG(seed, 5)), z, 8*(1+int(d)%128), 1+int(rows)%maxScanRows,
			int(n)%(maxTokens+1))
		copy(c.tiles, raw)
		levels(func() { c.check(t, z.mean, z.spread) })
	})
}
