package retro

import "github.com/retroattn/retroattn/kernels"

// codePart is how many pages' tokens one thread scores at once, codeTokens how many tokens.
const (
	codePart   = 16
	codeTokens = codePart * kernels.CodeTokens
)

// partsOfCodes is how many parts the scores of the chosen pages' tokens fall into.
func (s *selection) partsOfCodes() int { return (len(s.it.pages) + codePart - 1) / codePart }

// scoreCodes scores the tokens of a part of the chosen pages: the largest estimate of the logits of
// any query, or, by need, leaves each query's estimates to weigh.
func (s *selection) scoreCodes(part int) {
	s.prepare()
	w, l, e, it, queries := s.w, s.l, s.e, s.it, s.queries()
	first, size := part*codePart, e.opt.Page
	n := min(codePart, len(it.pages)-first)
	dst, ld := w.logit, codePart*size
	if e.opt.Need { // weigh makes the scores
		dst, ld = it.est[first*size:], len(it.pages)*size
	}
	var list [codePart]kernels.Coded
	pages := list[:n]
	for j := range l.parts {
		p := &l.parts[j]
		tiles, codes := p.coded(s.q.s, s.h)
		kernels.CodedPages(pages, tiles, codes, p.dim, e.opt.CodeBits, it.pages[first:][:n],
			it.cols[first:])
		q := w.codeQ[queries*p.codeAt:]
		if j == 0 {
			kernels.ScoreCodes(dst, ld, q, queries, p.dim, e.opt.CodeBits, it.means, s.cols(),
				pages)
		} else { // means are those of all parts
			kernels.ScoreCodes(w.more, codePart*size, q, queries, p.dim, e.opt.CodeBits, nil, 0,
				pages)
			addTo(dst, ld, w.more, codePart*size, queries, n*size)
		}
		w.stats.ScanBytes += uint64(n * p.codeBytes)
	}
	if s.weighs() {
		s.addUp(part, dst, ld, n*size)
	}
	if e.opt.Need {
		return
	}
	best := it.tokens[first*size:][:n*size]
	copy(best, w.logit)
	for r := 1; r < queries; r++ {
		kernels.MaxAdd(best, w.logit[r*ld:][:len(best)], 0, unraised[:])
	}
}
