package llama

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// scriptCase is a script on a kind of KV cache.
type scriptCase struct {
	name    string
	seqs    int
	unified bool
	script  func([]bridge.Token) script
}

var cases = []scriptCase{
	{"one sequence", 1, false, oneSequence},
	{"three sequences, unified", 3, true, threeSequences},
	{"three sequences, streams", 3, false, threeSequences},
	{"edited sequences, unified", 3, true, editedSequences},
	{"edited sequences, streams", 3, false, editedSequences},
	{"mixed batches, unified", 4, true, mixedSequences},
	{"mixed batches, streams", 4, false, mixedSequences},
}

// few are the cases that differ most, for large models; small ones have all.
var few = []scriptCase{cases[0], cases[4], cases[5]}

// job is the case in a process of its own.
func (c scriptCase) job(t *testing.T, dirEnv, model string, s script) job {
	return job{Dir: harness.Setting(t, dirEnv), Model: model, Seqs: c.seqs, Unified: c.unified,
		Script: s}
}

var stockRuns = map[string][][]float32{}

// stock is what stock llama.cpp computes in the case. Several tests compare with
// it, and it runs once for each model.
func (c scriptCase) stock(t *testing.T, model string, s script) [][]float32 {
	key := model + " " + c.name
	if stockRuns[key] == nil {
		stockRuns[key] = c.job(t, "RETRO_STOCK_DIR", model, s).start(t)
	}
	return stockRuns[key]
}

// With the feature off the patched build computes the bits of the stock one;
// also when it was on before, and when it was asked for in a way that fails.
func TestOffIsStock(t *testing.T) {
	which := few
	if m := model(t, "RETRO_SHORT"); !testing.Short() {
		which = cases
		testOffIsStock(t, m, harness.Setting(t, "RETRO_SHORT"), prose(t, m, 2000), few[2:])
	}
	t.Run("small", func(t *testing.T) {
		m, path, text := random(t, architectures[0])
		testOffIsStock(t, m, path, text, which)
	})
}

func testOffIsStock(t *testing.T, m *bridge.Model, path string, text []bridge.Token,
	cases []scriptCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := c.script(text)
			stock := c.stock(t, path, s)

			ctx := newContext(t, m, contextParams(c.seqs, c.unified))
			off, err := s.play(ctx)
			require.NoError(t, err)
			require.True(t, same(stock, off), "never on")

			require.NoError(t, ctx.MemoryClear())
			require.NoError(t, ctx.EnableRetro(settled("budget=64,min_ctx=0")))
			on, err := s.play(ctx)
			require.NoError(t, err)
			require.False(t, same(stock, on), "the feature did nothing")
			require.NoError(t, ctx.DisableRetro())
			require.NoError(t, ctx.MemoryClear())
			off, err = s.play(ctx)
			require.NoError(t, err)
			require.True(t, same(stock, off), "on before")

			// the same failure, whatever is decoded then
			if c.seqs > 1 && c.name != "mixed batches, unified" {
				return
			}
			j := c.job(t, "RETRO_PATCHED_DIR", path, s)
			require.True(t, same(stock, j.start(t, "LLAMA_RETRO_ATTN=budget=0")),
				"bad option in the environment")
			require.True(t, same(stock, j.start(t, "LLAMA_RETRO_ATTN=",
				"LLAMA_RETRO_LIB=/nonexistent.so")), "missing library")
			require.False(t, same(stock, j.start(t,
				"LLAMA_RETRO_ATTN="+settled("budget=64,min_ctx=0"))),
				"the environment variable did nothing")
		})
	}
}

