package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"retroattn/bridge"
	"retroattn/tests/eval/teach"
)

// player generates from a prompt that is processed once: greedily, so that policies differ only by their attention.
type player struct {
	lab    *lab
	ctx    *bridge.Context
	prompt int // tokens
	state  []byte
}

// answer is a generated text, and how it was made.
type answer struct {
	text   string
	tokens int // decoded under the policy, question included
	took   time.Duration
	stats  bridge.Stats
}

// newPlayer processes the prompt with full attention; room is how many tokens may follow it.
func newPlayer(ctx context.Context, l *lab, prompt []bridge.Token, room int) (*player, error) {
	c, err := l.model.NewContext(bridge.ContextParams{Ctx: len(prompt) + room, Threads: l.threads, FlashAttn: bridge.FlashOn, HostKV: true})
	if err != nil {
		return nil, err
	}
	p := &player{lab: l, ctx: c, prompt: len(prompt)}
	if p.state, err = teach.State(ctx, c, 0, prompt, "", l.keep); err != nil {
		c.Close()
		return nil, err
	}
	return p, nil
}

// use begins a policy: the prompt is as it was.
func (p *player) use(po policy) error {
	if err := p.ctx.DisableRetro(); err != nil {
		return err
	}
	if err := p.ctx.MemoryClear(); err != nil {
		return err
	}
	if err := p.ctx.SetSeqStateData(0, p.state); err != nil {
		return err
	}
	if po == full {
		return nil
	}
	return p.ctx.EnableRetro(p.lab.options(po))
}

// ask decodes a question, at once as the prompt that it is or token by token under the policy, and then the most likely
// tokens, until the model ends, done says so, or there are max. The sequence is then as it was before the question.
func (p *player) ask(ctx context.Context, question []bridge.Token, sparse bool, max int, done func(text string) bool) (a answer, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var text []byte
	tokens, n := slices.Clip(question), 0
	if !sparse {
		n = len(question) - 1
	}
	for b := bridge.NewBatch(1); n < len(tokens); n++ {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		b.Clear()
		first := n
		if n == len(question)-1 && !sparse {
			first = 0
		}
		for i := first; i <= n; i++ {
			b.Add(tokens[i], p.prompt+i, 0, i == n)
		}
		start := time.Now()
		if err := p.ctx.Decode(b); err != nil {
			return a, err
		}
		if first == n {
			a.took += time.Since(start)
			a.tokens++
		}
		if n < len(question)-1 {
			continue
		}
		next, piece, err := p.next()
		if err != nil {
			return a, err
		}
		text = append(text, piece...)
		if piece == nil || done(string(text)) || n-len(question)+2 >= max {
			break
		}
		tokens = append(tokens, next)
	}
	a.text = string(text)
	if a.stats, err = p.ctx.RetroStats(); err != nil && !errors.Is(err, bridge.ErrRetroOff) {
		return a, err
	}
	return a, p.ctx.SeqRemove(0, p.prompt, -1)
}

// next is the most likely token and its text, nil where the model ends.
func (p *player) next() (bridge.Token, []byte, error) {
	row, err := p.ctx.Logits(-1)
	if err != nil {
		return 0, nil, err
	}
	token := bridge.Argmax(row)
	if p.lab.model.IsEOG(token) {
		return token, nil, nil
	}
	piece, err := p.lab.model.Piece(token)
	return token, append([]byte{}, piece...), err
}

func (p *player) close() error {
	if p == nil {
		return nil
	}
	return p.ctx.Close()
}
