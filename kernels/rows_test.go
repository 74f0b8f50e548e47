package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

const (
	maxAttendRows  = 70
	maxAttendCells = 300
	maxAttendDim   = 1024
)

// rowsCase is rows over a list of cells.
type rowsCase struct {
	typeK, typeV Type
	dk, dv       int
	rows, n      int
	within       bool // values are channels of the keys
	exact        bool // logits have no rounding errors
	softCap      float32
	rng          *rand.Rand

	k, v    *testCache
	r       Rows
	ref     []rowRef
	rough   []rowRef // the same where numbers are multiplied by halves
	scratch []float32
}

// halvesError is what products of halves are off by.
const (
	halvesError = 0x1p-15
	halvesTiny  = 0x1p-110 // times that is taken for 0
)

// weightError is what weights are off by.
const weightError = 4e-6

// rowRef is the attention of a row in float64.
type rowRef struct {
	max, sum float64
	out, tol []float64 // not divided by the sum
	tolSum   float64
	wild     bool // NaN, Inf or nothing but rounding errors among logits
}

func (c *rowsCase) String() string {
	return fmt.Sprintf("%s %v/%v d=%d/%d rows=%d n=%d within=%v cap=%g", ISA(), c.typeK, c.typeV,
		c.dk, c.dv, c.rows, c.n, c.within, c.softCap)
}

type rowsMemory struct{ k, v, cells, q, limits, state, acc, scratch []byte }

func newRowsMemory(t testing.TB) rowsMemory {
	m := rowsMemory{
		k: newZone(t, 8<<20), v: newZone(t, 8<<20), cells: newZone(t, 4*maxAttendCells),
		q: newZone(t, 4*maxAttendRows*(maxAttendDim+16)), limits: newZone(t, 8*maxAttendRows),
		state: newZone(t, 8*maxAttendRows), acc: newZone(t, 4*maxAttendRows*maxAttendDim),
		scratch: newZone(t, 4*RowsScratch(maxAttendDim)),
	}
	poison(m.k)
	poison(m.v)
	return m
}

// draw lays out the case, its caches filled with what.
func (m rowsMemory) draw(c *rowsCase, what content) {
	rng := c.rng
	p := place(rng.IntN(2) == 0)
	list, span := listOf(rng, c.n)
	cells := in[int32](m.cells, c.n, p)
	for i, cell := range list {
		cells[i] = int32(cell)
	}
	c.k = m.cache(m.k, c.typeK, c.dk, cells, span, p, rng)
	c.k.fill(rng, what)
	if c.v = c.k; !c.within {
		c.v = m.cache(m.v, c.typeV, c.dv, cells, span, p, rng)
		c.v.fill(rng, what)
	} else {
		unit := 8
		if c.typeK.Quantised() {
			unit = 32
		}
		at := rowSize(c.typeK, unit) * rng.IntN((c.dk-c.dv)/unit+1)
		v := *c.k
		v.Dim = c.dv
		if c.n > 0 {
			v.b, v.Base = v.b[at:], unsafe.Add(v.Base, at)
		}
		c.v = &v
	}
	c.drawRows(m, p)
}

func (m rowsMemory) cache(zone []byte, typ Type, d int, cells []int32, span int, p place,
	rng *rand.Rand) *testCache {
	size, unit := rowSize(typ, d), 2
	if typ == F32 {
		unit = 4
	}
	stride := size + []int{0, unit * (1 + 2*rng.IntN(16)), size * rng.IntN(4)}[rng.IntN(3)]
	c := &testCache{Cache: Cache{Type: typ, Dim: d, Stride: uintptr(stride)}, cells: cells}
	if len(cells) > 0 {
		c.b = in[byte](zone, (span-1)*stride+size, p)
		c.Base = unsafe.Pointer(&c.b[0])
	}
	return c
}

