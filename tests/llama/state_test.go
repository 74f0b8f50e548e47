package llama

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"

	"github.com/retroattn/retroattn/tests/harness"
)

// halfway decodes two sequences so far that both are in the middle of
// everything, and returns the context and what to go on with.
func halfway(t *testing.T, m *bridge.Model, p bridge.ContextParams,
	options string) (*bridge.Context, *writer) {
	t.Helper()
	w := newWriter(prose(t, m, 2000))
	w.prefill(0, 420)
	w.prefill(1, 350)
	w.decode(21, 0, 1)
	ctx := onContext(t, m, p, options)
	_, err := w.script.play(ctx)
	require.NoError(t, err)
	w.script = nil
	return ctx, w
}

func seqStates(t *testing.T, ctx *bridge.Context) (data [2][]byte) {
	t.Helper()
	for s := range data {
		var err error
		data[s], err = ctx.SeqStateData(s)
		require.NoError(t, err)
	}
	return data
}

// Going on after a load is going on: the same bits, and the window is corrected
// as if nothing had been. Whole contexts by file, sequences by buffer and into
// other ids.
func TestStateContinues(t *testing.T) {
	harness.Slow(t)
	for _, env := range []string{"RETRO_SHORT", "RETRO_SHORT_F16"} {
		m := model(t, env)
		for _, unified := range []bool{true, false} {
			for _, o := range []string{"window=1", "window=2", "window=8,period=8",
				"window=4,period=2,page=8,summary_bits=16,select=minmax,layer_budget=0:all",
				"budget=5000,window=3,always=1"} {
				if o != "window=8,period=8" && (env != "RETRO_SHORT" || !unified) {
					continue
				}
				t.Run(fmt.Sprintf("%s/unified %v/%s", env, unified, o), func(t *testing.T) {
					p, options := contextParams(3, unified), "budget=64,min_ctx=0,"+o
					ctx, w := halfway(t, m, p, options)
					path := filepath.Join(t.TempDir(), "state")
					require.NoError(t, ctx.StateSave(path, nil))
					states := seqStates(t, ctx)
					w.decode(12, 0, 1)
					before := counted(t, ctx)
					want := play(t, ctx, w.script)
					after := counted(t, ctx)
					require.Equal(t, o != "window=1",
						after.RewrittenTokens > before.RewrittenTokens)

					check := func(what string, other *bridge.Context, s script) {
						summaries := counted(t, other).SummaryBytes
						require.Equal(t, before.SummaryBytes, summaries, what)
						require.True(t, same(want, play(t, other, s)), what)
						st := counted(t, other)
						require.Equal(t, after.SparseTokens-before.SparseTokens, st.SparseTokens,
							what)
						require.Equal(t, after.RewrittenTokens-before.RewrittenTokens,
							st.RewrittenTokens, what)
						require.Equal(t, after.CorrectedTokens-before.CorrectedTokens,
							st.CorrectedTokens, what)
					}
					whole := onContext(t, m, p, options)
					_, err := whole.StateLoad(path)
					require.NoError(t, err)
					check("context", whole, w.script)

					for _, to := range [][]int{{0, 1}, {1, 2}} {
						other := onContext(t, m, p, options)
						for _, s := range []int{1, 0} {
							require.NoError(t, other.SetSeqStateData(to[s], states[s]))
						}
						check(fmt.Sprintf("sequences to %v", to), other, w.script.renumber(to...))
					}
				})
			}
		}
	}
}

// Tokens in cells that sequences share are not embedded again, before and after:
// loaded together they are shared again, loaded alone they are left out.
func TestStateOfSharedCells(t *testing.T) {
	m := model(t, "RETRO_SHORT")
	p, options := contextParams(2, true), "budget=64,min_ctx=0,window=8"
	w := newWriter(prose(t, m, 2000))
	w.prefill(0, 400)
	w.decode(9, 0)
	w.copy(0, 1)
	w.decode(3, 0, 1)
	ctx := onContext(t, m, p, options)
	play(t, ctx, w.script)
	w.script = nil
	w.decode(8, 0, 1)
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, ctx.StateSave(path, nil))
	states := seqStates(t, ctx)
	before := counted(t, ctx).RewrittenTokens
	want := play(t, ctx, w.script)
	require.EqualValues(t, 2*(3+4+5+6+7+7+7+7), counted(t, ctx).RewrittenTokens-before)

	whole := onContext(t, m, p, options)
	_, err := whole.StateLoad(path)
	require.NoError(t, err)
	require.True(t, same(want, play(t, whole, w.script)), "context")
	alone := onContext(t, m, p, options)
	for s := range states {
		require.NoError(t, alone.SetSeqStateData(s, states[s]))
	}
	require.True(t, same(want, play(t, alone, w.script)), "sequences")
}

// section is where the library's part of a sequence's state begins: what the same
// context saves with the feature off ends there.
func section(t *testing.T, ctx *bridge.Context) (with, without [2][]byte) {
	t.Helper()
	with = seqStates(t, ctx)
	require.NoError(t, ctx.DisableRetro())
	without = seqStates(t, ctx)
	for s := range with {
		require.Greater(t, len(with[s]), len(without[s]))
		require.Equal(t, without[s], with[s][:len(without[s])])
	}
	t.Logf("section: %d bytes after %d (%.1f %%)", len(with[0])-len(without[0]), len(without[0]),
		100*float64(len(with[0]))/float64(len(without[0]))-100)
	return with, without
}

