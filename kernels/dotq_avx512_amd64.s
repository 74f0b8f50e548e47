//go:build !noasm

#include "textflag.h"
#include "go_asm.h"
#include "quant_avx512_amd64.h"

#define CELLS cells+56(FP)
#define COUNT n+64(FP)
#define AHEAD ahead+80(FP)
#define NEXT next+88(FP)
#define BASE k+40(FP)
#define STRIDE stride+48(FP)
#define SIZE size+72(FP)

// UNPACK4 transposes the dwords of each 128-bit lane of a, b, c and e: dword i of the
// four goes to the i-th of them. It overwrites o to r.
#define UNPACK4(a, b, c, e, o, p, q, r) \
	VPUNPCKLDQ  b, a, o \
	VPUNPCKHDQ  b, a, p \
	VPUNPCKLDQ  e, c, q \
	VPUNPCKHDQ  e, c, r \
	VPUNPCKLQDQ q, o, a \
	VPUNPCKHQDQ q, o, b \
	VPUNPCKLQDQ r, p, c \
	VPUNPCKHQDQ r, p, e

// TWO8 loads the int8 of tokens t and t+4.
#define TWO8(t, y, z) \
	MOVQ         (8*t)(BP), R8          \
	MOVQ         (8*t+32)(BP), R10      \
	VMOVDQU      2(R8)(AX*1), y         \
	VINSERTI64X4 $1, 2(R10)(AX*1), z, z

// JOIN8 takes dword i of lanes 0 and 2 of a and b to x, and dword i+4 of lanes 1 and 3
// to y.
#define JOIN8(a, b, x, y) \
	VSHUFI32X4 $0xdd, b, a, y \
	VSHUFI32X4 $0x88, b, a, x \
	VPXORD     Z28, y, y      \
	VPXORD     Z28, x, x

#define BLOCK BLOCK8
#define ASKBLOCKS ASKBLOCKS8
#define CONSTANTS \
	MOVL         $0x80808080, AX \
	VPBROADCASTD AX, Z28

#define CHANNELS \
	TWO8(0, Y8, Z8)                                 \
	TWO8(1, Y9, Z9)                                 \
	TWO8(2, Y10, Z10)                               \
	TWO8(3, Y11, Z11)                               \
	TWO8(8, Y12, Z12)                               \
	TWO8(9, Y13, Z13)                               \
	TWO8(10, Y14, Z14)                              \
	TWO8(11, Y15, Z15)                              \
	UNPACK4(Z8, Z9, Z10, Z11, Z16, Z17, Z18, Z19)   \
	UNPACK4(Z12, Z13, Z14, Z15, Z20, Z21, Z22, Z23) \
	JOIN8(Z8, Z12, Z0, Z4)                          \
	JOIN8(Z9, Z13, Z1, Z5)                          \
	JOIN8(Z10, Z14, Z2, Z6)                         \
	JOIN8(Z11, Z15, Z3, Z7)

// func dotQ8AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)
TEXT ·dotQ8AVX512(SB), NOSPLIT, $568-96
#include "dotq_avx512_amd64.h"

#undef BLOCK
#undef ASKBLOCKS
#undef CONSTANTS
#undef CHANNELS

// FOUR4 loads the nibbles of tokens t, t+4, t+8 and t+12.
#define FOUR4(t, x, y, z) \
	MOVQ         (8*t)(BP), R8              \
	MOVQ         (8*t+32)(BP), R10          \
	VMOVDQU      2(R8)(AX*1), x             \
	VINSERTI128  $1, 2(R10)(AX*1), y, y     \
	MOVQ         (8*t+64)(BP), R8           \
	MOVQ         (8*t+96)(BP), R10          \
	VMOVDQU      2(R8)(AX*1), X12           \
	VINSERTI128  $1, 2(R10)(AX*1), Y12, Y12 \
	VINSERTI64X4 $1, Y12, z, z

// SPLIT4 separates the low and high nibbles of a.
#define SPLIT4(a, low, high) \
	VPSRLW $4, a, high     \
	VPANDD Z28, a, low     \
	VPANDD Z28, high, high

#define BLOCK BLOCK4
#define ASKBLOCKS ASKBLOCKS4
#define CONSTANTS \
	MOVL         $0x0f0f0f0f, AX \
	VPBROADCASTD AX, Z28

#define CHANNELS \
	FOUR4(0, X8, Y8, Z8)                          \
	FOUR4(1, X9, Y9, Z9)                          \
	FOUR4(2, X10, Y10, Z10)                       \
	FOUR4(3, X11, Y11, Z11)                       \
	UNPACK4(Z8, Z9, Z10, Z11, Z16, Z17, Z18, Z19) \
	SPLIT4(Z8, Z0, Z4)                            \
	SPLIT4(Z9, Z1, Z5)                            \
	SPLIT4(Z10, Z2, Z6)                           \
	SPLIT4(Z11, Z3, Z7)

// func dotQ4AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)
TEXT ·dotQ4AVX512(SB), NOSPLIT, $568-96
#include "dotq_avx512_amd64.h"
