//go:build !amd64 || noasm

package readbw

func read(b []byte) uint64 { return readGeneric(b) }