// drawRows draws queries, and what each row sees: all, up to itself, a window, or anything.
func (c *rowsCase) drawRows(m rowsMemory, p place) {
	rng := c.rng
	r := &c.r
	r.SoftCap, r.LdQ = c.softCap, c.dk+rng.IntN(2)*rng.IntN(16)
	r.Q = in[float32](m.q, max(0, (c.rows-1)*r.LdQ+c.dk), p)
	fillFloats(rng, r.Q, 2/float32(math.Sqrt(float64(c.dk))))
	limits := in[int32](m.limits, 2*c.rows, p)
	r.From, r.Upto = limits[:c.rows:c.rows], limits[c.rows:]
	first, group, window := rng.IntN(c.n+1), 1+rng.IntN(4), 1+rng.IntN(c.n+1)
	kind := rng.IntN(4)
	for i := range c.rows {
		r.From[i], r.Upto[i] = 0, int32(min(c.n, first+i/group))
		switch kind {
		case 2:
			r.From[i] = max(0, r.Upto[i]-int32(window))
		case 3:
			r.From[i], r.Upto[i] = int32(rng.IntN(c.n+9)-4), int32(rng.IntN(c.n+9)-4)
		}
	}
	switch kind {
	case 0:
		r.From, r.Upto = nil, nil
	case 1:
		r.From = nil
	}
	c.scratch = in[float32](m.scratch, RowsScratch(c.dk), p)
	state := in[float32](m.state, 2*c.rows, p)
	r.Max, r.Sum, r.Acc = state[:c.rows:c.rows], state[c.rows:], in[float32](m.acc, c.rows*c.dv, p)
}

// sees is the definition of what a row sees.
func (c *rowsCase) sees(i, j int) bool {
	return (c.r.From == nil || j >= int(c.r.From[i])) && (c.r.Upto == nil || j < int(c.r.Upto[i]))
}

func (c *rowsCase) reference() {
	c.ref, c.rough = make([]rowRef, c.rows), make([]rowRef, c.rows)
	keys, values := make([][]float64, c.n), make([][]float64, c.n)
	for j, cell := range c.k.cells {
		keys[j], values[j] = make([]float64, c.dk), make([]float64, c.dv)
		decode(c.typeK, c.k.bytes(cell), keys[j])
		decode(c.typeV, c.v.bytes(cell), values[j])
	}
	for i := range c.ref {
		c.ref[i], c.rough[i] = c.row(i, keys, values, 0), c.row(i, keys, values, halvesError)
	}
}

func (c *rowsCase) row(i int, keys, values [][]float64, halves float64) rowRef {
	ref := rowRef{max: math.Inf(-1), out: make([]float64, c.dv), tol: make([]float64, c.dv)}
	logits, depth := make([]float64, c.n), 0.0
	for j := range logits {
		if !c.sees(i, j) {
			logits[j] = math.Inf(-1)
			continue
		}
		sum, abs := 0.0, 0.0
		for l, x := range c.r.Q[i*c.r.LdQ:][:c.dk] {
			sum += float64(x) * keys[j][l]
			abs += magnitude(float64(x) * keys[j][l])
		}
		depth = max(depth, abs*(eps32*float64(c.dk)+halves))
		if limit := float64(c.softCap); limit > 0 {
			sum = limit * math.Tanh(sum/limit)
			depth += limit * 0x1p-21
		}
		if c.exact {
			depth = 0
		}
		ref.wild = ref.wild || math.IsNaN(sum) || math.Abs(sum) > math.MaxFloat32/4 && !c.exact
		logits[j], ref.max = sum, max(ref.max, sum)
	}
	if ref.wild = ref.wild || depth > 1; ref.wild {
		return ref
	}
	for j, x := range logits {
		if !c.sees(i, j) {
			continue
		}
		w := math.Exp(x - ref.max)
		e := w*(2*depth+weightError+eps32*float64(c.n+16)+halves) + 1e-37
		ref.sum, ref.tolSum = ref.sum+w, ref.tolSum+e
		for l, y := range values[j] {
			ref.out[l] += w * y
			ref.tol[l] += e*magnitude(y) + halves*halvesTiny*(w+1)
		}
	}
	return ref
}

func (c *rowsCase) start() {
	for i := range c.r.Max {
		c.r.Max[i], c.r.Sum[i] = -inf32, 0
	}
	clear(c.r.Acc)
}

// check runs the case and compares it with the reference.
func (c *rowsCase) check(t *testing.T) {
	t.Helper()
	c.start()
	AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
	c.compare(t)
}

func (c *rowsCase) compare(t *testing.T) {
	t.Helper()
	refs := c.ref
	if halvable(&c.k.Cache, &c.v.Cache) {
		refs = c.rough
	}
	for i := range refs {
		ref, m, sum, acc := &refs[i], float64(c.r.Max[i]), float64(c.r.Sum[i]),
			c.r.Acc[i*c.dv:][:c.dv]
		if ref.wild {
			continue
		}
		if math.IsInf(ref.max, -1) {
			require.True(t, math.IsInf(m, -1) && sum == 0,
				"%v: row %d sees nothing, and has %g, %g", c, i, m, sum)
			continue
		}
		f := math.Exp(m - ref.max)
		require.InDelta(t, ref.sum, sum*f, ref.tolSum, "%v: sum of row %d", c, i)
		for l, want := range ref.out {
			got := float64(acc[l]) * f
			if finite(want) != finite(got) || finite(want) && math.Abs(got-want) > ref.tol[l] {
				t.Fatalf("%v: row %d channel %d is %g, want %g within %g", c, i, l, got, want,
					ref.tol[l])
			}
		}
	}
}

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat32 }

