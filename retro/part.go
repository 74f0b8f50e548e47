package retro

import (
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
)

// part is a range of channels of a layer's keys that has summaries and codes with scales of its
// own. Latents have two: the channels that are values as well, and those behind them, which hold
// the position and may be a hundred times larger: with one scale they would be all that is seen of
// a page.
type part struct {
	at, dim   int
	sumOff    int // offset of the part in a block of summaries, in bytes
	sumPages  int // bytes of one plane of one KV head in a block
	codeOff   int // the same for the codes of codePages pages
	codeBytes int // of the codes of one page of one KV head
	scanAt    int // where the part begins in what scanQueries makes of a query
	codeAt    int
}

func (l *layer) split(latent bool) []part {
	if latent && l.K == l.V && l.DV < l.DK && l.Rotation == 0 {
		return []part{{dim: l.DV}, {at: l.DV, dim: l.DK - l.DV}}
	}
	return []part{{dim: l.DK}}
}

// layoutParts places the parts of all layers in blocks of summaries and codes.
func (e *Engine) layoutParts() {
	planes := planesOf(e.opt.Select)
	for i := range e.layers {
		l := &e.layers[i]
		l.headOff = e.kvHeads
		e.kvHeads += l.KVHeads
		scan, code := 0, 0
		for j := range l.parts {
			p := &l.parts[j]
			p.sumOff, p.codeOff, p.scanAt, p.codeAt = e.sumBlock, e.codeBlock, scan, code
			scan, code = scan+scanLen(p.dim), code+kernels.CodeQueryLen(p.dim)
			if planes > 0 {
				p.sumPages = planeBytes(&e.opt, p.dim, blockPages)
			}
			if e.byTokens() {
				p.codeBytes = kernels.CodeBytes(e.opt.CodeBits, p.dim)
			}
			e.sumBlock += l.KVHeads * planes * p.sumPages
			e.codeBlock += l.KVHeads * codePages * p.codeBytes
		}
	}
}

// scanLen is the length of a query as any scan needs it.
func scanLen(d int) int { return max(kernels.ScanLen(d), kernels.ScanLen4(d)) }

// pages are the summaries of a block in plane i of KV head h.
func (p *part) pages(s *sequence, planes, h, i, block int) []byte {
	return s.blocks[block][p.sumOff+(h*planes+i)*p.sumPages:][:p.sumPages]
}

// codes are those of the tokens of codePages pages of KV head h, the block-th of them.
func (p *part) codes(s *sequence, h, block int) []byte {
	return s.codes[block][p.codeOff+h*codePages*p.codeBytes:][:codePages*p.codeBytes]
}

// coded is where kernels.CodedPages finds the summaries, of one plane, and the codes of KV head h.
func (p *part) coded(s *sequence, h int) (tiles, codes kernels.Blocks) {
	return kernels.Blocks{Bytes: s.blocks, At: p.sumOff + h*p.sumPages, Pages: blockPages},
		kernels.Blocks{Bytes: s.codes, At: p.codeOff + h*codePages*p.codeBytes, Pages: codePages}
}

// keys are the part's channels of the keys of KV head h.
func (p *part) keys(l *layer, h int) kernels.Cache {
	k := l.keys(h)
	k.Dim, k.Base = p.dim, unsafe.Add(k.Base, l.TypeK.RowBytes(p.at))
	return k
}

// addTo adds rows of n numbers that lie ldX apart to others that lie ld apart.
func addTo(dst []float32, ld int, x []float32, ldX, rows, n int) {
	for r := range rows {
		kernels.Axpby(dst[r*ld:][:n], 1, x[r*ldX:][:n], 1)
	}
}
