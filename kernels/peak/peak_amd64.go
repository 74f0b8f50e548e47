//go:build !noasm

package peak

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

var (
	hasAVX2   = cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3)
	hasAVX512 = hasAVX2 && cpuid.CPU.Supports(cpuid.AVX512F)
)

const minRow = 32

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

func readRows(base unsafe.Pointer, stride uintptr, size int, rows []int32) uint64 {
	if !hasAVX2 || size < minRow {
		return readRowsGeneric(base, stride, size, rows)
	}
	near, far := max(1, min(nearRows, nearBytes/size)), max(1, min(farRows, farBytes/size))
	return readRowsAhead(base, stride, size, &rows[0], len(rows), near, far)
}

func fma(isa string, n int) (sum float32, lanes int) {
	switch {
	case (isa == "avx512" || isa == "amx") && hasAVX512: // of both, the multiply-add of vectors
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

// readRowsAhead needs rows, of at least minRow bytes.
//
//go:noescape
func readRowsAhead(base unsafe.Pointer, stride uintptr, size int, rows *int32, n, near,
	far int) uint64

func fmaAVX2(n int) float32

func fmaAVX512(n int) float32
