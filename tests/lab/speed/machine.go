package speed

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"

	"retroattn/kernels/peak"
)

// threadChoices are the numbers of threads that stock is tried with: hyper-threads may help or
// harm.
func threadChoices(processors int) []int {
	if processors == 1 {
		return []int{1}
	}
	return []int{processors, processors / 2}
}

// bestThreads is the fastest of the choices; tokS are their speeds.
func bestThreads(choices []int, tokS []float64) int {
	best := 0
	for i := range choices {
		if tokS[i] > tokS[best] {
			best = i
		}
	}
	return choices[best]
}

// readBandwidth is how many bytes a second so many threads read from memory: the most of several
// tries, since other load only ever slows down.
func readBandwidth(threads int, quick bool) float64 {
	each, tries := 256<<20, 8
	if quick {
		each, tries = 16<<20, 2
	}
	each = max(each/threads, 4*max(cpuid.CPU.Cache.L3, 16<<20)/threads)
	parts := make([][]byte, threads)
	var most float64
	for try := range tries + 1 {
		begun := time.Now()
		var done sync.WaitGroup
		for i := range parts {
			done.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if try == 0 {
					parts[i] = make([]byte, each)
					// a page that was never written is no memory
					for at := 0; at < each; at += 4096 {
						parts[i][at] = 1
					}
				}
				peak.Read(parts[i])
			})
		}
		done.Wait()
		if try > 0 {
			most = max(most, float64(each*threads)/time.Since(begun).Seconds())
		}
	}
	return most
}

// freeMemory is how many bytes a program can take, 0 if nobody knows.
func freeMemory() uint64 {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kib uint64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// resident is how many bytes of this process are in memory, 0 if nobody knows.
func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages uint64
	fmt.Sscan(string(text), &size, &pages)
	return pages * uint64(os.Getpagesize())
}

func machine() string {
	name := strings.TrimSpace(cpuid.CPU.BrandName)
	if name == "" {
		name = "unnamed " + runtime.GOARCH + " processor"
	}
	return fmt.Sprintf("%s, %s", name, count(runtime.NumCPU(), "processor"))
}
