package retro

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// Stats counts since Open. Page figures are summed over layers and KV heads.
type Stats struct {
	Tokens           uint64 // new tokens decoded here
	SparseTokens     uint64 // of these, with some left out
	ShortTokens      uint64 // of the others, in contexts shorter than Options.MinCtx
	CorrectedTokens  uint64 // past tokens embedded again that read more
	RewrittenTokens  uint64 // all past tokens embedded again
	FarTokens        uint64 // far tokens that sparse ones could have read
	SelectedTokens   uint64 // far tokens read for sparse ones
	SupplementTokens uint64 // far tokens added to past ones
	RetiredSelected  uint64 // of tokens that left the window: far tokens selected
	RetiredSeen      uint64 // ... and read in the end
	KVBytesRead      uint64 // bytes of K and V read
	KVBytesFull      uint64 // the same if every token attended to everything
	ScanBytes        uint64 // bytes of summaries and codes read, or of keys to score pages by (Oracle)
	SummaryBytes     uint64 // memory held by summaries
	RingBytes        uint64 // memory held by output caches
	AttendNS         uint64 // time in Select and Attend on thread 0
	AuditedHeads     uint64 // query heads whose kept attention was measured, see Options.Audit
	KeptMass         uint64 // ... and the sum of what they kept of it, in millionths
	AuditBytes       uint64 // bytes of K read for that, which KVBytesRead leaves out
	ExactTokens      uint64 // exact rows, which all others leave out
}

// add sums the counters that workers keep.
func (s *Stats) add(o *Stats) {
	s.FarTokens += o.FarTokens
	s.SelectedTokens += o.SelectedTokens
	s.SupplementTokens += o.SupplementTokens
	s.KVBytesRead += o.KVBytesRead
	s.KVBytesFull += o.KVBytesFull
	s.ScanBytes += o.ScanBytes
	s.AttendNS += o.AttendNS
	s.AuditedHeads += o.AuditedHeads
	s.KeptMass += o.KeptMass
	s.AuditBytes += o.AuditBytes
}

// Stats returns the counters; between steps only.
func (e *Engine) Stats() Stats { return e.stats }

// KVShare is the part of the KV bytes read, summaries included; 1 before any token.
func (s *Stats) KVShare() float64 {
	if s.KVBytesFull == 0 {
		return 1
	}
	return float64(s.KVBytesRead+s.ScanBytes) / float64(s.KVBytesFull)
}

// Exposure is far tokens read in the end / selected, over tokens that have left
// the window; 1 without correction.
func (s *Stats) Exposure() float64 {
	if s.RetiredSelected == 0 {
		return 1
	}
	return float64(s.RetiredSeen) / float64(s.RetiredSelected)
}

// MassKept is the share of their attention that sparse tokens kept: what sink, local window and
// the selected tokens hold of the softmax over all tokens, without attention sinks (Layer.Sinks),
// in the mean of the query heads that were audited. It is that of the token's own step, before
// any correction. ok is false if none was audited.
func (s *Stats) MassKept() (share float64, ok bool) {
	if s.AuditedHeads == 0 {
		return 0, false
	}
	return float64(s.KeptMass) / keptUnit / float64(s.AuditedHeads), true
}

// Summary is one line for people.
func (s *Stats) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d tokens sparse", s.SparseTokens, s.Tokens)
	if s.SparseTokens > 0 {
		fmt.Fprintf(&b, ", %.1f %% of KV read, %d corrections, exposure %.2f", 100*s.KVShare(), s.CorrectedTokens, s.Exposure())
		if kept, ok := s.MassKept(); ok {
			fmt.Fprintf(&b, ", %.1f %% of attention kept", 100*kept)
		}
		fmt.Fprintf(&b, ", %.1f MiB beside the KV cache", float64(s.SummaryBytes+s.RingBytes)/(1<<20))
	}
	if s.ExactTokens > 0 {
		fmt.Fprintf(&b, ", %d of prompts and drafts exact", s.ExactTokens)
	}
	if s.SparseTokens > 0 {
		return b.String()
	}
	switch { // why not
	case s.Tokens == 0: // the host knows
	case s.ShortTokens == s.Tokens:
		b.WriteString(": the context was shorter than min_ctx")
	default:
		b.WriteString(": the budget held the whole context")
	}
	return b.String()
}

// counter is added to by several threads in a step.
type counter struct{ v atomic.Uint64 }

func (c *counter) add(n uint64)   { c.v.Add(n) }
func (c *counter) load() uint64   { return c.v.Load() }
func (c *counter) store(n uint64) { c.v.Store(n) }

// mark is raised by several threads in a step. It is not an atomic.Bool so that
// its owner can be reset by assignment between steps.
type mark struct{ v uint32 }

func (f *mark) set() {
	if atomic.LoadUint32(&f.v) == 0 {
		atomic.StoreUint32(&f.v, 1)
	}
}
func (f *mark) isSet() bool { return atomic.LoadUint32(&f.v) != 0 }
