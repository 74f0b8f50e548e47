package bridge

import (
	"errors"
	"math"
	"time"
)

// RetroMode is what tokens attend to that are alone in their sequence in a batch.
type RetroMode int32

// Modes. Sparse is how a context begins.
const (
	RetroSparse RetroMode = iota // what the library selects
	RetroExact                   // everything
	RetroDraft                   // as RetroSparse, without embedding older tokens again: to be removed before anything else is decoded
)

// SetRetroMode changes what tokens attend to. ErrRetroOff where sparse attention is not enabled, or
// has failed.
func (c *Context) SetRetroMode(mode RetroMode) error {
	if mode < RetroSparse || mode > RetroDraft {
		return argError("mode %d, must be %d..%d", mode, RetroSparse, RetroDraft)
	}
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if !c.lib.patched || c.lib.retroAttnMode(c.ptr, int32(mode)) != 0 {
		return ErrRetroOff
	}
	return nil
}

// Drafts says how often tokens were drafted, how many, and how many of them full attention
// confirmed.
type Drafts struct{ Verified, Tokens, Accepted int }

// maxDraft is the most tokens of a draft.
const maxDraft = 1024

// firstDrafts are made before their times decide: the first step and batch of a kind also prepare.
// As many more follow of those that a device verifies, where there is one.
const firstDrafts = 2

// someDraft is a draft to measure with.
const someDraft = 4

// doubt is by how much the largest logit must exceed all others, for what sparse attention leaves out
// to change it seldom: docs/lossless.md has what was measured.
const doubt = 0.25

// drafter is lossless decoding: a sequence's next tokens are drafted with sparse attention, taken
// back, and computed anew with full attention in one batch. A draft ends before a token that is in
// doubt, which verifying then gives for free. Else it is as long as pays by what was measured; where
// none pays, there is none. The programs have the same in C++, in common/speculative-retro.cpp of
// the patches; a test holds them together.
type drafter struct {
	min, max         int    // 0..; min 0: none where none pays
	sparse           cost   // of a step
	exact            []cost // of a batch, by its tokens
	here             int    // a device attends to batches of more; 0: to none
	tested, accepted float64
	asked, sure      float64 // for tokens that could end a draft, of which so many were not in doubt
	first            int     // drafts that were made to measure
	warm             bool    // a second token without drafts was measured
	calls, often     int     // another choice is measured once in so many calls
	long             bool
}

// cost is a time in seconds, 0 if it is not known.
type cost float64

// add brings in a measurement. Other load only ever slows down, and so does what a first step
// prepares.
func (c *cost) add(t cost) {
	if *c == 0 || t < *c {
		*c = t
	} else {
		*c += (t - *c) / 10
	}
}

func since(begun time.Time) cost { return cost(time.Since(begun).Seconds()) }

// newDrafter makes lone tokens exact.
func (c *Context) newDrafter(least, most int) (*drafter, error) {
	switch l := c.lib; {
	case least < 0 || most > maxDraft || least > most:
		return nil, argError("DraftMin is %d and Draft is %d, must be 0..%d, and rise", least, most,
			maxDraft)
	case l.modelIsHybrid(c.model.ptr) || l.modelIsRecurrent(c.model.ptr):
		return nil, argError("Draft is %d, but this model keeps a state that cannot go back: set 0",
			most)
	}
	if err := c.SetRetroMode(RetroExact); err != nil {
		return nil, err
	}
	return untried(least, most, int(c.lib.retroAttnExactMax(c.ptr))), nil
}

// untried has measured nothing, and takes most drafts to be good.
func untried(least, most, here int) *drafter {
	return &drafter{min: least, max: most, exact: make([]cost, most+2), here: here, tested: 10,
		accepted: 9.5, asked: 10, sure: 9, often: 32}
}

