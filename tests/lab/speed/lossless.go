package speed

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// losslessName begins the names of policies whose tokens are drafted with sparse attention and
// verified with full attention. What is decoded is the model's own greedy continuation: whether a
// draft is accepted depends on it.
const losslessName = "lossless"

func (p policy) lossless() bool { return strings.HasPrefix(p.name, losslessName) }

// learning is how many tokens come before the clock starts, while the costs of drafts are measured.
func learning(r Run) int { return 16 + 2*r.Draft }

// mostLossless is the most tokens after these.
const mostLossless = 192

// lossless continues the text by as many tokens as take so long, and takes them out again. Tokens
// come by the draft: the clock runs from the first of one to the first of another.
func (w *Worker) lossless(c *bridge.Context, r Run, ran *Ran) error {
	if c.Seqs() != 1 {
		return fmt.Errorf("%s is measured with 1 sequence, not %d", losslessName, c.Seqs())
	}
	runtime.GC()
	var begun time.Time
	var before, after stats.Stats
	var err error
	n, first := 0, 0
	got, failed := c.Generate(context.Background(), "",
		bridge.GenerateOptions{Tokens: []bridge.Token{w.token(r.Depth)},
			MaxTokens: learning(r) + mostLossless, Draft: r.Draft},
		func(string) bool {
			now, _, e := counted(c)
			err = errors.Join(err, e)
			n++
			switch { // a device's verification is not counted, but the drafts before it
			case n <= learning(r) || now.Tokens+now.ExactTokens == after.Tokens+after.ExactTokens:
			case first == 0:
				begun, before, first = time.Now(), now, n
			default:
				ran.NS, ran.Steps = int64(time.Since(begun)), n-first
			}
			after = now
			return first == 0 || time.Duration(ran.NS).Seconds() < r.Seconds
		})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	ran.FirstNS, ran.RSS, ran.Drafts = int64(got.PromptTime), machine.Resident(), got.Drafts
	if ran.Steps < minSteps {
		return fmt.Errorf("the model ended its text after %d tokens: name another one with --text",
			len(got.Tokens))
	}
	ran.Extra = after.SummaryBytes + after.RingBytes
	done := after.Since(before)
	ran.Stats = &done
	return c.SeqRemove(0, r.Depth, -1)
}

// proofLossless refuses figures without sparse drafts where they pay, and says what became of them.
func proofLossless(c cell, t *variant, r *Result) error {
	s, _ := sum(t.runs)
	var d bridge.Drafts
	for _, run := range t.runs {
		d.Verified += run.Drafts.Verified
		d.Tokens += run.Drafts.Tokens
		d.Accepted += run.Drafts.Accepted
	}
	if d.Tokens == 0 || s.Tokens == 0 {
		r.Note = "decoded exactly, as no draft pays"
		return nil
	}
	if s.SparseTokens == 0 && mustSkip(t.parsed, c.depth) {
		return fmt.Errorf("not sparse: nothing was left out of %d tokens", c.depth)
	}
	r.Accepted = figure(d.Accepted) / figure(d.Tokens)
	r.Note = fmt.Sprintf("%d drafts of %.1f tokens, %.0f %% of which full attention confirmed; "+
		"KV read is that of drafts",
		d.Verified, float64(d.Tokens)/float64(d.Verified), 100*float64(r.Accepted))
	return nil
}