var attendDims = [][2]int{{8, 8}, {16, 24}, {24, 16}, {32, 32}, {64, 64}, {72, 40}, {80, 80},
	{96, 96}, {128, 128}, {192, 128}, {256, 256}, {576, 512}}

// eachRowsCase draws cases of every number of rows and cells, with types and head sizes at random.
func eachRowsCase(t *testing.T, f func(c *rowsCase)) {
	m := newRowsMemory(t)
	for n := range maxAttendCells + 1 {
		for draw := range 12 {
			rng := newRand(n, draw)
			d := attendDims[rng.IntN(len(attendDims))]
			c := &rowsCase{typeK: Types[rng.IntN(len(Types))], typeV: Types[rng.IntN(len(Types))],
				dk: d[0], dv: d[1],
				rows: 1 + (n+draw)%maxAttendRows, n: n, rng: rng}
			if c.allowed() && keep(rng, c.rows*(c.dk+c.dv)*c.n/8) {
				m.draw(c, drawContent(rng))
				f(c)
				c.release()
			}
		}
	}
}

// allowed makes what is drawn possible, if that is.
func (c *rowsCase) allowed() bool {
	if c.within = c.dv <= c.dk && c.rng.IntN(4) == 0; c.within {
		c.typeV = c.typeK
	}
	if c.rng.IntN(4) == 0 {
		c.softCap = 5
	}
	return rowSize(c.typeK, c.dk) > 0 && rowSize(c.typeV, c.dv) > 0
}

func (c *rowsCase) release() {
	c.k.release()
	if !c.within {
		c.v.release()
	}
}

func TestAttendRows(t *testing.T) {
	wild, tame := 0, 0
	eachRowsCase(t, func(c *rowsCase) {
		c.reference()
		levels(func() { c.check(t) })
		for _, ref := range c.ref {
			if ref.wild {
				wild++
			} else {
				tame++
			}
		}
	})
	require.Greater(t, tame, 4*wild)
	t.Logf("%d rows compared, %d not", tame, wild)
}

// A row has the same bits whatever other rows are with it.
func TestAttendRowsAlone(t *testing.T) {
	eachRowsCase(t, func(c *rowsCase) {
		levels(func() {
			c.start()
			AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
			i := c.rng.IntN(c.rows)
			alone := Rows{Q: c.r.Q[i*c.r.LdQ:], LdQ: c.r.LdQ, SoftCap: c.softCap,
				Max: []float32{-inf32}, Sum: []float32{0}, Acc: make([]float32, c.dv)}
			if c.r.From != nil {
				alone.From = c.r.From[i:]
			}
			if c.r.Upto != nil {
				alone.Upto = c.r.Upto[i:]
			}
			AttendRows(&alone, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
			same := slices.EqualFunc(alone.Acc, c.r.Acc[i*c.dv:][:c.dv], sameBits)
			if !same || !sameBits(alone.Max[0], c.r.Max[i]) || !sameBits(alone.Sum[0], c.r.Sum[i]) {
				t.Fatalf("%v: row %d differs alone: max %g, %g; sum %g, %g", c, i, alone.Max[0],
					c.r.Max[i], alone.Sum[0], c.r.Sum[i])
			}
		})
	})
}

// Lists one after the other are one list, and a sink is one more logit.
func TestAttendRowsChained(t *testing.T) {
	eachRowsCase(t, func(c *rowsCase) {
		c.reference()
		cut := c.rng.IntN(c.n + 1)
		levels(func() {
			c.start()
			AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells[:cut], c.scratch)
			rest := c.r
			if rest.Upto == nil && rest.From == nil {
				AttendRows(&rest, &c.k.Cache, &c.v.Cache, c.k.cells[cut:], c.scratch)
				c.compare(t)
				return
			}
			rest.From, rest.Upto = make([]int32, c.rows), make([]int32, c.rows)
			for i := range c.rows {
				rest.Upto[i] = c.r.Upto[i] - int32(cut)
				if c.r.From != nil {
					rest.From[i] = c.r.From[i]
				}
				rest.From[i] -= int32(cut)
			}
			AttendRows(&rest, &c.k.Cache, &c.v.Cache, c.k.cells[cut:], c.scratch)
			c.compare(t)
		})
	})
}