// batch is the cost of n tokens at once: between and beyond those that were measured and that the
// same processors attend to, on a line through the next two. 0, and so tried, if there are none.
func (d *drafter) batch(n int) cost {
	if d.exact[n] > 0 {
		return d.exact[n]
	}
	first, end := 1, len(d.exact)
	if d.here > 0 && n > d.here {
		first = d.here + 1
	} else if d.here > 0 {
		end = min(end, d.here+1)
	}
	a, b := 0, 0
	for i := first; i < end; i++ {
		if d.exact[i] > 0 {
			a, b = b, i
			if i > n {
				break
			}
		}
	}
	if a == 0 {
		return d.exact[b]
	}
	slope := max(0, d.exact[b]-d.exact[a]) / cost(b-a)
	return d.exact[a] + slope*cost(n-a)
}

// rates are how many tokens come in a second with drafts of at most n tokens, for n = 0, 1 .. most:
// the accepted ones, and one that verifying adds. Drafts of more than so many that were measured are
// taken to be verified as fast as these.
func (d *drafter) rates(most, measured int) []float64 {
	rates := make([]float64, most+1)
	sure, right := 1.0, 1.0 // chance that a draft comes to be so long, and that it is right
	tokens, steps, verified := 1.0, 0.0, float64(d.batch(1))
	for n := range rates {
		rates[n] = tokens / (steps*float64(d.sparse) + verified)
		steps += sure
		if n >= d.min {
			sure *= d.sure / d.asked
			right *= d.sure / d.asked
		}
		right *= d.accepted / d.tested
		tokens += right
		if n < measured {
			verified += sure * float64(d.batch(n+2)-d.batch(n+1))
		}
	}
	return rates
}

// length is how many tokens to draft, of which there is room for so many, and how many of them even
// in doubt: where it is to measure, those that tell something.
func (d *drafter) length(room int) (most, least int) {
	room = min(room, d.max)
	some := min(room, max(someDraft, d.min))
	reach := d.here > 0 && room >= d.here // a device verifies the longest
	switch {
	case room <= d.min || d.min == 0 && d.exact[1] == 0:
		n := min(d.min, max(0, room))
		return n, n
	case d.first < firstDrafts:
		d.first++
		return some, d.min
	case d.min == 0 && !d.warm: // the first token has prepared what later ones find
		d.warm = true
		return 0, 0
	case d.first < 2*firstDrafts && reach:
		d.first++
		return room, max(d.here, d.min)
	}
	best, rates := d.min, d.rates(room, room)
	for n := best + 1; n <= room; n++ {
		if rates[n] > rates[best] {
			best = n
		}
	}
	if d.min == 0 && rates[best] < 1.1*rates[0] { // times are uncertain
		best = 0
	}
	if d.calls++; d.calls >= d.often && d.min == 0 {
		d.calls = 0
		if best == 0 {
			d.often = min(2*d.often, 1024)
			return some, 0
		}
		d.often, d.long = 32, !d.long
		if !d.long {
			return 0, 0
		}
		n, least := min(room, 2*best), best+1 // longer ones are judged by a line through it
		if d.exact[room+1] == 0 {
			n = room // as shorter ones say little
		}
		if reach && best < d.here { // and nothing of those that a device verifies
			n, least = room, d.here
		}
		// Else it would not pay even if it took no longer to verify.
		if d.rates(n, best)[n] > rates[best] {
			return n, least
		}
	}
	return best, d.min
}

// ended learns that a draft has so many tokens, so many of them even in doubt, and whether the next
// one was.
func (d *drafter) ended(drafts, least int, doubted bool) {
	sure := float64(max(0, drafts-least))
	d.sure, d.asked = 0.98*d.sure+sure, 0.98*d.asked+sure
	if doubted {
		d.asked++
	}
}

// count learns how many of so many drafts were accepted; those after the first that was not tell
// nothing.
func (d *drafter) count(drafts, accepted int) {
	d.tested = 0.98*d.tested + float64(min(drafts, accepted+1))
	d.accepted = 0.98*d.accepted + float64(accepted)
}

