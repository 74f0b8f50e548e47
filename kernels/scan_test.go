package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// summary reads that of a page as Pack documents it.
func summary(tiles []byte, d, page int, sign Sign) (x []int, scale float32) {
	tile := tiles[page/16*(64+16*d):]
	x = make([]int, d)
	for c := range x {
		x[c] = int(tile[64+c/4*64+page%16*4+c%4]) - int(sign)
	}
	return x, math.Float32frombits(binary.LittleEndian.Uint32(tile[page%16*4:]))
}

func TestPack(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		xZone, tileZone := newZone(t, 4*1024), newZone(t, 64+16*1024)
		for d := 8; d <= 1024; d += 8 + d/64*8 {
			for slot := range TilePages {
				for _, sign := range []Sign{Signed, Unsigned} {
					rng := newRand(d, slot, int(sign))
					p := place(rng.IntN(2) == 0)
					x, tile := in[float32](xZone, d, p), in[byte](tileZone, 64+16*d, p)
					drawSummary(rng, x, sign)
					before := byte(rng.Uint32())
					for i := range tile {
						tile[i] = before
					}
					Pack(tile, slot, x, sign)
					for i, v := range tile {
						if i/4%16 != slot && v != before {
							t.Fatalf("d=%d slot %d: wrote to byte %d", d, slot, i)
						}
					}
					checkSummary(t, tile, slot, x, sign)
				}
			}
		}
	})
}

func drawSummary(rng *rand.Rand, x []float32, sign Sign) {
	fillFloats(rng, x, float32(math.Pow(10, float64(rng.IntN(70)-34))))
	switch rng.IntN(12) {
	case 0:
		x[rng.IntN(len(x))] = nan32
	case 1:
		x[rng.IntN(len(x))] = inf32
	case 2:
		fillFloats(rng, x, 1e-42)
	case 3:
		fillFloats(rng, x, 0)
	}
	if sign == Unsigned {
		for i, v := range x {
			x[i] = max(v, -v)
		}
	}
}

func checkSummary(t *testing.T, tile []byte, slot int, x []float32, sign Sign) {
	t.Helper()
	top := 255
	if sign == Signed {
		top = 127
	}
	ints, scale := summary(tile, len(x), slot, sign)
	m := largest(x)
	checkScale(t, scale, m, float64(top))
	for c, n := range ints {
		if m == m && !within(n, scale, x[c], top) {
			t.Fatalf("%s d=%d slot %d: channel %d is %d * %g, want %g", ISA(), len(x), slot, c, n,
				scale, x[c])
		}
	}
}

func TestScanQueries(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		qZone, dstZone := newZone(t, 4*3*1024), newZone(t, 4*3*1026)
		for d := 8; d <= 1024; d += 8 + d/64*8 {
			for rows := range 4 {
				rng := newRand(d, rows)
				p := place(rng.IntN(2) == 0)
				q, dst := in[float32](qZone, rows*d, p), in[float32](dstZone, rows*(d+2), p)
				for r := range rows {
					drawSummary(rng, q[r*d:][:d], Signed)
				}
				ScanQueries(dst, q, rows, d)
				for r := range rows {
					row, x := dst[r*(d+2):][:d+2], q[r*d:][:d]
					scale, m, sum := row[d], largest(x), 0
					checkScale(t, scale, m, scanTop)
					if m != m {
						continue
					}
					for i, n := range scanForms(t, row[:d]) {
						sum += n
						if !within(n, scale, x[i], scanTop) {
							t.Fatalf("d=%d: channel %d is %d * %g, want %g", d, i, n, scale, x[i])
						}
					}
					if got := int32(math.Float32bits(row[d+1])); int(got) != sum {
						t.Fatalf("d=%d: sum %d, want %d", d, got, sum)
					}
				}
			}
		}
	})
}

type scanCase struct {
	d, rows, n, ld int
	q              []float32 // made by ScanQueries
	tiles          []byte
	sign           Sign
	p              place
}

// check compares all scores, bit by bit: the integer is exact, and then there are three
// roundings: that of the integer, of the product of the scales, of the result.
func (c *scanCase) check(t *testing.T, zone []byte) {
	t.Helper()
	dst := clean(in[float32](zone, (c.rows-1)*c.ld+c.n, c.p))
	Scan(dst, c.ld, c.q, c.rows, c.d, c.tiles, c.n, c.sign)
	rows, scales := make([][]int, c.rows), make([]float32, c.rows)
	for r := range rows {
		row := c.q[r*(c.d+2):][:c.d+2]
		if scales[r] = row[c.d]; scales[r] == scales[r] {
			rows[r] = scanForms(t, row[:c.d])
		} else { // its integers are unspecified
			rows[r] = make([]int, c.d)
		}
		for i := c.n; i < c.ld && r < c.rows-1; i++ {
			if dst[r*c.ld+i] != untouched {
				t.Fatalf("%s d=%d rows=%d n=%d: wrote to row %d column %d", ISA(), c.d, c.rows, c.n,
					r, i)
			}
		}
	}
	for page := range c.n {
		u, scale := summary(c.tiles, c.d, page, c.sign)
		for r, x := range rows {
			sum := 0
			for i, v := range u {
				sum += v * x[i]
			}
			factor := scales[r] * scale
			if got, want := dst[r*c.ld+page], float32(sum)*factor; !sameBits(got, want) {
				t.Fatalf("%s d=%d rows=%d n=%d zero=%d: [%d][%d] = %g, want %d * %g * %g = %g",
					ISA(), c.d, c.rows, c.n, c.sign, r, page, got, sum, scales[r], scale, want)
			}
		}
	}
}

