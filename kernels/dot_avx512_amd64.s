//go:build !noasm

#include "textflag.h"
#include "go_asm.h"

#define CELLS cells+56(FP)
#define COUNT n+64(FP)
#define AHEAD ahead+80(FP)
#define NEXT next+96(FP)
#define BASE k+40(FP)
#define STRIDE stride+48(FP)
#define SIZE size+72(FP)

// TAKE takes the pointers of the block at an offset.
#define TAKE(off) \
	MOVQ 0(SP)(off*1), R8   \
	MOVQ 8(SP)(off*1), R9   \
	MOVQ 16(SP)(off*1), R10 \
	MOVQ 24(SP)(off*1), R11

#define ZERO4(a, b, c, e) \
	VXORPS a, a, a \
	VXORPS b, b, b \
	VXORPS c, c, c \
	VXORPS e, e, e

// MUL4 to MUL1 multiply the channels in Z28 of a token with those at AX of as many rows,
// MULQ4 to MULQ1 with those in Z16 to Z19.
#define MUL4(a, b, c, e) \
	VFMADD231PS (BX)(AX*4), Z28, a  \
	VFMADD231PS (SI)(AX*4), Z28, b  \
	VFMADD231PS (R12)(AX*4), Z28, c \
	VFMADD231PS (R13)(AX*4), Z28, e

#define MUL3(a, b, c) \
	VFMADD231PS (BX)(AX*4), Z28, a  \
	VFMADD231PS (SI)(AX*4), Z28, b  \
	VFMADD231PS (R12)(AX*4), Z28, c

#define MUL2(a, b) \
	VFMADD231PS (BX)(AX*4), Z28, a \
	VFMADD231PS (SI)(AX*4), Z28, b

#define MUL1(a) VFMADD231PS (BX)(AX*4), Z28, a

#define MULQ4(a, b, c, e) \
	VFMADD231PS Z16, Z28, a \
	VFMADD231PS Z17, Z28, b \
	VFMADD231PS Z18, Z28, c \
	VFMADD231PS Z19, Z28, e

#define MULQ3(a, b, c) \
	VFMADD231PS Z16, Z28, a \
	VFMADD231PS Z17, Z28, b \
	VFMADD231PS Z18, Z28, c

#define MULQ2(a, b) \
	VFMADD231PS Z16, Z28, a \
	VFMADD231PS Z17, Z28, b

#define MULQ1(a) VFMADD231PS Z16, Z28, a

// FOUR to ONE multiply 64 channels of a token with as many rows, and convert those
// of the next token, at p. q is in Z28-Z31, Z16-Z19, Z24-Z27 and memory.
#define FOUR(p, a, b, c, e) \
	VFMADD231PS Z28, Z20, a            \
	VFMADD231PS Z16, Z20, b            \
	VFMADD231PS Z24, Z20, c            \
	VFMADD231PS 0(R13)(AX*4), Z20, e   \
	LOAD(AT(p, 0), Z20)                \
	VFMADD231PS Z29, Z21, a            \
	VFMADD231PS Z17, Z21, b            \
	VFMADD231PS Z25, Z21, c            \
	VFMADD231PS 64(R13)(AX*4), Z21, e  \
	LOAD(AT(p, 1), Z21)                \
	VFMADD231PS Z30, Z22, a            \
	VFMADD231PS Z18, Z22, b            \
	VFMADD231PS Z26, Z22, c            \
	VFMADD231PS 128(R13)(AX*4), Z22, e \
	LOAD(AT(p, 2), Z22)                \
	VFMADD231PS Z31, Z23, a            \
	VFMADD231PS Z19, Z23, b            \
	VFMADD231PS Z27, Z23, c            \
	VFMADD231PS 192(R13)(AX*4), Z23, e \
	LOAD(AT(p, 3), Z23)

#define THREE(p, a, b, c) \
	VFMADD231PS Z28, Z20, a \
	VFMADD231PS Z16, Z20, b \
	VFMADD231PS Z24, Z20, c \
	LOAD(AT(p, 0), Z20)     \
	VFMADD231PS Z29, Z21, a \
	VFMADD231PS Z17, Z21, b \
	VFMADD231PS Z25, Z21, c \
	LOAD(AT(p, 1), Z21)     \
	VFMADD231PS Z30, Z22, a \
	VFMADD231PS Z18, Z22, b \
	VFMADD231PS Z26, Z22, c \
	LOAD(AT(p, 2), Z22)     \
	VFMADD231PS Z31, Z23, a \
	VFMADD231PS Z19, Z23, b \
	VFMADD231PS Z27, Z23, c \
	LOAD(AT(p, 3), Z23)

#define TWO(p, a, b) \
	VFMADD231PS Z28, Z20, a \
	VFMADD231PS Z16, Z20, b \
	LOAD(AT(p, 0), Z20)     \
	VFMADD231PS Z29, Z21, a \
	VFMADD231PS Z17, Z21, b \
	LOAD(AT(p, 1), Z21)     \
	VFMADD231PS Z30, Z22, a \
	VFMADD231PS Z18, Z22, b \
	LOAD(AT(p, 2), Z22)     \
	VFMADD231PS Z31, Z23, a \
	VFMADD231PS Z19, Z23, b \
	LOAD(AT(p, 3), Z23)

