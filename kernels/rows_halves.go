package kernels

import (
	"math"
	"runtime"
	"unsafe"
)

// Tiles of AMX multiply bf16, which has 8 bits of a float's 24. So numbers are split in two halves:
// what a bf16 has of them, and a bf16 of the rest. F16 and BF16 are exactly that, others to 2^-16 or
// better. Of the four products of two numbers' halves that of both rests is left out, at most 2^-16.
//
// Rows of floats and of their halves take the same place. Of a row of a left factor each 32 floats
// become 32 first halves and 32 rests (halve). Of a panel, as bf16 are multiplied by pairs of terms,
// each two rows become one of first halves and one of rests (halvePairs).

const (
	halveUnit = 32 // terms that are multiplied at once
	tileRows  = 16 // after the rows of a left factor there is room for as many
)

// tiles is what all of them are: of 64 bytes in a row.
var tiles = tileConfig{palette: 1, rowBytes: [16]uint16{64, 64, 64, 64, 64, 64, 64, 64},
	rows: [16]byte{tileRows, tileRows, tileRows, tileRows, tileRows, tileRows, tileRows, tileRows}}

// useTiles configures the tiles of this thread, which takes as long as 24 products of them, and keeps
// the goroutine there until giveBack, which gets what they were: a host may have configured its own,
// once for all.
func useTiles(was *tileConfig) {
	runtime.LockOSThread()
	useTilesASM(&tilesArgs{was, &tiles})
}

func giveBack(was *tileConfig) {
	var ours tileConfig
	useTilesASM(&tilesArgs{&ours, was})
	runtime.UnlockOSThread()
}

// ldHalved is from a query's halves to the next: rows share no set of the cache.
func ldHalved(d int) int { return d + 16 }

// halvable tells whether such caches are multiplied by halves.
func halvable(k, v *Cache) bool {
	return level == isaAMX && k.Dim%halveUnit == 0 && v.Dim%halveUnit == 0 && k.Type != F32 &&
		v.Type != F32
}

// halveMost is larger than what is worth halving: an Inf and a NaN, whose halves would be something
// else, are wild, and multiplied as floats.
const halveMost = 0x1p127

func wild(x []float32) bool { return !(absMax(x) < halveMost) }

// halveQueries does so for n rows of the group.
func (t *tile) halveQueries(n int) {
	r, d := t.r, t.k.Dim
	halve(t.queries, ldHalved(d), r.Q[t.first*r.LdQ:], r.LdQ, d, n)
	t.halvedFirst, t.wildQueries = t.first, false
	for i := range n {
		t.wildQuery[i] = wild(r.Q[(t.first+i)*r.LdQ:][:d])
		t.wildQueries = t.wildQueries || t.wildQuery[i]
	}
}

// halveKeys does so for the panel of keys, which are those of cells from p on, to hi at least. A bit
// is set for each wild one.
func (t *tile) halveKeys(p, hi int) (wildKeys uint32) {
	d := t.k.Dim
	for c := 0; hi-p <= lane && c < d; c++ { // what was there before may be anything
		clear(t.panel[c*panel+lane:][:panel-lane])
	}
	if wild(t.panel[:d*panel]) {
		for i, x := range t.panel[:d*panel] {
			if !(math.Abs(float64(x)) < halveMost) {
				wildKeys |= 1 << (i % panel)
			}
		}
	}
	halvePairs(t.panel[:d*panel], d)
	return wildKeys
}

// wildLogits makes the logits of wild keys, of the panel of cells from p on, and of wild queries.
func (t *tile) wildLogits(wildKeys uint32, p int) {
	r, key := t.r, t.buf[:t.k.Dim]
	for j, cell := range t.cells[p:min(p+panel, len(t.cells))] {
		all := wildKeys>>j&1 != 0
		if !all && !t.wildQueries {
			continue
		}
		loadChannels(key, t.k, cell, 0)
		for i := range t.blocks[t.n-1].end {
			if all || t.wildQuery[i] {
				sum := float32(0)
				for c, x := range r.Q[(t.first+i)*r.LdQ:][:len(key)] {
					sum += x * key[c]
				}
				t.weights[i*ldTile+p+j] = sum
			}
		}
	}
}

// addHalves adds a panel of channels from c on, whose rows lo <= j < hi have values.
func (t *tile) addHalves(lo, hi, c int) {
	from, to := units(lo, hi)
	clear(t.panel[from*panel : lo*panel])
	clear(t.panel[hi*panel : to*panel])
	some := wild(t.panel[lo*panel : hi*panel])
	if some {
		t.addWild(lo, hi, c)
	}
	halvePairs(t.panel[from*panel:to*panel], to-from)
	for i := range t.n {
		b := &t.blocks[i]
		if !some {
			t.addUnits(b.first, b.end, b.all0, b.all1, c)
			continue
		}
		for j := b.first; j < b.end; j++ {
			if !t.wildSum[j] {
				t.addUnits(j, j+1, int(t.lo[j]), int(t.hi[j]), c)
			}
		}
	}
}