func scanTiles(rng *rand.Rand, zone []byte, d, n int, p place) []byte {
	tiles := in[byte](zone, (n+15)/16*(64+16*d), p)
	extreme := rng.IntN(4) == 0
	for i := range tiles {
		tiles[i] = byte(rng.Uint32())
		if extreme {
			tiles[i] = []byte{0, 255}[rng.IntN(2)]
		}
	}
	for page := range (n + 15) / 16 * 16 {
		scale := rng.Float32() * 0.1
		if rng.IntN(9) == 0 {
			scale = []float32{0, nan32, inf32, 1e-42}[rng.IntN(4)]
		}
		binary.LittleEndian.PutUint32(tiles[page/16*(64+16*d)+page%16*4:], math.Float32bits(scale))
	}
	return tiles
}

// scanQueries has rows with all values at the limits, or with a NaN.
func scanQueries(rng *rand.Rand, zone []byte, rows, d int, p place) []float32 {
	x, q := make([]float32, rows*d), in[float32](zone, rows*(d+2), p)
	for r := range rows {
		row := x[r*d:][:d]
		fillFloats(rng, row, 2)
		switch rng.IntN(8) {
		case 0:
			sprinkle(rng, row, 1, 2.5, -2.5)
		case 1:
			sprinkle(rng, row, d, nan32)
		}
	}
	ScanQueries(q, x, rows, d)
	return q
}

const maxScanRows = 24

// scanZones are for tiles, queries and scores.
func scanZones(t testing.TB) (tiles, q, dst []byte) {
	return newZone(t, 9*(64+16*1024)), newZone(t, 4*maxScanRows*1026),
		newZone(t, 4*maxScanRows*(maxTokens+8))
}

func TestScan(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		tileZone, qZone, dstZone := scanZones(t)
		for _, d := range []int{8, 16, 24, 32, 40, 56, 64, 72, 80, 96, 120, 128, 136, 192, 256, 512,
			1000, 1024} {
			for rows := 1; rows <= maxScanRows; rows++ {
				for n := range maxTokens + 1 {
					rng := newRand(d, rows, n)
					if !keep(rng, (2*rows+8)*d*n) {
						continue
					}
					c := scanCase{d: d, rows: rows, n: n, p: place(rng.IntN(2) == 0)}
					c.ld, c.sign = max(1, n+rng.IntN(8)), []Sign{Signed, Unsigned}[rng.IntN(2)]
					c.tiles = scanTiles(rng, tileZone, d, n, c.p)
					c.q = scanQueries(rng, qZone, rows, d, c.p)
					c.check(t, dstZone)
				}
			}
		}
	})
}

// The largest sums are just within int32.
func TestScanLargest(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const d, n = maxScanDim, 19
		tileZone, qZone, dstZone := scanZones(t)
		for _, sign := range []Sign{Signed, Unsigned} {
			for _, b := range []byte{0, 255} {
				for rows := 1; rows <= 9; rows++ {
					c := scanCase{d: d, rows: rows, n: n, ld: n, sign: sign, p: atEnd}
					c.tiles = scanTiles(newRand(1), tileZone, d, n, c.p)
					for i := range c.tiles {
						if i%(64+16*d) >= 64 {
							c.tiles[i] = b
						}
					}
					x := make([]float32, rows*d)
					for i := range x {
						x[i] = float32(1 - i/d%2*2)
					}
					c.q = in[float32](qZone, rows*(d+2), c.p)
					ScanQueries(c.q, x, rows, d)
					c.check(t, dstZone)
				}
			}
		}
	})
}

// Scores of packed summaries are close to the products of what was packed, and those of a
// summary or a query that is not finite are NaN.
func TestScanPacked(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, sign := range []Sign{Signed, Unsigned} {
			for _, d := range []int{8, 64, 128, 200, 1024} {
				const rows, n = 5, 37
				rng := newRand(d)
				tiles, pages := make([]byte, 3*TileBytes(d)), make([]float32, n*d)
				q, x, dst := make([]float32, rows*ScanLen(d)), make([]float32, rows*d),
					make([]float32, rows*n)
				fillFloats(rng, pages, 2)
				fillFloats(rng, x, 2)
				for i, v := range pages {
					if sign == Unsigned {
						pages[i] = max(v, -v)
					}
				}
				pages[3*d+5], pages[18*d], x[2*d+1], x[4*d] = nan32, inf32, nan32, -inf32
				for p := range n {
					Pack(tiles[p/TilePages*TileBytes(d):], p%TilePages, pages[p*d:][:d], sign)
				}
				ScanQueries(q, x, rows, d)
				Scan(dst, n, q, rows, d, tiles, n, sign)
				for i, got := range dst {
					r, p := i/n, i%n
					row, page := x[r*d:][:d], pages[p*d:][:d]
					top, rowTop := largest(page), largest(row)
					want, tol := 0.0, 0.0
					for c, v := range row {
						a, b := float64(v), float64(page[c])
						want += a * b
						// Half a step of the page, and of the query, of 127 or more and 8128.
						tol += math.Abs(a)*top/254 + math.Abs(b)*rowTop/(2*8128) + 1e-6
					}
					if top != top || rowTop != rowTop {
						want = math.NaN()
					}
					if !matches(got, want, tol*1.01) {
						t.Fatalf("zero=%d d=%d: [%d][%d] = %g, want %g +- %g", sign, d, r, p, got,
							want, tol)
					}
				}
			}
		}
	})
}
