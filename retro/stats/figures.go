package stats

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Figures are what people want to know of Stats. Their names in JSON are those in a server's
// timings; those with help are in its metrics as well, by a name that ends in the unit.
type Figures struct {
	Tokens       uint64 `json:"retro_n"`        // new tokens decoded here
	SparseTokens uint64 `json:"retro_sparse_n"` // of these, with some left out
	// of the others, in contexts shorter than min_ctx
	Short       uint64  `json:"-"`
	Exact       uint64  `json:"retro_exact_n"`       // and of prompts and drafts, computed exactly
	Corrected   uint64  `json:"retro_corrections_n"` // past tokens embedded again that read more
	KVShare     float64 `json:"retro_kv_read_share" metric:"kv_read_ratio" help:"bytes read per byte that full attention reads"`
	MassKept    float64 `json:"retro_kept_share" metric:"kept_ratio" help:"share of attention kept, 0 without audits"`
	Exposure    float64 `json:"retro_exposure" metric:"exposure_ratio" help:"far tokens seen in the end per one selected"`
	AttentionMS float64 `json:"retro_attention_ms"`  // time in selection and attention
	GBps        float64 `json:"retro_gb_per_second"` // 10^9 bytes read per second of attention
	Memory      uint64  `json:"retro_memory_bytes" metric:"memory_bytes" help:"bytes held beside the KV cache"`
}

// Figures computes them.
func (s Stats) Figures() Figures {
	f := Figures{
		Tokens: s.Tokens, SparseTokens: s.SparseTokens, Short: s.ShortTokens, Exact: s.ExactTokens,
		Corrected: s.CorrectedTokens, KVShare: 1, Exposure: 1,
		AttentionMS: float64(s.AttentionNS) / 1e6, Memory: s.SummaryBytes + s.RingBytes,
	}
	read := float64(s.KVReadBytes + s.ScanBytes)
	if s.KVFullBytes > 0 {
		f.KVShare = read / float64(s.KVFullBytes)
	}
	if s.RetiredSelected > 0 {
		f.Exposure = float64(s.RetiredSeen) / float64(s.RetiredSelected)
	}
	if s.AttentionNS > 0 {
		f.GBps = read / float64(s.AttentionNS)
	}
	if s.AuditedHeads > 0 {
		f.MassKept = float64(s.KeptMass) / KeptUnit / float64(s.AuditedHeads)
	}
	return f
}

// String is one line for people.
func (f Figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d tokens sparse", f.SparseTokens, f.Tokens)
	if f.SparseTokens > 0 {
		fmt.Fprintf(&b, ", %.1f %% of KV read, %d corrections, exposure %.2f",
			100*f.KVShare, f.Corrected, f.Exposure)
		if f.MassKept > 0 {
			fmt.Fprintf(&b, ", %.1f %% of attention kept", 100*f.MassKept)
		}
		fmt.Fprintf(&b, ", %.1f MiB beside the KV cache", float64(f.Memory)/(1<<20))
	}
	if f.Exact > 0 {
		fmt.Fprintf(&b, ", %d of prompts and drafts exact", f.Exact)
	}
	switch {
	case f.SparseTokens > 0 || f.Tokens == 0: // of none, the host knows why
	case f.Short == f.Tokens:
		b.WriteString(": the context was shorter than min_ctx")
	default:
		b.WriteString(": the budget held the whole context")
	}
	return b.String()
}

// JSON is the figures as an object.
func (f Figures) JSON() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // they are finite numbers
	}
	return string(text)
}
