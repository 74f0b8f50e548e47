//go:build !noasm

package peak

import "github.com/klauspost/cpuid/v2"

var (
	hasAVX2   = cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3)
	hasAVX512 = hasAVX2 && cpuid.CPU.Supports(cpuid.AVX512F)
)

const (
	lanesAVX2   = 14 * 8
	lanesAVX512 = 30 * 16
)

func read(b []byte) uint64 {
	switch {
	case hasAVX512:
		return readAVX512(&b[0], len(b))
	case hasAVX2:
		return readAVX2(&b[0], len(b))
	}
	return readGeneric(b)
}

func fma(isa string, n int) (sum float32, lanes int) {
	switch {
	case isa == "avx512" && hasAVX512:
		return fmaAVX512(n), lanesAVX512
	case isa == "avx2" && hasAVX2:
		return fmaAVX2(n), lanesAVX2
	}
	return fmaGeneric(n, 1, 1), lanesGeneric
}

// The read functions need a positive multiple of 256 for n, the fma functions a positive n.

//go:noescape
func readAVX2(b *byte, n int) uint64

//go:noescape
func readAVX512(b *byte, n int) uint64

func fmaAVX2(n int) float32

func fmaAVX512(n int) float32
