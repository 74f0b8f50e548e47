//go:build (!amd64 && !arm64) || noasm

package kernels

import "unsafe"

func available() []isa { return []isa{isaGeneric} }

func dot(dst []float32, ldDst int, q []float32, rows int, k *Cache, cells []int32, _ Ahead) {
	dotGeneric(dst, ldDst, q, rows, k, cells)
}

func accumulate(acc []float32, ldAcc int, p []float32, ldP int, rows int, v *Cache, cells []int32, _ Ahead) {
	accGeneric(acc, ldAcc, p, ldP, rows, v, cells)
}

func prefetch(base unsafe.Pointer, stride uintptr, size int, cells []int32) {}
