//go:build amd64 && !noasm

package readbw

import "github.com/klauspost/cpuid/v2"

var hasAVX2 = cpuid.CPU.Supports(cpuid.AVX2)

func read(b []byte) uint64 {
	if !hasAVX2 {
		return readGeneric(b)
	}
	return readAVX2(&b[0], len(b))
}

// readAVX2 needs a positive multiple of 256 for n.
//
//go:noescape
func readAVX2(b *byte, n int) uint64
