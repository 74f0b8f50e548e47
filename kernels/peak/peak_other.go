//go:build (!amd64 && !arm64) || noasm

package peak

import "unsafe"

func read(b []byte) uint64 { return readGeneric(b) }

func readRows(base unsafe.Pointer, stride uintptr, size int, rows []int32) uint64 {
	return readRowsGeneric(base, stride, size, rows)
}

func fma(_ string, n int) (sum float32, lanes int) { return fmaGeneric(n, 1, 1), lanesGeneric }
