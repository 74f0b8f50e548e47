package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
)

func TestBenchPlan(t *testing.T) {
	names := map[string]bool{}
	for _, c := range workloads([]int{1, 2}) {
		require.False(t, names[c.String()], "twice: %s", c)
		names[c.String()] = true
	}
	for _, typ := range kernels.Types {
		for _, d := range headDims {
			for _, rows := range fewRows {
				for n := 1; n <= 2; n++ {
					assert.Contains(t, names, fmt.Sprintf("attend/memory/%s/d%d/rows%d/threads%d",
						typ, d, rows, n))
				}
				for _, kernel := range []string{"dot", "acc"} {
					assert.Contains(t, names, fmt.Sprintf("%s/memory/%s/d%d/rows%d/threads1",
						kernel, typ, d, rows))
					assert.Contains(t, names, fmt.Sprintf("%s/L2/%s/d%d/rows%d/threads1", kernel,
						typ, d, rows))
				}
			}
		}
	}
	for _, name := range []string{"gather/memory/q8_0/d128/rows3/threads2", "rows/memory/bf16/d256/rows64/threads2",
		"scan/L2/u8/d64/rows3/threads1",
		"scan4/L2/u4/d64/rows3/threads1", "codes/L2/r2/d128/rows6/threads1",
		"topk/L3/f32/k16/threads1", "dense/memory/f16/d64/rows3/threads2"} {
		assert.Contains(t, names, name)
	}
	assert.Empty(t, workloads(nil))
	for _, rows := range append(fewRows, manyRows...) {
		group, window := groupWindow(rows)
		assert.Equal(t, rows, group*window)
	}
}

func TestTeam(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		team := newTeam(n)
		var inside atomic.Int32
		for range 3 {
			team.do(func(ith int) {
				for round := range int32(50) {
					inside.Add(1)
					team.wait()
					if got := inside.Load(); got != int32(n)*(round+1) {
						t.Errorf("%d threads, round %d: %d were there", n, round, got)
					}
					team.wait()
				}
			})
			inside.Store(0)
		}
		team.close()
	}
}

// quickBench is a bench of tiny sizes.
func quickBench(t *testing.T, threads ...int) *bench {
	b := newBench(t.Context(), threads, 2, true)
	t.Cleanup(b.close)
	return b
}

func TestSets(t *testing.T) {
	b := quickBench(t, 1)
	for _, typ := range kernels.Types {
		kv, err := b.kvFor(workload{typ: typ, dim: 64, set: setMemory, threads: 1})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, kv.bytes(), 4*b.l3)
		assert.Len(t, kv.planes[0], kv.tokens*kv.heads*typ.RowBytes(64))
		assert.Equal(t, kv.bytes(), kv.units()*kv.unitBytes())
		assert.Equal(t, &kv.planes[0][0], &kv.unit(kv.units())[0][0],
			"after the last unit comes the first")
		for i := range kv.planes[1:] {
			assert.LessOrEqual(t, uintptr(len(kv.planes[i])),
				address(kv.planes[i+1])-address(kv.planes[i]), "planes overlap")
		}

		// Views are of the size asked for, unless a layer of 16 tokens is larger.
		for _, size := range []int{1, kv.bytes() / 100, 2*len(kv.planes[0]) + 1, kv.bytes()} {
			few := kv.first(size)
			if few.tokens > 16 {
				assert.LessOrEqual(t, few.bytes(), size)
			}
			assert.Equal(t, 1, few.units())
			assert.Len(t, few.planes[0], few.tokens*few.heads*few.row)
		}
		// Rows are numbers of about unit variance.
		cache := kv.cache(kv.planes[0], 1)
		x := make([]float32, kv.tokens*64)
		kernels.Load(x, &cache, cellList(kv.tokens))
		var sum float64
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		assert.InDelta(t, 1, sum/float64(len(x)), 0.15, "%s", typ)
	}
	for _, size := range []int{1, 1_000_000, 1_234_567} {
		kv, err := b.makeKV(kernels.Q4_0, denseDim, denseHeads, 256, size, size)
		require.NoError(t, err)
		assert.Equal(t, 1, kv.units())
		assert.GreaterOrEqual(t, kv.bytes(), size)
	}
	set, err := b.planesFor(1000, 50_000, func(p []byte) { p[999] = 7 })
	require.NoError(t, err)
	assert.GreaterOrEqual(t, set.bytes(), 50_000)
	assert.EqualValues(t, 7, set.planes[len(set.planes)-1][999])
}

// Each choice ascends, and together they are all tokens.
func TestChoices(t *testing.T) {
	cells := choices(1024, 16)
	for list := range slices.Chunk(cells, 16) {
		assert.True(t, slices.IsSorted(list))
		assert.Greater(t, list[15], int32(16), "neighbours")
	}
	slices.Sort(cells)
	assert.Equal(t, cellList(1024), cells)
}