// units are the terms lo <= j < hi and those that are multiplied with them.
func units(lo, hi int) (from, to int) {
	return lo &^ (halveUnit - 1), (hi + halveUnit - 1) &^ (halveUnit - 1)
}

// addUnits does so for rows that see nothing but lo <= j < hi.
func (t *tile) addUnits(first, end, lo, hi, c int) {
	if lo < hi {
		dv := t.v.Dim
		lo, hi = units(lo, hi)
		t.product(t.r.Acc[(t.first+first)*dv+c:], dv, t.weights[first*ldTile+lo:], ldTile,
			t.panel[lo*panel:], end-first, panel, hi-lo, true)
	}
}

// addWild adds the panel, as floats, to rows that see a wild value of it, and clears these cells, of
// which others get nothing.
func (t *tile) addWild(lo, hi, c int) {
	var before [tileCells + 1]int // wild cells
	for j := lo; j < hi; j++ {
		before[j+1] = before[j]
		if wild(t.panel[j*panel:][:panel]) {
			before[j+1]++
		}
	}
	for i := range t.blocks[t.n-1].end {
		l, h := int(t.lo[i]), int(t.hi[i])
		if t.wildSum[i] = l < h && before[h] > before[l]; t.wildSum[i] {
			var weights [tileCells]float32
			join(weights[:], t.weights[i*ldTile:][:tileCells])
			mul(t.r.Acc[(t.first+i)*t.v.Dim+c:], t.v.Dim, weights[l:], tileCells,
				t.panel[l*panel:], 1, panel, h-l, true)
		}
	}
	for j := lo; j < hi; j++ {
		if before[j+1] > before[j] {
			clear(t.panel[j*panel:][:panel])
		}
	}
}

// join makes floats of halves.
func join(dst, halves []float32) {
	for at := 0; at < len(halves); at += halveUnit {
		p := bf16s(halves[at:])
		for i := range halveUnit {
			dst[at+i] = bf16ToF32(p[i]) + bf16ToF32(p[halveUnit+i])
		}
	}
}

func bf16s(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(&x[0])), 2*len(x))
}

// bothHalves returns them, in the upper bits.
func bothHalves(x float32) (first, rest uint32) {
	const half, upper = 0x8000, 0xffff0000
	first = (math.Float32bits(x) + half) & upper
	if x != x {
		first = math.Float32bits(x) & upper
	}
	return first, (math.Float32bits(x-math.Float32frombits(first)) + half) & upper
}

func halveGeneric(dst []float32, ldDst int, src []float32, ldSrc, n, rows int) {
	const large = 0x60000000 // bits of which all from 2^-63 on have one
	for r := range rows {
		for at := 0; at < n; at += halveUnit {
			var x [halveUnit]float32
			copy(x[:], src[r*ldSrc+at:])
			to := bf16s(dst[r*ldDst+at:])
			for i, x := range x {
				first, rest := bothHalves(x)
				if math.Float32bits(x)&large == 0 {
					rest = 0
				}
				to[i], to[halveUnit+i] = uint16(first>>16), uint16(rest>>16)
			}
		}
	}
}

func halvePairsGeneric(x []float32, rows int) {
	for r := 0; r < rows; r += 2 {
		a, b := x[r*panel:][:panel], x[(r+1)*panel:][:panel]
		for i := range a {
			first, rest := bothHalves(a[i])
			second, other := bothHalves(b[i])
			a[i] = math.Float32frombits(second | first>>16)
			b[i] = math.Float32frombits(other | rest>>16)
		}
	}
}

// mulHalvesGeneric is mul of what halve and halvePairs made, of panels and a multiple of halveUnit
// terms. Others add up in another order.
func mulHalvesGeneric(c []float32, ldc int, a []float32, lda int, b []float32, m, k int, add bool) {
	for i := range m {
		to := c[i*ldc:][:panel]
		if !add {
			clear(to)
		}
		for l := range k {
			p := bf16s(a[i*lda+l&^(halveUnit-1):])
			x, y := bf16ToF32(p[l%halveUnit]), bf16ToF32(p[halveUnit+l%halveUnit])
			row := bf16s(b[l&^1*panel:])
			for j := range to {
				z, rest := bf16ToF32(row[2*j+l%2]), bf16ToF32(row[2*panel+2*j+l%2])
				to[j] += y*z + x*rest + x*z
			}
		}
	}
}
