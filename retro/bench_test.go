package retro

import (
	"fmt"
	"sync/atomic"
	"testing"
	"unsafe"

	"retroattn/kernels"
)

// BenchmarkStep decodes tokens at a depth of 8000 in the shape of
// SmolLM2-135M: all attention of a token, without the dense layers. Threads are
// started once and meet after every layer.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name string
		opt  string
	}{
		{"w=1", "budget=512,window=1"}, {"w=2", "budget=512,window=2,period=1"}, {"w=8,c=8", "budget=512,window=8,period=8"}, {"exact", "budget=all,window=1"},
	} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				opt, err := ParseOptions(c.opt)
				if err != nil {
					b.Fatal(err)
				}
				benchmarkStep(b, opt, threads)
			})
		}
	}
}

func benchmarkStep(b *testing.B, opt Options, threads int) {
	sh := shape{layers: 30, seqs: 1, cells: 12000, heads: 9, kv: 3, dk: 64, dv: 64, tk: kernels.F16, tv: kernels.F16}
	h := newHost(b, sh, opt, threads, 1)
	rng := uint32(1)
	for l := range h.k {
		for _, b := range [][]byte{h.k[l], h.v[l]} {
			x := unsafe.Slice((*uint16)(unsafe.Pointer(&b[0])), len(b)/2)
			for i := range x {
				rng = rng*1664525 + 1013904223
				x[i] = uint16(rng>>18)&0x83ff | 0x3800 // +-0.5..1
			}
		}
	}
	const depth = 8000
	var pos, cell []int32
	for i := range int32(depth) {
		pos, cell = append(pos, i), append(cell, i)
	}
	if err := h.e.SeqExtend(0, pos, cell); err != nil {
		b.Fatal(err)
	}
	rows := opt.Window
	q, out := make([]float32, rows*9*64), make([]float32, rows*9*64)
	for i := range q {
		rng = rng*1664525 + 1013904223
		q[i] = float32(int32(rng)) / (1 << 30)
	}
	attn := Attn{Scale: 0.125, Q: unsafe.Pointer(&q[0]), Out: unsafe.Pointer(&out[0]), QRow: 9 * 64 * 4, QHead: 64 * 4, OutRow: 9 * 64 * 4}
	at := int32(depth)
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
		var row [maxWindow]Row
		for i := range w + 1 {
			p := at - int32(w-i)
			row[i] = Row{0, p, p}
		}
		if err := h.e.StepBegin(row[:w+1], threads); err != nil {
			b.Fatal(err)
		}
		attn.Rows = w + 1
		for range 2 * sh.layers {
			left.Store(int64(threads - 1))
			phase(int(next.Add(1)-1), 0)
			for left.Load() > 0 {
			}
		}
		if err := h.e.StepEnd(true); err != nil {
			b.Fatal(err)
		}
		if at++; at == 11000 { // stay near the depth
			at = depth
			if err := h.e.SeqTruncate(0, at); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range 10 {
		step()
	}
	before := h.e.Stats()
	for b.Loop() {
		step()
	}
	st := h.e.Stats()
	read := float64(st.KVBytesRead + st.ScanBytes - before.KVBytesRead - before.ScanBytes)
	b.ReportMetric(read/b.Elapsed().Seconds()/1e9, "GB/s")
	b.ReportMetric(read/float64(st.KVBytesFull-before.KVBytesFull), "share")
	stop.Store(1)
}
