// Package readbw reads memory as fast as one core can. The benchmarks of
// package kernels measure their share of it.
package readbw

// Read loads every byte of b, and returns something that depends on all of
// them.
func Read(b []byte) uint64 {
	n := len(b) &^ 255
	var s uint64
	if n > 0 {
		s = read(b[:n])
	}
	for _, x := range b[n:] {
		s ^= uint64(x)
	}
	return s
}
