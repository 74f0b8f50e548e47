package bridge

import (
	"fmt"
	"strings"
)

// Stats are the counters of a context's sparse attention since it was enabled: struct retro_stats. Page and row figures
// are summed over layers and KV heads.
type Stats struct {
	structSize       uint32
	Cells            uint32 // KV cells as configured
	Tokens           uint64 // new tokens decoded with it
	SparseTokens     uint64 // of these, with pages left out
	CorrectedTokens  uint64 // past tokens re-embedded with new pages
	RewrittenTokens  uint64 // all past tokens re-embedded
	FarTokens        uint64 // far pages a sparse token could have read
	SelectedTokens   uint64 // far pages read for sparse tokens
	SupplementTokens uint64 // far pages added to past tokens
	RetiredSelected  uint64 // of tokens that left the window: pages selected
	RetiredSeen      uint64 // and pages seen in the end
	KVBytesRead      uint64 // K and V read
	KVBytesFull      uint64 // the same if every token attended to all
	ScanBytes        uint64 // page summaries read
	SummaryBytes     uint64 // memory held by page summaries
	RingBytes        uint64 // memory held by the output cache
	AttendNS         uint64 // time in retro_select and retro_attend on thread 0

	AuditedHeads uint64 // query heads whose kept attention was measured, see option audit
	KeptMass     uint64 // millionths: sum over them of the share of its attention that each kept
	AuditBytes   uint64 // K read for that, not in KVBytesRead

	ExactTokens uint64 // of prompts and drafts, attended to exactly: the other counters leave them out
}

// Figures are what people want to know of a request or a context. Counters belong to a context: where several sequences
// were decoded together, these are of all of them.
type Figures struct {
	Tokens       uint64  // new tokens decoded with sparse attention enabled
	Exact        uint64  // and of prompts and drafts, attended to exactly
	SparseTokens uint64  // of these, with pages left out
	Corrected    uint64  // past tokens re-embedded with new pages
	KVShare      float64 // bytes of keys, values and page summaries read, of what full attention reads; 1 before any token
	MassKept     float64 // share of the attention on what was read, on a sample of heads; 0 where none was audited
	Exposure     float64 // pages that a token has seen when it leaves the window per page it had chosen; 1 before any
	GBps         float64 // 10^9 bytes of keys, values and summaries read per second of attention, on all threads
}

// Since returns the figures of what was counted after an earlier reading of the same context.
func (s Stats) Since(before Stats) Figures {
	d := s.sub(before)
	f := Figures{Tokens: d.Tokens, Exact: d.ExactTokens, SparseTokens: d.SparseTokens, Corrected: d.CorrectedTokens, KVShare: 1, Exposure: 1}
	read := float64(d.KVBytesRead + d.ScanBytes)
	if d.KVBytesFull > 0 {
		f.KVShare = read / float64(d.KVBytesFull)
	}
	if d.RetiredSelected > 0 {
		f.Exposure = float64(d.RetiredSeen) / float64(d.RetiredSelected)
	}
	if d.AttendNS > 0 {
		f.GBps = read / float64(d.AttendNS)
	}
	if d.AuditedHeads > 0 {
		f.MassKept = float64(d.KeptMass) / 1e6 / float64(d.AuditedHeads)
	}
	return f
}

// sub subtracts the counters that Figures are made of.
func (s Stats) sub(before Stats) Stats {
	if s.Tokens < before.Tokens || s.ExactTokens < before.ExactTokens { // enabled anew in between
		return s
	}
	s.Tokens -= before.Tokens
	s.SparseTokens -= before.SparseTokens
	s.CorrectedTokens -= before.CorrectedTokens
	s.KVBytesRead -= before.KVBytesRead
	s.KVBytesFull -= before.KVBytesFull
	s.ScanBytes -= before.ScanBytes
	s.RetiredSelected -= before.RetiredSelected
	s.RetiredSeen -= before.RetiredSeen
	s.AttendNS -= before.AttendNS
	s.AuditedHeads -= before.AuditedHeads
	s.KeptMass -= before.KeptMass
	s.ExactTokens -= before.ExactTokens
	return s
}

// String is one line for people.
func (f Figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d tokens sparse", f.SparseTokens, f.Tokens)
	if f.SparseTokens > 0 {
		fmt.Fprintf(&b, ", %.1f %% of KV read", 100*f.KVShare)
		if f.MassKept > 0 {
			fmt.Fprintf(&b, ", %.1f %% of attention kept", 100*f.MassKept)
		}
		fmt.Fprintf(&b, ", %d corrections, exposure %.2f", f.Corrected, f.Exposure)
	} else if f.Tokens > 0 {
		b.WriteString(": the context was shorter than min_ctx, or in the budget")
	} else {
		b.WriteString(": the library decoded none")
	}
	if f.Exact > 0 {
		fmt.Fprintf(&b, ", %d of prompts and drafts exact", f.Exact)
	}
	if f.GBps > 0 {
		fmt.Fprintf(&b, ", %.1f GB/s", f.GBps)
	}
	return b.String()
}

// RetroFigures returns the figures since sparse attention was enabled, at any time between two Decodes. ErrRetroOff as
// for RetroStats; subtract two RetroStats with Since for the time between them.
func (c *Context) RetroFigures() (Figures, error) {
	stats, err := c.RetroStats()
	if err != nil {
		return Figures{}, err
	}
	return stats.Since(Stats{}), nil
}
