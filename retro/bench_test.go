package retro

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/kernels/peak"
	"github.com/retroattn/retroattn/retro/options"
)

// BenchmarkStep decodes tokens at a depth of 8000 in the shape of
// SmolLM2-135M: all attention of a token, without the dense layers. Threads are
// started once and meet after every layer.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name string
		opt  string
	}{
		{"w=1", "budget=512,window=1"}, {"w=2", "budget=512,window=2,period=1"},
		{"w=8,c=8", "budget=512,window=8,period=8"}, {"exact", "budget=all,window=1"},
	} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				benchmarkStep(b, c.opt, threads, 8000, smolLM(30))
			})
		}
	}
}

// BenchmarkSelect compares single tokens with whole pages at three depths, with budgets that read
// about as many bytes. The shortest tenth of the times of layers is free of what else the machine
// does.
func BenchmarkSelect(b *testing.B) {
	for _, c := range []struct{ depth, pages int }{{8, 640}, {32, 256}, {128, 128}} {
		pages := fmt.Sprintf("select=pages,budget=%d", c.pages)
		for _, opt := range []string{"select=tokens,budget=512", "select=tokens,budget=512,need=0",
			pages} {
			b.Run(fmt.Sprintf("%dk/%s", c.depth, opt), func(b *testing.B) {
				benchmarkStep(b, opt+",window=1", 1, c.depth<<10, smolLM(min(30, 640/c.depth)))
			})
		}
	}
}

// BenchmarkThreads is a layer by many threads: of two KV heads, as Qwen2.5 1.5B has them, and, where
// everything is read, of eight, as Llama 3.1 8B has.
func BenchmarkThreads(b *testing.B) {
	for _, c := range []struct {
		opt       string
		depth     int
		heads, kv int
	}{{"budget=512", 32, 12, 2}, {"budget=2048", 32, 12, 2}, {"budget=all", 8, 32, 8}} {
		for _, threads := range []int{1, 2, 4, 7, 14, 16, 28} {
			if threads > runtime.NumCPU() {
				break
			}
			b.Run(fmt.Sprintf("%dk/%s/threads=%d", c.depth, c.opt, threads), func(b *testing.B) {
				benchmarkStep(b, c.opt+",window=1", threads, c.depth<<10, shape{layers: 8,
					heads: c.heads, kv: c.kv, dk: 128, dv: 128, tk: kernels.F16, tv: kernels.F16})
			})
		}
	}
}

// BenchmarkLatent is one layer of latent attention as DeepSeek V2 Lite, GLM 4.7 Flash and DeepSeek
// V3 have it.
func BenchmarkLatent(b *testing.B) {
	for _, heads := range []int{16, 20, 128} {
		for _, depth := range []int{8, 32} {
			for _, opt := range []string{"budget=all", "budget=1024", "budget=1024,need=0"} {
				b.Run(fmt.Sprintf("%d heads/%dk/%s", heads, depth, opt), func(b *testing.B) {
					sh := shape{layers: 2, heads: heads, kv: 1, dk: 576, dv: 512, tk: kernels.F16,
						tv: kernels.F16, latent: true}
					benchmarkStep(b, opt+",window=1", 1, depth<<10, sh)
				})
			}
		}
	}
}

// BenchmarkPrompt is 512 tokens of a prompt at a depth of 4096, one thread: the share of the
// multiply-add peak in the shortest tenth of the layers.
func BenchmarkPrompt(b *testing.B) {
	const depth, rows = 4096, 512
	for _, typ := range []kernels.Type{kernels.F16, kernels.Q8_0} {
		b.Run(typ.String(), func(b *testing.B) {
			sh := smolLM(4)
			sh.tk, sh.tv, sh.seqs, sh.cells = typ, typ, 1, depth+rows
			h := newHost(b, sh, options.Default(), 1, 1)
			h.prefill(0, depth)
			n := h.exactRows(0, rows)
			q, out := make([]float32, rows*sh.heads*sh.dk), make([]float32, rows*sh.heads*sh.dv)
			rng := uint32(1)
			for i := range q {
				rng = rng*1664525 + 1013904223
				q[i] = float32(int32(rng)) / (1 << 30)
			}
			var ns []float64
			for b.Loop() {
				require.NoError(b, h.e.StepBegin(n, 1))
				a := h.attn(0, rows, q, out)
				for a.Layer = range sh.layers {
					start := time.Now()
					require.NoError(b, h.e.Select(&a, 0, 1))
					require.NoError(b, h.e.Attend(&a, 0, 1))
					ns = append(ns, float64(time.Since(start)))
				}
				require.NoError(b, h.e.StepEnd(true))
				require.NoError(b, h.e.SeqTruncate(0, depth))
			}
			best := shortest(ns)
			b.ReportMetric(best/1e3, "us/layer")
			pairs := float64(rows*depth + rows*(rows+1)/2)
			flops := 2 * pairs * float64(sh.heads*(sh.dk+sh.dv)) / best * 1e9
			b.ReportMetric(100*flops/peakFMA(), "%peak")
		})
	}
}

