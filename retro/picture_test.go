package retro

import (
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/kernels"
)

// Tokens of a picture share a position: a saved table is told from one with as many tokens over the same positions.
func TestPicturesAreTold(t *testing.T) {
	sh := shape{layers: 1, seqs: 2, cells: 400, kv: 1, heads: 1, dk: 8, dv: 8, tk: kernels.F32, tv: kernels.F32}
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
	sh := shape{layers: 1, seqs: 1, cells: 400, kv: 1, heads: 1, dk: 8, dv: 8, tk: kernels.F32, tv: kernels.F32}
	h := newHost(t, sh, testOptions(), 1, 1)
	require.NoError(t, h.e.SeqExtend(0, []int32{7, 9, 9}, []int32{0, 1, 2}))
	require.ErrorContains(t, h.e.SeqExtend(0, []int32{8}, []int32{3}), "position 8, where at least 9 was due")
	require.NoError(t, h.e.SeqExtend(0, []int32{9}, []int32{3}))
	require.ErrorContains(t, h.e.StepBegin([]Row{{Pos: 9, Cell: 4}}, 1), "position 9")
	require.NoError(t, h.e.SeqTruncate(0, 9))
	next, err := h.e.SeqNext(0)
	require.NoError(t, err)
	require.EqualValues(t, 8, next)
}

// A host that cannot take its state back gets no window: neither asked for, nor from a plan, its file or its cache.
func TestWindowOfHost(t *testing.T) {
	cfg := Config{Layers: 1, Seqs: 1, Cells: 8192, Rows: 16, Threads: 1, Window: 1}
	for _, text := range []string{"window=4", "period=2"} {
		_, err := Open(cfg, planOptions(t, text))
		require.ErrorContains(t, err, "at most 1 is possible with this model")
		require.ErrorContains(t, err, "set window=1, or leave window and period out")
	}
	cfg.Window = 3
	e, err := Open(cfg, planOptions(t, "window=3"))
	require.NoError(t, err)
	require.Equal(t, 2, e.MaxWindow())

	cfg.Window = 1
	e, err = Open(cfg, planOptions(t, ""))
	require.NoError(t, err)
	m, o := cheap, planOptions(t, "")
	require.Greater(t, m.decide(&o, cfg.Rows).Window, 1)
	require.Equal(t, 1, m.decide(&e.asked, e.cfg.window()).Window)
	require.ErrorContains(t, e.adopt(Choice{Budget: 512, Window: 4, Period: 4}), "memory allow")
	cfg.Window = 0
	other, err := Open(cfg, planOptions(t, ""))
	require.NoError(t, err)
	require.NotEqual(t, e.made(), other.made(), "a cached plan of a host that can")
}
