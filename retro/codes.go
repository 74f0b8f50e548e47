package retro

import "retroattn/kernels"

// codePart is how many pages' tokens one thread scores at once.
const codePart = 32

// codesAhead is how many pages' codes are fetched ahead.
const codesAhead = 12

// partsOfCodes is how many parts the scores of the chosen pages' tokens fall into.
func (s *selection) partsOfCodes() int { return (len(s.it.pages) + codePart - 1) / codePart }

// scoreCodes scores the tokens of a part of the chosen pages: the largest estimate of the logits of any query, or, by
// need, leaves each query's estimates to weigh.
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
	for first, ahead := 0, 0; first < len(pages); {
		block, n := pages[first]/codePages, 0
		for ; first+n < len(pages) && pages[first+n]/codePages == block; n++ {
			slots[n] = pages[first+n] % codePages
		}
		for ; ahead < min(len(pages), first+n+codesAhead); ahead++ {
			s.fetchCodes(pages[ahead])
		}
		page := int(block) * codePages
		tiles := l.pages(s.q.s, 1, s.h, 0, page/blockPages)[page%blockPages/kernels.TilePages*kernels.TileBytes4(l.DK):]
		kernels.ScoreCodes(dst[first*kernels.CodeTokens:], ld, w.codeQ, s.queries(), l.DK, e.opt.CodeBits, tiles, l.codes(s.q.s, s.h, int(block)), slots[:n])
		first += n
	}
	w.stats.ScanBytes += uint64(len(pages) * l.codeBytes)
	if e.opt.Need {
		return
	}
	best := s.it.tokens[part*codePart*kernels.CodeTokens:][:len(pages)*kernels.CodeTokens]
	copy(best, w.logit)
	for r := 1; r < s.queries(); r++ {
		kernels.MaxInto(best, w.logit[r*ld:][:len(best)])
	}
}

// fetchCodes asks for the codes of a page, which lie anywhere.
func (s *selection) fetchCodes(page int32) {
	kernels.PrefetchBytes(s.l.codes(s.q.s, s.h, int(page)/codePages)[int(page)%codePages*s.l.codeBytes:][:s.l.codeBytes])
}
