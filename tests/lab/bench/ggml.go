package bench

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ggml is the stock build's CPU backend, loaded into this process. All calls are made by one
// thread, because OpenMP keeps a set of workers for each thread that calls it.
type ggml struct {
	init      func(ggmlInitParams) uintptr
	free      func(ctx uintptr)
	newTensor func(ctx uintptr, typ int32, ne0, ne1, ne2, ne3 int64) *ggmlTensor
	flashAttn func(ctx uintptr, q, k, v, mask *ggmlTensor, scale, maxBias,
		softCap float32) *ggmlTensor
	newGraph       func(ctx uintptr, size uint64, grads bool) uintptr
	expand         func(graph uintptr, t *ggmlTensor)
	tensorOverhead func() uint64
	graphOverhead  func(size uint64, grads bool) uint64
	getData        func(t *ggmlTensor) unsafe.Pointer
	backendInit    func() uintptr
	setThreads     func(backend uintptr, n int32)
	compute        func(backend, graph uintptr) int32

	backend uintptr
	calls   chan func()
	done    chan struct{}
}

// ggmlInitParams is struct ggml_init_params.
type ggmlInitParams struct {
	size    uint64
	buffer  uintptr
	noAlloc bool
}

// ggmlTensor is struct ggml_tensor.
type ggmlTensor struct {
	typ      int32
	buffer   unsafe.Pointer
	ne       [4]int64
	nb       [4]uint64
	op       int32
	opParams [16]int32
	flags    int32
	src      [10]unsafe.Pointer
	viewSrc  unsafe.Pointer
	viewOffs uint64
	data     unsafe.Pointer
	name     [64]byte
	extra    unsafe.Pointer
	_        [8]byte
}

// ggmlObject is the size of struct ggml_object, which comes before a tensor.
const ggmlObject = 32

const (
	ggmlF32 = 0
	ggmlF16 = 1
)

func loadGGML(dir string) (*ggml, error) {
	if dir == "" {
		return nil, errors.New("no ggml to compare with: name the folder of the stock llama.cpp " +
			"libraries with --stock")
	}
	suffix := ".so"
	if runtime.GOOS == "darwin" {
		suffix = ".dylib"
	}
	g := &ggml{calls: make(chan func()), done: make(chan struct{})}
	for _, l := range []struct {
		library string
		symbols map[string]any
	}{
		{"libggml-base", map[string]any{
			"ggml_init": &g.init, "ggml_free": &g.free, "ggml_new_tensor_4d": &g.newTensor,
			"ggml_flash_attn_ext":   &g.flashAttn,
			"ggml_new_graph_custom": &g.newGraph, "ggml_build_forward_expand": &g.expand,
			"ggml_tensor_overhead":       &g.tensorOverhead,
			"ggml_graph_overhead_custom": &g.graphOverhead, "ggml_get_data": &g.getData,
			"ggml_backend_graph_compute": &g.compute}},
		{"libggml-cpu", map[string]any{
			"ggml_backend_cpu_init":          &g.backendInit,
			"ggml_backend_cpu_set_n_threads": &g.setThreads}},
	} {
		handle, err := purego.Dlopen(filepath.Join(dir, l.library+suffix),
			purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			return nil, fmt.Errorf("loading ggml: %w", err)
		}
		for name, fn := range l.symbols {
			address, err := purego.Dlsym(handle, name)
			if err != nil {
				return nil, fmt.Errorf("loading ggml: %w", err)
			}
			purego.RegisterFunc(fn, address)
		}
	}
	go func() {
		runtime.LockOSThread()
		for f := range g.calls {
			f()
			g.done <- struct{}{}
		}
	}()
	var err error
	g.do(func() { err = g.start() })
	return g, err
}

// do runs f on the thread that ggml knows.
func (g *ggml) do(f func()) {
	g.calls <- f
	<-g.done
}

var errGGMLLayout = errors.New("this ggml has another struct ggml_tensor than the one that was " +
	"built for")

