package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// slowest is how many tests the report names by their time.
const slowest = 20

// totals sums the stages up, some of which run at once.
type totals struct {
	mu                      sync.Mutex
	passed, failed, skipped int
	notRun                  []string
	timed                   []timed
	seen                    []sighting
	missing                 string // why stages that follow have nothing to run
}

// timed is a test with its subtests.
type timed struct {
	name    string
	seconds float64
}

// sighting is a figure that tests have logged, as "seen: NAME: VALUE UNIT".
type sighting struct {
	name, unit string
	n          int
	sum, most  float64
}

var seenLine = regexp.MustCompile(`\bseen: ([^:]+): ([0-9.e+-]+)(?: (\S+))?\s*$`)

// parseSighting reads a line of a test's log.
func parseSighting(line string) (s sighting, ok bool) {
	m := seenLine.FindStringSubmatch(line)
	if m == nil {
		return s, false
	}
	value, err := strconv.ParseFloat(m[2], 64)
	return sighting{name: m[1], unit: m[3], n: 1, sum: value, most: value}, err == nil
}

// addSighting joins a figure to those of the same name.
func addSighting(all []sighting, s sighting) []sighting {
	for i := range all {
		if a := &all[i]; a.name == s.name && a.unit == s.unit {
			a.n, a.sum, a.most = a.n+s.n, a.sum+s.sum, max(a.most, s.most)
			return all
		}
	}
	return append(all, s)
}

func (s sighting) String() string {
	unit := ""
	if s.unit != "" {
		unit = " " + s.unit
	}
	return fmt.Sprintf("%s: %s%s in the mean, %s%s at most, seen %d times", s.name,
		figure(s.sum/float64(s.n)), unit, figure(s.most), unit, s.n)
}

// figure has three digits, or all before the point.
func figure(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// add takes over what a stage has counted.
func (s *totals) add(g stage, t *tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.basis && t.failed > 0 {
		s.missing = "the " + g.name + " are not built"
	}
	s.passed, s.failed, s.skipped = s.passed+t.passed, s.failed+t.failed, s.skipped+t.skipped
	for _, x := range t.timed {
		s.timed = append(s.timed, timed{g.name + ": " + x.name, x.seconds})
	}
	for _, x := range t.seen {
		s.seen = addSighting(s.seen, x)
	}
}

// details are what took long and what was seen.
func (s *totals) details() string {
	var b strings.Builder
	slices.SortStableFunc(s.timed,
		func(x, y timed) int { return cmp.Compare(y.seconds, x.seconds) })
	if n := min(slowest, len(s.timed)); n > 0 {
		fmt.Fprintf(&b, "\nthe %d slowest of %d tests:\n", n, len(s.timed))
		for _, x := range s.timed[:n] {
			fmt.Fprintf(&b, "  %12s  %s\n", seconds(time.Duration(x.seconds*float64(time.Second))),
				x.name)
		}
	}
	for _, x := range s.seen {
		fmt.Fprintf(&b, "%s\n", x)
	}
	return b.String()
}

func (s *totals) String() string {
	text := fmt.Sprintf("tests: %d passed, %d failed, %d skipped", s.passed, s.failed, s.skipped)
	switch len(s.notRun) {
	case 0:
		return text
	case 1:
		return fmt.Sprintf("%s, 1 stage not run (%s)", text, s.notRun[0])
	}
	return fmt.Sprintf("%s, %d stages not run (%s)", text, len(s.notRun),
		strings.Join(s.notRun, "; "))
}
