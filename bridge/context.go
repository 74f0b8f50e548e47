package bridge

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/retroattn/retroattn/retro/stats"
)

// FlashAttn chooses the attention kernel.
type FlashAttn int

// Kernels. FlashAuto lets llama.cpp decide.
const (
	FlashAuto FlashAttn = iota
	FlashOff
	FlashOn
)

// Limits of llama.cpp, and one on the context that keeps its 32-bit arithmetic safe.
const (
	maxSeqs    = 256
	maxThreads = 512
	maxCtx     = 1 << 27
)

// ContextParams configures NewContext. The zero value is one sequence of the model's trained
// length.
type ContextParams struct {
	// KV cells over all sequences, rounded up to a multiple of 256; 0 = as trained
	Ctx       int
	Batch     int       // most tokens in one Decode; 0 = 2048
	UBatch    int       // most tokens computed at once; 0 = 512
	Seqs      int       // sequence ids are 0..Seqs-1; 0 = 1, at most 256
	Threads   int       // 0 = one per processor
	Unified   bool      // sequences share all cells instead of having Ctx/Seqs each
	FlashAttn FlashAttn // default: llama.cpp decides
	// layers with a sliding window cache little more than it, as in llama.cpp's programs; SeqAdd
	// fails then
	SmallSWA bool
	// keep the cache in host memory even for layers on a GPU, as sparse attention needs
	HostKV bool
	// cache types as ggml names them: "f16" (default), "f32", "bf16", "q8_0", ...
	TypeK string
	TypeV string
	// Metrics, if any, is told after every Decode what sparse attention did; contexts can share one
	Metrics *Metrics
}

const ggmlTypeF16 = 1

// cacheTypes are the ggml types that can hold a KV cache.
var cacheTypes = map[string]int32{
	"": ggmlTypeF16, "f16": ggmlTypeF16, "f32": 0, "bf16": 30,
	"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20,
}

// Context is a KV cache with the buffers to compute on it. It is for one goroutine at a time.
type Context struct {
	lib   *Library
	model *Model
	ptr   uintptr
	mem   uintptr
	guard

	cells   int // over all sequences
	seqCtx  int // most tokens of one sequence
	batch   int
	seqs    int
	unified bool

	rows    []bool      // which rows of the last batch have logits
	outputs int         // how many
	pending bool        // llama.cpp has a copy or shift to do in the next Decode
	abort   func() bool // given to SetAbort
	abortID uintptr

	candidates []cTokenData // of Sampler.Sample

	metrics *Metrics
	counted stats.Stats // what metrics has been told
	reading cRetroStats // scratch of count
}

func (p ContextParams) resolve(c cContextParams) (cContextParams, error) {
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Ctx", p.Ctx, maxCtx}, {"Batch", p.Batch, maxCtx}, {"UBatch", p.UBatch, maxCtx},
		{"Seqs", p.Seqs, maxSeqs}, {"Threads", p.Threads, maxThreads},
	} {
		if f.value < 0 || f.value > f.max {
			return c, argError("%s is %d, must be 0..%d", f.name, f.value, f.max)
		}
	}
	or := func(value, fallback int) int {
		if value == 0 {
			return fallback
		}
		return value
	}
	c.nCtx = uint32(p.Ctx)
	c.nBatch = uint32(or(p.Batch, 2048))
	c.nUbatch = uint32(or(p.UBatch, 512))
	c.nSeqMax = uint32(or(p.Seqs, 1))
	c.nThreads = int32(or(p.Threads, min(runtime.NumCPU(), maxThreads)))
	c.nThreadsBatch = c.nThreads
	c.kvUnified = p.Unified
	c.offloadKQV = !p.HostKV
	c.swaFull = !p.SmallSWA
	switch p.FlashAttn {
	case FlashAuto, FlashOff, FlashOn:
		c.flashAttnType = int32(p.FlashAttn) - 1
	default:
		return c, argError("FlashAttn %d", p.FlashAttn)
	}
	var ok bool
	if c.typeK, ok = cacheTypes[p.TypeK]; !ok {
		return c, argError("TypeK %q", p.TypeK)
	}
	if c.typeV, ok = cacheTypes[p.TypeV]; !ok {
		return c, argError("TypeV %q", p.TypeV)
	}
	return c, nil
}

// NewContext allocates a KV cache and compute buffers. Only decoder models are supported.
func (m *Model) NewContext(params ContextParams) (*Context, error) {
	release, err := m.use()
	if err != nil {
		return nil, err
	}
	defer release()
	l := m.lib
	if l.modelHasEncoder(m.ptr) {
		return nil, argError("models with an encoder are not supported")
	}
	c, err := params.resolve(l.contextDefaults().cContextParams)
	if err != nil {
		return nil, err
	}
	if _, set := os.LookupEnv(retroEnv); set && l.patched {
		if err := l.loadRetro(); err != nil { // before libllama does it
			return nil, err
		}
	}
	var ptr uintptr
	detail := l.log.capture(func() { ptr = l.contextInit(m.ptr, c) })
	if ptr == 0 {
		return nil, errors.New(withDetail("bridge: cannot create a context", detail))
	}
	mem := l.contextMemory(ptr)
	if mem == 0 {
		l.contextFree(ptr)
		return nil, argError("models without a KV cache are not supported")
	}
	m.users.Add(1)
	return &Context{
		lib: l, model: m, ptr: ptr, mem: mem,
		cells:   int(l.contextNCtx(ptr)),
		seqCtx:  int(l.contextNCtxSeq(ptr)),
		batch:   int(l.contextNBatch(ptr)),
		seqs:    int(l.contextNSeqMax(ptr)),
		unified: params.Unified,
		metrics: params.Metrics,
	}, nil
}

