package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Unpack gives back what Pack wrote, within half a step of its scale, from any slot among others.
func TestUnpack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for d := 8; d <= 136; d += 8 {
		for _, sign := range []Sign{Signed, Unsigned} {
			tile := make([]byte, TileBytes(d))
			rows := make([][]float32, TilePages)
			top := make([]float32, TilePages)
			for slot := range rows {
				for range d {
					v := float32(rng.NormFloat64())
					if sign == Unsigned {
						v *= v
					}
					rows[slot] = append(rows[slot], v)
					top[slot] = max(top[slot], v, -v)
				}
				Pack(tile, slot, rows[slot], sign)
			}
			got := make([]float32, d)
			for slot, want := range rows {
				Unpack(got, tile, slot, sign)
				for i := range got {
					require.InDelta(t, want[i], got[i], float64(top[slot])/127*0.51, "d %d slot %d",
						d, slot)
				}
			}
		}
	}
	require.Panics(t, func() {
		Unpack(make([]float32, 8), make([]byte, TileBytes(8)), TilePages,
			Signed)
	})
	require.Panics(t, func() { Unpack(make([]float32, 8), make([]byte, 8), 0, Signed) })
}
