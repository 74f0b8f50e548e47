package speed

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/retroattn/retroattn/tests/lab/machine"
)

// promptOptions leave nothing to a plan but who attends: exact tokens are the same with any.
func (o *Command) promptOptions() string { return "budget=1024,window=1,prompts=" + o.By }

// Pass is a batch of a sequence's next tokens, computed again and again in the same place.
type Pass struct {
	Slot          string
	Depth, Tokens int
	Drafts        bool    // all logits are read, not just the last ones
	Seconds       float64 // about how long; once at least
}

// Passed is what came out.
type Passed struct {
	NS     int64
	Passes int
	Exact  uint64 // tokens that the library computed exactly
}

// Pass computes the batch and takes it out again.
func (w *Worker) Pass(p Pass, done *Passed) error {
	defer machine.Idle()
	c, err := w.slot(p.Slot)
	if err != nil {
		return err
	}
	w.batch.Clear()
	for i := range p.Tokens {
		w.batch.Add(w.token(p.Depth+i), p.Depth+i, 0, p.Drafts || i == p.Tokens-1)
	}
	before, _, err := counted(c)
	if err != nil {
		return err
	}
	for done.Passes == 0 || time.Duration(done.NS).Seconds() < p.Seconds {
		begun := time.Now()
		if err := c.Decode(w.batch); err != nil {
			return err
		}
		if _, err := c.Logits(-1); err != nil {
			return err
		}
		done.NS += int64(time.Since(begun))
		done.Passes++
		if err := c.SeqRemove(0, p.Depth, -1); err != nil {
			return err
		}
	}
	after, on, err := counted(c)
	if on {
		done.Exact = after.ExactTokens - before.ExactTokens
	}
	return err
}

// PromptResult is a line of the table.
type PromptResult struct {
	Test   string    `json:"test"` // prompt or drafts
	KV     string    `json:"type"`
	Depth  int       `json:"depth"`
	Tokens int       `json:"tokens"`
	By     string    `json:"by"`
	Plan   string    `json:"plan,omitempty"`
	Stock  []float64 `json:"stock_tok_s"`
	Ours   []float64 `json:"ours_tok_s"`
	Exact  uint64    `json:"exact_tokens"` // of all that ours computed
}

// promptCells are prompts of a micro-batch and drafts, for each type.
func promptCells(o *Command) (all []PromptResult) {
	types, prompts, drafts := o.Types, []int{4096, 16384}, []int{8192, 32768}
	if len(types) == 0 {
		types = []string{"f16", "q8_0", "q4_0"}
	}
	if len(o.Depths) > 0 {
		prompts, drafts = o.Depths, o.Depths
	}
	for _, kv := range types {
		for _, d := range prompts {
			all = append(all, PromptResult{Test: "prompt", KV: kv, Depth: d, Tokens: 512,
				By: o.By})
		}
		for _, d := range drafts {
			all = append(all, PromptResult{Test: "drafts", KV: kv, Depth: d, Tokens: 8,
				By: o.By})
		}
	}
	if o.Quick {
		all = slices.DeleteFunc(all, func(r PromptResult) bool { return r.Depth > 4096 })
	}
	return all
}

// runPrompts measures prompts and the verification of drafts, stock and ours in turns.
func (b *runner) runPrompts() error {
	b.introduce()
	results := promptCells(b.o)
	var cells []cell
	for _, r := range results {
		cells = append(cells, cell{kv: r.KV, seqs: 1, depth: r.Depth})
	}
	if err := b.fillBases(cells); err != nil {
		return err
	}
	if err := b.chooseThreads(cells[0].kv); err != nil {
		return err
	}
	var failed error
	for i, c := range cells {
		b.note("[%d/%d] %s of %d tokens, %s ...", i+1, len(cells), results[i].Test,
			results[i].Tokens, c)
		if err := b.prompt(c, &results[i]); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c, err))
			continue
		}
		failed = errors.Join(failed, b.record(results[i]))
	}
	writePrompts(b.out, results)
	return failed
}

// prompt measures one line.
func (b *runner) prompt(c cell, r *PromptResult) error {
	if err := b.make(c); err != nil {
		return err
	}
	both := []*remote{b.stock, b.ours}
	for _, worker := range both {
		if err := worker.call("Open", Open{Slot: ramSlot, Type: c.kv, Seqs: 1, Threads: b.threads,
			Depth: c.depth + r.Tokens}, new(int)); err != nil {
			return err
		}
		defer worker.call("Close", ramSlot, new(bool))
	}
	var plan string // which is made in an empty context
	if err := b.ours.call("Policy", Policy{Slot: ramSlot, On: true,
		Options: b.o.promptOptions()}, &plan); err != nil {
		return err
	}
	r.Plan = plan
	if plan != "" {
		b.note("%s", plan)
	}
	for _, worker := range both {
		if err := worker.call("Load", ramSlot, new(bool)); err != nil {
			return err
		}
	}
	for round := range b.o.Runs + 1 {
		for i, worker := range both {
			var p Passed
			if err := worker.call("Pass", Pass{ramSlot, c.depth, r.Tokens, r.Test == "drafts",
				b.o.Seconds}, &p); err != nil {
				return err
			}
			tokens := uint64(p.Passes * r.Tokens)
			if i == 1 {
				if err := r.check(p.Exact, tokens); err != nil {
					return err
				}
			}
			if round == 0 { // memory is reserved, and summaries of what was loaded are built
				continue
			}
			rates := []*[]float64{&r.Stock, &r.Ours}[i]
			*rates = append(*rates, float64(tokens)/(float64(p.NS)/1e9))
			r.Exact += p.Exact
		}
	}
	return nil
}

// check fails if others than asked for attended to the tokens, of which the library computed some.
// Who attends to drafts beside a device is measured.
func (r *PromptResult) check(exact, tokens uint64) error {
	if r.By == "cpu" && exact != tokens || r.By == "device" && r.Test == "prompt" && exact != 0 {
		return fmt.Errorf("with --by %s the library computed %d of %d tokens", r.By, exact, tokens)
	}
	return nil
}

// ratios are ours to stock, round by round, from least to most.
func (r *PromptResult) ratios() (x []float64) {
	for i, ours := range r.Ours {
		x = append(x, ours/r.Stock[i])
	}
	slices.Sort(x)
	return x
}

func writePrompts(out io.Writer, results []PromptResult) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\n\ttype\tdepth\tstock t/s\tours t/s\tleast\tmedian\tmost\texact tokens\t")
	for i := range results {
		if r := &results[i]; len(r.Ours) > 0 {
			x := r.ratios()
			fmt.Fprintf(w, "%s of %d\t%s\t%d\t%.1f\t%.1f\t%.2f x\t%.2f x\t%.2f x\t%d\t\n", r.Test,
				r.Tokens, r.KV, r.Depth, median(r.Stock), median(r.Ours),
				x[0], median(x), x[len(x)-1], r.Exact)
		}
	}
	w.Flush()
}