// Close frees the context. ErrBusy while a call is running in it; a second Close does nothing.
func (c *Context) Close() error {
	if c == nil {
		return nil
	}
	if first, err := c.close(); !first {
		return err
	}
	c.count()
	c.settle()
	c.lib.contextFree(c.ptr)
	c.forgetAbort()
	c.ptr, c.mem, c.rows, c.candidates = 0, 0, nil, nil
	c.model.users.Add(-1)
	return nil
}

// enter claims the context for a call; leave ends it.
func (c *Context) enter() error {
	if c == nil || c.lib == nil {
		return argError("nil context")
	}
	return c.guard.enter()
}

// Model returns the model of the context.
func (c *Context) Model() *Model { return c.model }

// Cells returns the size of the KV cache in tokens over all sequences.
func (c *Context) Cells() int { return c.cells }

// SeqCtx returns the most tokens that one sequence can hold.
func (c *Context) SeqCtx() int { return c.seqCtx }

// BatchSize returns the most tokens that one Decode takes, which may be less than asked for.
func (c *Context) BatchSize() int { return c.batch }

// Seqs returns the number of sequence ids.
func (c *Context) Seqs() int { return c.seqs }

// SetThreads changes the number of threads of later Decodes: of those of one token, and of all
// others. With sparse attention enabled, more than both Threads of the context and the number of
// processors end it: the next Decode logs an error and goes on with full attention.
func (c *Context) SetThreads(decode, batch int) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	for _, n := range []int{decode, batch} {
		if n < 1 || n > maxThreads {
			return argError("%d threads, must be 1..%d", n, maxThreads)
		}
	}
	c.lib.setThreads(c.ptr, int32(decode), int32(batch))
	return nil
}

// Decode computes a batch and stores its keys and values in the memory. Positions of a sequence
// must go on from the last one in the memory without a gap. Errors: ErrArgument, or a *DecodeError,
// which matches ErrNoSlot and ErrAborted.
func (c *Context) Decode(b *Batch) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	return c.decode(b)
}

func (c *Context) decode(b *Batch) error {
	if err := c.checkBatch(b); err != nil {
		return err
	}
	c.rows, c.outputs = c.rows[:0], 0

	raw := b.pin()
	defer b.unpin()
	var code int32
	detail := c.lib.log.capture(func() { code = c.lib.decode(c.ptr, raw) })
	if code != -1 {
		c.pending = false // done before the batch, but after its checks
	}
	c.count()
	if code != 0 {
		return &DecodeError{Code: int(code), Detail: detail}
	}
	for _, want := range b.logits {
		c.rows = append(c.rows, want != 0)
		c.outputs += int(want)
	}
	return nil
}

// checkBatch finds what would abort the process or read out of bounds.
func (c *Context) checkBatch(b *Batch) error {
	switch {
	case b == nil:
		return argError("nil batch")
	case b.err != nil:
		return b.err
	case b.Len() == 0:
		return argError("empty batch")
	case b.Len() > c.batch:
		return argError("batch of %d tokens, this context takes %d", b.Len(), c.batch)
	}
	for i, token := range b.tokens {
		if !c.model.valid(token) {
			return argError("batch entry %d: token %d, the vocabulary has %d", i, token,
				c.model.size)
		}
		if int(b.seqs[i]) >= c.seqs {
			return argError("batch entry %d: sequence %d, this context has %d", i, b.seqs[i],
				c.seqs)
		}
	}
	return nil
}

// Logits returns the row of logits of entry i of the last batch, or, for negative i, of the rows
// that were asked for, counted from the end. The row lies in C memory and is valid until the next
// Decode, state load or Close.
func (c *Context) Logits(i int) ([]float32, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	return c.row(i)
}

func (c *Context) row(i int) ([]float32, error) {
	switch {
	case i >= len(c.rows) || i < -c.outputs:
		return nil, argError("row %d of a batch of %d with %d rows of logits", i, len(c.rows),
			c.outputs)
	case i >= 0 && !c.rows[i]:
		return nil, argError("row %d was added without logits", i)
	}
	row := c.lib.logitsIth(c.ptr, int32(i))
	if row == nil {
		return nil, fmt.Errorf("bridge: no logits for row %d", i)
	}
	return unsafe.Slice(row, c.model.size), nil
}
