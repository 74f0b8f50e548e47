package retro

import (
	"math"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
	"github.com/retroattn/retroattn/retro/stats"
)

// Limits on what a host may ask for; they bound memory before anything is allocated.
const (
	MaxCells   = 1 << 27
	MaxRows    = 4096
	MaxThreads = 1024
	maxSeqs    = 256
	MaxHeads   = 1024
	maxHeadDim = 1024
)

// Config is the shape of the KV cache and of the largest step.
type Config struct {
	Layers  int // attention layers
	Seqs    int // sequence ids are 0..Seqs-1
	Cells   int // KV cells over all streams
	Rows    int // most rows in one step
	Threads int // most threads that call Attend
	// the model keeps a state that goes back only to where the last window ended: period = window
	Whole bool

	// Room is asked whether so many bytes can be had before the first step takes them; nil = they
	// can.
	Room func(bytes uint64) error
}

// Layer is one attention layer and where its keys and values lie: row c of K
// begins at K + c*KRow bytes, KV head h of it at + h*KHead; V likewise, and may be a part of K.
type Layer struct {
	TypeK, TypeV   kernels.Type
	Heads, KVHeads int
	DK, DV         int // head sizes, multiples of 8, of 32 where the type is quantised
	K, V           unsafe.Pointer
	KSize, VSize   uint64 // bytes readable at K and V
	KRow, VRow     uint64
	KHead, VHead   uint64

	// Rotation, a power of two that divides DK, or 0, says that keys and queries come multiplied
	// by an orthonormal Walsh-Hadamard matrix per so many channels, as llama.cpp does for
	// quantised keys. It spreads outliers, and with them what tells pages apart:
	// summaries are taken of keys as they were before.
	Rotation int

	// SoftCap, when above 0, bounds logits to c*tanh(x/c).
	SoftCap float32
	// Sinks, unless empty, holds a logit per query head that takes part in the
	// softmax without a value.
	Sinks []float32
}

// layer is a registered Layer with what the engine derives from it.
type layer struct {
	Layer
	gqa     int // query heads per KV head
	kBytes  int // of a row of K of one KV head
	vBytes  int // of a row of V; 0 where it is a part of that of K
	parts   []part
	headOff int // index of the layer's first KV head among all layers' heads
	ring    ringLayout
}

// keys and values are the caches of KV head h.
func (l *layer) keys(h int) kernels.Cache {
	return kernels.Cache{Type: l.TypeK, Dim: l.DK, Base: unsafe.Add(l.K, uint64(h)*l.KHead),
		Stride: uintptr(l.KRow)}
}

func (l *layer) values(h int) kernels.Cache {
	return kernels.Cache{Type: l.TypeV, Dim: l.DV, Base: unsafe.Add(l.V, uint64(h)*l.VHead),
		Stride: uintptr(l.VRow)}
}

// Engine holds everything about one KV cache. Only Select and Attend may be called
// from several goroutines or threads at once.
type Engine struct {
	cfg    Config
	asked  options.Options // as they came
	host   plan.Host
	opt    options.Options // with what was left to a plan
	layers []layer
	ready  bool // layers complete, scratch allocated

	seqs      []*sequence // by id; nil until first used
	sumBlock  int         // bytes of a block of summaries, over all layers
	codeBlock int         // bytes of the codes of codePages pages, over all layers
	kvHeads   int         // KV heads over all layers
	maxPages  int
	budgets   []options.Budget // per layer

	step    step
	jobs    []job
	items   []item
	workers []worker

	exactLeft []atomic.Int32 // see exactJob
	// partials of exact rows, of ranges that are to be joined
	exactM, exactL, exactAcc []float32

	cuts []cut // scratch, per layer

	auditTurn uint64 // see audits

	stats stats.Stats
}

// Open checks the configuration and the options.
func Open(cfg Config, opt options.Options) (*Engine, error) {
	opt.Whole = cfg.Whole
	asked := opt
	opt = asked.With(options.Fallback)
	if err := opt.Check(); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name      string
		value, hi int
	}{
		{"n_layer", cfg.Layers, options.MaxLayers}, {"n_seq", cfg.Seqs, maxSeqs},
		{"n_cell", cfg.Cells, MaxCells},
		{"n_row", cfg.Rows, MaxRows}, {"n_thread", cfg.Threads, MaxThreads},
	} {
		if c.value < 1 || c.value > c.hi {
			return nil, failure.Argumentf("%s=%d: must be 1..%d", c.name, c.value, c.hi)
		}
	}
	if err := opt.CheckLayers(cfg.Layers); err != nil {
		return nil, err
	}
	if cfg.Rows < opt.Window {
		return nil, failure.Argumentf("n_row=%d: must be at least the window (%d)", cfg.Rows,
			opt.Window)
	}
	e := &Engine{
		cfg: cfg, asked: asked, opt: opt,
		layers:   make([]layer, cfg.Layers),
		seqs:     make([]*sequence, cfg.Seqs),
		maxPages: cfg.Cells/opt.Page + 1,
		step:     step{seqs: make([]stepSeq, 0, min(cfg.Seqs, cfg.Rows))},
	}
	e.budgets = e.opt.LayerBudgets(len(e.layers))
	return e, nil
}