// start makes sure that tensors are what we take them for.
func (g *ggml) start() error {
	if g.tensorOverhead() != ggmlObject+uint64(unsafe.Sizeof(ggmlTensor{})) {
		return errGGMLLayout
	}
	ctx := g.init(ggmlInitParams{size: 1 << 16, noAlloc: true})
	if ctx == 0 {
		return errors.New("ggml has no memory")
	}
	defer g.free(ctx)
	t := g.newTensor(ctx, ggmlF16, 8, 3, 5, 7)
	if t.typ != ggmlF16 || t.ne != [4]int64{8, 3, 5, 7} || t.nb != [4]uint64{2, 16, 48, 240} ||
		t.data != nil {
		return errGGMLLayout
	}
	t.data = unsafe.Pointer(t)
	if g.getData(t) != unsafe.Pointer(t) {
		return errGGMLLayout
	}
	if g.backend = g.backendInit(); g.backend == 0 {
		return errors.New("ggml has no CPU backend")
	}
	return nil
}

// ggmlFlash is attention over the layers of a set, with a graph for each unit.
type ggmlFlash struct {
	g       *ggml
	ctx     uintptr
	graphs  []uintptr
	threads int
	mem     arena     // ggml's own query, mask and output
	out     []float32 // [window][query heads][dim], of the last layer
	err     error
}

// flash prepares attention with queries q [window][query heads][dim], as llama.cpp does it for
// tokens that see all cells: the mask is there, and zero.
func (g *ggml) flash(kv *kvSet, group, window, threads int, q []float32) (*ggmlFlash, error) {
	f := &ggmlFlash{g: g, threads: threads}
	maskBytes := 2 * kv.tokens * window
	if err := f.mem.reset(2*lines(4*len(q)) + lines(maskBytes)); err != nil {
		return nil, err
	}
	query, mask := f.mem.take(4*len(q)), f.mem.take(maskBytes)
	f.out = floatsOf(f.mem.take(4 * len(q)))
	copy(floatsOf(query), q)
	clear(mask)
	g.do(func() { f.err = f.build(kv, group, window, query, mask) })
	if f.err != nil {
		f.free()
	}
	return f, f.err
}

func (f *ggmlFlash) build(kv *kvSet, group, window int, query, mask []byte) error {
	g, layers := f.g, kv.perUnit/2
	size := uint64(kv.units())*(g.graphOverhead(uint64(4*layers+8),
		false)+uint64(3*layers)*g.tensorOverhead()) + 1<<16
	if f.ctx = g.init(ggmlInitParams{size: size, noAlloc: true}); f.ctx == 0 {
		return errors.New("ggml has no memory")
	}
	d, heads, n := int64(kv.dim), int64(kv.heads*group), int64(kv.tokens)
	q := g.newTensor(f.ctx, ggmlF32, d, int64(window), heads, 1)
	q.data, q.nb[1], q.nb[2] = unsafe.Pointer(&query[0]), uint64(4*d*heads), uint64(4*d)
	m := g.newTensor(f.ctx, ggmlF16, n, int64(window), 1, 1)
	m.data = unsafe.Pointer(&mask[0])
	cache := func(plane []byte) *ggmlTensor {
		t := g.newTensor(f.ctx, int32(kv.typ), d, n, int64(kv.heads), 1)
		t.data, t.nb[1], t.nb[2] = unsafe.Pointer(&plane[0]), uint64(kv.heads*kv.row),
			uint64(kv.row)
		return t
	}
	for u := range kv.units() {
		graph := g.newGraph(f.ctx, uint64(4*layers+8), false)
		for l := range layers {
			planes := kv.unit(u)[2*l:][:2]
			out := g.flashAttn(f.ctx, q, cache(planes[0]), cache(planes[1]), m,
				float32(1/math.Sqrt(float64(d))), 0, 0)
			out.data = unsafe.Pointer(&f.out[0])
			g.expand(graph, out)
		}
		f.graphs = append(f.graphs, graph)
	}
	return nil
}

// run computes n units from first on.
func (f *ggmlFlash) run(first, n int) {
	f.g.do(func() {
		f.g.setThreads(f.g.backend, int32(f.threads))
		for u := first; u < first+n; u++ {
			if status := f.g.compute(f.g.backend, f.graphs[u%len(f.graphs)]); status != 0 &&
				f.err == nil {
				f.err = fmt.Errorf("ggml_backend_graph_compute: status %d", status)
			}
		}
	})
}

func (f *ggmlFlash) free() {
	if f.ctx != 0 {
		f.g.do(func() { f.g.free(f.ctx) })
	}
	f.mem.free()
}
