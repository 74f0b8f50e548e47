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
		for j := range l.parts {
			p, to, ldTo := &l.parts[j], dst[first*kernels.CodeTokens:], ld
			if j > 0 {
				to, ldTo = w.more, codePart*kernels.CodeTokens
			}
			tiles := p.pages(s.q.s, 1, s.h, 0, page/blockPages)[page%blockPages/kernels.TilePages*kernels.TileBytes4(p.dim):]
			kernels.ScoreCodes(to, ldTo, w.codeQ[s.queries()*p.codeAt:], s.queries(), p.dim, e.opt.CodeBits, tiles, p.codes(s.q.s, s.h, int(block)), slots[:n])
			if j > 0 {
				addTo(dst[first*kernels.CodeTokens:], ld, to, ldTo, s.queries(), n*kernels.CodeTokens)
			}
			w.stats.ScanBytes += uint64(n * p.codeBytes)
		}
		first += n
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

// fetchCodes asks for the codes of a page, which lie anywhere.
func (s *selection) fetchCodes(page int32) {
	for j := range s.l.parts {
		p := &s.l.parts[j]
		kernels.PrefetchBytes(p.codes(s.q.s, s.h, int(page)/codePages)[int(page)%codePages*p.codeBytes:][:p.codeBytes])
	}
}
