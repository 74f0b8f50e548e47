package bench

import (
	"fmt"

	"github.com/retroattn/retroattn/kernels"
)

// workload is one measurement.
type workload struct {
	kernel  string
	typ     kernels.Type
	packed  string // what is no type of a cache: u8 and u4 summaries, r1 and r2 residual codes
	dim     int
	rows    int // query rows that share the keys and values; for topk how many are chosen
	set     string
	threads int
}

// The working sets.
const (
	setL2     = "L2"
	setL3     = "L3"
	setMemory = "memory"
)

func (c workload) String() string {
	if c.kernel == "topk" {
		return fmt.Sprintf("topk/%s/%s/k%d/threads%d", c.set, c.typeName(), c.rows, c.threads)
	}
	return fmt.Sprintf("%s/%s/%s/d%d/rows%d/threads%d", c.kernel, c.set, c.typeName(), c.dim,
		c.rows, c.threads)
}

func (c workload) typeName() string {
	if c.packed != "" {
		return c.packed
	}
	return c.typ.String()
}

func (c workload) hasGGML() bool {
	return c.kernel == "attend" || c.kernel == "rows" || c.kernel == "dense"
}

// weight is about how long a case takes, relative to others.
func (c workload) weight() float64 {
	switch {
	case !c.hasGGML():
		return 1
	case c.threads > 1:
		return 2.5
	}
	return 2
}

// groupWindow splits query rows into query heads per KV head and tokens of one step.
func groupWindow(rows int) (group, window int) {
	switch rows {
	case 8:
		return 4, 2
	case 24:
		return 3, 8
	case 64:
		return 4, 16
	}
	return rows, 1
}

var (
	headDims  = []int{64, 128, 256}
	fewRows   = []int{1, 3, 8, 24}
	manyRows  = []int{24, 64}
	scanRows  = []int{1, 3, 8}
	codeRows  = []int{1, 3, 6, 8, 24}
	topCounts = []int{16, 256}

	denseTypes = []kernels.Type{kernels.F16, kernels.Q8_0, kernels.Q4_0}
)

// workloads lists what is measured. Those over the same data are neighbours, so that it is made
// once.
func workloads(threads []int) (all []workload) {
	if len(threads) == 0 {
		return nil
	}
	for _, t := range kernels.Types {
		for _, d := range headDims {
			all = append(all, attentionWorkloads(t, d, threads)...)
		}
	}
	first := threads[0]
	for _, d := range headDims {
		all = append(all, summaryWorkloads(d, first)...)
	}
	for _, k := range topCounts {
		all = append(all, workload{kernel: "topk", typ: kernels.F32, rows: k, set: setL3,
			threads: first})
	}
	for _, t := range denseTypes {
		for _, n := range threads {
			all = append(all, workload{kernel: "dense", typ: t, dim: denseDim, rows: denseGroup,
				set: setMemory, threads: n})
		}
	}
	return all
}

// attentionWorkloads are over K and V of a type and head size.
func attentionWorkloads(t kernels.Type, d int, threads []int) (all []workload) {
	some := (t == kernels.F16 || t == kernels.Q8_0) && d <= 128
	for _, rows := range fewRows {
		for i, n := range threads {
			c := workload{typ: t, dim: d, rows: rows, threads: n}
			all = append(all, c.as("attend", setMemory))
			if some && rows == 3 {
				all = append(all, c.as("attend", setL3))
			}
			if i == 0 || rows == 3 {
				all = append(all, c.as("dot", setMemory), c.as("acc", setMemory))
			}
			if i == 0 {
				all = append(all, c.as("dot", setL2), c.as("acc", setL2))
			}
			if i == 0 && some && rows == 3 {
				all = append(all, c.as("dot", setL3), c.as("acc", setL3))
			}
		}
	}
	for _, rows := range manyRows {
		for _, n := range threads {
			c := workload{typ: t, dim: d, rows: rows, threads: n}
			all = append(all, c.as("rows", setMemory))
		}
	}
	if !some {
		return all
	}
	for _, rows := range []int{1, 3} {
		for _, n := range threads {
			c := workload{typ: t, dim: d, rows: rows, threads: n}
			all = append(all, c.as("gather", setMemory))
		}
	}
	return all
}

// summaryWorkloads are over page summaries and residual codes.
func summaryWorkloads(d, threads int) (all []workload) {
	for _, rows := range scanRows {
		c := workload{typ: kernels.F16, dim: d, rows: rows, threads: threads}
		for _, set := range []string{setMemory, setL2} {
			all = append(all, c.as("scan", set), c.as("scan4", set))
		}
	}
	for _, bits := range []string{"r1", "r2"} {
		for _, rows := range codeRows {
			for _, set := range []string{setMemory, setL2} {
				all = append(all, workload{kernel: "codes", packed: bits, dim: d, rows: rows,
					threads: threads, set: set})
			}
		}
	}
	return all
}

func (c workload) as(kernel, set string) workload {
	c.kernel, c.set = kernel, set
	c.packed = map[string]string{"scan": "u8", "scan4": "u4"}[kernel]
	return c
}
