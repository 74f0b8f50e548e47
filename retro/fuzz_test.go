package retro

import (
	"math/rand/v2"
	"testing"
)

// drawn is a source of numbers whose leading bits are the fuzzer's, so that it decides
// what happens; the others keep rand from drawing again and again.
type drawn struct {
	data []byte
	rest *rand.PCG
}

func (d *drawn) Uint64() uint64 {
	x := d.rest.Uint64() >> 16
	for i := 56; i >= 48; i -= 8 {
		if len(d.data) > 0 {
			x |= uint64(d.data[0]) << i
			d.data = d.data[1:]
		}
	}
	return x
}

// FuzzEvents is TestModel with what happens decoded from bytes.
func FuzzEvents(f *testing.F) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 8))
		data := make([]byte, 60+40*seed)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		source := &drawn{data, rand.NewPCG(1, 1)}
		w := drawWorld(t, rand.New(source), 1)
		for n := 0; len(source.data) > 0 && n < 100; n++ {
			w.step()
		}
		for seq := range int32(worldSeqs) {
			if w.length(seq) > 0 {
				w.decodeSome(seq)
			}
		}
	})
}
