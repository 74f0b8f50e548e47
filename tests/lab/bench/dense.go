package bench

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/retroattn/retroattn/retro"
	"github.com/retroattn/retroattn/retro/options"
)

// The shape of SmolLM2-135M's attention.
const (
	denseDim    = 64
	denseGroup  = 3
	denseHeads  = 3 // KV heads
	denseTokens = 8192
)

// dense measures the engine with a budget that is larger than the context: whole steps over as many
// layers as make the set exceed the caches.
func (b *bench) dense(c workload) (result, error) {
	tokens := denseTokens
	if b.quick {
		tokens = b.tokens
	}
	size := b.setBytes(setMemory, 1)
	b.kv = nil
	kv, err := b.makeKV(c.typ, denseDim, denseHeads, tokens, size, size) // a step is a unit
	if err != nil {
		return result{}, err
	}
	t := b.team[c.threads]
	s, err := newSteps(kv, t)
	if err != nil {
		return result{}, err
	}
	ours := &variant{run: func(_, n int) { s.run(n) }}
	flops := float64(4*kv.dim*denseGroup*kv.heads*kv.tokens) * float64(kv.perUnit/2)
	read := b.reader(&kv.planeSet, t)
	r, err := b.besideGGML(c, kv, s.q, s.out, denseGroup, 1, ours, read, nil, flops)
	if s.err != nil {
		err = s.err
	}
	return r, err
}

// denseLayer describes a layer to the engine.
func denseLayer(kv *kvSet, l int) retro.Layer {
	k, v := kv.planes[2*l], kv.planes[2*l+1]
	row, head := uint64(kv.heads*kv.row), uint64(kv.row)
	return retro.Layer{TypeK: kv.typ, TypeV: kv.typ,
		Heads: kv.heads * denseGroup, KVHeads: kv.heads, DK: kv.dim, DV: kv.dim,
		K: unsafe.Pointer(&k[0]), V: unsafe.Pointer(&v[0]), KSize: uint64(len(k)),
		VSize: uint64(len(v)),
		KRow:  row, VRow: row, KHead: head, VHead: head}
}

// steps drives an engine through the same decode step again and again.
type steps struct {
	engine *retro.Engine
	team   *team
	layers int
	row    [1]retro.Row // the new token
	attn   retro.Attn
	q, out []float32
	err    error // set by member 0 of the team between two waits
}

func newSteps(kv *kvSet, t *team) (*steps, error) {
	options, err := options.Parse(fmt.Sprintf("window=1,budget=%d", 2*kv.tokens))
	if err != nil {
		return nil, err
	}
	last := int32(kv.tokens - 1)
	s := &steps{team: t, layers: len(kv.planes) / 2, row: [1]retro.Row{{Pos: last, Cell: last}}}
	s.engine, err = retro.Open(retro.Config{Layers: s.layers, Seqs: 1, Cells: kv.tokens, Rows: 1,
		Threads: t.n}, options)
	if err != nil {
		return nil, err
	}
	for l := range s.layers {
		if err := s.engine.AddLayer(l, denseLayer(kv, l)); err != nil {
			return nil, err
		}
	}
	n := denseGroup * kv.heads * kv.dim
	s.q, s.out = normals(n, 1), make([]float32, n)
	s.attn = retro.Attn{Rows: 1, Scale: float32(1 / math.Sqrt(denseDim)),
		Q: unsafe.Pointer(&s.q[0]), Out: unsafe.Pointer(&s.out[0]),
		QRow: uint64(4 * n), QHead: 4 * denseDim, OutRow: uint64(4 * n)}
	known := cellList(kv.tokens - 1)
	return s, s.engine.SeqExtend(0, known, known)
}

// run does n steps.
func (s *steps) run(n int) {
	s.team.do(func(ith int) {
		for range n {
			if ith == 0 {
				s.begin()
			}
			s.team.wait()
			if s.err != nil {
				return
			}
			a := s.attn
			for a.Layer = range s.layers {
				// The errors are of arguments, which never change.
				if err := s.engine.Select(&a, ith, s.team.n); err != nil {
					panic(err)
				}
				s.team.wait()
				if err := s.engine.Attend(&a, ith, s.team.n); err != nil {
					panic(err)
				}
				s.team.wait()
			}
			if ith == 0 {
				s.end()
			}
		}
	})
}

func (s *steps) begin() {
	if s.err == nil {
		_, s.err = s.engine.SeqWindow(0, s.row[0].Pos)
	}
	if s.err == nil {
		s.err = s.engine.StepBegin(s.row[:], s.team.n)
	}
}

func (s *steps) end() {
	if s.err = s.engine.StepEnd(true); s.err == nil {
		s.err = s.engine.SeqTruncate(0, s.row[0].Pos)
	}
}
