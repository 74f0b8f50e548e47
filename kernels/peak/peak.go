package peak

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
