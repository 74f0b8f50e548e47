package peak

import "unsafe"

// Read loads every byte of b, and returns something that depends on all of them.
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

// ReadRows loads every byte of some rows of size bytes, stride apart from base on, one after the
// other, and asks for those to come. That is about what can be had where rows have to be read in
// this order; of rows of 256 bytes, kernels with other distances have 20 % more. It returns
// something that depends on all of them.
func ReadRows(base unsafe.Pointer, stride uintptr, size int, rows []int32) uint64 {
	if size <= 0 || len(rows) == 0 {
		return 0
	}
	return readRows(base, stride, size, rows)
}

// The distances are of Zen 5, where the second adds a third to the speed of rows of 128 bytes: more
// lines can be on their way to the L2 cache than to the L1.
const (
	nearBytes, nearRows = 4 << 10, 32  // to the L1 cache
	farBytes, farRows   = 16 << 10, 96 // to the L2
)

// FMA does n rounds of independent float32 multiply-adds, as many in each as hide their latency,
// and returns how many floating-point operations that were: two for each multiply-add. isa names
// the instruction set, as in RETRO_ISA.
func FMA(isa string, n int) int {
	if n <= 0 {
		return 0
	}
	_, lanes := fma(isa, n)
	return 2 * lanes * n
}
