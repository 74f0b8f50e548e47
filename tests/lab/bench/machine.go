package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/kernels/peak"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// bench measures; whatever it needs is allocated before the clock runs.
type bench struct {
	ctx     context.Context
	threads []int
	runs    int
	slice   time.Duration // of one run
	l2, l3  int           // bytes of cache
	tokens  int           // of a layer, except in small sets
	quick   bool

	ggml *ggml // nil: not compared
	mem  arena
	kv   *kvSet // what is in mem, if it is that
	team map[int]*team
	fma  map[int]float64 // see measureFMA; by number of threads
}

const mib = 1 << 20

func newBench(ctx context.Context, threads []int, runs int, quick bool) *bench {
	b := &bench{ctx: ctx, threads: threads, runs: runs, slice: 25 * time.Millisecond, tokens: 4096,
		quick: quick,
		team:  map[int]*team{}, fma: map[int]float64{}}
	b.l2, b.l3 = machine.Caches()
	if quick {
		b.slice, b.tokens, b.l2, b.l3, b.runs = time.Millisecond, 256, 16<<10, 64<<10, min(runs, 2)
	}
	for _, n := range threads {
		b.team[n] = newTeam(n)
	}
	return b
}

func (b *bench) close() {
	for _, t := range b.team {
		t.close()
	}
	b.mem.free()
}

// setBytes is the size of a working set for so many threads.
func (b *bench) setBytes(set string, threads int) int {
	switch set {
	case setL2:
		return b.l2 / 2 * threads
	case setL3:
		return min(max(4*b.l2*threads, b.l3/4), b.l3/2)
	}
	return 4 * b.l3
}

// peaks measures what the processor can do, and describes it in a line.
func (b *bench) peaks() (string, error) {
	text := fmt.Sprintf("%s, %s; reads GB/s from memory, L3, L2 / GFLOP/s:", machine.Processor(),
		kernels.ISA())
	for _, n := range b.threads {
		var read []string
		for _, name := range []string{setMemory, setL3, setL2} {
			rate, err := b.readRate(name, n)
			if err != nil {
				return "", err
			}
			read = append(read, number(rate/1e9))
		}
		text += fmt.Sprintf(" %s %s / %s,", threadCount(n), strings.Join(read, " "),
			number(b.measureFMA(b.team[n])/1e9))
	}
	return strings.TrimSuffix(text, ","), nil
}

// readRate is how many bytes a second so many threads read of a working set: the most of all runs.
func (b *bench) readRate(name string, threads int) (float64, error) {
	set, err := b.blank(b.setBytes(name, threads))
	if err != nil {
		return 0, err
	}
	c := b.reader(set, b.team[threads])
	if err := b.interleave(set.units(), c); err != nil {
		return 0, err
	}
	return float64(set.unitBytes()) / slices.Min(c.times), nil
}

// ReadBandwidth is how many bytes a second so many threads read from memory.
func ReadBandwidth(ctx context.Context, threads int, quick bool) (float64, error) {
	runtime.LockOSThread() // the caller is a member of the team
	defer runtime.UnlockOSThread()
	b := newBench(ctx, []int{threads}, 8, quick)
	defer b.close()
	return b.readRate(setMemory, threads)
}

// measureFMA updates the floating-point operations per second of all members of the team together:
// the most ever seen, since other load only ever slows down.
func (b *bench) measureFMA(t *team) float64 {
	for runs, rounds := 0, 1000; runs < 4; {
		begun := time.Now()
		t.do(func(int) { peak.FMA(kernels.ISA(), rounds) })
		took := time.Since(begun)
		if took < b.slice/8 {
			rounds *= 2
			continue
		}
		b.fma[t.n] = max(b.fma[t.n], float64(t.n*peak.FMA(kernels.ISA(), 1)*rounds)/took.Seconds())
		runs++
	}
	return b.fma[t.n]
}

func threadCount(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}
