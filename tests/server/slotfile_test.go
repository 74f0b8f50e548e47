package server

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Servers are killed at random moments around saving a slot; another one restores the file and goes
// on as the first did.
func TestSlotFileSurvives(t *testing.T) {
	harness.Slow(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "slot")
	args := []string{"--slot-save-path", dir, "--retro-attn", "--retro-budget", "128",
		"--retro-window", "2", "--retro-period", "1", "--retro-min-ctx", "256"}
	slot := func(url, action, name string) error {
		_, err := harness.SlotFile(url, 0, action, name)
		return err
	}
	prompt := harness.LongPrompt(t)
	ask := func(url string) harness.Completion {
		var c harness.Completion
		require.NoError(t, harness.Post(url+"/completion",
			map[string]any{"prompt": prompt, "n_predict": 16, "temperature": 0, "id_slot": 0,
				"cache_prompt": true, "ignore_eos": true}, &c))
		return c
	}
	s := harness.StartServer(t, 1, args...)
	ask(s.URL)
	require.NoError(t, slot(s.URL, "save", "slot"))
	saved, err := os.ReadFile(file)
	require.NoError(t, err)
	want := ask(s.URL)
	require.NotZero(t, want.Timings.CacheN)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 4 {
		require.NoError(t, slot(s.URL, "restore", "slot"))
		done := make(chan struct{})
		go func() {
			for slot(s.URL, "save", "slot") == nil {
			}
			close(done)
		}()
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		require.NoError(t, s.Kill())
		<-done
		left, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, saved, left, "it is the old one or the new one, which are alike")
		s = harness.StartServer(t, 1, args...)
		require.NoError(t, slot(s.URL, "restore", "slot"))
		got := ask(s.URL)
		require.Equal(t, want.Timings.CacheN, got.Timings.CacheN)
		require.Equal(t, want.Content, got.Content)
	}
}

// slotHeads are the places in the file of a slot that are not keys and values, where among them the
// number of cells is, and where the file ends but for the library's part.
func slotHeads(t *testing.T, data []byte) (heads []int, count, end int) {
	at := 0
	read := func() int {
		for i := range 4 {
			heads = append(heads, at+i)
		}
		at += 4
		return int(binary.LittleEndian.Uint32(data[at-4:]))
	}
	skip := func(words int) {
		for range words {
			read()
		}
	}
	skip(2)      // magic, version
	skip(read()) // tokens
	require.Equal(t, 1, read(), "streams")
	count = at
	cells := read()
	skip(3 * cells) // position, number of sequences, sequence
	skip(1)         // whether values are transposed
	for range 2 * read() {
		skip(1) // type
		row := read()
		skip(1)
		at += cells * row
	}
	end = at
	for skip(4); at < end+160; at++ { // magic, version, size; then the library's own
		heads = append(heads, at)
	}
	require.Less(t, at, len(data))
	return heads, count, end
}

