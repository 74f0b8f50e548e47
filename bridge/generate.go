package bridge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/retroattn/retroattn/retro/stats"
)

// GenerateOptions configures Generate.
type GenerateOptions struct {
	Seq       int      // sequence to append to
	MaxTokens int      // most tokens to generate; 0 = until the sequence is full
	Tokens    []Token  // the prompt as tokens, instead of as text
	Sampler   *Sampler // nil = greedy
	Stop      []string // texts that end the generation and are not part of it

	// Draft is the most tokens that are drafted with sparse attention at a time, and then verified
	// with full attention, so that the text is that of full attention. Sparse attention must be
	// enabled, best with window=1. 0 = no drafts: every token is sparse. DraftMin is the least, also
	// in doubt; a draft ends before a token that is, where none is drawn at random. With 0, drafts
	// are otherwise as long as pays, and there are none where none pays.
	Draft, DraftMin int
}

// Reason says why a generation ended.
type Reason int

// Reasons.
const (
	Failed     Reason = iota // by the error that came with it
	EndOfText                // the model ended it
	MaxTokens                // GenerateOptions.MaxTokens
	Stopped                  // yield returned false
	StopString               // one of GenerateOptions.Stop came
	Full                     // no room in the sequence
)

var reasonNames = [...]string{"failed", "end of text", "max tokens", "stopped", "stop string",
	"full"}

func (r Reason) String() string { return reasonNames[min(max(r, 0), Full)] }

// Generation is what Generate did. Prompt and Decoded tell what the sequence holds now, also after
// an error.
type Generation struct {
	Tokens  []Token // without the one that ended it; those of a stop string are there
	Text    string  // what yield got, all together
	Reason  Reason
	Prompt  int // tokens of the prompt that are in the memory: all, unless an error came first
	Decoded int // of Tokens, how many are in the memory too: all but the last, or all

	PromptTime time.Duration  // to decode the prompt
	Time       time.Duration  // to sample and decode what followed, yield included
	Drafts     Drafts         // what came of GenerateOptions.Draft
	Retro      *stats.Figures // of the sparse attention in this time, nil where that is off
}

// generator is a Generate in progress.
type generator struct {
	c     *Context
	ctx   context.Context
	opt   GenerateOptions
	out   *stream
	batch *Batch
	pos   int     // of the next token
	ready []Token // verified, and not yet taken; all but the last are in the memory
	got   Generation

	drafter *drafter // nil = no drafts
}

// Generate appends a prompt to a sequence, and then tokens until the model ends, a stop string
// came, MaxTokens or the sequence's space is used up, yield returns false, or ctx is done. The
// prompt's control tokens are parsed; a beginning token is added on an empty sequence. yield gets
// the text as it comes, in whole characters; nil for none. It may ask for statistics, but must not
// decode.
//
// The Generation is filled in after an error too, so that one can go on from there. The error is
// that of ctx if it was done, which also interrupts the decoding of a prompt; ErrTooLong for a
// prompt that does not fit.
func (c *Context) Generate(ctx context.Context, prompt string, opt GenerateOptions,
	yield func(piece string) bool) (Generation, error) {
	out, err := newStream(opt.Stop, yield)
	if err != nil {
		return Generation{}, err
	}
	if opt.MaxTokens < 0 {
		return Generation{}, argError("MaxTokens is %d, must be at least 0", opt.MaxTokens)
	}
	last, err := c.SeqPosMax(opt.Seq)
	if err != nil {
		return Generation{}, err
	}
	tokens, err := c.promptTokens(prompt, opt.Tokens, last+1)
	if err != nil {
		return Generation{}, err
	}

	// See the package comment: a pool of worker threads belongs to the calling thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, retroErr := c.RetroStats()
	g := &generator{c: c, ctx: ctx, opt: opt, out: out, batch: NewBatch(min(len(tokens), c.batch)),
		pos: last + 1}
	if opt.Draft != 0 || opt.DraftMin != 0 {
		if g.drafter, err = c.newDrafter(opt.DraftMin, opt.Draft); err != nil {
			return Generation{}, err
		}
		defer c.SetRetroMode(RetroSparse)
	}
	err = g.run(tokens)
	g.account(last+1, len(tokens))
	if after, err := c.RetroStats(); err == nil && retroErr == nil {
		figures := after.Since(before).Figures()
		g.got.Retro = &figures
	}
	return g.got, err
}