// A budget that covers the context is dense attention, within rounding, and the
// statistics say that nothing was left out.
func TestBudgetCoversContext(t *testing.T) {
	harness.Slow(t)
	for _, f := range []struct {
		env   string
		cases []scriptCase
		bound float64
	}{{"RETRO_SHORT_F16", few, 1e-4}, {"RETRO_SHORT", few[2:], 5e-3}} {
		m := model(t, f.env)
		for _, c := range f.cases {
			t.Run(f.env+"/"+c.name, func(t *testing.T) {
				s := c.script(prose(t, m, 2000))
				stock := c.stock(t, harness.Setting(t, f.env), s)
				got, st := playRetro(t, m, contextParams(c.seqs, c.unified),
					"budget=100000,min_ctx=0", s)
				e, worst := nmse(t, stock, got)
				t.Logf("NMSE %.2g, worst token %.2g", e, worst)
				require.Less(t, e, f.bound)
				require.Zero(t, st.SparseTokens)
				require.Equal(t, st.KVFullBytes, st.KVReadBytes)
				require.GreaterOrEqual(t, int(st.Tokens), 24)
			})
		}
	}
}

// Embedding the window again into its own cells changes nothing as long as
// attention is exact.
func TestWindowInPlace(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT_F16")
	for _, c := range few {
		s := c.script(prose(t, m, 2000))
		var want [][]float32
		for _, w := range []int{1, 2, 8} {
			if w == 2 && c.seqs > 1 {
				continue // as 8, in shorter windows
			}
			t.Run(fmt.Sprintf("%s/window %d", c.name, w), func(t *testing.T) {
				rows, st := playRetro(t, m, contextParams(c.seqs, c.unified),
					fmt.Sprintf("budget=100000,min_ctx=0,always=1,window=%d", w), s)
				if w == 1 {
					want = rows
					require.Zero(t, st.RewrittenTokens)
					return
				}
				require.Greater(t, st.RewrittenTokens, st.Tokens/2,
					"the window was not embedded again")
				e, worst := nmse(t, want, rows)
				t.Logf("NMSE %.2g, worst token %.2g; %d tokens, %d embedded again", e, worst,
					st.Tokens, st.RewrittenTokens)
				require.Less(t, e, 1e-4)
			})
		}
	}
}

// Sparse sequences in company decode as they do alone, within the rounding of
// the dense layers, whose products depend on the number of rows.
func TestSparseInCompany(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT_F16")
	text := prose(t, m, 2000)
	const options = "budget=128,min_ctx=0,window=2"
	for _, unified := range []bool{true, false} {
		t.Run(fmt.Sprintf("unified %v", unified), func(t *testing.T) {
			w := newWriter(text)
			for s := range 3 {
				w.prefill(s, 500+60*s)
			}
			w.decode(20, 0, 1, 2)
			rows, st := playRetro(t, m, contextParams(3, unified), options, w.script)
			require.EqualValues(t, 60, st.SparseTokens)
			require.EqualValues(t, 57, st.CorrectedTokens)

			for s := range 3 {
				w := newWriter(text)
				w.prefill(s, 500+60*s)
				w.decode(20, s)
				got, _ := playRetro(t, m, contextParams(3, unified), options, w.script)
				want := [][]float32{rows[s]}
				for i := range 20 {
					want = append(want, rows[3+3*i+s])
				}
				e := kl(want, got)
				t.Logf("sequence %d: KL %.2g", s, e)
				require.Less(t, e, 2e-3)
			}
		})
	}
}

// When the library fails in the middle, the host goes on with stock attention
// and the caller's tokens are not lost.
func TestLibraryFailsMidway(t *testing.T) {
	harness.Slow(t)
	_, path, text := random(t, architectures[0])
	cc := harness.Compiler(t)
	stub := filepath.Join(t.TempDir(), harness.Here.LibraryName())
	cc.Run(t, "-shared", "-fPIC", "-I../../capi", "-o", stub, "../testdata/stub.c")
	for _, c := range cases {
		// TestEveryCallFails has the others
		if c.name != "one sequence" && c.name != "mixed batches, streams" {
			continue
		}
		s := c.script(text)
		stock := c.stock(t, path, s)
		j := c.job(t, "RETRO_PATCHED_DIR", path, s)
		for _, where := range []string{"open", "plan", "step_begin", "select", "attend",
			"step_end"} {
			t.Run(c.name+"/"+where, func(t *testing.T) {
				mark := filepath.Join(t.TempDir(), "mark")
				got := j.start(t, "LLAMA_RETRO_ATTN="+settled(""), "LLAMA_RETRO_LIB="+stub,
					"STUB_FAILS="+where, "STUB_MARK="+mark)
				require.True(t, same(stock, got))
				require.FileExists(t, mark, "the failure did not happen")
			})
		}
		if c.name != "mixed batches, streams" {
			continue
		}
		for _, where := range []string{"step_begin", "step_end"} {
			t.Run(c.name+"/second half of a step/"+where, func(t *testing.T) {
				mark := filepath.Join(t.TempDir(), "mark")
				// The logits of the steps before are the stub's; a token lost or left behind would
				// make a later batch fail.
				j.start(t, "LLAMA_RETRO_ATTN="+settled(""), "LLAMA_RETRO_LIB="+stub,
					"STUB_FAILS="+where, "STUB_SKIP=15", "STUB_MARK="+mark)
				require.FileExists(t, mark, "the failure did not happen")
			})
		}
	}
}

