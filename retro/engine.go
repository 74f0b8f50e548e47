package retro

import (
	"sync/atomic"
	"unsafe"
)

// Limits on what a host may ask for; they bound memory before anything is allocated.
const (
	MaxCells   = 1 << 27
	MaxRows    = 4096
	MaxThreads = 1024
	maxLayers  = 1024
	maxSeqs    = 256
	maxHeads   = 1024
	maxHeadDim = 1024
)

// Config is the shape of the KV cache and of the largest step.
type Config struct {
	Layers  int // attention layers
	Seqs    int // sequence ids are 0..Seqs-1
	Cells   int // KV cells over all streams
	Rows    int // most rows in one step
	Threads int // most threads that call Attend
}

// Type is an element type of K or V, numbered as ggml_type.
type Type uint32

// F16 is IEEE half precision.
const F16 Type = 1

// Layer is one attention layer and where its keys and values lie: row c of K
// begins at K + c*KRow bytes, KV head h of it at + h*KHead; V likewise.
type Layer struct {
	TypeK, TypeV   Type
	Heads, KVHeads int
	DK, DV         int // head sizes, multiples of 8
	K, V           unsafe.Pointer
	KSize, VSize   uint64 // bytes readable at K and V
	KRow, VRow     uint64
	KHead, VHead   uint64
}

// layer is a registered Layer with what the engine derives from it.
type layer struct {
	Layer
	group   int // query heads per KV head
	sumOff  int // offset of the layer in a summary chunk, in elements
	sumLen  int // elements of one page summary of one KV head; 0: none
	headOff int // index of the layer's first KV head among all layers' heads
	ring    ringLayout
}

// Engine holds everything about one KV cache. Only Attend may be called from
// several goroutines or threads at once.
type Engine struct {
	cfg    Config
	opt    Options
	layers []layer
	ready  bool // layers complete, scratch allocated

	seqs     []*sequence // by id; nil until first used
	sumChunk int         // elements of a summary chunk over all layers
	kvHeads  int         // KV heads over all layers
	maxPages int

	step    step
	jobs    []job
	items   []item
	workers []worker

	stats Stats
}

// Open checks the configuration and the options.
func Open(cfg Config, opt Options) (*Engine, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name      string
		value, hi int
	}{
		{"n_layer", cfg.Layers, maxLayers}, {"n_seq", cfg.Seqs, maxSeqs}, {"n_cell", cfg.Cells, MaxCells},
		{"n_row", cfg.Rows, MaxRows}, {"n_thread", cfg.Threads, MaxThreads},
	} {
		if c.value < 1 || c.value > c.hi {
			return nil, argumentf("%s=%d: must be 1..%d", c.name, c.value, c.hi)
		}
	}
	if cfg.Rows < opt.Window {
		return nil, argumentf("n_row=%d: must be at least the window (%d)", cfg.Rows, opt.Window)
	}
	return &Engine{
		cfg: cfg, opt: opt,
		layers:   make([]layer, cfg.Layers),
		seqs:     make([]*sequence, cfg.Seqs),
		maxPages: cfg.Cells/opt.Page + 1,
		step:     step{seqs: make([]stepSeq, 0, cfg.Rows)},
	}, nil
}

// AddLayer registers attention layer i. Every size is checked, so that no cell
// below Cells can reach outside K and V.
func (e *Engine) AddLayer(i int, l Layer) error {
	if e.ready {
		return statef("layer %d comes after the first step", i)
	}
	if i < 0 || i >= len(e.layers) {
		return argumentf("layer %d: must be 0..%d", i, len(e.layers)-1)
	}
	if l.TypeK != F16 || l.TypeV != F16 {
		return unsupportedf("layer %d has K of ggml type %d and V of type %d: only f16 (1) is supported, use --cache-type-k f16 --cache-type-v f16", i, l.TypeK, l.TypeV)
	}
	if l.KVHeads < 1 || l.Heads < l.KVHeads || l.Heads > maxHeads || l.Heads%l.KVHeads != 0 {
		return argumentf("layer %d has %d query heads on %d KV heads: must be a multiple, at most %d", i, l.Heads, l.KVHeads, maxHeads)
	}
	for _, d := range []int{l.DK, l.DV} {
		if d < 8 || d > maxHeadDim || d%8 != 0 {
			return unsupportedf("layer %d has head size %d: must be a multiple of 8 up to %d", i, d, maxHeadDim)
		}
	}
	if l.K == nil || l.V == nil {
		return argumentf("layer %d has no K or V", i)
	}
	if err := checkExtent("K", i, l.KSize, l.KRow, l.KHead, l.KVHeads, l.DK, e.cfg.Cells); err != nil {
		return err
	}
	if err := checkExtent("V", i, l.VSize, l.VRow, l.VHead, l.KVHeads, l.DV, e.cfg.Cells); err != nil {
		return err
	}
	e.layers[i] = layer{Layer: l, group: l.Heads / l.KVHeads}
	return nil
}

func checkExtent(name string, layer int, size, row, head uint64, heads, dim, cells int) error {
	const most = 1 << 40 // keeps the products below far from overflow
	if row > most/MaxCells || head > row {
		return argumentf("layer %d: %s has strides of %d and %d bytes, which are not those of a cell and a head in it", layer, name, row, head)
	}
	need := uint64(cells-1)*row + uint64(heads-1)*head + uint64(dim)*2
	if uint64(heads-1)*head+uint64(dim)*2 > row || size < need {
		return argumentf("layer %d: %s of %d bytes is too small for %d cells of %d bytes", layer, name, size, cells, row)
	}
	return nil
}

// prepare allocates, once, everything the steps will need.
func (e *Engine) prepare() error {
	if e.ready {
		return nil
	}
	maxKV, maxGroup, maxDK, maxDV := 0, 0, 0, 0
	for i := range e.layers {
		l := &e.layers[i]
		if l.K == nil {
			return statef("layer %d was not added", i)
		}
		l.sumLen = summaryLen(e.opt.Select, l.DK)
		l.sumOff = e.sumChunk
		l.headOff = e.kvHeads
		e.sumChunk += l.KVHeads * chunkPages * l.sumLen
		e.kvHeads += l.KVHeads
		maxKV, maxGroup = max(maxKV, l.KVHeads), max(maxGroup, l.group)
		maxDK, maxDV = max(maxDK, l.DK), max(maxDV, l.DV)
	}
	e.layoutRings()

	w := e.opt.Window
	nItem := e.cfg.Rows * maxKV
	e.jobs = make([]job, len(e.layers))
	for i := range e.jobs {
		e.jobs[i].claims = make([]claim, e.cfg.Rows*e.layers[i].KVHeads)
	}
	e.items = make([]item, nItem)
	e.workers = make([]worker, e.cfg.Threads)
	for i := range e.workers {
		e.workers[i].allocate(w*maxGroup, maxGroup, e.maxPages, max(maxDK, maxDV))
	}
	e.ready = true
	return nil
}

// Cells is the number of KV cells it was opened with.
func (e *Engine) Cells() int { return e.cfg.Cells }

// MaxWindow is the most past rows per sequence that a step can ask for.
func (e *Engine) MaxWindow() int { return e.opt.Window - 1 }

// job is the shared state of one layer's Attend within a step. There is one per
// layer so that nobody has to reset it while others may already be in it.
type job struct {
	next   atomic.Int32 // items whose selection has been claimed
	claims []claim      // per item
}

type claim struct {
	ready atomic.Int32 // 0, or number of chunks published
	next  atomic.Int32 // chunks claimed
	left  atomic.Int32 // chunks not yet done; who takes it to 0 merges
}