// promptTokens is the prompt of either form, which must fit behind position pos.
func (c *Context) promptTokens(prompt string, tokens []Token, pos int) ([]Token, error) {
	switch {
	case prompt != "" && tokens != nil:
		return nil, argError("a prompt as text and GenerateOptions.Tokens: give one")
	case tokens == nil:
		var err error
		if tokens, err = c.model.Tokenize(prompt, pos == 0, true); err != nil {
			return nil, err
		}
	}
	if len(tokens) == 0 {
		return nil, argError("the prompt has no tokens")
	}
	if pos+len(tokens) > c.seqCtx {
		return nil, fmt.Errorf("%w: %d tokens at position %d of %d", ErrTooLong, len(tokens), pos,
			c.seqCtx)
	}
	return tokens, nil
}

func (g *generator) run(prompt []Token) error {
	start := time.Now()
	err := g.decodePrompt(prompt)
	g.got.PromptTime = time.Since(start)
	if err != nil {
		return err
	}
	start = time.Now()
	begin := g.pos
	g.got.Reason, err = g.loop()
	// of verified tokens, some may not have been taken
	err = errors.Join(err, g.takeBack(begin+len(g.got.Tokens)))
	if g.got.Reason != Stopped && g.got.Reason != StopString {
		g.out.flush()
	}
	g.got.Text = g.out.text.String()
	g.got.Time = time.Since(start)
	return err
}

// decodePrompt leaves the logits of the last token.
func (g *generator) decodePrompt(tokens []Token) error {
	for len(tokens) > 0 {
		n := min(len(tokens), g.c.batch)
		g.batch.Clear()
		for i, token := range tokens[:n] {
			g.batch.Add(token, g.pos+i, g.opt.Seq, i == len(tokens)-1)
		}
		if err := g.decode(); err != nil {
			return err
		}
		tokens = tokens[n:]
	}
	return nil
}

// longBatch is from how many tokens on a batch is watched while it is computed: watching costs up
// to a millisecond.
const longBatch = 32

func (g *generator) decode() error {
	decode := g.c.Decode
	if g.batch.Len() >= longBatch {
		decode = func(b *Batch) error { return g.c.decodeWatched(g.ctx, b) }
	}
	if err := g.ctx.Err(); err != nil {
		return err
	}
	if err := decode(g.batch); err != nil {
		return err
	}
	g.pos += g.batch.Len()
	return nil
}

// loop samples and decodes.
func (g *generator) loop() (Reason, error) {
	for {
		if len(g.ready) == 0 {
			token, err := g.sample(g.opt.Sampler, -1)
			if err != nil {
				return Failed, err
			}
			g.ready = append(g.ready, token)
		}
		token := g.ready[0]
		g.ready = g.ready[1:]
		if g.c.model.IsEOG(token) {
			return EndOfText, nil
		}
		g.got.Tokens = append(g.got.Tokens, token)
		piece, err := g.c.model.Piece(token)
		if err != nil {
			return Failed, err
		}
		if reason, end := g.out.write(piece); end {
			return reason, nil
		}
		if len(g.got.Tokens) == g.opt.MaxTokens {
			return MaxTokens, nil
		}
		if len(g.ready) > 0 {
			continue
		}
		if g.pos >= g.c.seqCtx {
			return Full, nil
		}
		var drafts []Token
		if g.drafter != nil {
			if drafts, err = g.draft(token); err != nil {
				return Failed, err
			}
		}
		if err := g.verify(token, drafts); err != nil {
			return Failed, err
		}
	}
}

func (g *generator) sample(sampler *Sampler, at int) (Token, error) {
	if sampler != nil {
		return sampler.Sample(g.c, at)
	}
	row, err := g.c.Logits(at)
	if err != nil {
		return -1, err
	}
	return Argmax(row), nil
}

// account asks the memory what is in it.
func (g *generator) account(first, prompt int) {
	last, err := g.c.SeqPosMax(g.opt.Seq)
	if err != nil { // closed meanwhile
		return
	}
	held := max(last+1-first, 0)
	g.got.Prompt = min(held, prompt)
	g.got.Decoded = min(held-g.got.Prompt, len(g.got.Tokens))
}

// Argmax returns the token with the highest logit, the first of equals; -1 for an empty row.
func Argmax(logits []float32) Token {
	if len(logits) == 0 {
		return -1
	}
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return Token(best)
}