// Lines are counted as bytes are touched.
func TestLinesPerRow(t *testing.T) {
	for row, want := range map[int]float64{64: 1, 128: 2, 256: 4, 68: 2, 34: 1.5} {
		s := &kvSet{row: row}
		assert.Equal(t, want, s.linesPerRow(), "%d bytes", row)
	}
}

func address(p []byte) uintptr { return uintptr(unsafe.Pointer(&p[0])) }

// naive is attention in float64.
func naive(kv *kvSet, group, window int, q []float32, layer int) []float32 {
	d, out := kv.dim, make([]float32, len(q))
	k, v := make([]float32, kv.tokens*d), make([]float32, kv.tokens*d)
	for row := range len(q) / d {
		head := row % (kv.heads * group) / group
		keys, values := kv.cache(kv.planes[2*layer], head), kv.cache(kv.planes[2*layer+1], head)
		kernels.Load(k, &keys, cellList(kv.tokens))
		kernels.Load(v, &values, cellList(kv.tokens))
		sum, acc := 0.0, make([]float64, d)
		for j := range kv.tokens {
			s := 0.0
			for i := range d {
				s += float64(q[row*d+i]) * float64(k[j*d+i])
			}
			p := math.Exp(s / math.Sqrt(float64(d)))
			sum += p
			for i := range d {
				acc[i] += p * float64(v[j*d+i])
			}
		}
		for i := range d {
			out[row*d+i] = float32(acc[i] / sum)
		}
	}
	return out
}

func TestAttention(t *testing.T) {
	b := quickBench(t, 1, 2)
	for _, typ := range kernels.Types {
		kv, err := b.makeKV(typ, 64, 2, 1000, 1, 0)
		require.NoError(t, err)
		for _, rows := range []int{1, 8, 24, 64} {
			group, window := groupWindow(rows)
			cells, per := choices(kv.tokens, 10), 256 // in whatever order
			want := naive(kv, group, window, newAttention(kv, b.team[1], group, window, cells, per).q, 0)
			for _, team := range b.team {
				// only blocks round queries
				for many, worst := range map[bool]float64{false: 2e-4, true: 1e-10} {
					j := newAttention(kv, team, group, window, cells, per)
					j.many = many
					j.run(0, 2)
					clear(j.out)
					j.run(1, 3)
					assert.Less(t, nmse(j.out, want), worst, "%s, %d rows, many %v, %d threads",
						typ, rows, many, team.n)
				}
			}
		}
	}
}

// The engine and ggml must compute the same as the kernels, or they could not be compared.
func TestDense(t *testing.T) {
	b := quickBench(t, 1, 2)
	for _, typ := range denseTypes {
		kv, err := b.makeKV(typ, denseDim, denseHeads, 700, 1, 1)
		require.NoError(t, err)
		for _, team := range b.team {
			s, err := newSteps(kv, team)
			require.NoError(t, err)
			s.run(3)
			require.NoError(t, s.err)
			assert.Less(t, nmse(s.out, naive(kv, denseGroup, 1, s.q, 0)), 2e-4, "%s, %d threads",
				typ, team.n)
		}
	}
}

func TestGGML(t *testing.T) {
	g := builtGGML(t)
	b := quickBench(t, 1, 2)
	for _, typ := range kernels.Types {
		kv, err := b.makeKV(typ, 64, 3, 768, 1, 0)
		require.NoError(t, err)
		for _, rows := range []int{1, 3, 8, 24} {
			group, window := groupWindow(rows)
			q := normals(rows*kv.heads*kv.dim, 1)
			for n := 1; n <= 2; n++ {
				f, err := g.flash(kv, group, window, n, q)
				require.NoError(t, err)
				f.run(0, 2)
				require.NoError(t, f.err)
				assert.Less(t, nmse(f.out, naive(kv, group, window, q, 0)), worstNMSE,
					"%s, %d rows, %d threads", typ, rows, n)
				f.free()
			}
		}
	}
}

// builtGGML is the stock build's, if there is one.
func builtGGML(t *testing.T) *ggml {
	dir := os.Getenv("RETRO_STOCK_DIR")
	if dir == "" {
		t.Skip("RETRO_STOCK_DIR is not set: go run ./build test sets it")
	}
	g, err := loadGGML(dir)
	require.NoError(t, err)
	return g
}

