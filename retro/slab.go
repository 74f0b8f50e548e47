package retro

import "unsafe"

// slab is memory of a sequence that the blocks of its summaries and codes are cut from. They are
// read here and there, some hundred bytes at a time, which is faster where the memory has huge
// pages: they take whole slabs, set aside before anything is written to them. The first blocks are
// on their own: a short sequence gains nothing, and a slab for each of many would be too much.
type slab struct {
	free  []byte
	small int // bytes of blocks on their own
}

const (
	hugePage = 2 << 20
	slabSize = 2 * hugePage
)

// take cuts off n bytes, all 0.
func (s *slab) take(n int) []byte {
	if len(s.free) < n {
		if s.small+n <= slabSize {
			s.small += n
			return make([]byte, n)
		}
		s.free = aligned(max(n, slabSize))
		adviseHuge(s.free)
	}
	b := s.free[:n:n]
	s.free = s.free[min(len(s.free), (n+63)&^63):] // cache lines are not shared
	return b
}

// aligned is memory of at least n bytes that begins and ends with a huge page.
func aligned(n int) []byte {
	n = (n + hugePage - 1) &^ (hugePage - 1)
	m := make([]byte, n+hugePage)
	at := -uintptr(unsafe.Pointer(&m[0])) % hugePage
	return m[at:][:n]
}
