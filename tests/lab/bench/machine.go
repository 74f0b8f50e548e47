package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"

	"retroattn/kernels"
	"retroattn/kernels/peak"
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
	b.l2, b.l3 = cacheSizes("/sys/devices/system/cpu/cpu0/cache")
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

// cacheSizes returns the bytes of L2 and L3 that one core can use: what Linux says, or else the
// processor.
func cacheSizes(dir string) (l2, l3 int) {
	entries, _ := filepath.Glob(filepath.Join(dir, "index*"))
	for _, e := range entries {
		size := parseSize(readWord(e, "size"))
		switch level := readWord(e, "level"); {
		case readWord(e, "type") == "Instruction":
		case level == "2":
			l2 = size
		case level == "3":
			l3 = size
		}
	}
	if l2 <= 0 {
		l2 = cpuid.CPU.Cache.L2
	}
	if l3 <= 0 {
		l3 = cpuid.CPU.Cache.L3
	}
	if l2 <= 0 {
		l2 = mib
	}
	return l2, max(l3, 8*l2) // without an L3, sizes that are safe to call memory
}

func readWord(elements ...string) string {
	text, _ := os.ReadFile(filepath.Join(elements...))
	return strings.TrimSpace(string(text))
}

// parseSize reads sizes such as 1024K; 0 is what it cannot read.
func parseSize(text string) int {
	unit := 1
	for i, suffix := range []string{"K", "M", "G"} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = number, 1024<<(10*i)
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n * unit
}

func processorName() string {
	if name := strings.TrimSpace(cpuid.CPU.BrandName); name != "" {
		return name
	}
	return "unnamed " + runtime.GOARCH + " processor"
}

// peaks measures what the processor can do, and describes it in a line.
func (b *bench) peaks() (string, error) {
	text := fmt.Sprintf("%s, %s; reads GB/s from memory, L3, L2 / GFLOP/s:", processorName(),
		kernels.ISA())
	for _, n := range b.threads {
		var read []string
		for _, name := range []string{setMemory, setL3, setL2} {
			set, err := b.blank(b.setBytes(name, n))
			if err != nil {
				return "", err
			}
			c := b.reader(set, b.team[n])
			if err := b.interleave(set.units(), c); err != nil {
				return "", err
			}
			read = append(read, number(float64(set.unitBytes())/slices.Min(c.times)/1e9))
		}
		text += fmt.Sprintf(" %s %s / %s,", threadCount(n), strings.Join(read, " "),
			number(b.measureFMA(b.team[n])/1e9))
	}
	return strings.TrimSuffix(text, ","), nil
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