// AddLayer registers attention layer i. Every size is checked, so that no cell
// below Cells can reach outside K and V.
func (e *Engine) AddLayer(i int, l Layer) error {
	if e.ready {
		return failure.Statef("layer %d comes after the first step", i)
	}
	if i < 0 || i >= len(e.layers) {
		return failure.Argumentf("layer %d: must be 0..%d", i, len(e.layers)-1)
	}
	for _, t := range []kernels.Type{l.TypeK, l.TypeV} {
		if t.RowBytes(32) == 0 {
			return failure.Unsupportedf("layer %d has K or V of %v: supported are f32, f16, bf16, q8_0 and q4_0, set --cache-type-k and --cache-type-v", i, t)
		}
	}
	if l.KVHeads < 1 || l.Heads < l.KVHeads || l.Heads > MaxHeads || l.Heads%l.KVHeads != 0 {
		return failure.Argumentf("layer %d has %d query heads on %d KV heads: must be a multiple, at most %d", i, l.Heads, l.KVHeads, MaxHeads)
	}
	for _, d := range []int{l.DK, l.DV} {
		if d < 8 || d > maxHeadDim || d%8 != 0 {
			return failure.Unsupportedf("layer %d has head size %d: must be a multiple of 8 up to %d", i, d, maxHeadDim)
		}
	}
	kBytes, vBytes := l.TypeK.RowBytes(l.DK), l.TypeV.RowBytes(l.DV)
	if kBytes == 0 || vBytes == 0 {
		return failure.Unsupportedf("layer %d has head sizes %d and %d: must be multiples of 32 for %v and %v, use --cache-type-k f16 --cache-type-v f16", i, l.DK, l.DV, l.TypeK, l.TypeV)
	}
	if r := l.Rotation; r != 0 && (r < 2 || r&(r-1) != 0 || l.DK%r != 0) {
		return failure.Argumentf("layer %d has keys rotated by %d channels: must be a power of two that divides the head size %d, or 0", i, r, l.DK)
	}
	if l.K == nil || l.V == nil {
		return failure.Argumentf("layer %d has no K or V", i)
	}
	if !(l.SoftCap >= 0 && l.SoftCap <= math.MaxFloat32) || len(l.Sinks) != 0 &&
		len(l.Sinks) != l.Heads {
		return failure.Argumentf("layer %d has a soft cap of %v and %d sinks: must be >= 0 and one per query head", i, l.SoftCap, len(l.Sinks))
	}
	if err := checkExtent("K", i, l.KSize, l.KRow, l.KHead, l.KVHeads, kBytes,
		e.cfg.Cells); err != nil {
		return err
	}
	if err := checkExtent("V", i, l.VSize, l.VRow, l.VHead, l.KVHeads, vBytes,
		e.cfg.Cells); err != nil {
		return err
	}
	latent := l.latent(kBytes, vBytes)
	if latent {
		vBytes = 0
	}
	l.Sinks = slices.Clone(l.Sinks)
	e.layers[i] = layer{Layer: l, gqa: l.Heads / l.KVHeads, kBytes: kBytes, vBytes: vBytes}
	e.layers[i].parts = e.layers[i].split(latent)
	return nil
}

// latent tells whether the rows of V lie in those of K, as where latents are cached.
func (l *Layer) latent(kBytes, vBytes int) bool {
	k, v := uintptr(l.K), uintptr(l.V)
	return v >= k && v-k+uintptr(vBytes) <= uintptr(kBytes) && l.VRow == l.KRow &&
		l.VHead == l.KHead
}

// checkExtent checks where K or V lies; bytes is the size of one head's row.
func checkExtent(name string, layer int, size, row, head uint64, heads, bytes, cells int) error {
	const most = 1 << 40 // keeps the products below far from overflow
	if row > most/MaxCells || head > row {
		return failure.Argumentf("layer %d: %s has strides of %d and %d bytes, which are not those of a cell and a head in it", layer, name, row, head)
	}
	inRow := uint64(heads-1)*head + uint64(bytes)
	if inRow > row || size < uint64(cells-1)*row+inRow {
		return failure.Argumentf("layer %d: %s of %d bytes is too small for %d cells of %d bytes",
			layer, name, size, cells, row)
	}
	return nil
}

// prepare allocates, once, everything the steps will need.
func (e *Engine) prepare() error {
	if e.ready {
		return nil
	}
	// all, before anything is laid out: the host may add what is missing and go on
	for i := range e.layers {
		if e.layers[i].K == nil {
			return failure.Statef("layer %d was not added", i)
		}
	}
	if err := e.checkFootprint(); err != nil {
		return err
	}
	e.layoutParts()
	e.layoutRings()
	e.layoutAudits()

	maxSeqs, most := cap(e.step.seqs), e.largest()
	cuts := make([]cut, (maxSeqs+1)*len(e.layers))
	e.cuts = cuts[:len(e.layers)]
	for i := range maxSeqs {
		e.step.seqs[:maxSeqs][i].cuts = cuts[(i+1)*len(e.layers):][:len(e.layers)]
	}
	e.jobs = make([]job, len(e.layers))
	for i := range e.jobs {
		e.jobs[i].claims = make([]claim, maxSeqs*e.layers[i].KVHeads)
	}
	e.items = make([]item, maxSeqs*most.kv)
	for i := range e.items {
		e.items[i].ranges = make([]ownRange, mostOwners(i, e.cfg.Threads))
	}
	e.workers = make([]worker, e.cfg.Threads)
	for i := range e.workers {
		e.workers[i].allocate(&e.opt, most)
		e.workers[i].passed = make([]uint8, len(e.items), (len(e.items)+127)&^127) // lines of its own
	}
	e.ready = true
	return nil
}

// Cells is the number of KV cells it was opened with.
func (e *Engine) Cells() int { return e.cfg.Cells }

// Threads is the most threads it was opened for.
func (e *Engine) Threads() int { return e.cfg.Threads }

// MaxWindow is the most past rows per sequence that a step can ask for.
func (e *Engine) MaxWindow() int { return e.opt.Window - 1 }
