package main

import (
	"fmt"
	"unsafe"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
)

const (
	// madeUpBytes is the most memory for keys and values that are made up. Layers of one shape
	// share it in turns, so that little of it is still in the processor's caches when it is read
	// again.
	madeUpBytes = 512 << 20

	maxRows  = 16      // of a sequence in a step of llama.cpp
	maxCells = 1 << 16 // a plan looks at no more
)

// planned is what the plan chooses where a pass through the model takes as long as its weights need
// from memory. That is known of one token only: what more cost shows when they are computed.
func planned(m *bridge.Description, o options.Options, threads int, pass float64) (string, error) {
	row := uint64(1)
	for _, l := range m.Served {
		row = max(row, l.KRow+l.VRow)
	}
	room := min(madeUpBytes, available()/4)
	if uint64(room) < row {
		return "", fmt.Errorf("a token of one layer takes %d bytes, of the free memory %d can be had: end other programs",
			row, room)
	}
	cells := max(1, min(m.Ctx, maxCells, room/int(row)))
	e, err := engine(m, o, threads, cells, room)
	if err != nil {
		return "", err
	}
	p := plan.Passes{Threads: threads}
	done, line, err := e.Plan(p)
	if err != nil || done {
		return line, err
	}
	p.Rows, p.NS = []int{1}, []uint64{max(1, uint64(pass*1e9))}
	_, line, err = e.Plan(p)
	return line, err
}

// engine has the layers of a model, with keys and values that are made up.
func engine(m *bridge.Description, o options.Options, threads, cells, room int) (*retro.Engine,
	error) {
	e, err := retro.Open(retro.Config{Layers: len(m.Served), Seqs: 1, Cells: cells, Rows: maxRows,
		Threads: threads, Whole: m.RecurrentLayers > 0}, o)
	if err != nil {
		return nil, err
	}
	memory := make([]byte, room)
	part := (room + threads - 1) / threads
	all(threads, func(i int) { fill(memory[min(room, i*part):min(room, (i+1)*part)]) })
	at := 0
	for i, l := range m.Served {
		k, v := int(l.KRow)*cells, int(l.VRow)*cells
		if l.Latent {
			v = 0
		}
		if at+k+v > room {
			at = 0
		}
		layer := retro.Layer{TypeK: l.TypeK, TypeV: l.TypeV, Heads: l.Heads, KVHeads: l.KVHeads,
			DK: l.DK, DV: l.DV, K: unsafe.Pointer(&memory[at]), V: unsafe.Pointer(&memory[at]),
			KSize: l.KRow * uint64(cells), VSize: l.VRow * uint64(cells),
			KRow: l.KRow, VRow: l.VRow,
			KHead: head(l.TypeK, l.DK), VHead: head(l.TypeV, l.DV), Rotation: l.Rot,
			SoftCap: l.SoftCap, Sinks: make([]float32, l.Sinks)}
		if l.Latent {
			layer.VHead = layer.KHead
		} else {
			layer.V = unsafe.Pointer(&memory[at+k])
		}
		if err := e.AddLayer(i, layer); err != nil {
			return nil, err
		}
		at += k + v
	}
	return e, nil
}

func head(t kernels.Type, dim int) uint64 { return uint64(t.RowBytes(dim)) }
