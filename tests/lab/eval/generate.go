package eval

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/divergence"
)

// query is a question after a prompt and how its answer ends: where the model ends it, where done
// says so, or after max tokens.
type query struct {
	question []bridge.Token
	// decode the question token by token under the policy; else at once, as the prompt that it is
	sparse bool
	max    int
	done   func(text string) bool
}

// answers are the texts generated for the queries, and how they were made.
type answers struct {
	texts  []string
	tokens []int // decoded under the policy, of each, sparse questions included
	total  int
	sparse int // tokens that the library must have decoded, drafts that were refused included
	took   time.Duration
	stats  stats.Stats // none of full attention
}

// generation is an answer in progress.
type generation struct {
	query
	seq    int
	tokens []bridge.Token // question and answer
	n      int            // of them decoded
	text   []byte
	over   bool
}

// generate answers greedily, so that policies differ by their attention only; the i-th question
// follows the i-th prompt, all in one batch. The sequences are then as they were before.
func (s *contexts) generate(ctx context.Context, c *bridge.Context, queries []query,
) (a answers, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	running := make([]*generation, len(queries))
	for i, q := range queries {
		running[i] = &generation{query: q, seq: i, tokens: slices.Clone(q.question)}
	}
	a.tokens = make([]int, len(queries))
	live := slices.Clone(running)
	for b := bridge.NewBatch(len(queries)); len(live) > 0; {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		if err := s.step(c, b, live, &a); err != nil {
			return a, err
		}
		live = slices.DeleteFunc(live, func(r *generation) bool { return r.over })
	}
	for _, r := range running {
		a.texts = append(a.texts, string(r.text))
		a.total += a.tokens[r.seq]
		if err := c.SeqRemove(r.seq, s.prompts[r.seq], -1); err != nil {
			return a, err
		}
	}
	a.sparse = a.total
	if a.stats, err = c.RetroStats(); errors.Is(err, bridge.ErrRetroOff) {
		err = nil
	}
	return a, err
}

// step decodes what is next of each answer, and chooses a token where the question has ended.
func (s *contexts) step(c *bridge.Context, b *bridge.Batch, live []*generation, a *answers) error {
	b.Clear()
	prompt := false
	rows := make([]int, len(live))
	for i, r := range live {
		until := r.n + 1
		if !r.sparse {
			until = len(r.tokens)
		}
		prompt = prompt || until > r.n+1
		for ; r.n < until; r.n++ {
			rows[i] = b.Len()
			b.Add(r.tokens[r.n], s.prompts[r.seq]+r.n, r.seq, r.n+1 == until)
		}
	}
	start := time.Now()
	if err := c.Decode(b); err != nil {
		return err
	}
	if !prompt {
		a.took += time.Since(start)
	}
	for i, r := range live {
		if !prompt {
			a.tokens[r.seq]++
		}
		if r.n < len(r.question) {
			continue
		}
		row, err := c.Logits(rows[i])
		if err == nil {
			err = r.choose(c.Model(), bridge.Argmax(row))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// choose takes the next token of an answer, or ends it.
func (r *generation) choose(m *bridge.Model, token bridge.Token) error {
	if m.IsEOG(token) {
		r.over = true
		return nil
	}
	piece, err := m.Piece(token)
	r.tokens = append(r.tokens, token)
	r.text = append(r.text, piece...)
	r.over = len(r.tokens)-len(r.question) >= r.max || r.done(string(r.text))
	return err
}

// likelihoods are the negative log-likelihoods of the right answers, in nats per token, NaN where
// there is none. They tell policies apart with far fewer prompts than answers do, which are right or
// wrong. The sequences are then as they were before.
func (s *contexts) likelihoods(ctx context.Context, c *bridge.Context, samples []sample,
) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nll := make([]float64, len(samples))
	b := bridge.NewBatch(len(samples))
	for step := 0; ; step++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.Clear()
		var live []int
		for seq, x := range samples {
			if step < len(x.truth) {
				token := x.prompt[len(x.prompt)-1]
				if step > 0 {
					token = x.truth[step-1]
				}
				live = append(live, seq)
				b.Add(token, s.prompts[seq]+step, seq, true)
			}
		}
		if len(live) == 0 {
			break
		}
		if err := c.Decode(b); err != nil {
			return nil, err
		}
		for row, seq := range live {
			logits, err := c.Logits(row)
			if err != nil {
				return nil, err
			}
			nll[seq] += divergence.NLL(logits, samples[seq].truth[step])
		}
	}
	for seq, n := range s.prompts {
		nll[seq] /= float64(len(samples[seq].truth)) // 0/0 is NaN
		if err := c.SeqRemove(seq, n, -1); err != nil {
			return nil, err
		}
	}
	return nll, nil
}

// lossless answers one query after another, each by drafts that full attention verifies. Drafts are
// made whether they pay or not: it is to show that no answer changes.
func (s *contexts) lossless(ctx context.Context, c *bridge.Context, queries []query, draft int,
) (a answers, err error) {
	for seq, q := range queries {
		text := ""
		g, err := c.Generate(ctx, "", bridge.GenerateOptions{Seq: seq, MaxTokens: q.max,
			Tokens: q.question, Draft: draft, DraftMin: draft},
			func(piece string) bool {
				text += piece
				return !q.done(text)
			})
		if err == nil {
			err = c.SeqRemove(seq, s.prompts[seq], -1)
		}
		if err != nil {
			return a, err
		}
		a.texts, a.tokens = append(a.texts, g.Text), append(a.tokens, len(g.Tokens))
		a.total, a.took = a.total+len(g.Tokens), a.took+g.Time
		a.sparse += g.Drafts.Tokens
	}
	a.stats, err = c.RetroStats()
	return a, err
}
