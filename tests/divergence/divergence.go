package divergence

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
)

// Stream is one text: Prompt is processed at once with full attention, Follow is decoded
// as given, one token a step. All streams of a Comparison have equal lengths.
type Stream struct{ Prompt, Follow []bridge.Token }

// Params configures a Comparison.
type Params struct {
	Threads      int    // 0 = one per processor
	TypeK, TypeV string // of the cache, as in bridge.ContextParams
	Cells        int    // of the cache for each stream, at least; a plan is for half of them
	HostKV       bool   // keep the cache in host memory even for layers on a GPU
	Keep         Keep   // of the states after the prompts
	// folder for a temporary file: what full attention predicts, 4 bytes a token and vocabulary
	// entry
	Dir string
}

// Comparison holds the streams, which it decodes as one batch, after their prompts.
// It is for one goroutine.
type Comparison struct {
	model   *bridge.Model
	ctx     *bridge.Context
	streams []Stream
	prompts [][]byte // states after the prompts
	full    *rows    // log-probabilities under full attention; nil until Full
}

// Run is what one policy did.
type Run struct {
	// from full attention, in nats, per token: streams one after another; nil of Full
	KL  []float32
	NLL float64 // of the texts, in nats per token
	// share of tokens with the same most likely next token as under full attention
	Top1  float64
	Step  time.Duration // a step, which decodes a token of each stream
	Stats stats.Stats   // of the library; none of Full
	Plan  string        // what a plan chose, if the options left something to it
}

