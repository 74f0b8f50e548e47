// Package stats is what an engine counts, and what people want to know of it. A counter is one line
// of Stats, and is counted somewhere: the struct of the C header is generated from the lines, and
// the server's metrics are written from them. It knows nothing of the engine.
package stats

import (
	"reflect"
	"strings"
	"unsafe"
)

//go:generate go run ./header ../../capi/retroattn.h

// Stats counts since an engine was opened. Figures of far tokens are summed over layers and KV
// heads. Fields ending in NS are nanoseconds; those with held are not counted, but hold now.
type Stats struct {
	Tokens           uint64 `help:"new tokens decoded"`
	SparseTokens     uint64 `help:"new tokens for which some of the context was left out"`
	ShortTokens      uint64 `help:"new tokens in contexts shorter than min_ctx"`
	ExactTokens      uint64 `help:"tokens of prompts and drafts, in no other counter"`
	CorrectedTokens  uint64 `help:"past tokens embedded again that read more"`
	RewrittenTokens  uint64 `help:"past tokens embedded again"`
	FarTokens        uint64 `help:"far tokens that sparse tokens could have read"`
	SelectedTokens   uint64 `help:"far tokens read for sparse tokens"`
	SupplementTokens uint64 `help:"far tokens added to past tokens"`
	RetiredSelected  uint64 `help:"far tokens selected by tokens that have left the window"`
	RetiredSeen      uint64 `help:"far tokens seen in the end by tokens that have left the window"`
	KVReadBytes      uint64 `help:"bytes of K and V read"`
	KVFullBytes      uint64 `help:"bytes of K and V read if every token attended to all"`
	ScanBytes        uint64 `help:"bytes of page summaries and token codes read"`
	SummaryBytes     uint64 `help:"bytes held by summaries and codes" held:"now"`
	RingBytes        uint64 `help:"bytes held by the output cache" held:"now"`
	AttentionNS      uint64 `help:"time in selection and attention, of one thread"`
	AuditedHeads     uint64 `help:"query heads whose kept attention was measured, see option audit"`
	KeptMass         uint64 `help:"sum over audited heads of the attention kept, in millionths"`
	AuditBytes       uint64 `help:"bytes of K read for audits, not in kv_read_bytes"`
	LatePages        uint64 `help:"pages of a layer and KV head that new tokens summarised, as no prompt had"`
}

// KeptUnit is what a head that keeps all of its attention adds to KeptMass.
const KeptUnit = 1e6

// words are the counters, in order.
func (s *Stats) words() []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(s)), unsafe.Sizeof(*s)/8)
}

// Add sums what two have counted.
func (s *Stats) Add(o *Stats) {
	to, from := s.words(), o.words()
	for i := range to {
		to[i] += from[i]
	}
}

// Since is what was counted after an earlier reading; where an engine was opened anew in between,
// it is all.
func (s Stats) Since(before Stats) Stats {
	if s.Reopened(before) {
		return s
	}
	to, from := s.words(), before.words()
	for i, f := range fields {
		if !f.Held {
			to[i] -= from[i]
		}
	}
	return s
}

// Reopened tells whether the counters have begun anew since an earlier reading.
func (s Stats) Reopened(before Stats) bool {
	return s.Tokens < before.Tokens || s.ExactTokens < before.ExactTokens
}

// Field describes a counter.
type Field struct {
	Name string // as in C
	Help string
	Held bool // not counted, but holds now
}

var fields = Fields()

// Fields describes all counters, in order.
func Fields() (all []Field) {
	t := reflect.TypeFor[Stats]()
	for i := range t.NumField() {
		f := t.Field(i)
		all = append(all, Field{snake(f.Name), f.Tag.Get("help"), f.Tag.Get("held") != ""})
	}
	return all
}

// snake writes KVReadBytes as kv_read_bytes.
func snake(name string) string {
	var b strings.Builder
	upper := func(i int) bool { return i < len(name) && name[i] >= 'A' && name[i] <= 'Z' }
	for i := range len(name) {
		if i > 0 && upper(i) && (!upper(i-1) || i+1 < len(name) && !upper(i+1)) {
			b.WriteByte('_')
		}
		b.WriteByte(name[i])
	}
	return strings.ToLower(b.String())
}
