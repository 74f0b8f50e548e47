package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// unpack gives back what Pack wrote, within half a step of its scale, from any slot among others.
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
				unpack(got, tile, slot, sign)
				for i := range got {
					require.InDelta(t, want[i], got[i], float64(top[slot])/127*0.51, "d %d slot %d",
						d, slot)
				}
			}
		}
	}
	require.Panics(t, func() {
		unpack(make([]float32, 8), make([]byte, TileBytes(8)), TilePages,
			Signed)
	})
	require.Panics(t, func() { unpack(make([]float32, 8), make([]byte, 8), 0, Signed) })
}

// unpack reads the summary that Pack wrote at slot of a tile. It panics as Pack does.
func unpack(x []float32, tile []byte, slot int, sign Sign) {
	d := len(x)
	if uint(slot) >= TilePages || d == 0 || d&7 != 0 {
		panicDims()
	}
	if len(tile) < TileBytes(d) {
		panicShort("tile")
	}
	scale := math.Float32frombits(binary.LittleEndian.Uint32(tile[4*slot:]))
	tile = tile[4*TilePages+4*slot:]
	for i := range x {
		x[i] = scale * float32(int32(tile[i/4*4*TilePages+i&3])-int32(sign))
	}
}
