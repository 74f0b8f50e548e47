package eval

import (
	"context"
	"errors"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/divergence"
)

// stage is where prompts are answered, each in a sequence of its own: they are processed once, with
// full attention, and every policy goes on from there. On a GPU there are two contexts, since full
// attention, prompts included, is many times faster with the cache there, and sparse attention
// needs it in host memory.
type contexts struct {
	full, sparse *bridge.Context // the same one, or two
	seqs, room   int
	prompts      []int // tokens in each sequence
}

// newContexts has sequences of room tokens; apart makes two contexts in any case.
func newContexts(l *lab, seqs, room int, apart bool) (*contexts, error) {
	s := &contexts{seqs: seqs, room: room}
	params := bridge.ContextParams{Ctx: seqs * room, Seqs: seqs, Threads: l.threads,
		FlashAttn: bridge.FlashOn, HostKV: true}
	var err error
	if s.sparse, err = l.model.NewContext(params); err != nil {
		return nil, err
	}
	s.full = s.sparse
	if apart || l.gpu {
		if l.gpu {
			params.HostKV, params.UBatch = false, 2048
		}
		if s.full, err = l.model.NewContext(params); err != nil {
			return nil, errors.Join(err, s.sparse.Close())
		}
	}
	return s, nil
}

// roundUp is to what llama.cpp rounds a sequence up.
func roundUp(tokens int) int { return (tokens + 255) / 256 * 256 }

// stage returns one that is large enough, the last one if that is not much too large. It belongs to
// the lab.
func (l *lab) contexts(seqs, room int, apart bool) (*contexts, error) {
	room = roundUp(room)
	if s := l.last; s != nil && s.seqs == seqs && s.room >= room && s.room <= room+room/4 &&
		(!apart || s.full != s.sparse) {
		return s, nil
	}
	if err := l.closeContexts(); err != nil {
		return nil, err
	}
	s, err := newContexts(l, seqs, room, apart)
	l.last = s
	return s, err
}

func (l *lab) closeContexts() error {
	s := l.last
	l.last = nil
	if s == nil {
		return nil
	}
	if s.full != s.sparse {
		return errors.Join(s.full.Close(), s.sparse.Close())
	}
	return s.sparse.Close()
}

// load processes the prompts.
func (s *contexts) load(ctx context.Context, prompts [][]bridge.Token, keep divergence.Keep) error {
	s.prompts = s.prompts[:0]
	for _, c := range []*bridge.Context{s.full, s.sparse} {
		if err := errors.Join(c.DisableRetro(), c.SeqRemove(bridge.AllSeqs, 0, -1)); err != nil {
			return err
		}
	}
	for seq, prompt := range prompts {
		if err := s.process(ctx, seq, prompt, keep); err != nil {
			return err
		}
		s.prompts = append(s.prompts, len(prompt))
	}
	return nil
}

func (s *contexts) process(ctx context.Context, seq int, prompt []bridge.Token,
	keep divergence.Keep,
) error {
	if s.full == s.sparse && keep.Dir == "" {
		return divergence.Process(ctx, s.full, seq, prompt)
	}
	state, err := divergence.State(ctx, s.full, seq, prompt, "", keep)
	if err == nil && s.full != s.sparse {
		err = s.sparse.SetSeqStateData(seq, state)
	}
	return err
}

// use begins a policy after the prompts, in the context that it returns. What is decoded there
// changes no token of a prompt: a policy embeds only tokens again that it has seen decoded.
func (s *contexts) use(l *lab, p policy) (*bridge.Context, error) {
	c := s.sparse
	if p.options == "" {
		c = s.full
	}
	if err := c.DisableRetro(); err != nil {
		return nil, err
	}
	for seq, n := range s.prompts {
		if err := c.SeqRemove(seq, n, -1); err != nil {
			return nil, err
		}
	}
	if p.options == "" {
		return c, nil
	}
	return c, c.EnableRetro(l.options(p))
}
