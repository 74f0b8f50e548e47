package retro

import (
	"math"
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
)

// One thread scans at most chunkPages pages at a time: a few microseconds of work. Their summaries
// are allocated in blocks, so that little is set aside before it is needed. groupPages pages make a
// group, whose summaries are a tile.
const (
	groupPages = kernels.TilePages
	chunkPages = groupPages * groupPages
	blockPages = 4 * groupPages
	codePages  = groupPages // whose tokens' codes are allocated at once
)

// planesOf is the number of planes of summaries that the selector scans.
func planesOf(s options.Selector) int {
	switch s {
	case options.Tokens: // means and spreads together
		return 1
	case options.Pages, options.MinMax: // means and variances, minima and maxima
		return 2
	}
	return 0
}

// signOf tells how 8-bit summaries of a plane are stored.
func signOf(s options.Selector, plane int) kernels.Sign {
	if s == options.Pages && plane == 1 {
		return kernels.Unsigned
	}
	return kernels.Signed
}

// planeBytes is the size of n summaries of one KV head in one plane.
func planeBytes(o *options.Options, dk, n int) int {
	switch {
	case o.Select == options.Tokens:
		return n / kernels.TilePages * kernels.TileBytes4(dk)
	case o.SummaryBits == 8:
		return n / kernels.TilePages * kernels.TileBytes(dk)
	}
	return n * 2 * dk
}

// buildChunk computes what is missing of the summaries of a chunk, whose pages
// first..last-1 of the sequence are far, and returns of how many pages.
func (e *Engine) buildChunk(w *worker, l *layer, s *sequence, h, first, last int) int {
	if e.sumBlock == 0 {
		return 0
	}
	p := max(first, int(s.summed[l.headOff+h]))
	n := max(0, last-p)
	for ; p < last; p++ {
		e.buildPage(w, s, l, h, p)
	}
	return n
}

// buildPage computes the summary of page p of KV head h, and its tokens' codes.
func (e *Engine) buildPage(w *worker, s *sequence, l *layer, h, p int) {
	for j := range l.parts {
		e.buildPart(w, s, l, &l.parts[j], h, p)
	}
}

func (e *Engine) buildPart(w *worker, s *sequence, l *layer, part *part, h, p int) {
	n := e.opt.Page
	x := w.page[:n*part.dim]
	keys := part.keys(l, h)
	kernels.Load(x, &keys, s.cell[p*n:(p+1)*n])
	hadamard(x, l.Rotation)
	e.summarise(w, s, part, h, p, x)
}

// summarise stores the summary of page p whose keys are x, and its tokens' codes.
func (e *Engine) summarise(w *worker, s *sequence, part *part, h, p int, x []float32) {
	d, n := part.dim, e.opt.Page
	a, b := w.tmp[:d], w.tmp2[:d]
	if e.opt.Select == options.MinMax {
		for i := range a {
			a[i], b[i] = float32(math.Inf(1)), negInf
		}
		kernels.MinMax(a, b, x, d, n)
	} else {
		clear(a)
		clear(b)
		kernels.SumSq(a, b, x, d, n)
		inv := 1 / float32(n)
		for i := range a {
			a[i] *= inv
			b[i] = max(0, b[i]*inv-a[i]*a[i])
		}
	}
	e.storeSummary(s, part, h, p, a, b)
	if e.byTokens() {
		tile := part.pages(s, planesOf(options.Tokens), h, 0, p/blockPages)[p%blockPages/kernels.TilePages*kernels.TileBytes4(d):]
		kernels.Unpack4(a, b, tile, p%kernels.TilePages) // what they are read with
		kernels.EncodeCodes(part.codes(s, h, p/codePages)[p%codePages*part.codeBytes:][:part.codeBytes], e.opt.CodeBits, x, a, b)
	}
}

// hadamard multiplies each n numbers of x by the orthonormal Walsh-Hadamard matrix, which
// is its own inverse; n is a power of two, or 0 for nothing.
func hadamard(x []float32, n int) {
	for h := 1; h < n; h *= 2 {
		for i := 0; i < len(x); i += 2 * h {
			a, b := x[i:i+h], x[i+h:i+2*h]
			for j, v := range a {
				a[j], b[j] = v+b[j], v-b[j]
			}
		}
	}
	if n > 0 {
		kernels.Scale(x, float32(1/math.Sqrt(float64(n))))
	}
}

// storeSummary puts means a and variances b, or minima and maxima, of page p into their planes. b
// changes.
func (e *Engine) storeSummary(s *sequence, part *part, h, p int, a, b []float32) {
	d, at, planes := part.dim, p%blockPages, planesOf(e.opt.Select)
	tile, slot := at/kernels.TilePages, at%kernels.TilePages
	if e.byTokens() {
		for i, v := range b {
			b[i] = float32(math.Sqrt(float64(v)))
		}
		plane := part.pages(s, planes, h, 0, p/blockPages)
		kernels.Pack4(plane[tile*kernels.TileBytes4(d):], slot, a, b)
		return
	}
	// Variance, not sd, is stored: the score needs q^2.sd^2.
	for i, x := range [2][]float32{a, b} {
		plane := part.pages(s, planes, h, i, p/blockPages)
		if e.opt.SummaryBits == 8 {
			kernels.Pack(plane[tile*kernels.TileBytes(d):], slot, x, signOf(e.opt.Select, i))
		} else {
			kernels.ToF16(unsafe.Slice((*uint16)(unsafe.Pointer(&plane[2*d*at])), d), x)
		}
	}
}

// identity lists the rows of an F16 plane.
var identity = func() (cells [chunkPages]int32) {
	for i := range cells {
		cells[i] = int32(i)
	}
	return
}()

// scanPlane leaves the products of rows prepared queries with n summaries of plane i, the
// first at number first, in dst, [row][chunkPages]. Planes of less than 16 bits begin at a tile.
func (e *Engine) scanPlane(dst, queries []float32, d, i, rows int, plane []byte, first, n int) {
	if e.opt.SummaryBits == 8 {
		kernels.Scan(dst, chunkPages, queries, rows, d,
			plane[first/kernels.TilePages*kernels.TileBytes(d):], n, signOf(e.opt.Select, i))
		return
	}
	c := kernels.Cache{Type: kernels.F16, Dim: d, Base: unsafe.Pointer(&plane[0]),
		Stride: uintptr(2 * d)}
	kernels.Dot(dst, chunkPages, queries, rows, &c, identity[first:first+n])
}
