package bridge

import "github.com/retroattn/retroattn/retro/stats"

// Metrics sums what the sparse attention of contexts did, see ContextParams.Metrics: counters since
// it was made, bytes that are held now, and what follows from them, by the names and with the units
// of llama-server's /metrics. Any goroutine can read it at any time. The zero value is ready.
//
// It is an expvar.Var, as package expvar has no types that a library would have to share with its
// users, and the text of Prometheus is written without a library.
type Metrics struct{ totals stats.Totals }

// Stats returns the counters.
func (m *Metrics) Stats() stats.Stats { return m.totals.Stats() }

// String returns them as a JSON object, for expvar.Publish.
func (m *Metrics) String() string { return m.totals.String() }

// Prometheus returns them as text for a scraper, with help texts and types.
func (m *Metrics) Prometheus() string { return m.Stats().Metrics("llamacpp:") }

// count adds what has come since the last reading to the context's Metrics.
func (c *Context) count() {
	if c.metrics == nil || !c.lib.patched {
		return
	}
	if !c.lib.retroAttnStats(c.ptr, &c.reading) {
		c.settle()
		return
	}
	now := &c.reading.counters
	if now.Reopened(c.counted) {
		c.settle()
	}
	c.metrics.totals.Add(&c.counted, now)
	c.counted = *now
}

// settle takes what an engine held out of the Metrics; the next one counts from 0.
func (c *Context) settle() {
	if c.metrics != nil {
		c.metrics.totals.Close(&c.counted)
	}
	c.counted = stats.Stats{}
}
