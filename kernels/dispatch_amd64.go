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

func softmaxRow(x []float32, oldMax float32) (newMax, sum float32) {
	if level == isaGeneric {
		return softmaxRowGeneric(x, oldMax)
	}
	lo, hi := int32(0), int32(len(x))
	if softmaxRowsASM(&x[0], &lo, &hi, 1, &oldMax, &sum) {
		sum = clearMasked(x)
	}
	return oldMax, sum
}

func softmaxRows(x []float32, lo, hi []int32, max, sum []float32) {
	if level == isaGeneric {
		softmaxRowsGeneric(x, lo, hi, max, sum)
		return
	}
	if !softmaxRowsASM(&x[0], &lo[0], &hi[0], len(max), &max[0], &sum[0]) {
		return
	}
	for i, m := range max {
		if m == negInf && lo[i] < hi[i] {
			sum[i] = clearMasked(x[i*ldTile:][lo[i]:hi[i]])
		}
	}
}

func softmaxRowsASM(x *float32, lo, hi *int32, rows int, max, sum *float32) (masked bool) {
	if level == isaAVX512 {
		return softmaxRowsZMM(x, lo, hi, rows, max, sum)
	}
	return softmaxRowsYMM(x, lo, hi, rows, max, sum)
}

func load(dst []float32, ld int, c *Cache, cells []int32) {
	switch level {
	case isaAVX512:
		loadAVX512(dst, ld, c, cells)
	case isaAVX2:
		loadAVX2(dst, ld, c, cells)
	default:
		loadGeneric(dst, ld, c, cells)
	}
}

// The rest is too short, or too seldom used, for wider vectors to show.

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {
	prefetchT1(base, stride, size, &cells[0], len(cells))
}

func softCap(x []float32, c float32) {
	if level == isaGeneric {
		softCapGeneric(x, c)
		return
	}
	softCapAVX2(x, c)
}
