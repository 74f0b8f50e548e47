package kernels

import (
	"testing"
	"unsafe"
)

// What is asked for ahead changes no result, and is never more than the next list has; its rows
// need not be there.
func TestAhead(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		forK, forV := newMemory(t), newMemory(t)
		nextCells := newZone(t, 4*maxTokens)
		sweepBits(func(s shape, what content) {
			k, v := forK.dotCase(s, what), forV.accCase(s, what)
			logits, sums := make([]float32, s.rows*s.n), append([]float32(nil), v.init...)
			Dot(logits, s.n, k.q, s.rows, &k.c.Cache, k.c.cells)
			Acc(sums, v.ld, v.w, v.ldP, s.rows, &v.c.Cache, v.c.cells)

			there := &Cache{s.typ, s.d, unsafe.Pointer(&nextCells[0]), 1 << 20}
			next := Ahead{Asked: s.rng.IntN(2) == 0, Cache: there}
			next.Cells = in[int32](nextCells, s.rng.IntN(maxTokens), s.p)
			for i := range next.Cells {
				next.Cells[i] = s.rng.Int32()
			}
			x, acc := make([]float32, len(logits)), append([]float32(nil), v.init...)
			next.Dot(x, s.n, k.q, s.rows, &k.c.Cache, k.c.cells)
			next.Acc(acc, v.ld, v.w, v.ldP, s.rows, &v.c.Cache, v.c.cells)
			for i := range x {
				if !sameBits(x[i], logits[i]) {
					t.Fatalf("%v rows=%d d=%d n=%d: logit %d is %g, not %g",
						s.typ, s.rows, s.d, s.n, i, x[i], logits[i])
				}
			}
			for i := range acc {
				if !sameBits(acc[i], sums[i]) {
					t.Fatalf("%v rows=%d d=%d n=%d: sum %d is %g, not %g",
						s.typ, s.rows, s.d, s.n, i, acc[i], sums[i])
				}
			}
			k.c.release()
			v.c.release()
		})
	})
}