// peakFMA is in operations per second, the best of several readings.
func peakFMA() (best float64) {
	for range 200 {
		start := time.Now()
		n := peak.FMA(kernels.ISA(), 100000)
		best = max(best, float64(n)/time.Since(start).Seconds())
	}
	return best
}

// smolLM is the shape of SmolLM2-135M.
func smolLM(layers int) shape {
	return shape{layers: layers, heads: 9, kv: 3, dk: 64, dv: 64, tk: kernels.F16, tv: kernels.F16}
}

func benchmarkStep(b *testing.B, text string, threads, depth int, sh shape) {
	opt, err := options.Parse(text)
	if err != nil {
		b.Fatal(err)
	}
	sh.seqs, sh.cells = 1, depth+4000
	h := newHost(b, sh, opt, threads, 1)
	rng := uint32(1)
	for l := range h.k {
		for _, b := range [][]byte{h.k[l], h.v[l]} {
			at := -uintptr(unsafe.Pointer(&b[0])) % 4096
			adviseHuge(b[at : at+(uintptr(len(b))-at)&^4095]) // as a host does for its cache
			x := unsafe.Slice((*uint16)(unsafe.Pointer(&b[0])), len(b)/2)
			for i := range x {
				rng = rng*1664525 + 1013904223
				x[i] = uint16(rng>>18)&0x83ff | 0x3800 // +-0.5..1
			}
		}
	}
	var pos, cell []int32
	for i := range int32(depth) {
		pos, cell = append(pos, i), append(cell, i)
	}
	if err := h.e.SeqExtend(0, pos, cell); err != nil {
		b.Fatal(err)
	}
	rows := opt.Window
	q, out := make([]float32, rows*sh.heads*sh.dk), make([]float32, rows*sh.heads*sh.dv)
	for i := range q {
		rng = rng*1664525 + 1013904223
		q[i] = float32(int32(rng)) / (1 << 30)
	}
	attn := h.attn(0, 0, q, out)
	at := int32(depth)
	// of layers that score all pages, and of those that have kept groups since
	var ns, selecting [keepSteps][]float64
	// The other threads wait in a spin, as ggml's do: next counts the phases begun,
	// left is how many have not finished it.
	var next, left, stop atomic.Int64
	phase := func(number, ith int) {
		a := attn
		a.Layer = number / 2 % sh.layers
		run := h.e.Select
		if number&1 != 0 {
			run = h.e.Attend
		}
		if err := run(&a, ith, threads); err != nil {
			panic(err)
		}
	}
	for i := 1; i < threads; i++ {
		go func() {
			for seen := int64(0); stop.Load() == 0; {
				if next.Load() == seen {
					continue
				}
				phase(int(seen), i)
				seen++
				left.Add(-1)
			}
		}()
	}
	step := func() {
		w, err := h.e.SeqWindow(0, at)
		if err != nil {
			b.Fatal(err)
		}
		var row [options.MaxWindow]Row
		for i := range w + 1 {
			p := at - int32(w-i)
			row[i] = Row{Seq: 0, Pos: p, Cell: p}
		}
		if err := h.e.StepBegin(row[:w+1], threads); err != nil {
			b.Fatal(err)
		}
		attn.Rows = w + 1
		start := time.Now()
		for i := range 2 * sh.layers {
			left.Store(int64(threads - 1))
			phase(int(next.Add(1)-1), 0)
			for left.Load() > 0 {
			}
			kind := (int(at) + i/2) % keepSteps
			if i&1 == 0 {
				selecting[kind] = append(selecting[kind], float64(time.Since(start)))
			} else { // a layer is done
				ns[kind], start = append(ns[kind], float64(time.Since(start))), time.Now()
			}
		}
		if err := h.e.StepEnd(true); err != nil {
			b.Fatal(err)
		}
		if at++; at == int32(depth+3000) { // stay near the depth
			at = int32(depth)
			if err := h.e.SeqTruncate(0, at); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range 10 {
		step()
	}
	ns, selecting = [keepSteps][]float64{}, [keepSteps][]float64{}
	before := h.e.Stats()
	for b.Loop() {
		step()
	}
	st := h.e.Stats()
	b.ReportMetric(shortest(ns[:]...)/1e3, "us/layer")
	b.ReportMetric(shortest(selecting[:]...)/1e3, "us/select")
	read := float64(st.KVReadBytes + st.ScanBytes - before.KVReadBytes - before.ScanBytes)
	b.ReportMetric(read/b.Elapsed().Seconds()/1e9, "GB/s")
	b.ReportMetric(read/float64(st.KVFullBytes-before.KVFullBytes), "share")
	stop.Store(1)
}

// shortest is the mean of the shortest tenth of each kind.
func shortest(kinds ...[]float64) (mean float64) {
	for _, ns := range kinds {
		slices.Sort(ns)
		n := (len(ns) + 9) / 10
		for _, x := range ns[:n] {
			mean += x / float64(len(kinds)*n)
		}
	}
	return mean
}