// New processes the prompts.
func New(ctx context.Context, model *bridge.Model, p Params, streams []Stream,
) (*Comparison, error) {
	if len(streams) == 0 {
		return nil, errors.New("divergence: no streams")
	}
	prompt, follow := len(streams[0].Prompt), len(streams[0].Follow)
	for _, s := range streams {
		if len(s.Prompt) != prompt || len(s.Follow) != follow || prompt == 0 || follow < 2 {
			return nil, fmt.Errorf("divergence: a stream of %d + %d tokens beside one of %d + "+
				"%d; they must be equal, and not empty",
				len(s.Prompt), len(s.Follow), prompt, follow)
		}
	}
	const pad = 256 // llama.cpp rounds up to it
	c, err := model.NewContext(bridge.ContextParams{
		Ctx:       len(streams) * ((max(p.Cells, prompt+follow) + pad - 1) / pad * pad),
		Seqs:      len(streams),
		Threads:   p.Threads,
		FlashAttn: bridge.FlashOn, TypeK: p.TypeK, TypeV: p.TypeV, HostKV: p.HostKV,
	})
	if err != nil {
		return nil, err
	}
	t := &Comparison{model: model, ctx: c, streams: streams}
	if t.full, err = newRows(p.Dir, model.VocabSize()); err == nil {
		err = t.readPrompts(ctx, p)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close frees the context and the file.
func (t *Comparison) Close() error { return errors.Join(t.ctx.Close(), t.full.close()) }

func (t *Comparison) readPrompts(ctx context.Context, p Params) error {
	for seq, s := range t.streams {
		state, err := State(ctx, t.ctx, seq, s.Prompt, p.TypeK+" "+p.TypeV, p.Keep)
		if err != nil {
			return err
		}
		t.prompts = append(t.prompts, state)
	}
	return nil
}

// Process computes a prompt in an empty sequence, in batches as large as the context takes. Between
// them it looks at ctx.
func Process(ctx context.Context, c *bridge.Context, seq int, prompt []bridge.Token) error {
	runtime.LockOSThread() // OpenMP keeps threads for each thread that calls
	defer runtime.UnlockOSThread()
	pos := 0
	for part := range slices.Chunk(prompt, c.BatchSize()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := bridge.NewBatch(len(part))
		for i, token := range part {
			b.Add(token, pos+i, seq, false)
		}
		if err := c.Decode(b); err != nil {
			return err
		}
		pos += len(part)
	}
	return nil
}

// Full decodes under llama.cpp's own attention, which the policies are compared with. It comes
// first.
func (t *Comparison) Full(ctx context.Context) (Run, error) {
	if err := t.ctx.DisableRetro(); err != nil {
		return Run{}, err
	}
	t.full.whole = false
	r, err := t.decode(ctx, func(step, seq int, logits []float32, v *verdict) error {
		logProbs(logits, v.buf)
		v.nll = -float64(v.buf[t.streams[seq].Follow[step+1]])
		v.same = true
		return t.full.put(t.row(step, seq), v.buf)
	})
	r.KL, t.full.whole = nil, err == nil
	return r, err
}

// Policy decodes with the library and the options, "key=value,...".
func (t *Comparison) Policy(ctx context.Context, options string) (Run, error) {
	if !t.full.whole {
		return Run{}, errors.New("divergence: Policy before Full")
	}
	if err := t.ctx.MemoryClear(); err != nil { // a plan measures in an empty one
		return Run{}, err
	}
	if err := t.ctx.EnableRetro(options); err != nil {
		return Run{}, err
	}
	plan := t.ctx.RetroPlan()
	r, err := t.decode(ctx, func(step, seq int, logits []float32, v *verdict) error {
		if err := t.full.get(t.row(step, seq), v.buf); err != nil {
			return err
		}
		v.compare(v.buf, logits, t.streams[seq].Follow[step+1])
		return nil
	})
	if err != nil {
		return r, err
	}
	r.Plan = plan
	r.Stats, err = t.ctx.RetroStats()
	return r, err
}

// row is the place of a prediction: those of a stream follow each other.
func (t *Comparison) row(step, seq int) int { return seq*t.steps() + step }

// steps is one less than the tokens that follow: the last is only predicted.
func (t *Comparison) steps() int { return len(t.streams[0].Follow) - 1 }

// blockSteps is how many steps are timed together: it covers every period up to its length.
const blockSteps = 32

func (t *Comparison) decode(ctx context.Context,
	judge func(step, seq int, logits []float32, v *verdict) error,
) (Run, error) {
	// OpenMP keeps threads for each thread that calls.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := t.ctx.MemoryClear(); err != nil {
		return Run{}, err
	}
	for seq, state := range t.prompts {
		if err := t.ctx.SetSeqStateData(seq, state); err != nil {
			return Run{}, err
		}
	}
	n := len(t.streams)
	r := Run{KL: make([]float32, n*t.steps())}
	verdicts := make([]verdict, n)
	for i := range verdicts {
		verdicts[i].buf = make([]float32, t.model.VocabSize())
	}
	b := bridge.NewBatch(n)
	var blocks []time.Duration
	var block time.Duration
	same := 0
	for step := range t.steps() {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		b.Clear()
		for seq, s := range t.streams {
			b.Add(s.Follow[step], len(s.Prompt)+step, seq, true)
		}
		start := time.Now()
		if err := t.ctx.Decode(b); err != nil {
			return r, err
		}
		block += time.Since(start)
		if (step+1)%blockSteps == 0 || step+1 == t.steps() && blocks == nil {
			blocks = append(blocks, block/time.Duration(step%blockSteps+1))
			block = 0
		}
		if err := t.judge(step, verdicts, judge); err != nil {
			return r, err
		}
		for seq, v := range verdicts {
			r.KL[t.row(step, seq)] = float32(v.kl)
			r.NLL += v.nll / float64(len(r.KL))
			if v.same {
				same++
			}
		}
	}
	r.Top1 = float64(same) / float64(len(r.KL))
	slices.Sort(blocks)
	r.Step = blocks[len(blocks)/2] // others share the machine
	return r, nil
}

// judge looks at the predictions of a step, all streams at once.
func (t *Comparison) judge(step int, verdicts []verdict,
	judge func(step, seq int, logits []float32, v *verdict) error,
) error {
	errs := make([]error, len(verdicts))
	var wg sync.WaitGroup
	for seq := range verdicts {
		logits, err := t.ctx.Logits(seq)
		if err != nil {
			return err
		}
		wg.Go(func() { errs[seq] = judge(step, seq, logits, &verdicts[seq]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
