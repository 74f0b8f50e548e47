package kernels

import "unsafe"

// The arguments of kernels in assembly, the same at all levels; they are passed by address, as copies of a struct that was just written
// cost more than some kernels. The assembly checks nothing: sizes are positive, and multiples of 8 where said so.

// mulArgs are those of mul; rows of b are panels, and are read to a multiple of the columns of two vectors.
type mulArgs struct {
	c   *float32
	ldc int
	a   *float32
	lda int
	b   *float32

	m, n, k int
	add     bool
}

// turnArgs are those of turn, which puts 16 rows of d floats side by side.
type turnArgs struct {
	dst, src *float32
	d        int
}

// turnCellsArgs are those of turnF32 to turnQ4, which convert the rows of n cells, or of the last one again.
type turnCellsArgs struct {
	dst    *float32
	d      int
	base   unsafe.Pointer
	stride uintptr
	cells  *int32
	n      int
}

// missing is what a kernel says that the level has not, and that nothing may call.
const missing = "kernels: this kernel is for other instruction sets"
