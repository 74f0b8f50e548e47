//go:build amd64 && !noasm

package kernels

import "github.com/klauspost/cpuid/v2"

func available(forced string) []isa {
	c := cpuid.CPU
	switch {
	case !c.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C):
		return []isa{isaGeneric}
	case !c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL,
		cpuid.AVX512VNNI):
		return []isa{isaGeneric, isaAVX2}
	}
	floats := []isa{isaGeneric, isaAVX2, isaAVX512}
	if isaName(choose(forced, floats)) == forced || !c.Supports(cpuid.AMXTILE, cpuid.AMXBF16) ||
		!tilesAllowed() {
		return floats
	}
	return append(floats, isaAMX)
}

// setLanes is a table of the assembly: it holds for each 8-bit mask the numbers of its bits, one a
// byte, ascending.
var setLanes = func() (t [256]uint64) {
	for mask := range t {
		at := 0
		for lane := range 8 {
			if mask>>lane&1 != 0 {
				t[mask] |= uint64(lane) << at
				at += 8
			}
		}
	}
	return t
}()