// More rows than a group has are in several.
func TestAttendRowsGroups(t *testing.T) {
	const rows, n, d = groupRows + 44, 150, 64
	data := benchData(2 * d * n)
	c := Cache{F16, d, unsafe.Pointer(&data[0]), 2 * d}
	cells := make([]int32, n)
	for i := range cells {
		cells[i] = int32(i)
	}
	levels(func() {
		state := func(q []float32, rows int) Rows {
			return Rows{Q: q, LdQ: d, Max: slices.Repeat([]float32{-inf32}, rows),
				Sum: make([]float32, rows), Acc: make([]float32, rows*d)}
		}
		r := state(benchFloats(rows*d), rows)
		AttendRows(&r, &c, &c, cells, make([]float32, RowsScratch(d)))
		for _, i := range []int{0, groupRows - 1, groupRows, rows - 1} {
			alone := state(r.Q[i*d:], 1)
			AttendRows(&alone, &c, &c, cells, make([]float32, RowsScratch(d)))
			require.True(t, slices.EqualFunc(alone.Acc, r.Acc[i*d:][:d], sameBits), "%s: row %d",
				ISA(), i)
		}
	})
}

func TestAttendRowsSink(t *testing.T) {
	m := newRowsMemory(t)
	c := &rowsCase{typeK: F16, typeV: F16, dk: 64, dv: 64, rows: 20, n: 50, rng: newRand(3)}
	m.draw(c, plain)
	c.r.From, c.r.Upto = nil, nil
	c.reference()
	const sink = 0.7
	levels(func() {
		c.start()
		for i := range c.r.Max {
			c.r.Max[i], c.r.Sum[i] = sink, 1
		}
		AttendRows(&c.r, &c.k.Cache, &c.v.Cache, c.k.cells, c.scratch)
		for i, ref := range c.ref {
			want := ref.out[5] / (ref.sum + math.Exp(sink-ref.max))
			require.InDelta(t, want, c.r.Acc[i*c.dv+5]/c.r.Sum[i], 1e-5)
		}
	})
}

func TestAttendRowsAllocatesNothing(t *testing.T) {
	m := newRowsMemory(t)
	c := &rowsCase{typeK: Q8_0, typeV: F16, dk: 128, dv: 128, rows: 70, n: 300, rng: newRand(4)}
	m.draw(c, plain)
	levels(func() {
		require.Zero(t, testing.AllocsPerRun(5, func() {
			r, k, v := c.r, c.k.Cache, c.v.Cache // on the stack, where they must be able to stay
			AttendRows(&r, &k, &v, c.k.cells, c.scratch)
		}))
	})
}

func TestAttendRowsChecks(t *testing.T) {
	k := &Cache{Type: F16, Dim: 64, Base: unsafe.Pointer(&make([]byte, 128)[0]), Stride: 128}
	good := func() *Rows {
		return &Rows{Q: make([]float32, 128), LdQ: 64, Max: make([]float32, 2),
			Sum: make([]float32, 2), Acc: make([]float32, 128)}
	}
	cells, scratch := []int32{0}, make([]float32, RowsScratch(64))
	require.NotPanics(t, func() { AttendRows(good(), k, k, cells, scratch) })
	require.NotPanics(t, func() { AttendRows(good(), k, k, nil, scratch) })
	require.NotPanics(t, func() { AttendRows(&Rows{}, k, k, cells, scratch) })
	for name, spoil := range map[string]func(r *Rows){
		"q":    func(r *Rows) { r.Q = r.Q[1:] },
		"ld":   func(r *Rows) { r.LdQ = 56 },
		"acc":  func(r *Rows) { r.Acc = r.Acc[1:] },
		"sum":  func(r *Rows) { r.Sum = r.Sum[1:] },
		"from": func(r *Rows) { r.From = []int32{0} },
		"upto": func(r *Rows) { r.Upto = []int32{0} },
	} {
		r := good()
		spoil(r)
		require.Panics(t, func() { AttendRows(r, k, k, cells, scratch) }, name)
	}
	require.Panics(t, func() { AttendRows(good(), k, k, cells, scratch[1:]) })
	require.Panics(t, func() { AttendRows(good(), &Cache{Type: F16, Dim: 63}, k, cells, scratch) })
	require.Panics(t, func() { AttendRows(good(), k, &Cache{Type: Q8_0, Dim: 40}, cells, scratch) })
}
