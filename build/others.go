package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// busy is the time that the processors of this machine have worked, all together, for any program.
type busy struct {
	time  time.Duration
	known bool
	at    time.Time
}

func busyNow() busy {
	text, err := os.ReadFile("/proc/stat")
	b := busy{at: time.Now()}
	if err == nil {
		b.time, b.known = parseBusy(string(text))
	}
	return b
}

// parseBusy reads the first line of /proc/stat, in hundredths of seconds. What a virtual machine's
// host took is work, too.
func parseBusy(stat string) (time.Duration, bool) {
	var user, nice, system, idle, wait, irq, softirq, steal int64
	n, _ := fmt.Sscanf(stat, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait,
		&irq, &softirq, &steal)
	return time.Duration(user+nice+system+irq+softirq+steal) * 10 * time.Millisecond, n == 8
}

// others says how many processors other programs have used since, in the mean, while one of ours
// used so much time; 0 if nobody knows.
func (b busy) others(now busy, ours time.Duration) float64 {
	if !b.known || !now.known || !now.at.After(b.at) {
		return 0
	}
	return max(0, float64(now.time-b.time-ours)/float64(now.at.Sub(b.at)))
}

// othersNote is a sentence on what other programs did to the speeds of two runs, "" if it was
// little.
func othersNote(with, without float64) string {
	n := runtime.NumCPU()
	if max(with, without) < 0.2*float64(n) {
		return ""
	}
	return fmt.Sprintf("Other programs used %.1f of %d processors during the first run and %.1f during the second: the speeds, and their ratio, are not those of this machine at rest.",
		with, n, without)
}
