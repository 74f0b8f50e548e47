//go:build !noasm

#include "textflag.h"

// All lengths are positive multiples of 8.

DATA round<>+0(SB)/4, $0x4b400000 // 3<<22: adding it rounds to an integer
DATA round<>+4(SB)/4, $0x7fffffff // magnitude
DATA round<>+8(SB)/4, $32         // half of scanBase
GLOBL round<>(SB), RODATA|NOPTR, $12

// Shuffles within a half: the low bytes of 4 int32 go to the low int32, or to the
// next one; or the low int16 of 0, 2, 1 and 3 to the low int64.
DATA low<>+0(SB)/8, $0x808080800c080400
DATA low<>+8(SB)/8, $0x8080808080808080
DATA low<>+16(SB)/8, $0x0c08040080808080
DATA low<>+24(SB)/8, $0x8080808080808080
DATA low<>+32(SB)/8, $0x0d0c050409080100
DATA low<>+40(SB)/8, $0x8080808080808080
GLOBL low<>(SB), RODATA|NOPTR, $48

// ROUND leaves the integers of 8 channels in Y0 and adds them to Y5. It is the
// rounding of roundInt even for NaN.
#define ROUND \
	VMULPS (SI), Y6, Y0 \
	VADDPS Y7, Y0, Y0   \
	VPSUBD Y7, Y0, Y0   \
	VPADDD Y0, Y5, Y5

// PAIR leaves the low int64 of both halves of y, in xy, as 4 int32: low, low,
// high, high.
#define PAIR(y, xy) \
	VEXTRACTI128 $1, y, X1  \
	VPUNPCKLDQ   X1, xy, xy

// SUM returns the sum of Y5 in AX.
#define SUM \
	VEXTRACTI128 $1, Y5, X1    \
	VPADDD       X1, X5, X5    \
	VPSHUFD      $0x4e, X5, X1 \
	VPADDD       X1, X5, X5    \
	VPSHUFD      $0xb1, X5, X1 \
	VPADDD       X1, X5, X5    \
	VMOVD        X5, AX

// func quantise8YMM(dst, x *float32, n int, inv float32) int32
TEXT ·quantise8YMM(SB), NOSPLIT, $0-36
	MOVQ           dst+0(FP), DI
	MOVQ           x+8(FP), SI
	MOVQ           n+16(FP), CX
	VBROADCASTSS   inv+24(FP), Y6
	VBROADCASTSS   round<>+0(SB), Y7
	VBROADCASTI128 low<>+0(SB), Y8
	VPXOR          Y5, Y5, Y5

loop8:
	ROUND
	VPSHUFB Y8, Y0, Y0
	PAIR(Y0, X0)
	VMOVQ   X0, (DI)
	ADDQ    $32, SI
	ADDQ    $8, DI
	SUBQ    $8, CX
	JNE     loop8
	SUM
	MOVL    AX, ret+32(FP)
	VZEROUPPER
	RET

// func quantise14YMM(dst, x *float32, n int, inv float32) int32
TEXT ·quantise14YMM(SB), NOSPLIT, $0-36
	MOVQ           dst+0(FP), DI
	MOVQ           x+8(FP), SI
	MOVQ           n+16(FP), CX
	VBROADCASTSS   inv+24(FP), Y6
	VBROADCASTSS   round<>+0(SB), Y7
	VBROADCASTI128 low<>+0(SB), Y8
	VBROADCASTI128 low<>+16(SB), Y9
	VBROADCASTI128 low<>+32(SB), Y10
	VPBROADCASTD   round<>+8(SB), Y11
	VPXOR          Y5, Y5, Y5
	LEAQ           (DI)(CX*1), R8    // lo
	LEAQ           (DI)(CX*2), R9    // pairs (x0, x2)
	LEAQ           (R8)(CX*2), R10   // pairs (x1, x3)

loop14:
	ROUND
	VPADDD  Y11, Y0, Y2
	VPSRAD  $6, Y2, Y2   // hi
	VPSLLD  $6, Y2, Y3
	VPSUBD  Y3, Y0, Y3   // lo
	VPSHUFB Y8, Y2, Y2
	VPSHUFB Y9, Y3, Y3
	VPSHUFB Y10, Y0, Y0
	VPOR    Y3, Y2, Y2
	PAIR(Y0, X0)
	PAIR(Y2, X2)
	VMOVQ   X2, (DI)
	VMOVHPS X2, (R8)
	VMOVQ   X0, (R9)
	VMOVHPS X0, (R10)
	ADDQ    $32, SI
	ADDQ    $8, DI
	ADDQ    $8, R8
	ADDQ    $8, R9
	ADDQ    $8, R10
	SUBQ    $8, CX
	JNE     loop14
	SUM
	MOVL    AX, ret+32(FP)
	VZEROUPPER
	RET

// func absMaxYMM(x *float32, n int) float32
TEXT ·absMaxYMM(SB), NOSPLIT, $0-20
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), CX
	VPBROADCASTD round<>+4(SB), Y4
	VPXOR        Y0, Y0, Y0

max8:
	VPAND   (SI), Y4, Y1
	VPMAXUD Y1, Y0, Y0
	ADDQ   $32, SI
	SUBQ   $8, CX
	JNE    max8

	VEXTRACTI128 $1, Y0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0xb1, X0, X1
	VPMAXUD      X1, X0, X0
	VMOVSS       X0, ret+16(FP)
	VZEROUPPER
	RET
