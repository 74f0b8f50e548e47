//go:build !noasm

package peak

import "unsafe"

const lanesNEON = 28 * 4

func read(b []byte) uint64 { return readNEON(&b[0], len(b)) }

func readRows(base unsafe.Pointer, stride uintptr, size int, rows []int32) uint64 {
	return readRowsGeneric(base, stride, size, rows)
}

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
