package kernels

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// weighCase is logits of rows that become weights.
type weighCase struct {
	rows, n  int
	x        []float32 // and of up to 3 rows more
	max, sum []float32
	old      []float32 // logits
	oldMax   []float32
	oldSum   []float32
}

func drawWeights(rng *rand.Rand, zone []byte, draw func(*rand.Rand) float32) *weighCase {
	w := &weighCase{rows: 1 + rng.IntN(9), n: panel * (1 + rng.IntN(tileCells/panel))}
	all := (w.rows + 3) &^ 3
	w.x = in[float32](zone, (all-1)*ldTile+w.n, place(rng.IntN(2) == 0))
	for i := range w.x {
		w.x[i] = draw(rng)
	}
	w.max, w.sum = make([]float32, all), make([]float32, all)
	for i := range w.max {
		w.max[i] = []float32{-inf32, 0, -1e4, 1e4, 3, inf32, draw(rng)}[rng.IntN(7)]
		if w.max[i] != w.max[i] {
			w.max[i] = -inf32
		}
		w.sum[i] = rng.Float32()
	}
	w.old, w.oldMax, w.oldSum = slices.Clone(w.x), slices.Clone(w.max), slices.Clone(w.sum)
	return w
}

// checkMax holds the maxima against their definition.
func (w *weighCase) checkMax(t *testing.T, raised bool) {
	t.Helper()
	any := false
	for i := range w.rows {
		want, top := w.oldMax[i], -inf32
		for _, x := range w.old[i*ldTile:][:w.n] {
			if x > top {
				top = x
			}
		}
		if top > want+maxRise {
			want, any = top, true
		}
		require.Equal(t, want, w.max[i], "row %d of %d, before %g", i, w.rows, w.oldMax[i])
	}
	if raised != any && (any || w.rows%4 == 0) {
		t.Fatalf("raised is %v", raised)
	}
	for i := range w.x {
		require.True(t, sameBits(w.x[i], w.old[i]))
	}
}

// checkWeights compares them with float64.
func (w *weighCase) checkWeights(t *testing.T) (worst float64) {
	t.Helper()
	for i := range w.rows {
		m, sum := float64(w.max[i]), float64(w.oldSum[i])
		for j, x := range w.old[i*ldTile:][:w.n] {
			got, want := float64(w.x[i*ldTile+j]), math.Exp(float64(x)-m)
			if math.IsInf(m, -1) && x == x {
				want = 0
			}
			sum += got
			switch off := math.Abs(got - want); {
			case want != want:
				require.True(t, got != got, "%s: exp(%g-%g) is %g", ISA(), x, m, got)
			case math.IsInf(float64(x), -1):
				require.Zero(t, got)
			case float64(x) == m:
				require.EqualValues(t, 1, got, "%s: exp(%g-%g)", ISA(), x, m)
			case float64(x)-m < weightDepth*math.Ln2 && got != 0,
				level >= isaAVX512 && got != 0 && got < 0x1p-126:
				t.Fatalf("%s: exp(%g-%g) is %g", ISA(), x, m, got)
			case got != want && !(off <= want*(weightError+eps32*magnitude(float64(x)-m))+1.2e-38):
				t.Fatalf("%s: exp(%g-%g) is %g, want %g", ISA(), x, m, got, want)
			case math.Abs(m) < 1 && x > -1:
				worst = max(worst, off/want)
			}
		}
		if !matches(w.sum[i], sum, sum*eps32*float64(w.n/4+6)) {
			t.Fatalf("%s: sum %g, want %g", ISA(), w.sum[i], sum)
		}
	}
	for i := range w.x {
		if i%ldTile >= w.n && !sameBits(w.x[i], w.old[i]) {
			t.Fatalf("column %d of %d changed", i%ldTile, w.n)
		}
	}
	return worst
}

// weightDepth is from where on weights are 0: 2^-126.5, and what rounding makes of that.
const weightDepth = -126.501

// largeLogits are the largest of a row, and some numbers just below them: most weights are not 0.
func largeLogits(top float32) func(*rand.Rand) float32 {
	step := max(1, math.Nextafter32(top, inf32)-top)
	return func(rng *rand.Rand) float32 { return top - step*float32(max(0, rng.IntN(24)-3)) }
}

var largest32 = []float32{1e4, -1e4, 1e5, 1e7, -1e7, 1e8, 1e9, -1e9, 3e9, -3e9, 2.5e38, -2.5e38}

func TestWeights(t *testing.T) {
	draws := maps.Clone(logits)
	for _, top := range largest32 {
		draws[fmt.Sprint(top)] = largeLogits(top)
	}
	draws["faint"] = func(rng *rand.Rand) float32 { return (rng.Float32()*8 - 130) * math.Ln2 }
	eachISA(t, func(t *testing.T) {
		zone, worst := newZone(t, 4*12*ldTile), 0.0
		for name, draw := range draws {
			for i := range 60 {
				w := drawWeights(newRand(i, len(name)), zone, draw)
				raised := raise(w.x, w.n, w.max[:w.rows])
				w.checkMax(t, raised)
				weigh(w.x, w.n, w.max[:w.rows], w.sum[:w.rows])
				worst = max(worst, w.checkWeights(t))
			}
		}
		t.Logf("largest error near 1: %.3g", worst)
		require.Positive(t, worst)
	})
}

// Logits as large as these are products without rounding errors here.
func TestAttendRowsLarge(t *testing.T) {
	const d = 8
	m := newRowsMemory(t)
	for i, top := range largest32 {
		for n := 1; n <= maxAttendCells; n += 13 {
			rng := newRand(i, n)
			c := &rowsCase{typeK: F32, typeV: F32, dk: d, dv: d, rows: 1 + rng.IntN(maxAttendRows), n: n,
				exact: true, rng: rng}
			m.draw(c, plain)
			draw := largeLogits(top)
			for j, cell := range c.k.cells {
				key := c.k.bytes(cell)
				clear(key)
				at := top // rises, and falls
				if j < n/2 {
					at *= 1 - float32(math.Copysign(0x1p-12, float64(top)))
				}
				binary.LittleEndian.PutUint32(key, math.Float32bits(draw(rng)-top+at))
			}
			for r := range c.rows {
				q := c.r.Q[r*c.r.LdQ:][:d]
				clear(q)
				q[0] = 1
			}
			c.reference()
			for _, ref := range c.ref {
				require.False(t, ref.wild)
			}
			levels(func() { c.check(t) })
			c.release()
		}
	}
}
