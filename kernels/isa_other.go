//go:build (!amd64 && !arm64) || noasm

package kernels

func available(string) []isa { return []isa{isaGeneric} }