#define ONE(p, a) \
	VFMADD231PS Z28, Z20, a \
	LOAD(AT(p, 0), Z20)     \
	VFMADD231PS Z29, Z21, a \
	LOAD(AT(p, 1), Z21)     \
	VFMADD231PS Z30, Z22, a \
	LOAD(AT(p, 2), Z22)     \
	VFMADD231PS Z31, Z23, a \
	LOAD(AT(p, 3), Z23)

// SUM4 leaves [a b c e] in each 128-bit lane of a, summed over the lane's
// channels. Blends take the place of two shuffles.
#define SUM4(a, b, c, e) \
	VSHUFPS   $0x4e, b, a, Z24 \ // a2 a3 b0 b1
	VBLENDMPS b, a, K2, a      \ // a0 a1 b2 b3
	VSHUFPS   $0x4e, e, c, Z25 \
	VBLENDMPS e, c, K2, c      \
	VADDPS    Z24, a, a        \
	VADDPS    Z25, c, c        \
	VSHUFPS   $0x88, c, a, Z24 \
	VSHUFPS   $0xdd, c, a, Z25 \
	VADDPS    Z24, Z25, a

// FOLD4 and FOLD2 add up the lanes of rows, lane 0 and lane 2, 1 and 3, then these: the tokens
// of each row are left in a lane of a.
#define FOLD4(a, b, c, e) \
	VSHUFF32X4 $0x44, b, a, Z24   \ // a0 a1 b0 b1
	VSHUFF32X4 $0xee, b, a, Z25   \ // a2 a3 b2 b3
	VSHUFF32X4 $0x44, e, c, Z26   \
	VSHUFF32X4 $0xee, e, c, Z27   \
	VADDPS     Z24, Z25, Z24      \
	VADDPS     Z26, Z27, Z26      \
	VSHUFF32X4 $0x88, Z26, Z24, a \
	VSHUFF32X4 $0xdd, Z26, Z24, b \
	VADDPS     a, b, a

#define FOLD2(a, b) \
	VSHUFF32X4 $0x44, b, a, Z24   \
	VSHUFF32X4 $0xee, b, a, Z25   \
	VADDPS     Z24, Z25, Z24      \
	VSHUFF32X4 $0x88, Z24, Z24, a \
	VSHUFF32X4 $0xdd, Z24, Z24, b \
	VADDPS     a, b, a

// ASK asks for a line of the token at offset off of those to ask for.
#define ASK(off, p) \
	MOVQ       off(SP)(R14*1), R15 \
	PREFETCHT1 p

#define ASKEND(off) \
	MOVQ       off(SP)(R14*1), R15 \
	ADDQ       end+88(FP), R15     \
	PREFETCHT1 (R15)

#define ASKENDS \
	ASKEND(0)  \
	ASKEND(8)  \
	ASKEND(16) \
	ASKEND(24)

// QUERY loads 64 channels of a row of q.
#define QUERY(p, z0, z1, z2, z3) \
	VMOVUPS 0(p)(AX*4), z0   \
	VMOVUPS 64(p)(AX*4), z1  \
	VMOVUPS 128(p)(AX*4), z2 \
	VMOVUPS 192(p)(AX*4), z3

// ONWARD goes to the next 64 channels of the tokens.
#define ONWARD \
	ADDQ $SIZE64, R8  \
	ADDQ $SIZE64, R9  \
	ADDQ $SIZE64, R10 \
	ADDQ $SIZE64, R11

#define ASK16 \
	ASK(0, HERE(R15))  \
	ASK(8, HERE(R15))  \
	ASK(16, HERE(R15)) \
	ASK(24, HERE(R15))

#define LOAD(p, z) VMOVUPS p, z
#define AT(p, i) (64*(i))(p)
#define HERE(p) (p)(AX*4)
#define SIZE64 256
#define ASK64(off) \
	ASK(off, HERE(R15))       \
	PREFETCHT1 64(R15)(AX*4)  \
	PREFETCHT1 128(R15)(AX*4) \
	PREFETCHT1 192(R15)(AX*4)

// func dotF32AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int, next *aheadArgs)
TEXT ·dotF32AVX512(SB), NOSPLIT, $576-104
#include "dot_avx512_amd64.h"

#undef LOAD
#undef AT
#undef HERE
#undef SIZE64
#undef ASK64
#define LOAD(p, z) VCVTPH2PS p, z
#define AT(p, i) (32*(i))(p)
#define HERE(p) (p)(AX*2)
#define SIZE64 128
#define ASK64(off) \
	ASK(off, HERE(R15))      \
	PREFETCHT1 64(R15)(AX*2)

// func dotF16AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int, next *aheadArgs)
TEXT ·dotF16AVX512(SB), NOSPLIT, $576-104
#include "dot_avx512_amd64.h"

#undef LOAD
#define LOAD(p, z) \
	VPMOVZXWD p, z      \
	VPSLLD    $16, z, z

// func dotBF16AVX512(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int, next *aheadArgs)
TEXT ·dotBF16AVX512(SB), NOSPLIT, $576-104
#include "dot_avx512_amd64.h"
