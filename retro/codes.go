package retro

import "retroattn/kernels"

// codePart is how many pages' tokens one thread scores at once.
const codePart = 32

// codesAhead is how many pages' codes are fetched ahead.
const codesAhead = 12

// partsOfCodes is how many parts the scores of the chosen pages' tokens fall into.
func (s *selection) partsOfCodes() int { return (len(s.it.pages) + codePart - 1) / codePart }

// scoreCodes scores the tokens of a part of the chosen pages: the largest estimate of the logits of
// any query, or, by need, leaves each query's estimates to weigh.
func (s *selection) scoreCodes(part int) {
	s.prepare()
	w, l, e := s.w, s.l, s.e
	pages := s.it.pages[part*codePart:]
	pages = pages[:min(len(pages), codePart)]
	dst, ld := w.logit, codePart*kernels.CodeTokens
	if e.opt.Need { // weigh makes the scores
		dst, ld = s.it.est[part*codePart*kernels.CodeTokens:], len(s.it.pages)*kernels.CodeTokens
	}
	var slots [codePart]int32
	for i, page := range pages {
		slots[i] = page % codePages
	}
	for first, ahead, n := 0, 0, 0; first < len(pages); first += n {
		n = sameBlock(pages[first:])
		for ahead < min(len(pages), first+n+codesAhead) {
			m := sameBlock(pages[ahead:])
			s.fetchCodes(int(pages[ahead]/codePages), slots[ahead:ahead+m])
			ahead += m
		}
		block := pages[first] / codePages
		page := int(block) * codePages
		for j := range l.parts {
			p, to, ldTo := &l.parts[j], dst[first*kernels.CodeTokens:], ld
			if j > 0 {
				to, ldTo = w.more, codePart*kernels.CodeTokens
			}
			tiles := p.pages(s.q.s, 1, s.h, 0,
				page/blockPages)[page%blockPages/kernels.TilePages*kernels.TileBytes4(p.dim):]
			kernels.ScoreCodes(to, ldTo, w.codeQ[s.queries()*p.codeAt:], s.queries(), p.dim,
				e.opt.CodeBits,
				tiles, p.codes(s.q.s, s.h, int(block)), slots[first:first+n])
			if j > 0 {
				addTo(dst[first*kernels.CodeTokens:], ld, to, ldTo, s.queries(),
					n*kernels.CodeTokens)
			}
			w.stats.ScanBytes += uint64(n * p.codeBytes)
		}
	}
	if e.opt.Need {
		return
	}
	best := s.it.tokens[part*codePart*kernels.CodeTokens:][:len(pages)*kernels.CodeTokens]
	copy(best, w.logit)
	for r := 1; r < s.queries(); r++ {
		kernels.MaxInto(best, w.logit[r*ld:][:len(best)])
	}
}

// sameBlock is how many of the first pages, which ascend, have their codes in one block.
func sameBlock(pages []int32) int {
	n := 1
	for n < len(pages) && pages[n]/codePages == pages[0]/codePages {
		n++
	}
	return n
}

// fetchCodes asks for the codes of pages of a block.
func (s *selection) fetchCodes(block int, slots []int32) {
	for j := range s.l.parts {
		p := &s.l.parts[j]
		kernels.PrefetchRows(p.codes(s.q.s, s.h, block), p.codeBytes, slots)
	}
}
