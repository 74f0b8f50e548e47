package stats

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered has a different value in each counter.
func numbered(first uint64) (s Stats) {
	for i := range s.words() {
		s.words()[i] = first + uint64(i)
	}
	return s
}

// Every counter is a number that has a name and says what it counts.
func TestFields(t *testing.T) {
	s := numbered(0)
	require.Equal(t, reflect.TypeFor[Stats]().NumField(), len(s.words()), "counters only")
	seen := map[string]bool{}
	for _, f := range Fields() {
		require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, f.Name)
		require.NotEmpty(t, f.Help, f.Name)
		require.False(t, seen[f.Name] || seen[f.Help], f.Name)
		seen[f.Name], seen[f.Help] = true, true
	}
	for name, want := range map[string]string{"KVReadBytes": "kv_read_bytes",
		"AttentionNS": "attention_ns", "Tokens": "tokens"} {
		require.Equal(t, want, snake(name))
		require.True(t, seen[want])
	}
}

// Nothing is left out of sums and differences, but that what is held is held now.
func TestAddAndSince(t *testing.T) {
	a, b := numbered(100), numbered(1)
	b.Add(&a)
	for i, n := range b.words() {
		require.EqualValues(t, 101+2*i, n)
	}
	for i, f := range Fields() {
		want := uint64(1 + i)
		if f.Held {
			want = uint64(101 + 2*i)
		}
		d := b.Since(a)
		require.Equal(t, want, d.words()[i], f.Name)
	}
	require.Equal(t, a, a.Since(b), "opened anew in between")
}

func TestFigures(t *testing.T) {
	before := Stats{Tokens: 5, SparseTokens: 1, CorrectedTokens: 2, KVReadBytes: 100,
		KVFullBytes: 1000,
		ScanBytes:   10, RetiredSelected: 3, RetiredSeen: 3, AttentionNS: 100}
	after := Stats{Tokens: 15, SparseTokens: 9, CorrectedTokens: 6, KVReadBytes: 400,
		KVFullBytes: 3000,
		ScanBytes:   110, RetiredSelected: 13, RetiredSeen: 18, AttentionNS: 300,
		RingBytes: 1 << 20}
	f := after.Since(before).Figures()
	require.Equal(t, Figures{Tokens: 10, SparseTokens: 8, Corrected: 4, KVShare: 0.2, Exposure: 1.5,
		AttentionMS: 2e-4, GBps: 2, Memory: 1 << 20}, f)
	require.Equal(t, "8 of 10 tokens sparse, 20.0 % of KV read, 4 corrections, exposure 1.50, "+
		"1.0 MiB beside the KV cache", f.String())
	f.MassKept, f.Exact = 0.5, 7
	require.Contains(t, f.String(), ", 50.0 % of attention kept, ")
	require.Contains(t, f.String(), ", 7 of prompts and drafts exact")
	require.Equal(t, Figures{KVShare: 1, Exposure: 1}, Stats{}.Figures())
	require.Equal(t, "0 of 0 tokens sparse", Figures{}.String())
	require.Equal(t, "0 of 2 tokens sparse: the context was shorter than min_ctx",
		Figures{Tokens: 2, Short: 2}.String())
	require.Equal(t, "0 of 2 tokens sparse: the budget held the whole context",
		Figures{Tokens: 2, Short: 1}.String())
}

func TestJSON(t *testing.T) {
	var all map[string]float64
	require.NoError(t, json.Unmarshal([]byte(Stats{Tokens: 3, AttentionNS: 2e6}.Figures().JSON()),
		&all))
	require.Equal(t, 3.0, all["retro_n"])
	require.Equal(t, 2.0, all["retro_attention_ms"])
	require.Equal(t, 1.0, all["retro_kv_read_share"])
}

// Each metric has a help text and a type, and a name that ends in its unit as Prometheus wants it:
// base units, ratios of 1, and _total behind the unit of a counter.
func TestMetrics(t *testing.T) {
	text := numbered(1e9).Metrics("x:")
	parts := regexp.MustCompile(`(?m)^# HELP x:(\S+) (.+)\n# TYPE x:(\S+) (counter|gauge)\nx:(\S+) (\S+)\n`).FindAllStringSubmatch(text, -1)
	ends := map[string]string{
		"counter": `_(bytes|seconds|tokens|pages|heads|mass|selected|seen)_total$`,
		"gauge":   `_(bytes|ratio)$`,
	}
	length, names := 0, []string{}
	for _, m := range parts {
		length += len(m[0])
		require.Equal(t, []string{m[1], m[1]}, []string{m[3], m[5]})
		require.Regexp(t, `^retro_[a-z_]+$`, m[1])
		require.Regexp(t, ends[m[4]], m[1], "a %s", m[4])
		require.NotRegexp(t, `milli|nano|10\^|percent`, m[2])
		names = append(names, m[1])
	}
	require.Len(t, text, length, "nothing else")
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(names))
	for _, want := range []string{"x:retro_tokens_total 1e+09",
		"x:retro_attention_seconds_total 1.000000016", "x:retro_ring_bytes 1.000000015e+09",
		"x:retro_kept_mass_total 1000.000018", "x:retro_kv_read_ratio 2\n",
		"x:retro_exposure_ratio 1", "x:retro_memory_bytes 2"} {
		require.Contains(t, text, "\n"+want)
	}
	require.Equal(t, len(Fields())+4, len(names))
}

// Totals are of all engines: what one counts stays when it ends, what it held does not.
func TestTotals(t *testing.T) {
	var totals Totals
	a, b, zero := numbered(100), numbered(7), Stats{}
	more, less := numbered(150), numbered(150)
	less.RingBytes = a.RingBytes - 5
	totals.Add(&zero, &a)
	totals.Add(&zero, &b)
	totals.Add(&a, &more)
	totals.Add(&more, &less)
	totals.Close(&less)
	got := totals.Stats()
	for i, f := range Fields() {
		want := uint64(7 + i)
		if !f.Held {
			want += uint64(150 + i)
		}
		require.Equal(t, want, got.words()[i], f.Name)
	}
	var all map[string]float64
	require.NoError(t, json.Unmarshal([]byte(totals.String()), &all))
	require.Equal(t, 157.0, all["retro_tokens_total"])
	require.Len(t, all, len(Fields())+4)
	require.Zero(t, testing.AllocsPerRun(100, func() { totals.Add(&a, &more); totals.Close(&a) }))
}

// They are read while others add.
func TestTotalsTogether(t *testing.T) {
	var totals Totals
	var all sync.WaitGroup
	one := Stats{Tokens: 1}
	for range 4 {
		all.Go(func() {
			for range 1000 {
				totals.Add(&Stats{}, &one)
				_ = totals.String()
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 4000, totals.Stats().Tokens)
}
