package peak

import (
	"encoding/binary"
	"unsafe"
)

func readGeneric(b []byte) uint64 {
	var s0, s1, s2, s3 uint64
	for ; len(b) >= 32; b = b[32:] {
		s0 ^= binary.LittleEndian.Uint64(b)
		s1 ^= binary.LittleEndian.Uint64(b[8:])
		s2 ^= binary.LittleEndian.Uint64(b[16:])
		s3 ^= binary.LittleEndian.Uint64(b[24:])
	}
	return s0 ^ s1 ^ s2 ^ s3
}

func readRowsGeneric(base unsafe.Pointer, stride uintptr, size int, rows []int32) (s uint64) {
	for _, r := range rows {
		row := unsafe.Slice((*byte)(unsafe.Add(base, uintptr(r)*stride)), size)
		s ^= readGeneric(row)
		for _, x := range row[size&^31:] {
			s ^= uint64(x)
		}
	}
	return s
}

const lanesGeneric = 8

// fmaGeneric, as all fma functions, computes s = s*1 + 1 in n rounds on each lane, and returns the
// sum of the lanes. The ones are arguments to keep the compiler from using them.
//
//go:noinline
func fmaGeneric(n int, a, b float32) float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for range n {
		s0 = s0*a + b
		s1 = s1*a + b
		s2 = s2*a + b
		s3 = s3*a + b
		s4 = s4*a + b
		s5 = s5*a + b
		s6 = s6*a + b
		s7 = s7*a + b
	}
	return s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7
}
