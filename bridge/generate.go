//go:build linux || darwin

package bridge

import (
	"context"
	"runtime"
	"unicode/utf8"
)

// GenerateOptions configures Generate.
type GenerateOptions struct {
	Seq       int // sequence to append to
	MaxTokens int // most tokens to generate; 0 = until the context is full
}

// Generate appends a prompt to a sequence and then, greedily, tokens until the model ends, MaxTokens or the sequence's
// space is used up, yield returns false, or ctx is done (then with its error, and the tokens so far). The prompt's
// control tokens are parsed; a beginning token is added on an empty sequence. yield gets the text piece by piece in
// whole characters; nil for none. It returns the generated tokens, without the one that ends; the last of them is not
// in the memory yet.
func (c *Context) Generate(ctx context.Context, prompt string, opt GenerateOptions, yield func(piece string) bool) ([]Token, error) {
	if opt.MaxTokens < 0 {
		return nil, argError("MaxTokens %d", opt.MaxTokens)
	}
	last, err := c.SeqPosMax(opt.Seq)
	if err != nil {
		return nil, err
	}
	tokens, err := c.model.Tokenize(prompt, last < 0, true)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, argError("the prompt has no tokens")
	}
	pos := last + 1
	if pos+len(tokens) > c.seqCtx {
		return nil, argError("prompt of %d tokens at position %d, the sequence holds %d", len(tokens), pos, c.seqCtx)
	}

	// See the package comment: a pool of worker threads belongs to the calling thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b := NewBatch(min(len(tokens), c.batch))
	for len(tokens) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(tokens), c.batch)
		b.Clear()
		for i, token := range tokens[:n] {
			b.Add(token, pos+i, opt.Seq, i == len(tokens)-1)
		}
		if err := c.Decode(b); err != nil {
			return nil, err
		}
		tokens, pos = tokens[n:], pos+n
	}

	var out []Token
	var held []byte // the beginning of a character whose rest is to come
	for {
		row, err := c.Logits(-1)
		if err != nil {
			return out, err
		}
		token := Argmax(row)
		if c.model.IsEOG(token) {
			break
		}
		out = append(out, token)
		if yield != nil {
			piece, err := c.model.Piece(token)
			if err != nil {
				return out, err
			}
			held = append(held, piece...)
			n := wholeRunes(held)
			if n > 0 && !yield(string(held[:n])) {
				return out, nil
			}
			held = append(held[:0], held[n:]...)
		}
		if len(out) == opt.MaxTokens || pos >= c.seqCtx {
			break
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		b.Clear()
		b.Add(token, pos, opt.Seq, true)
		if err := c.Decode(b); err != nil {
			return out, err
		}
		pos++
	}
	if len(held) > 0 {
		yield(string(held))
	}
	return out, nil
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

// wholeRunes returns the length of p without an unfinished character at its end.
func wholeRunes(p []byte) int {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}
