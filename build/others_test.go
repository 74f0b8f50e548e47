package main

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestOthersAreSeen(t *testing.T) {
	used, ok := parseBusy("cpu  100 20 30 99999 50 4 6 40 7 8\ncpu0 1 2 3\n")
	assert.True(t, ok)
	assert.Equal(t, 2*time.Second, used)
	_, ok = parseBusy("no such thing")
	assert.False(t, ok)

	begin := busy{time: 100 * time.Second, known: true, at: time.Unix(0, 0)}
	end := busy{time: 130 * time.Second, known: true, at: time.Unix(10, 0)}
	assert.InDelta(t, 1.2, begin.others(end, 18*time.Second), 1e-9)
	assert.Zero(t, begin.others(end, 31*time.Second), "its own time is read at another moment")
	assert.Zero(t, busy{}.others(end, 0))

	said := func(x, y float64) string {
		var out strings.Builder
		printComparison(&app{out: &out}, result{generation: 4, others: x},
			result{generation: 10, others: y})
		return out.String()
	}
	assert.NotContains(t, said(0.1, 0.15), "Other programs")
	assert.Contains(t, said(0.1, float64(runtime.NumCPU())), "\nOther programs used 0.1 of ")
}
