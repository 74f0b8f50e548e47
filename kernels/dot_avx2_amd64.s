//go:build !noasm

#include "textflag.h"

// Float keys. The including functions define LOAD, which converts 8 channels, and
// STEP, their bytes. 12 accumulators (Y0-Y11) and 3 rows of q (Y13-Y15) leave one
// register for K (Y12), which is converted once per block of rows.

#define CLEAR4(a, b, c, e) \
	VXORPS a, a, a \
	VXORPS b, b, b \
	VXORPS c, c, c \
	VXORPS e, e, e

// FMA3 does one token of three rows.
#define FMA3(mem, a, b, c) \
	LOAD(mem, Y12)          \
	VFMADD231PS Y12, Y13, a \
	VFMADD231PS Y12, Y14, b \
	VFMADD231PS Y12, Y15, c

#define FMA2(mem, a, b) \
	LOAD(mem, Y12)          \
	VFMADD231PS Y12, Y13, a \
	VFMADD231PS Y12, Y14, b

#define FMA1(mem, a) \
	LOAD(mem, Y12)          \
	VFMADD231PS Y12, Y13, a

// SUM4 leaves the sums of a, b, c and e in xa, all added in the same order. A blend
// takes the place of one shuffle of each VHADDPS: shuffles are what this sequence
// is short of.
#define SUM4(a, b, c, e, xa) \
	VSHUFPS      $0x4e, b, a, Y12 \ // a2 a3 b0 b1 | a6 a7 b4 b5
	VBLENDPS     $0xcc, b, a, a   \ // a0 a1 b2 b3 | a4 a5 b6 b7
	VSHUFPS      $0x4e, e, c, Y13 \
	VBLENDPS     $0xcc, e, c, c   \
	VADDPS       Y12, a, a        \
	VADDPS       Y13, c, c        \
	VSHUFPS      $0x88, c, a, Y12 \
	VSHUFPS      $0xdd, c, a, Y13 \
	VADDPS       Y12, Y13, a      \ // a b c e, channels 0-3 | 4-7
	VEXTRACTF128 $1, a, X12       \
	VADDPS       X12, xa, xa

#define BLOCK3 \
	CLEAR4(Y0, Y1, Y2, Y3)            \
	CLEAR4(Y4, Y5, Y6, Y7)            \
	CLEAR4(Y8, Y9, Y10, Y11)          \
	MOVQ    BX, AX                    \
loop3:                                \
	VMOVUPS (AX), Y13                 \
	VMOVUPS (AX)(R10*1), Y14          \
	VMOVUPS (AX)(R10*2), Y15          \
	FMA3((R12)(DX*1), Y0, Y4, Y8)     \
	FMA3((R13)(DX*1), Y1, Y5, Y9)     \
	FMA3((R14)(DX*1), Y2, Y6, Y10)    \
	FMA3((R15)(DX*1), Y3, Y7, Y11)    \
	ADDQ    $32, AX                   \
	ADDQ    $STEP, DX                 \
	JNE     loop3                     \
	SUM4(Y0, Y1, Y2, Y3, X0)          \
	SUM4(Y4, Y5, Y6, Y7, X4)          \
	SUM4(Y8, Y9, Y10, Y11, X8)

#define BLOCK2 \
	CLEAR4(Y0, Y1, Y2, Y3)    \
	CLEAR4(Y4, Y5, Y6, Y7)    \
	MOVQ    BX, AX            \
loop2:                        \
	VMOVUPS (AX), Y13         \
	VMOVUPS (AX)(R10*1), Y14  \
	FMA2((R12)(DX*1), Y0, Y4) \
	FMA2((R13)(DX*1), Y1, Y5) \
	FMA2((R14)(DX*1), Y2, Y6) \
	FMA2((R15)(DX*1), Y3, Y7) \
	ADDQ    $32, AX           \
	ADDQ    $STEP, DX         \
	JNE     loop2             \
	SUM4(Y0, Y1, Y2, Y3, X0)  \
	SUM4(Y4, Y5, Y6, Y7, X4)

#define BLOCK1 \
	CLEAR4(Y0, Y1, Y2, Y3)   \
	MOVQ    BX, AX           \
loop1:                       \
	VMOVUPS (AX), Y13        \
	FMA1((R12)(DX*1), Y0)    \
	FMA1((R13)(DX*1), Y1)    \
	FMA1((R14)(DX*1), Y2)    \
	FMA1((R15)(DX*1), Y3)    \
	ADDQ    $32, AX          \
	ADDQ    $STEP, DX        \
	JNE     loop1            \
	SUM4(Y0, Y1, Y2, Y3, X0)

#define LOAD(mem, y) VMOVUPS mem, y
#define STEP 32

// func dotF32YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)
TEXT ·dotF32YMM(SB), NOSPLIT, $0-88
#include "dot_avx2_amd64.h"

#undef LOAD
#undef STEP
#define LOAD(mem, y) VCVTPH2PS mem, y
#define STEP 16

// func dotF16YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)
TEXT ·dotF16YMM(SB), NOSPLIT, $0-88
#include "dot_avx2_amd64.h"

#undef LOAD
#define LOAD(mem, y) \
	VPMOVZXWD mem, y    \
	VPSLLD    $16, y, y

// func dotBF16YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead int)
TEXT ·dotBF16YMM(SB), NOSPLIT, $0-88
#include "dot_avx2_amd64.h"
