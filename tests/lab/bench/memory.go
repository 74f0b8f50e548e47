package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/retroattn/retroattn/kernels"
)

// arena is memory outside of Go's heap, which C may keep pointers into, on huge pages where there
// are some, as the patched llama.cpp has its cache. It is given out piece by piece and taken back
// as a whole.
type arena struct {
	data []byte
	used int
}

const hugePage = 2 * mib

// reset makes room for size bytes.
func (m *arena) reset(size int) error {
	m.used = 0
	if size <= len(m.data) {
		return nil
	}
	m.free()
	size = (size + hugePage - 1) &^ (hugePage - 1)
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("no memory for a working set of %d MiB: %w", size/mib, err)
	}
	adviseHuge(data)
	m.data = data
	return nil
}

func (m *arena) free() {
	if m.data != nil {
		_ = unix.Munmap(m.data)
	}
	m.data, m.used = nil, 0
}

// take gives out n bytes, aligned to a cache line.
func (m *arena) take(n int) []byte {
	p := m.data[m.used : m.used+n : m.used+n]
	m.used += lines(n)
	return p
}

// lines rounds up to whole cache lines.
func lines(n int) int { return (n + 63) &^ 63 }

func floatsOf(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
}

// planeSet is a working set: planes that are read one after the other. A unit is what is done
// between two looks at the clock at least.
type planeSet struct {
	planes  [][]byte
	perUnit int
}

// unitTarget is about how large a unit is, where planes are smaller and there are enough of them.
const unitTarget = 8 * mib

func (s *planeSet) units() int          { return len(s.planes) / s.perUnit }
func (s *planeSet) unit(i int) [][]byte { return s.planes[i%s.units()*s.perUnit:][:s.perUnit] }
func (s *planeSet) unitBytes() int      { return s.perUnit * len(s.planes[0]) }
func (s *planeSet) bytes() int          { return len(s.planes) * len(s.planes[0]) }

// kvSet is the K and V of some layers: planes 2l and 2l+1 are those of layer l. A plane is
// [tokens][heads][row].
type kvSet struct {
	planeSet
	typ                kernels.Type
	dim, heads, tokens int
	row                int // bytes
}

// cache is one head of a plane.
func (s *kvSet) cache(plane []byte, head int) kernels.Cache {
	return kernels.Cache{Type: s.typ, Dim: s.dim, Base: unsafe.Pointer(&plane[head*s.row]),
		Stride: uintptr(s.heads * s.row)}
}

// makeKV fills the arena with layers of at least size bytes, in units of about target bytes; a
// target of size or more makes one unit.
func (b *bench) makeKV(t kernels.Type, dim, heads, tokens, size, target int) (*kvSet, error) {
	s := &kvSet{typ: t, dim: dim, heads: heads, tokens: tokens, row: t.RowBytes(dim)}
	plane := tokens * heads * s.row
	layers := max(1, target/(2*plane)) // of a unit
	if target >= size {
		layers = (size + 2*plane - 1) / (2 * plane)
	}
	s.perUnit = 2 * layers
	units := (size + s.perUnit*plane - 1) / (s.perUnit * plane)
	if err := b.mem.reset(units * s.perUnit * lines(plane)); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(uint64(t), uint64(dim)))
	for i := range units * s.perUnit {
		p := b.mem.take(plane)
		if i < 2 {
			fillRows(p, t, rng)
		} else {
			copy(p, s.planes[i&1])
		}
		s.planes = append(s.planes, p)
	}
	return s, nil
}

// headCount is the number of KV heads of a layer.
const headCount = 4

// kvFor is the K and V of a case, over which the case's set is a view.
func (b *bench) kvFor(c workload) (*kvSet, error) {
	if b.kv == nil || b.kv.typ != c.typ || b.kv.dim != c.dim {
		b.kv = nil
		size := b.setBytes(setMemory, 1)
		kv, err := b.makeKV(c.typ, c.dim, headCount, b.tokens, size, min(unitTarget, size/16))
		if err != nil {
			return nil, err
		}
		b.kv = kv
	}
	if c.set == setMemory {
		return b.kv, nil
	}
	return b.kv.first(b.setBytes(c.set, c.threads)), nil
}

// first is a set of one unit of at most size bytes: whole layers, or else one with fewer tokens.
func (s *kvSet) first(size int) *kvSet {
	few := *s
	layer := 2 * len(s.planes[0])
	few.perUnit = 2 * min(max(1, size/layer), len(s.planes)/2)
	few.planes = s.planes[:few.perUnit]
	if size < layer {
		cell := s.heads * s.row
		few.tokens = min(max(16, size/(2*cell)&^15), s.tokens)
		few.planes = [][]byte{s.planes[0][:few.tokens*cell], s.planes[1][:few.tokens*cell]}
	}
	return &few
}

// planesFor fills the arena with planes of the given size, made by fill, up to at least size bytes
// in all.
func (b *bench) planesFor(plane, size int, fill func(p []byte)) (*planeSet, error) {
	b.kv = nil
	s := &planeSet{perUnit: max(1, min(unitTarget, size/16)/plane)}
	if size < 16*plane {
		s.perUnit = max(1, size/plane)
	}
	units := (size + s.perUnit*plane - 1) / (s.perUnit * plane)
	if err := b.mem.reset(units * s.perUnit * lines(plane)); err != nil {
		return nil, err
	}
	for i := range units * s.perUnit {
		p := b.mem.take(plane)
		if i == 0 {
			fill(p)
		} else {
			copy(p, s.planes[0])
		}
		s.planes = append(s.planes, p)
	}
	return s, nil
}

// fillRows writes numbers of about unit variance.
func fillRows(p []byte, t kernels.Type, rng *rand.Rand) {
	switch t {
	case kernels.F32:
		for ; len(p) >= 4; p = p[4:] {
			binary.LittleEndian.PutUint32(p, math.Float32bits(float32(rng.NormFloat64())))
		}
	case kernels.BF16:
		for ; len(p) >= 2; p = p[2:] {
			binary.LittleEndian.PutUint16(p,
				uint16(math.Float32bits(float32(rng.NormFloat64()))>>16))
		}
	case kernels.F16:
		x := make([]float32, len(p)/2)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		kernels.ToF16(unsafe.Slice((*uint16)(unsafe.Pointer(&p[0])), len(x)), x)
	case kernels.Q8_0:
		fillBlocks(p, 34, 1./74, rng)
	case kernels.Q4_0:
		fillBlocks(p, 18, 1./4.6, rng)
	}
}

// fillBlocks writes quantised blocks of size bytes with scales around the given one.
func fillBlocks(p []byte, size int, scale float32, rng *rand.Rand) {
	var scales [64]uint16
	for i := range scales {
		kernels.ToF16(scales[i:], []float32{scale * (0.75 + float32(i)/128)})
	}
	for ; len(p) >= size; p = p[size:] {
		binary.LittleEndian.PutUint16(p, scales[rng.IntN(len(scales))])
		for i := 2; i < size; i++ {
			p[i] = byte(rng.Uint32())
			if size == 34 && p[i] == 0x80 { // quantising never gives -128
				p[i] = 0x81
			}
		}
	}
}

func normals(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}
