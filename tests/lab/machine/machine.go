package machine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Processor is its name.
func Processor() string {
	if name := strings.TrimSpace(cpuid.CPU.BrandName); name != "" {
		return name
	}
	return "unnamed " + runtime.GOARCH + " processor"
}

// Caches returns the bytes of L2 and L3 that one core can use: what Linux says, or else the
// processor.
func Caches() (l2, l3 int) { return cacheSizes("/sys/devices/system/cpu/cpu0/cache") }

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
		l2 = 1 << 20
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

// FreeMemory is how many bytes a program can take, 0 if nobody knows.
func FreeMemory() uint64 {
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

// Resident is how many bytes of this process are in memory, 0 if nobody knows.
func Resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages uint64
	fmt.Sscan(string(text), &size, &pages)
	return pages * uint64(os.Getpagesize())
}
