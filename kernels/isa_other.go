//go:build (!amd64 && !arm64) || noasm

package kernels

func available() []isa { return []isa{isaGeneric} }
