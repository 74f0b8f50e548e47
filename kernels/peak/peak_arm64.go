//go:build !noasm

package peak

const lanesNEON = 28 * 4

func read(b []byte) uint64 { return readNEON(&b[0], len(b)) }

func fma(isa string, n int) (sum float32, lanes int) {
	if isa == "generic" {
		return fmaGeneric(n, 1, 1), lanesGeneric
	}
	return fmaNEON(n), lanesNEON
}

// readNEON needs a positive multiple of 256 for n.
//
//go:noescape
func readNEON(b *byte, n int) uint64

// fmaNEON needs a positive n.
func fmaNEON(n int) float32
