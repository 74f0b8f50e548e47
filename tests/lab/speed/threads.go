package speed

import (
	"fmt"
	"runtime"

	"github.com/retroattn/retroattn/tests/lab/machine"
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

func describe() string {
	return fmt.Sprintf("%s, %s", machine.Processor(), count(runtime.NumCPU(), "processor"))
}