// States go between contexts with the feature on, off, and with other options;
// what does not fit is left, and then all is as after loading a stock state.
func TestStateElsewhere(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT")
	for _, unified := range []bool{true, false} {
		t.Run(fmt.Sprintf("unified %v", unified), func(t *testing.T) {
			p := contextParams(2, unified)
			const options = "budget=64,min_ctx=0,window=2"
			ctx, w := halfway(t, m, p, options)
			dir := t.TempDir()
			require.NoError(t, ctx.StateSave(filepath.Join(dir, "with"), nil))
			with, without := section(t, ctx)
			require.NoError(t, ctx.StateSave(filepath.Join(dir, "without"), nil))
			w.decode(8, 0, 1)

			load := func(options string, states [2][]byte) [][]float32 {
				c := onContext(t, m, p, options)
				for s := range states {
					require.NoError(t, c.SetSeqStateData(s, states[s]))
				}
				return play(t, c, w.script)
			}
			file := func(options, name string) [][]float32 {
				c := onContext(t, m, p, options)
				_, err := c.StateLoad(filepath.Join(dir, name))
				require.NoError(t, err)
				return play(t, c, w.script)
			}
			rebuilt := load(options, without)
			require.False(t, same(load(options, with), rebuilt), "the section does nothing")
			require.False(t, same(load("", without), rebuilt), "sparse attention does nothing")
			require.True(t, same(load("", without), load("", with)))
			require.True(t, same(file("", "without"), file("", "with")))
			require.True(t, same(rebuilt, file(options, "without")))
			for _, other := range []string{"budget=64,min_ctx=0,window=3",
				"budget=64,min_ctx=0,window=2,select=pages,page=8",
				"budget=64,min_ctx=0,window=2,select=minmax"} {
				require.True(t, same(load(other, without), load(other, with)), other)
				require.True(t, same(load(other, without), file(other, "with")), other)
			}
		})
	}
}

// A damaged section is as none at all.
func TestStateDamaged(t *testing.T) {
	m := model(t, "RETRO_SHORT")
	p := contextParams(2, true)
	const options = "budget=64,min_ctx=0,window=2"
	ctx, w := halfway(t, m, p, options)
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, ctx.StateSave(path, nil))
	with, without := section(t, ctx)
	w.decode(3, 0)
	other := onContext(t, m, p, options)
	load := func(data []byte) [][]float32 {
		require.NoError(t, other.SetSeqStateData(0, data))
		return play(t, other, w.script)
	}
	good, rebuilt := load(with[0]), load(without[0])
	require.False(t, same(good, rebuilt))
	from, size := len(without[0]), len(with[0])-len(without[0])
	damaged := func(at int, edit func([]byte)) {
		t.Helper()
		bad := append([]byte(nil), with[0]...)
		edit(bad[from+at:])
		require.True(t, same(rebuilt, load(bad)), "byte %d of the section", at)
	}
	// Magic, version, library's head, payload, checksum.
	for _, at := range []int{0, 4, 32, 36, 44, 48, 60, 100, size / 2, size - 1} {
		damaged(at, func(b []byte) { b[0] ^= 0x40 })
	}
	// Sizes of the section and of the entry: too large a one is as good as the right one.
	for _, at := range []int{8, 10, 15, 24, 26, 31} {
		bad := append([]byte(nil), with[0]...)
		bad[from+at] ^= 0x40
		rows := load(bad)
		require.True(t, same(rebuilt, rows) || same(good, rows), "byte %d of the section", at)
	}
	for _, n := range []int{1, 7, 15, 16, 20, 32, 33, 60, size / 2, size - 1} {
		require.True(t, same(rebuilt, load(with[0][:from+n])), "cut after %d", n)
	}
	require.True(t, same(good, load(with[0])), "a good one after all the bad ones")

	// A file whose last byte is bad loads too.
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-1] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o644))
	_, err = other.StateLoad(path)
	require.NoError(t, err)
	require.True(t, same(good, play(t, other, w.script)), "sequence 0 is not the damaged one")
}

// A copied sequence has the summaries of the other, and decodes what it would
// decode had it built them.
func TestCopiedSequence(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_SHORT_F16")
	for _, unified := range []bool{true, false} {
		for _, end := range []int{-1, 300} {
			if end > 0 && !unified { // llama.cpp copies whole streams only
				continue
			}
			t.Run(fmt.Sprintf("unified %v, end %d", unified, end), func(t *testing.T) {
				p := contextParams(3, unified)
				const options = "budget=64,min_ctx=0,window=2"
				ctx, w := halfway(t, m, p, options)
				before := counted(t, ctx).SummaryBytes
				require.NoError(t, ctx.SeqCopy(0, 2, -1, end))
				require.Greater(t, counted(t, ctx).SummaryBytes, before, "no summaries were copied")
				w.at[2] = w.at[0]
				if end > 0 {
					w.at[2] = end
				}
				w.decode(10, 2)
				got := play(t, ctx, w.script)

				_, without := section(t, ctx)
				other := onContext(t, m, p, options)
				require.NoError(t, other.SetSeqStateData(2, without[0]))
				if end > 0 {
					require.NoError(t, other.SeqRemove(2, end, -1))
				}
				want := play(t, other, w.script)
				if end < 0 {
					require.True(t, same(got, want))
					return
				}
				// The first token is as the last of a prompt, so that llama.cpp computes it: over
				// other cells, it rounds otherwise.
				e, worst := nmse(t, want, got)
				t.Logf("NMSE %.2g, worst token %.2g", e, worst)
				require.Less(t, e, 1e-4)
			})
		}
	}
}
