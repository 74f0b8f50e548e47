//go:build !noasm

#include "textflag.h"

// VMAXPS yields its last source, the first operand here, when one is NaN: so dst
// stays where the new score is none.

// func maxIntoAVX2(dst, x *float32, n int)
// n is a multiple of 8.
TEXT ·maxIntoAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

max8:
	SUBQ    $8, CX
	JLT     maxDone
	VMOVUPS (SI), Y0
	VMAXPS  (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	JMP     max8

maxDone:
	VZEROUPPER
	RET

// func maxAddSqrtAVX2(dst, a, b *float32, n int, beta float32)
// n is a multiple of 8.
TEXT ·maxAddSqrtAVX2(SB), NOSPLIT, $0-36
	MOVQ         dst+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), BX
	MOVQ         n+24(FP), CX
	VBROADCASTSS beta+32(FP), Y4
	VXORPS       Y5, Y5, Y5

score8:
	SUBQ    $8, CX
	JLT     scoreDone
	VMAXPS  (BX), Y5, Y0
	VSQRTPS Y0, Y0
	VMULPS  Y4, Y0, Y0
	VADDPS  (SI), Y0, Y0
	VMAXPS  (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, BX
	ADDQ    $32, DI
	JMP     score8

scoreDone:
	VZEROUPPER
	RET
