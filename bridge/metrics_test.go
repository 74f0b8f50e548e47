package bridge

import (
	"context"
	"encoding/json"
	"expvar"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A monitor reads the sums of all contexts while they decode, by expvar and as Prometheus does;
// what a context has counted stays when it is closed, what it held does not.
func TestMetrics(t *testing.T) {
	model := patchedModel(t)
	var m Metrics
	var _ expvar.Var = &m
	open := func() *Context {
		c := newContext(t, model, ContextParams{Ctx: 1024, FlashAttn: FlashOn, Threads: 1,
			Metrics: &m})
		require.NoError(t, c.EnableRetro("budget=32,local=16,min_ctx=64,window=2,period=1"))
		return c
	}
	one, two := open(), open()
	var done sync.WaitGroup
	for _, c := range []*Context{one, two} {
		done.Go(func() {
			_, err := c.Generate(context.Background(), strings.Repeat(prose+" ", 10),
				GenerateOptions{MaxTokens: 16}, func(string) bool {
					return json.Valid([]byte(m.String()))
				})
			assert.NoError(t, err)
		})
	}
	done.Wait()
	a, err := one.RetroStats()
	require.NoError(t, err)
	b, err := two.RetroStats()
	require.NoError(t, err)
	require.NotZero(t, a.SparseTokens)
	sum := a
	sum.Add(&b)
	require.Equal(t, sum, m.Stats())

	require.NoError(t, one.DisableRetro())
	last, err := one.SeqPosMax(0)
	require.NoError(t, err)
	feed(t, one, 0, last+1, 1, 2) // nothing is counted
	require.NoError(t, two.EnableRetro("budget=all,window=1,period=1"))
	require.NoError(t, two.Close())
	sum.SummaryBytes, sum.RingBytes = 0, 0
	require.Equal(t, sum, m.Stats())
	var all map[string]float64
	require.NoError(t, json.Unmarshal([]byte(m.String()), &all))
	assert.EqualValues(t, sum.SparseTokens, all["retro_sparse_tokens_total"])
	assert.InDelta(t, sum.Figures().KVShare, all["retro_kv_read_ratio"], 1e-9)
	assert.Contains(t, m.Prometheus(), "# TYPE llamacpp:retro_sparse_tokens_total counter\n")
}
