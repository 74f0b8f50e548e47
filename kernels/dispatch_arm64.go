//go:build arm64 && !noasm

package kernels

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// available needs no check for NEON: it belongs to arm64.
func available() []isa {
	if cpuid.CPU.Supports(cpuid.ASIMDDP) {
		return []isa{isaGeneric, isaNEON, isaDotProd}
	}
	return []isa{isaGeneric, isaNEON}
}

func dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32, _ Ahead) {
	if level == isaGeneric {
		dotGeneric(dst, ldDst, q, rows, k, cells)
		return
	}
	dotNEON(&dst[0], ldDst, &q[0], rows, k, cells)
}

func accumulate(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32, _ Ahead) {
	if level == isaGeneric {
		accGeneric(acc, ldAcc, p, ldP, rows, v, cells)
		return
	}
	accNEON(&acc[0], ldAcc, &p[0], ldP, rows, v, cells)
}

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {
	prefetchCellsASM(&prefetchArgs{base, stride, size, &cells[0], len(cells)})
}

// quantise8 and quantise14 take multiples of 8 numbers.
