package retro

import (
	"math"
	"sort"

	"github.com/retroattn/retroattn/retro/stats"
)

// ring is the output cache of one sequence: for the last Window tokens decoded
// here, per layer, the query, the partial over the far tokens read so far, and
// which tokens those were. It has one slot more than there are past rows, for the
// token being decoded.
type ring struct {
	count int // tokens ever pushed; the next goes to slot count % len(slots)
	n     int // of the newest pushed, how many are still valid and in order
	slots []ringSlot
}

type ringSlot struct {
	entry  int    // index in the sequence's table
	sparse bool   // decoded with tokens left out; the data below is valid
	exact  []bool // per layer: everything was read there, and the data is not valid
	// Tokens selected at the token's own step and seen in all, over layers and KV heads.
	selected, shown counter

	q, m, l, acc []float32 // all layers, see ringLayout
	// seen[b] are the entries from b*seenEntries on that were read: a bit set per KV head of all
	// layers.
	seen [][]uint64
}

// ringLayout is where a layer's part begins in the arrays of a slot.
type ringLayout struct{ q, ml, acc int }

// layoutRings places the layers in the ring slots.
func (e *Engine) layoutRings() {
	var at ringLayout
	for i := range e.layers {
		l := &e.layers[i]
		l.ring = at
		at.q += l.Heads * l.DK
		at.ml += l.Heads
		at.acc += l.Heads * l.DV
	}
}

func (r *ring) allocate(e *Engine) {
	if e.opt.Window == 1 {
		return
	}
	var q, ml, acc int
	for i := range e.layers {
		l := &e.layers[i]
		q, ml, acc = q+l.Heads*l.DK, ml+l.Heads, acc+l.Heads*l.DV
	}
	r.slots = make([]ringSlot, e.opt.Window)
	for i := range r.slots {
		r.slots[i].q = make([]float32, q)
		r.slots[i].m = make([]float32, ml)
		r.slots[i].l = make([]float32, ml)
		r.slots[i].acc = make([]float32, acc)
		r.slots[i].exact = make([]bool, len(e.layers))
	}
}

// Bit sets grow with the sequence, by blocks of so many entries and words.
const (
	seenWords   = 32
	seenEntries = 64 * seenWords
)

// reserve makes room for the bits of n entries, and returns how many bytes it takes.
func (r *ring) reserve(n, heads int) (bytes uint64) {
	for i := range r.slots {
		s := &r.slots[i]
		for len(s.seen)*seenEntries < n {
			s.seen = append(s.seen, make([]uint64, heads*seenWords))
			bytes += uint64(8 * heads * seenWords)
		}
	}
	return bytes
}

// mark notes that KV head p, of all layers' in order, reads the entries, which ascend, and sets
// bit in rows for those that it had not read.
func (s *ringSlot) mark(p int, entries []int32, rows []uint16, bit uint16) (added int) {
	for i := 0; i < len(entries); {
		block := entries[i] / seenEntries
		set := (*[seenWords]uint64)(s.seen[block][p*seenWords:])
		for ; i < len(entries) && entries[i]/seenEntries == block; i++ {
			word, at := &set[entries[i]/64%seenWords], entries[i]&63
			fresh := ^*word >> at & 1
			*word |= 1 << at
			rows[i] |= uint16(-fresh) & bit
			added += int(fresh)
		}
	}
	return added
}

// countBelow is how many of the entries, which ascend, are below n.
func countBelow(entries []int32, n int32) int {
	return sort.Search(len(entries), func(i int) bool { return entries[i] >= n })
}

// forget empties the set of KV head p below entry n.
func (s *ringSlot) forget(p, n int) {
	for b := 0; b*seenEntries < n; b++ {
		clear(s.seen[b][p*seenWords:][:seenWords])
	}
}

func (r *ring) bytes() uint64 {
	total := 0
	for i := range r.slots {
		s := &r.slots[i]
		total += 4 * (len(s.q) + len(s.m) + len(s.l) + len(s.acc))
		for _, b := range s.seen {
			total += 8 * len(b)
		}
	}
	return uint64(total)
}

// back is the slot of the j-th newest token, j = 1 being the newest.
func (r *ring) back(j int) *ringSlot { return &r.slots[(r.count-j)%len(r.slots)] }

// usable counts the tokens right before entry t, at most Window-1, that can be
// rows of a step with the given cuts: unbroken, and with a far partial where the step wants one.
func (r *ring) usable(t int, cuts []cut) int {
	n := 0
	for n < min(r.n, len(r.slots)-1) {
		s := r.back(n + 1)
		if s.entry != t-1-n || !s.fits(cuts) {
			break
		}
		n++
	}
	return n
}

func (s *ringSlot) fits(cuts []cut) bool {
	for i := range cuts {
		if !cuts[i].exact && (!s.sparse || s.exact[i]) {
			return false
		}
	}
	return true
}

// truncate forgets tokens at entries >= keep.
func (r *ring) truncate(keep int) {
	for r.n > 0 && r.back(1).entry >= keep {
		r.back(1).sparse = false
		r.count--
		r.n--
	}
}

func (r *ring) reset() { r.truncate(0) }

// retire ends the window of all tokens, and keeps count of their exposure.
func (r *ring) retire(st *stats.Stats) {
	for ; r.n > 0; r.n-- {
		r.back(r.n).leave(st)
	}
}

// leave books what the token has seen and makes its data invalid.
func (s *ringSlot) leave(st *stats.Stats) {
	if s.sparse {
		st.RetiredSelected += s.selected.load()
		st.RetiredSeen += s.shown.load()
	}
	s.sparse = false
}

// take gives the slot for the token of this step. What is in it leaves the
// window; its exposure goes to the statistics.
func (r *ring) take(st *stats.Stats) *ringSlot {
	s := &r.slots[r.count%len(r.slots)]
	s.leave(st)
	s.selected.store(0)
	s.shown.store(0)
	r.n = min(r.n, len(r.slots)-1)
	return s
}

// push commits the token whose slot was taken.
func (r *ring) push(entry int, sparse bool, cuts []cut) {
	s := &r.slots[r.count%len(r.slots)]
	s.entry, s.sparse = entry, sparse
	for i := range cuts {
		s.exact[i] = cuts[i].exact
	}
	r.count++
	r.n = min(r.n+1, len(r.slots))
}

var negInf = float32(math.Inf(-1))
