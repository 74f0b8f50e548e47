//go:build amd64 && !noasm

package kernels

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

func available() []isa {
	c := cpuid.CPU
	switch {
	case !c.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C):
		return []isa{isaGeneric}
	case !c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI):
		return []isa{isaGeneric, isaAVX2}
	}
	return []isa{isaGeneric, isaAVX2, isaAVX512}
}

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {
	prefetchCellsASM(&prefetchArgs{base, stride, size, &cells[0], len(cells)})
}