// A slot's file that is cut anywhere, or whose heads are damaged, is refused with an error or
// restored without the library's part; the server allocates no more than before and answers on.
// Without the feature, too.
func TestSlotFileDamaged(t *testing.T) {
	harness.Slow(t)
	model, prompt := wordModel(t), randomPrompt(75)
	for name, args := range map[string][]string{"on": {"--retro-attn", "--retro-budget", "16",
		"--retro-window", "2", "--retro-period", "1", "--retro-min-ctx", "16", "--retro-opts",
		"local=16"}, "off": nil} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := harness.StartServer(t, 1, append([]string{"-m", model, "--slot-save-path", dir,
				"--cache-ram", "0"}, args...)...)
			slot := func(action, name string) error {
				_, err := harness.SlotFile(s.URL, 0, action, name)
				return err
			}
			ask := func() (string, error) {
				var c harness.Completion
				err := harness.Post(s.URL+"/completion",
					map[string]any{"prompt": prompt, "n_predict": 4, "temperature": 0, "id_slot": 0,
						"ignore_eos": true}, &c)
				return c.Content, err
			}
			_, err := ask()
			require.NoError(t, err)
			require.NoError(t, slot("save", "good"))
			good, err := os.ReadFile(filepath.Join(dir, "good"))
			require.NoError(t, err)
			want, err := ask()
			require.NoError(t, err)
			parse := good
			if args == nil {
				parse = append(slices.Clone(good), make([]byte, 256)...) // no library's part
			}
			heads, count, end := slotHeads(t, parse)
			require.Equal(t, args == nil, end == len(good))

			rng := rand.New(rand.NewPCG(11, 12))
			refused, most := 0, memory(t, s.Cmd.Process.Pid, "VmHWM")
			try := func(what string, bad []byte) (restored bool) {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "bad"), bad, 0o644))
				err := slot("restore", "bad")
				if err != nil {
					require.Contains(t, err.Error(), "Unable to restore slot", what)
					refused++
				} else if _, err := ask(); err != nil { // where positions were damaged, which nothing can tell
					require.Contains(t, err.Error(), "status ", what)
				}
				require.NoError(t, slot("restore", "good"), what)
				again, failed := ask()
				require.NoError(t, failed, what)
				require.Equal(t, want, again, what)
				return err == nil
			}
			cuts := []int{0, 1, 3, 4, 8, 10, 11, 12, 13, end - 1, end, len(good) - 1}
			for range 20 {
				cuts = append(cuts, rng.IntN(len(good)), heads[rng.IntN(len(heads))])
			}
			for _, n := range cuts {
				if n < len(good) {
					require.Equal(t, n >= end, try(fmt.Sprintf("cut after %d", n), good[:n]),
						"cut after %d of %d, the library's part is from %d on", n, len(good), end)
				}
			}
			for i := 1; i < 4; i++ { // more cells than there are, or than there is memory for
				bad := slices.Clone(good)
				bad[count+i] |= 0x70
				require.False(t, try(fmt.Sprintf("byte %d of the number of cells", i), bad))
			}
			for range 80 {
				bad, at := slices.Clone(good), heads[rng.IntN(len(heads))]
				if at < len(good) {
					bad[at] = []byte{0, 1, 0x7f, 0x80, 0xff, bad[at] ^ 1,
						byte(rng.Uint32())}[rng.IntN(7)]
					try(fmt.Sprintf("byte %d of %d: %#x, not %#x", at, len(good), bad[at],
						good[at]), bad)
				}
			}
			grown := memory(t, s.Cmd.Process.Pid, "VmHWM") - most
			t.Logf("%d files refused, the most memory %+d kB", refused, grown)
			require.Greater(t, refused, 40)
			require.Less(t, grown, 64<<10)
		})
	}
}

// A slot's file that is refused leaves nothing behind, not even what padding would bring into a
// sum: the next request computes what the first one did.
func TestSlotFileRefusedLeavesNothing(t *testing.T) {
	harness.Slow(t)
	model, prompt := wordModel(t), randomPrompt(1200)
	for name, args := range map[string][]string{"on": {"--retro-attn", "--retro-budget", "16",
		"--retro-min-ctx", "16", "--retro-window", "2", "--retro-period", "1"}, "off": nil} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := harness.StartServer(t, 1, append([]string{"-m", model, "--slot-save-path", dir,
				"--cache-ram", "0"}, args...)...)
			ask := func(prompt []int) string {
				var c harness.Completion
				require.NoError(t, harness.Post(s.URL+"/completion",
					map[string]any{"prompt": prompt, "n_predict": 8, "temperature": 0, "id_slot": 0,
						"ignore_eos": true}, &c))
				return c.Content
			}
			want := ask(prompt[:75])
			ask(prompt)
			_, err := harness.SlotFile(s.URL, 0, "save", "good")
			require.NoError(t, err)
			good, err := os.ReadFile(filepath.Join(dir, "good"))
			require.NoError(t, err)
			heads, _, end := slotHeads(t, append(slices.Clone(good), make([]byte, 256)...))
			nans, next := slices.Clone(good[:end]), 0
			for _, at := range append(heads, end) {
				for ; next < min(at, end); next++ {
					nans[next] = 0xff
				}
				next = at + 1
			}
			for _, cut := range []int{end / 2, end * 9 / 10, end - 1} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "bad"), nans[:cut], 0o644))
				_, err = harness.SlotFile(s.URL, 0, "restore", "bad")
				require.ErrorContains(t, err, "status 400")
				require.Equal(t, want, ask(prompt[:75]), "cut after %d of %d", cut, end)
				_, err = harness.SlotFile(s.URL, 0, "restore", "good")
				require.NoError(t, err)
			}
		})
	}
}
