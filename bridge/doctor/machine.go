package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/kernels/peak"
)

func processor() string {
	name := cpuid.CPU.BrandName
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("%s, %d processors, level %s", name, runtime.NumCPU(), kernels.ISA())
}

// What the bandwidth is measured on: more than the caches of most machines hold.
const (
	measuredBytes = 512 << 20
	measuredTime  = 300 * time.Millisecond
)

// bandwidth is how many bytes a second so many threads read, in the best of some rounds.
func bandwidth(threads int) float64 {
	part := max(1<<20, min(measuredBytes, available()/4)/threads)
	parts := make([][]byte, threads)
	all(threads, func(i int) {
		parts[i] = make([]byte, part)
		fill(parts[i])
	})
	best := 0.0
	for begun := time.Now(); best == 0 || time.Since(begun) < measuredTime; {
		start := time.Now()
		all(threads, func(i int) { peak.Read(parts[i]) })
		best = max(best, float64(part*threads)/time.Since(start).Seconds())
	}
	return best
}

// all runs f on each of n threads.
func all(n int, f func(i int)) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { f(i) })
	}
	wait.Wait()
}

// fill writes to every page, with bytes that are small numbers in all types of a cache.
func fill(b []byte) {
	for i := range b {
		b[i] = 0x2a
	}
}

// available is the memory that can still be had; where the system does not say, a moderate amount.
func available() int {
	if bytes, ok := memAvailable(); ok {
		return bytes
	}
	return 4 << 30
}

func free() string {
	if bytes, ok := memAvailable(); ok {
		return fmt.Sprintf(", %.1f GiB free", float64(bytes)/(1<<30))
	}
	return ""
}

func memAvailable() (bytes int, ok bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
			kib, err := strconv.Atoi(f[1])
			return kib << 10, err == nil && kib >= 0 && kib < 1<<40
		}
	}
	return 0, false
}

// hugePages tells whether the cache and the summaries can have them.
func hugePages() string {
	const file = "/sys/kernel/mm/transparent_hugepage/enabled"
	text, err := os.ReadFile(file)
	if err != nil {
		return "none: this system gives no transparent ones"
	}
	return hugePagesOf(string(text), file)
}

func hugePagesOf(setting, file string) string {
	_, rest, _ := strings.Cut(setting, "[")
	chosen, _, _ := strings.Cut(rest, "]")
	switch chosen {
	case "always", "madvise":
		return fmt.Sprintf("used (%s)", chosen)
	}
	return fmt.Sprintf("off (%s), which makes reading here and there slower: write madvise to %s",
		strings.TrimSpace(setting), file)
}