func TestEnableRefuses(t *testing.T) {
	m := model(t, "RETRO_MODEL")
	for _, c := range []struct {
		params  bridge.ContextParams
		options string
		want    string
	}{
		{bridge.ContextParams{Ctx: 512}, "budget=0", "option budget=0: must be"},
		{bridge.ContextParams{Ctx: 512}, "window=17", "option window=17: must be 1..16"},
		{bridge.ContextParams{Ctx: 512}, "colour=red", "option colour=red is not known"},
		{bridge.ContextParams{Ctx: 512, FlashAttn: bridge.FlashOff}, "",
			"flash attention is disabled"},
		{bridge.ContextParams{Ctx: 512, TypeK: "q5_0", TypeV: "q5_0", FlashAttn: bridge.FlashOn},
			"", "supported are f32, f16, bf16, q8_0 and q4_0"},
	} {
		ctx := newContext(t, m, c.params)
		err := ctx.EnableRetro(c.options)
		require.ErrorContains(t, err, c.want)
		w := newWriter(prose(t, m, 100))
		w.prefill(0, 50)
		w.decode(3, 0)
		_, err = w.script.play(ctx) // it still works
		require.NoError(t, err)
	}
}

// A step given up in the middle loses its new token and nothing else: what is decoded
// afterwards, also the same token again, is what a fresh context computes.
func TestAbort(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL_F16")
	for _, options := range []string{"budget=100000,min_ctx=0,always=1,window=4",
		"budget=64,min_ctx=0,window=4"} {
		t.Run(options, func(t *testing.T) {
			s := oneSequence(prose(t, m, 2000))
			want, err := s.play(newContext(t, m, contextParams(1, false)))
			require.NoError(t, err)

			ctx := newContext(t, m, contextParams(1, false))
			require.NoError(t, ctx.EnableRetro(settled(options)))
			var got [][]float32
			for i, o := range s {
				for _, after := range []int{50, 333} { // nodes
					if i == 0 || i%5 != 0 {
						break
					}
					require.NoError(t, ctx.SetAbort(func() bool { after--; return after < 0 }))
					_, err := script{o}.play(ctx)
					require.ErrorIs(t, err, bridge.ErrAborted)
					require.NoError(t, ctx.SetAbort(nil))
					last, err := ctx.SeqPosMax(0)
					require.NoError(t, err)
					require.Equal(t, o.Batch[0].Pos-1, last)
				}
				rows, err := script{o}.play(ctx)
				require.NoError(t, err)
				got = append(got, rows...)
			}
			e, worst := nmse(t, want, got)
			st, err := ctx.RetroStats()
			require.NoError(t, err)
			t.Logf("NMSE %.2g, worst token %.2g; %d tokens, %d embedded again", e, worst, st.Tokens,
				st.RewrittenTokens)
			require.EqualValues(t, 24, st.Tokens)
			require.NotZero(t, st.RewrittenTokens)
			if st.SparseTokens == 0 {
				require.Less(t, e, 1e-4)
			} else {
				require.Less(t, kl(want, got), 0.3)
			}
		})
	}
}