// The whole command, tiny, without ggml.
func TestBenchKernels(t *testing.T) {
	cmd := Command{JSON: filepath.Join(t.TempDir(), "lines"), NoGGML: true, Quick: true, Runs: 2,
		Threads: []int{1, runtime.NumCPU() + 1},
		Filter:  regexp.MustCompile(`f16/d64/rows(1|3|64)/|scan4?/.*/d64/rows1|codes/.*/d64/rows3|topk`)}
	var out bytes.Buffer
	require.NoError(t, cmd.run(t.Context(), &out))
	text, err := os.ReadFile(cmd.JSON)
	require.NoError(t, err)
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var r map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		seen[r["name"].(string)] = true
		for _, key := range []string{"name", "isa", "type", "head_dim", "rows", "set", "threads",
			"gbps", "gbps_min", "gbps_max", "bw_share", "gflops", "flop_share", "ratio_to_ggml"} {
			assert.Contains(t, r, key)
		}
		assert.Equal(t, kernels.ISA(), r["isa"])
		assert.Nil(t, r["ratio_to_ggml"])
		if name := r["name"]; name == "attend" || name == "gather" {
			assert.Positive(t, r["bare_share"])
		} else {
			assert.NotContains(t, r, "bare_share")
		}
		assert.Positive(t, r["gbps_min"])
		assert.LessOrEqual(t, r["gbps_min"], r["gbps"])
		assert.LessOrEqual(t, r["gbps"], r["gbps_max"])
	}
	assert.Equal(t, map[string]bool{"attend": true, "rows": true, "dot": true, "acc": true,
		"gather": true, "scan": true, "scan4": true, "codes": true, "topk": true, "dense": true},
		seen)
	first, _, _ := strings.Cut(out.String(), "\n")
	assert.Contains(t, first, kernels.ISA())
	for line := range strings.Lines(out.String()[len(first):]) {
		assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 120, line)
	}

	cmd.Filter = regexp.MustCompile(`^nothing`)
	assert.ErrorContains(t, cmd.run(t.Context(), &out), "--list")
}

func TestBenchTables(t *testing.T) {
	x := func(v float64) *float64 { return &v }
	results := []result{
		{Name: "topk", Type: "f32", Rows: 1, K: 16, Set: setL3, Threads: 1, GBps: 12.34, GBpsMin: 5,
			GBpsMax: 100, BWShare: 0.5, RatioToSort: x(151.2)},
		{Name: "attend", Type: "f16", HeadDim: 64, Rows: 3, Set: setMemory, Threads: 1, GBps: 1,
			GBpsMin: 1, GBpsMax: 1, BWShare: 1, GFlops: x(9), FlopShare: x(0.1), GGMLGBps: x(1),
			RatioToGGML: x(2)},
		{Name: "attend", Type: "f16", HeadDim: 64, Rows: 8, Set: setMemory, Threads: 2, GBps: 1,
			GBpsMin: 1, GBpsMax: 1, BWShare: 1, BareShare: x(0.9), GFlops: x(9), FlopShare: x(0.1),
			GGMLGBps: x(1)},
	}
	var out strings.Builder
	writeTables(&out, results)
	assert.Equal(t, legend+`
attend, memory
               | 1 thread                                       | 2 threads
 type dim rows |     GB/s  min  max read bare GFLOP/s FMA xggml |      GB/s  min  max read bare GFLOP/s FMA   xggml
  f16  64    3 |     1.00 1.00 1.00 100%    -    9.00 10%  2.00 |
  f16  64    8 |                                                |      1.00 1.00 1.00 100%  90%    9.00 10% differs

topk of 65536 scores
    | 1 thread
  k |     GB/s  min max read GFLOP/s FMA xsort
 16 |     12.3 5.00 100  50%       -   -   151
`, out.String())
}

func TestMeasurementArithmetic(t *testing.T) {
	assert.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	assert.Equal(t, 3.0, median([]float64{9, 1, 3}))
	mid, low, high := rates([]float64{1, 4, 2}, 8e9)
	assert.Equal(t, []float64{4, 2, 8}, []float64{mid, low, high})
	assert.Equal(t, 0.25, nmse([]float32{1}, []float32{2}))
	assert.Equal(t, 1.235, rounded(1.23456))
	assert.Nil(t, jsonNumber(math.NaN()))
	for x, want := range map[float64]string{0.014: "0.01", 9.994: "9.99", 9.996: "10.0",
		99.94: "99.9", 99.96: "100", 1234: "1234"} {
		assert.Equal(t, want, number(x))
	}
	same, other := &variant{times: []float64{1}}, &variant{times: []float64{3}}
	set := &planeSet{planes: [][]byte{make([]byte, 10)}, perUnit: 1}
	var r result
	r.compare(set, same, other, 1e-9)
	require.NotNil(t, r.RatioToGGML)
	assert.Equal(t, 3.0, *r.RatioToGGML)
	r = result{}
	r.compare(set, same, other, 0.1)
	assert.Nil(t, r.RatioToGGML, "another result")
	r.compare(set, same, other, math.NaN())
	assert.Nil(t, r.RatioToGGML, "no result")
	assert.Nil(t, r.NMSE)
}

// Variants go through the units together.
func TestInterleave(t *testing.T) {
	b := quickBench(t, 1)
	var next int
	step := func(first, n int) {
		if first != next%7 {
			t.Errorf("began at %d, want %d", first, next%7)
		}
		next = first + n
	}
	x, y := &variant{run: step}, &variant{run: step, spins: true}
	b.slice = 0
	require.NoError(t, b.interleave(7, x, y))
	assert.Len(t, x.times, b.runs)
	assert.Len(t, y.times, b.runs)
}
