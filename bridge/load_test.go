package bridge

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// collectGarbage runs the collector all the time until the test ends.
func collectGarbage(t *testing.T) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	})
	t.Cleanup(func() { stop.Store(true); wg.Wait() })
}

// Eight goroutines generate at once on contexts and samplers of their own, and each gets what it
// gets alone.
func TestParallelGeneration(t *testing.T) {
	model := loadModel(t)
	for _, retro := range []bool{false, true} {
		if retro && !model.lib.HasRetro() {
			continue
		}
		name := "stock"
		if retro {
			name = "retro"
		}
		t.Run(name, func(t *testing.T) {
			collectGarbage(t)
			generate := func(seed int) (Generation, error) {
				c, err := model.NewContext(ContextParams{Ctx: 512, Threads: 1, FlashAttn: FlashOn})
				if err != nil {
					return Generation{}, err
				}
				defer c.Close()
				if retro {
					if err := c.EnableRetro("min_ctx=64,budget=16,window=2,period=1,local=16"); err != nil {
						return Generation{}, err
					}
				}
				s, err := model.NewSampler(SamplerParams{Temperature: 1, TopK: 50, TopP: 0.95,
					RepeatPenalty: 1.1, Seed: uint32(seed)})
				if err != nil {
					return Generation{}, err
				}
				defer s.Close()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				return c.Generate(ctx, strings.Repeat(prose+" ", 6),
					GenerateOptions{MaxTokens: 12, Sampler: s}, func(string) bool { return true })
			}
			want, err := generate(1)
			require.NoError(t, err)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					got, err := generate(1 + i%2)
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, i%2 == 0, got.Text == want.Text)
					if assert.Equal(t, retro, got.Retro != nil) && retro {
						assert.NotZero(t, got.Retro.SparseTokens)
					}
				})
			}
			wg.Wait()
		})
	}
}

// residentBytes is the memory that the process holds.
func residentBytes(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

func abortCount() (n int) {
	abortFuncs.Range(func(any, any) bool { n++; return true })
	return n
}

// Short generations, each with a sampler of its own, some with a context of its own, leave nothing
// behind.
func TestNoLeak(t *testing.T) {
	model := tinyModel(t, "")
	rounds := 10000
	if testing.Short() {
		rounds = 500
	}
	params := ContextParams{Ctx: 256, Batch: 64, UBatch: 64, Threads: 1, FlashAttn: FlashOn}
	long := make([]Token, 40) // watched for a cancellation
	for i := range long {
		long[i] = Token(i + 3)
	}
	shared := newContext(t, model, params)
	generate := func(i int) {
		c := shared
		if i%100 == 0 {
			own, err := model.NewContext(params)
			require.NoError(t, err)
			defer own.Close()
			if c = own; model.lib.HasRetro() {
				require.NoError(t, c.EnableRetro("min_ctx=0,budget=16,window=2,period=1"))
			}
		}
		s, err := model.NewSampler(SamplerParams{Temperature: 1, TopK: 20, RepeatPenalty: 1.1,
			Seed: uint32(i + 1), Grammar: `root ::= [^x]*`})
		require.NoError(t, err)
		defer s.Close()
		prompt := long
		if i%4 > 0 {
			prompt = long[:1+i%5]
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		got, err := c.Generate(ctx, "", GenerateOptions{MaxTokens: 2, Tokens: prompt, Sampler: s,
			Stop: []string{"zz"}}, func(string) bool { return true })
		require.NoError(t, err)
		require.LessOrEqual(t, len(got.Tokens), 2)
		require.NoError(t, c.MemoryClear())
	}
	measure := func() (memory, goroutines int) {
		runtime.GC()
		runtime.GC()
		return residentBytes(t), runtime.NumGoroutine()
	}
	for i := range rounds { // until the allocators have what they need
		generate(i)
	}
	memory, goroutines := measure()
	start := time.Now()
	for i := range rounds {
		generate(i)
	}
	after, now := measure()
	t.Logf("%d generations in %v: %.1f MB before, %.1f MB after", rounds, time.Since(start),
		float64(memory)/1e6, float64(after)/1e6)
	assert.Less(t, after, memory+8<<20, "a sampler that is lost each time would be 80 MB")
	assert.LessOrEqual(t, now, goroutines)
	assert.Zero(t, abortCount())
	assert.EqualValues(t, 1, model.users.Load(), "the shared context")
}
