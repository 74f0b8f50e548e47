//go:build amd64 && !linux && !noasm

package kernels

func tilesAllowed() bool { return false }
