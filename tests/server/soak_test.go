package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

const (
	soakClients = 80
	soakPatient = 10 * time.Minute // a request that takes longer hangs
)

// soakFull is what llama-server tells all requests in work when the cache that they share is full.
const soakFull = "500: Context size has been exceeded."

// soakGrowth is what the memory may grow after the first round, in kB: less than 10 kB for each
// request of half an hour. The heaps of C++ and Go take 4 MB from the 20th request to the 200th and
// 0.3 MB in the 200 after, without the feature 0 and 0.1 MB.
const soakGrowth = 16 << 10

// soakTime is how long the load lasts.
func soakTime(t *testing.T) time.Duration {
	if v := os.Getenv("RETRO_SOAK"); v != "" {
		load, err := time.ParseDuration(v)
		require.NoError(t, err, "RETRO_SOAK must be a duration such as 30m")
		return load
	}
	return 40 * time.Second
}

// cacheKind is a kind of KV cache: the slots' own, or one that all share, and that is full again
// and again.
type cacheKind struct {
	name string
	full bool
	args []string
}

func cacheKinds(slots, context, shared int) []cacheKind {
	return []cacheKind{
		{"split", false, []string{"-c", fmt.Sprint(slots * context)}},
		{"unified", true, []string{"-c", fmt.Sprint(shared), "-kvu", "--kv-unified-per-slot",
			fmt.Sprint(context)}},
	}
}

// soakArgs are those of all servers. The cache of prompts in memory grows by design.
func soakArgs(more ...[]string) []string {
	return slices.Concat(append(more, []string{"--cache-ram", "0", "--threads-http",
		fmt.Sprint(soakClients + 8), "--metrics"})...)
}

// deckOf is what the clients ask for, of a context of so many tokens; the usual requests come
// several times.
func deckOf(tokens []int, context int) (deck []*harness.Request) {
	r := rand.New(rand.NewPCG(5, 6))
	add := func(kind string, different, times, prompt, predict int) {
		for range different {
			from := r.IntN(len(tokens) - prompt)
			q := &harness.Request{Kind: kind, Prompt: tokens[from : from+prompt],
				Predict: predict + r.IntN(predict)}
			deck = append(deck, slices.Repeat([]*harness.Request{q}, times)...)
		}
	}
	add("1 token", 8, 4, 1, 12)
	add("short", 8, 4, 30, 24)
	add("300 tokens", 6, 3, 300, 32)
	for _, n := range []int{1000, 2000, 8000} {
		if n+100 < context {
			add(fmt.Sprintf("%d tokens", n), 1, 1, n, 16)
		}
	}
	add("to the end", 1, 1, context-20, 100)
	add("too long", 4, 4, context, 16)
	return deck
}

// soakTally is what came of all requests.
type soakTally struct {
	harness.Bounds
	harness.Difference
	ended  map[string]int // by kind and end
	parted int            // answers that said something else than alone
	whole  int            // answers that were not cancelled
	full   int            // ended because the cache was full
	wrong  []string
}

func newSoakTally(b harness.Bounds) *soakTally {
	return &soakTally{Bounds: b,
		ended: map[string]int{}}
}

func (s *soakTally) count(q *harness.Request, got harness.Reply, err error) {
	if err != nil {
		got.End = "failed"
	}
	s.ended[q.Kind+", "+got.End]++
	if err != nil {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %v", q.Kind, err))
		return
	}
	switch got.End {
	case "server_error", "exceed_context_size_error":
		if got.Message == soakFull {
			s.full++
		} else if got.Message != q.Alone.Message {
			s.wrong = append(s.wrong, fmt.Sprintf("%s: %s, alone %q", q.Kind, got.Message,
				q.Alone.Message))
		}
		return
	}
	d, err := harness.Differs(q.Alone, got)
	if err != nil || d.Worst > s.Step {
		s.wrong = append(s.wrong, fmt.Sprintf("%s of %d tokens: %v, log-probability off by %.2g",
			q.Kind, len(q.Prompt), err, d.Worst))
	}
	s.Steps, s.Sum, s.Worst = s.Steps+d.Steps, s.Sum+d.Sum, max(s.Worst, d.Worst)
	if got.End != "cancelled" {
		s.whole++
	}
	for i, g := range got.Steps {
		if i < len(q.Alone.Steps) && g.ID != q.Alone.Steps[i].ID {
			s.parted++
			break
		}
	}
}

