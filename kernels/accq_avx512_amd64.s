//go:build !noasm

#include "textflag.h"
#include "tile_avx512_amd64.h"
#include "quant_avx512_amd64.h"

// The bits of a float32 but the sign, infinity, 32767, the largest finite number, 1; the
// integer 8.
DATA accq<>+0(SB)/4, $0x7fffffff
DATA accq<>+4(SB)/4, $0x7f800000
DATA accq<>+8(SB)/4, $0x46fffe00
DATA accq<>+12(SB)/4, $0x7f7fffff
DATA accq<>+16(SB)/4, $0x3f800000
DATA accq<>+20(SB)/4, $8
GLOBL accq<>(SB), RODATA|NOPTR, $24

#define CONSTANTS8 \
	VPBROADCASTD accq<>+0(SB), Z29  \
	VPBROADCASTD accq<>+4(SB), Z28  \
	VPBROADCASTD accq<>+8(SB), Z27  \
	VPBROADCASTD accq<>+12(SB), Z26 \
	VPBROADCASTD accq<>+16(SB), Z25

// ZEROIF clears weights if a bit of R8 is set.
#define ZEROIF(bit, z) \
	MOVL      R8, R12       \
	ANDL      $bit, R12     \
	CMPL      R12, $1       \
	SBBL      R12, R12      \
	KMOVW     R12, K3       \
	VMOVAPS.Z z, K3, z

// FOUR to ONE add two tokens of as many rows, with the weights of the first row at
// off.
#define FOUR(off) \
	VPDPWSSD.BCST (off)(BX), Z8, Z16 \
	VPDPWSSD.BCST (off)(BX), Z9, Z17 \
	VPDPWSSD.BCST (off+8)(BX), Z8, Z18 \
	VPDPWSSD.BCST (off+8)(BX), Z9, Z19 \
	VPDPWSSD.BCST (off+64)(BX), Z8, Z20 \
	VPDPWSSD.BCST (off+64)(BX), Z9, Z21 \
	VPDPWSSD.BCST (off+72)(BX), Z8, Z22 \
	VPDPWSSD.BCST (off+72)(BX), Z9, Z23

#define THREE(off) \
	VPDPWSSD.BCST (off)(BX), Z8, Z16 \
	VPDPWSSD.BCST (off)(BX), Z9, Z17 \
	VPDPWSSD.BCST (off+8)(BX), Z8, Z18 \
	VPDPWSSD.BCST (off+8)(BX), Z9, Z19 \
	VPDPWSSD.BCST (off+64)(BX), Z8, Z20 \
	VPDPWSSD.BCST (off+64)(BX), Z9, Z21

#define TWO(off) \
	VPDPWSSD.BCST (off)(BX), Z8, Z16 \
	VPDPWSSD.BCST (off)(BX), Z9, Z17 \
	VPDPWSSD.BCST (off+8)(BX), Z8, Z18 \
	VPDPWSSD.BCST (off+8)(BX), Z9, Z19

#define ONE(off) \
	VPDPWSSD.BCST (off)(BX), Z8, Z16 \
	VPDPWSSD.BCST (off)(BX), Z9, Z17

#define BLOCK BLOCK8
#define ASKBLOCKS ASKBLOCKS8
#define CONSTANTS CONSTANTS8
#define VALUES \
	VPMOVSXBD 2(DX)(AX*1), Z5  \
	VPMOVSXBD 18(DX)(AX*1), Z6

// Z8 gets channels 0-7 and 16-23, Z9 the others.
#define PAIR(off) \
	MOVQ       off(BP), R8           \
	MOVQ       off+8(BP), R10        \
	VMOVDQU    2(R8)(AX*1), Y10      \
	VMOVDQU    2(R10)(AX*1), Y11     \
	VPUNPCKLBW Y11, Y10, Y12         \
	VPUNPCKHBW Y11, Y10, Y13         \
	VPMOVSXBW  Y12, Z8               \
	VPMOVSXBW  Y13, Z9

#define PUT(p, factor, yb, a, b) \
	VINSERTI64X4     $1, yb, a, Z10           \
	VSHUFI64X2       $0xee, b, a, Z11         \
	VCVTDQ2PS        Z10, Z10                 \
	VCVTDQ2PS        Z11, Z11                 \
	VMOVUPS          (p), Z12                 \
	VMOVUPS          64(p), Z13               \
	VFMADD231PS.BCST factor(BX), Z10, Z12     \
	VFMADD231PS.BCST factor(BX), Z11, Z13     \
	VMOVUPS          Z12, (p)                 \
	VMOVUPS          Z13, 64(p)

// func accQ8AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, scratch *byte)
TEXT ·accQ8AVX512(SB), NOSPLIT, $664-104
#include "accq_avx512_amd64.h"

#undef BLOCK
#undef ASKBLOCKS
#undef CONSTANTS
#undef VALUES
#undef PAIR
#undef PUT
#define BLOCK BLOCK4
#define ASKBLOCKS ASKBLOCKS4
#define CONSTANTS \
	CONSTANTS8                    \
	MOVL         $0x000f000f, AX  \
	VPBROADCASTD AX, Z31          \
	MOVL         $0x00080008, AX  \
	VPBROADCASTD AX, Z24

#define VALUES \
	VPMOVZXBD 2(DX)(AX*1), Z6     \
	VPSRLD    $4, Z6, Z7          \
	VPANDD    Z31, Z6, Z5         \
	VPSUBD.BCST accq<>+20(SB), Z5, Z5 \
	VPSUBD.BCST accq<>+20(SB), Z7, Z6

#define PAIR(off) \
	MOVQ        off(BP), R8           \
	MOVQ        off+8(BP), R10        \
	VMOVDQU     2(R8)(AX*1), X10      \
	VMOVDQU     2(R10)(AX*1), X11     \
	VPUNPCKLBW  X11, X10, X12         \
	VPUNPCKHBW  X11, X10, X13         \
	VINSERTI128 $1, X13, Y12, Y12     \
	VPMOVZXBW   Y12, Z10              \
	VPANDD      Z31, Z10, Z8          \
	VPSRLW      $4, Z10, Z9           \
	VPSUBW      Z24, Z8, Z8           \
	VPSUBW      Z24, Z9, Z9

#define PUT(p, factor, yb, a, b) \
	VCVTDQ2PS        a, Z10                   \
	VCVTDQ2PS        b, Z11                   \
	VMOVUPS          (p), Z12                 \
	VMOVUPS          64(p), Z13               \
	VFMADD231PS.BCST factor(BX), Z10, Z12     \
	VFMADD231PS.BCST factor(BX), Z11, Z13     \
	VMOVUPS          Z12, (p)                 \
	VMOVUPS          Z13, 64(p)

// func accQ4AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, scratch *byte)
TEXT ·accQ4AVX512(SB), NOSPLIT, $664-104
#include "accq_avx512_amd64.h"
