//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"
#include "dotq_arm64.h"

// DOT leaves the products of the int8 k0, k1 and V24, V25 in four partial sums.

// With SDOT.
#define DOT(sum, vsum, k0, k1) \
	VMOVI $0, vsum.B16 \
	SDOT(sum, k0, 24)  \
	SDOT(sum, k1, 25)

// LOAD advances by the bytes of a block.
#define LOAD(ptr, f0, v0, v1) VLD1.P 32(ptr), [v0.B16, v1.B16]

// func dotQ8DotProd(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotQ8DotProd(SB), NOSPLIT, $0-80
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD k+40(FP), R5
	MOVD stride+48(FP), R6
	MOVD size+56(FP), R9
	MOVD cells+64(FP), R7
	MOVD n+72(FP), R8
	LSL  $2, R1

#include "dot_arm64.h"

#undef LOAD

#define LOAD(ptr, f0, v0, v1) \
	FMOVQ.P 16(ptr), f0             \
	VUSHR   $4, v0.B16, v1.B16      \
	VAND    V31.B16, v0.B16, v0.B16 \
	VSUB    V30.B16, v1.B16, v1.B16 \
	VSUB    V30.B16, v0.B16, v0.B16

// func dotQ4DotProd(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotQ4DotProd(SB), NOSPLIT, $0-80
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD k+40(FP), R5
	MOVD stride+48(FP), R6
	MOVD size+56(FP), R9
	MOVD cells+64(FP), R7
	MOVD n+72(FP), R8
	LSL  $2, R1
	CONSTANTS

#include "dot_arm64.h"

#undef DOT

// Without. Two products fit in 16 bits, as q is never -128.
#define DOT(sum, vsum, k0, k1) \
	SMULLB(6, k0, 24)  \
	SMULLB(7, k1, 25)  \
	SMLAL2B(6, k0, 24) \
	SMLAL2B(7, k1, 25) \
	SADDLPH(sum, 6)    \
	SADALPH(sum, 7)

// func dotQ4NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotQ4NEON(SB), NOSPLIT, $0-80
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD k+40(FP), R5
	MOVD stride+48(FP), R6
	MOVD size+56(FP), R9
	MOVD cells+64(FP), R7
	MOVD n+72(FP), R8
	LSL  $2, R1
	CONSTANTS

#include "dot_arm64.h"

#undef LOAD

#define LOAD(ptr, f0, v0, v1) VLD1.P 32(ptr), [v0.B16, v1.B16]

// func dotQ8NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotQ8NEON(SB), NOSPLIT, $0-80
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD k+40(FP), R5
	MOVD stride+48(FP), R6
	MOVD size+56(FP), R9
	MOVD cells+64(FP), R7
	MOVD n+72(FP), R8
	LSL  $2, R1

#include "dot_arm64.h"
