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
const learning = 24

// lossless continues the text by as many tokens as take so long, and takes them out again.
func (w *Worker) lossless(c *bridge.Context, r Run, ran *Ran) error {
	if c.Seqs() != 1 {
		return fmt.Errorf("%s is measured with 1 sequence, not %d", losslessName, c.Seqs())
	}
	runtime.GC()
	var begun time.Time
	var before stats.Stats
	var err error
	n := 0
	got, failed := c.Generate(context.Background(), "",
		bridge.GenerateOptions{Tokens: []bridge.Token{w.token(r.Depth)},
			MaxTokens: learning + maxSteps, Draft: r.Draft},
		func(string) bool {
			if n++; n == learning {
				before, _, err = counted(c)
				begun = time.Now()
			}
			return n <= learning || time.Since(begun).Seconds() < r.Seconds
		})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	ran.NS, ran.FirstNS, ran.RSS, ran.Drafts = int64(time.Since(begun)), int64(got.PromptTime),
		machine.Resident(), got.Drafts
	if ran.Steps = len(got.Tokens) - learning; ran.Steps < minSteps {
		return fmt.Errorf("the model ended its text after %d tokens: name another one with --text",
			len(got.Tokens))
	}
	after, _, err := counted(c)
	if err != nil {
		return err
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
