package server

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

const (
	loadSlots   = 64
	loadContext = 512
)

// loadOptions of sparse attention: a step corrects whatever its neighbours do, so that an answer
// does not depend on company.
const loadOptions = "budget=64,local=16,min_ctx=0,window=4,period=1"

// exactOptions leave nothing out, in the same way: an answer is stock's, before a failure and after
// it.
const exactOptions = "budget=100000,min_ctx=0,always=1,window=4,period=3"

// faultCalls are what fails under load, and from which call on: after some steps, and after some
// requests. seq_extend is not called there: prompts and steps tell the library their cells.
var faultCalls = []struct {
	name string
	at   int
}{
	{"seq_next", 1500}, {"seq_truncate", 50}, {"seq_window", 1500},
	{"step_begin", 30}, {"select", 240}, {"attend", 240}, {"step_end", 30},
}

// All slots of a server are full of requests that come, end, and are cancelled: each answer is as
// it was alone, what must be refused is, nothing hangs, and memory does not grow. Then the same
// while the library fails, in every way once, where each answer must be that of stock llama.cpp to
// the request alone.
func TestSoak(t *testing.T) {
	harness.Slow(t)
	quiet(t)
	load := soakTime(t)
	if os.Getenv("RETRO_LONG") != "" {
		load /= 2 // TestSoakOfLanguage has the rest
	}
	small, tokens, r := []string{"-m", wordModel(t)}, randomPrompt(4000),
		rand.New(rand.NewPCG(8, 9))
	start := func(t *testing.T, args ...[]string) harness.Server {
		return harness.StartServer(t, loadSlots, soakArgs(append(args, small)...)...)
	}
	kinds := cacheKinds(loadSlots, loadContext, loadSlots*loadContext*2/5)

	for _, c := range kinds {
		t.Run("sparse/"+c.name, func(t *testing.T) {
			deck := deckOf(tokens, loadContext)
			server := start(t, c.args, []string{"--retro-opts", loadOptions})
			answerAlone(t, server.URL, deck)
			requireDifferent(t, deck)
			soakMemory(t, server, deck, loadBounds, loadSlots, c.full, load/6)
			endServer(t, server, loadBounds, deck[0])
		})
	}

	deck, stock := deckOf(tokens, loadContext), start(t, kinds[0].args)
	answerAlone(t, stock.URL, deck)
	require.NoError(t, stock.Kill())
	lib := harness.Faulty(t)
	for k, c := range kinds {
		for i, f := range faultCalls {
			if k > 0 && f.name != "seq_truncate" && f.name != "step_begin" {
				continue // a call fails alike in any cache; a full one ends requests beside
			}
			t.Run("failures/"+c.name+"/"+f.name, func(t *testing.T) {
				mark := filepath.Join(t.TempDir(), "mark")
				t.Setenv("FAULT_IN", "retro_"+f.name)
				t.Setenv("FAULT_AT", fmt.Sprint(f.at+r.IntN(f.at)))
				t.Setenv("FAULT_MARK", mark)
				server := start(t, c.args, []string{"--retro-lib", lib, "--retro-opts",
					exactOptions})
				s, n := newSoakTally(loadBounds), time.Duration(len(faultCalls)+2)
				s.soak(server.URL, deck, uint64(i), load*2/3/n)
				for try := 0; try < 20 && !exists(mark); try++ { // a busy machine takes few steps
					s.soak(server.URL, deck, uint64(i), time.Second)
				}
				require.FileExists(t, mark, "no call failed")
				s.soak(server.URL, deck, uint64(i), 0).check(t, c.full)
				endServer(t, server, loadBounds, deck[0])
			})
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// requireDifferent holds that an answer to another request would be noticed.
func requireDifferent(t *testing.T, deck []*harness.Request) {
	var short []*harness.Request
	for _, q := range deck {
		if q.Kind == "short" && (len(short) == 0 || short[len(short)-1] != q) {
			short = append(short, q)
		}
	}
	for i, q := range short[1:] {
		d, err := harness.Differs(short[i].Alone, q.Alone)
		require.True(t, err != nil || d.Worst > loadBounds.Step, "%+v", d)
	}
}
