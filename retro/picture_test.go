package retro

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// Tokens of a picture share a position: a saved table is told from one with as many tokens over the
// same positions.
func TestPicturesAreTold(t *testing.T) {
	sh := shape{layers: 1, seqs: 2, cells: 400, kv: 1, heads: 1, dk: 8, dv: 8, tk: kernels.F32,
		tv: kernels.F32}
	h := newHost(t, sh, testOptions(), 1, 1)
	tables := [][]int32{{0, 1, 2, 2, 4}, {0, 1, 2, 3, 4}, {0, 1, 1, 3, 4}, {0, 1, 2, 2, 2}}
	cells := []int32{0, 1, 2, 3, 4}
	for i, table := range tables {
		require.NoError(t, h.e.SeqTruncate(0, 0))
		require.NoError(t, h.e.SeqExtend(0, table, cells))
		data := h.save(0, "")
		for j, other := range tables {
			require.NoError(t, h.e.SeqTruncate(1, 0))
			require.NoError(t, h.e.SeqExtend(1, other, cells))
			_, err := h.e.SeqLoad(1, data)
			if i == j {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, errPositions.Error(), "%v as %v", table, other)
			}
		}
	}
}

// Positions never fall, and a decoded token has one of its own.
func TestPositionsFall(t *testing.T) {
	sh := shape{layers: 1, seqs: 1, cells: 400, kv: 1, heads: 1, dk: 8, dv: 8, tk: kernels.F32,
		tv: kernels.F32}
	h := newHost(t, sh, testOptions(), 1, 1)
	require.NoError(t, h.e.SeqExtend(0, []int32{7, 9, 9}, []int32{0, 1, 2}))
	require.ErrorContains(t, h.e.SeqExtend(0, []int32{8}, []int32{3}),
		"position 8, where at least 9 was due")
	require.NoError(t, h.e.SeqExtend(0, []int32{9}, []int32{3}))
	require.ErrorContains(t, h.e.StepBegin([]Row{{Pos: 9, Cell: 4}}, 1), "position 9")
	require.NoError(t, h.e.SeqTruncate(0, 9))
	next, err := h.e.SeqNext(0)
	require.NoError(t, err)
	require.EqualValues(t, 8, next)
}

// Where recurrent state goes back only to where the last window ended, a window is embedded again
// once: what was set says so, or is refused.
func TestWholeWindows(t *testing.T) {
	cfg := Config{Layers: 1, Seqs: 1, Cells: 8192, Rows: 16, Threads: 1, Whole: true}
	for text, want := range map[string]options.Choice{"window=4": {Window: 4, Period: 4},
		"period=2": {Window: 2, Period: 2}, "window=1": {Window: 1, Period: 1},
		"window=8,period=8": {Window: 8, Period: 8}} {
		e, err := Open(cfg, planOptions(t, text))
		require.NoError(t, err)
		require.Equal(t, want.Window, e.opt.Window, text)
		require.Equal(t, want.Period, e.opt.Period, text)
	}
	_, err := Open(cfg, planOptions(t, "window=4,period=2"))
	require.ErrorContains(t, err, "option period=2: must be window=4 with this model")
	require.ErrorIs(t, err, failure.Unsupported)
}
