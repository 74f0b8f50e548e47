//go:build (!amd64 && !arm64) || noasm

package peak

func read(b []byte) uint64 { return readGeneric(b) }

func fma(_ string, n int) (sum float32, lanes int) { return fmaGeneric(n, 1, 1), lanesGeneric }
