//go:build arm64 && !noasm

package kernels

import "github.com/klauspost/cpuid/v2"

// available needs no check for NEON: it belongs to arm64.
func available(string) []isa {
	if cpuid.CPU.Supports(cpuid.ASIMDDP) {
		return []isa{isaGeneric, isaNEON, isaDotProd}
	}
	return []isa{isaGeneric, isaNEON}
}