// soak has many clients ask for the cards of the deck, each at least once, until the time is over.
// Some hang up.
func (tally *soakTally) soak(url string, deck []*harness.Request, seed uint64,
	load time.Duration) *soakTally {
	r := rand.New(rand.NewPCG(seed, 7))
	first := r.Perm(len(deck))
	begun := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range soakClients {
		wg.Go(func() {
			for {
				mu.Lock()
				if len(first) == 0 && time.Since(begun) > load {
					mu.Unlock()
					return
				}
				q, pieces, patience := deck[r.IntN(len(deck))], 0, soakPatient
				if len(first) > 0 {
					q, first = deck[first[0]], first[1:]
				} else if r.IntN(4) == 0 {
					pieces = 1 + r.IntN(16)
				} else if r.IntN(8) == 0 {
					patience = time.Duration(r.IntN(int(3 * time.Second)))
				}
				mu.Unlock()
				ctx, stop := context.WithTimeout(context.Background(), patience)
				got, err := q.Ask(ctx, url, pieces)
				if patience < soakPatient && errors.Is(err, context.DeadlineExceeded) {
					got.End, err = "cancelled", nil
				}
				stop()
				mu.Lock()
				tally.count(q, got, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return tally
}

func (s *soakTally) requests() (n int) {
	for _, k := range s.ended {
		n += k
	}
	return n
}

// check fails for what was wrong; full tells whether the cache may be full.
func (s *soakTally) check(t *testing.T, full bool) {
	t.Helper()
	mean := s.Sum / float64(max(1, s.Steps))
	t.Logf("%d requests: %v", s.requests(), s.ended)
	t.Logf("%d tokens compared: log-probability off by %.2g in the mean and %.2g at most; %d of %d answers said something else",
		s.Steps, mean, s.Worst, s.parted, s.whole)
	require.Empty(t, s.wrong)
	require.True(t, full || s.full == 0, "the cache was full, which has room for all")
	require.Less(t, mean, s.Mean)
}

// fillSlots fills each slot once: the summaries of its pages take memory when there are more pages
// than ever before, which is no leak.
func fillSlots(t *testing.T, url string, slots int, end *harness.Request) {
	filled := newSoakTally(harness.LanguageBounds)
	for i := range slots {
		q := *end
		q.More = map[string]any{"id_slot": i}
		got, err := q.Ask(t.Context(), url, 0)
		filled.count(&q, got, err)
	}
	require.Empty(t, filled.wrong)
	require.Equal(t, map[string]int{"to the end, truncated": slots}, filled.ended)
}

// endOf is the card of a deck that fills its context.
func endOf(deck []*harness.Request) *harness.Request {
	return deck[slices.IndexFunc(deck, func(q *harness.Request) bool { return q.Kind == "to the end" })]
}

// quiet keeps a server's threads from spinning where other servers and many clients run, and its
// memory countable: arenas of a hundred threads fill up slowly, which looks like a leak.
func quiet(t *testing.T) {
	t.Setenv("OMP_WAIT_POLICY", "passive")
	t.Setenv("MALLOC_ARENA_MAX", "1")
}

// endServer asks for a card once more, alone, and has the server end.
func endServer(t *testing.T, s harness.Server, b harness.Bounds, q *harness.Request) {
	again := newSoakTally(b)
	got, err := q.Ask(t.Context(), s.URL, 0)
	again.count(q, got, err)
	again.check(t, false)
	s.Interrupt(t)
}

// soakMemory loads a server in rounds: each answer is as it was alone, nothing hangs, memory does
// not grow, and attention was sparse.
func soakMemory(t *testing.T, server harness.Server, deck []*harness.Request, b harness.Bounds,
	slots int, full bool, load time.Duration) {
	end := endOf(deck)
	fillSlots(t, server.URL, slots, end)
	warm := newSoakTally(b).soak(server.URL, deck, 1, load/4)
	warm.check(t, full)
	before, kb := metrics(t, server.URL), memory(t, server.Cmd.Process.Pid, "VmRSS")
	s := newSoakTally(b).soak(server.URL, deck, 2, load*3/4)
	s.check(t, full)
	after, grown := metrics(t, server.URL), memory(t, server.Cmd.Process.Pid, "VmRSS")-kb
	t.Logf("memory: %d kB after %d requests, %+d kB after %d more; summaries and windows %+.0f kB",
		kb, warm.requests(), grown, s.requests(),
		(after["retro_memory_bytes"]-before["retro_memory_bytes"])/1024)
	require.Less(t, grown, soakGrowth)
	t.Logf("seen: memory per slot under load: %.0f kB",
		after["retro_memory_bytes"]/1e3/float64(slots))
	const steps, slotsOfStep = "n_decode_total", "n_busy_slots_per_decode"
	busy := (after[steps]*after[slotsOfStep] - before[steps]*before[slotsOfStep]) / (after[steps] - before[steps])
	t.Logf("%.1f slots at work in the mean of %.0f steps", busy, after[steps]-before[steps])
	require.Greater(t, busy, 2.0, "nobody had company")
	for _, name := range []string{"retro_tokens_total", "retro_sparse_tokens_total",
		"retro_corrected_tokens_total"} {
		t.Log(name, after[name]-before[name])
		require.Greater(t, after[name], before[name]+100, name)
	}
}

// The same for a language model, in few slots with long contexts.
func TestSoakOfLanguage(t *testing.T) {
	if os.Getenv("RETRO_LONG") == "" {
		t.Skip("runs with --long")
	}
	// the most that the model was trained for, where llama-server cuts
	const slots, context = 8, 8192
	quiet(t)
	for _, c := range cacheKinds(slots, context, context+512) {
		t.Run(c.name, func(t *testing.T) {
			server := harness.StartServer(t, slots,
				soakArgs(c.args, []string{"--retro-attn", "--retro-budget", "128",
					"--retro-min-ctx", "256",
					"--retro-window", "2", "--retro-period", "1"})...)
			var text strings.Builder
			for _, f := range []string{"docs/build.md", "README.md"} {
				data, err := os.ReadFile(filepath.Join(harness.Setting(t, "RETRO_SOURCE"), f))
				require.NoError(t, err)
				text.Write(data)
			}
			deck := deckOf(harness.Tokenize(t, server.URL, text.String()), context)
			answerAlone(t, server.URL, deck)
			soakMemory(t, server, deck, harness.LanguageBounds, slots, c.full, soakTime(t)/4)
			if c.full {
				both := newSoakTally(harness.LanguageBounds).soak(server.URL,
					[]*harness.Request{endOf(deck), endOf(deck)}, 3, 0)
				require.Equal(t, map[string]int{"to the end, server_error": 2}, both.ended,
					"two that need most of the cache each")
				both.check(t, true)
			}
			endServer(t, server, harness.LanguageBounds, deck[0])
		})
	}
}