// draft returns what sparse attention makes of a token that comes next, and leaves the sequence as
// it was.
func (g *generator) draft(token Token) (drafts []Token, err error) {
	room := min(g.c.seqCtx-g.pos, g.c.batch) - 1
	if g.opt.MaxTokens > 0 {
		room = min(room, g.opt.MaxTokens-len(g.got.Tokens)-1)
	}
	most, least := g.drafter.length(room)
	if most == 0 || g.c.SetRetroMode(RetroDraft) != nil {
		return nil, nil
	}
	var sampler *Sampler
	if g.opt.Sampler != nil {
		if sampler, err = g.opt.Sampler.Clone(); err != nil {
			return nil, err
		}
	}
	defer func() {
		err = errors.Join(err, g.c.SeqRemove(g.opt.Seq, g.pos, -1), sampler.Close())
		_ = g.c.SetRetroMode(RetroExact) // without the library everything is exact
	}()
	doubted := false
	for len(drafts) < most && !g.c.model.IsEOG(token) {
		begun := time.Now()
		g.batch.Clear()
		g.batch.Add(token, g.pos+len(drafts), g.opt.Seq, true)
		if err := g.ctx.Err(); err != nil {
			return nil, err
		}
		if g.c.Decode(g.batch) != nil {
			break // what is drafted already will do
		}
		if token, err = g.sample(sampler, -1); err != nil {
			return nil, err
		}
		if len(drafts) >= least && !sampler.random() {
			row, err := g.c.Logits(-1)
			if err != nil {
				return nil, err
			}
			doubted = inDoubt(row, token)
		}
		g.drafter.sparse.add(since(begun))
		if doubted {
			break
		}
		drafts = append(drafts, token)
	}
	g.drafter.ended(len(drafts), least, doubted)
	return drafts, nil
}

// inDoubt tells whether another token is about as likely as the likeliest. A token that is not the
// likeliest was chosen otherwise, by a grammar or penalties.
func inDoubt(logits []float32, token Token) bool {
	other := float32(math.Inf(-1))
	for i, x := range logits {
		if x > other && Token(i) != token {
			other = x
		}
	}
	return other <= logits[token] && other > logits[token]-doubt
}

// verify decodes a token and drafts of what follows, and samples what does follow it: the drafts up
// to the first that differs, and one more token. The sequence then holds all of these but the last.
func (g *generator) verify(token Token, drafts []Token) error {
	begun := time.Now()
	g.batch.Clear()
	g.batch.Add(token, g.pos, g.opt.Seq, true)
	for i, d := range drafts {
		g.batch.Add(d, g.pos+1+i, g.opt.Seq, true)
	}
	pos := g.pos
	if err := g.decode(); err != nil {
		return err
	}
	if g.drafter != nil {
		if _, err := g.c.Logits(-1); err != nil { // a device may still compute
			return err
		}
		g.drafter.exact[g.batch.Len()].add(since(begun))
	}
	if len(drafts) == 0 {
		return nil
	}
	accepted := 0
	for {
		next, err := g.sample(g.opt.Sampler, accepted)
		if err != nil {
			return errors.Join(err, g.takeBack(pos+1+accepted))
		}
		g.ready = append(g.ready, next)
		if accepted == len(drafts) || next != drafts[accepted] || g.c.model.IsEOG(next) {
			break
		}
		accepted++
	}
	g.drafter.count(len(drafts), accepted)
	g.got.Drafts.Verified++
	g.got.Drafts.Tokens += len(drafts)
	g.got.Drafts.Accepted += accepted
	return g.takeBack(pos + 1 + accepted)
}

// takeBack removes what the sequence holds from a position on.
func (g *generator) takeBack(pos int) error {
	if pos >= g.pos {
		return nil
	}
	g.pos = pos
	return g.c.SeqRemove(g.opt.Seq, pos, -1)
}
