//go:build !noasm

#include "textflag.h"

// QUAD makes rows y0 .. y3 of 4 channels, in each 128-bit lane, 4 channels of 4 rows.
#define QUAD(y0, y1, y2, y3, t0, t1, t2, t3) \
	VUNPCKLPS y1, y0, t0       \
	VUNPCKHPS y1, y0, t1       \
	VUNPCKLPS y3, y2, t2       \
	VUNPCKHPS y3, y2, t3       \
	VUNPCKLPD t2, t0, y0       \
	VUNPCKHPD t2, t0, y1       \
	VUNPCKLPD t3, t1, y2       \
	VUNPCKHPD t3, t1, y3

// func turnYMM(dst, src *float32, d int)
//
//	DI   row of dst, of 32 floats     DX  channels left
//	SI, R10, R11, R12  rows 0, 4, 8 and 12 of src
//	R9   from a row of src to the next, R13 three times that
TEXT ·turnYMM(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ d+16(FP), DX
	LEAQ (DX*4), R9
	LEAQ (R9)(R9*2), R13
	LEAQ (SI)(R9*4), R10
	LEAQ (R10)(R9*4), R11
	LEAQ (R11)(R9*4), R12

four:
	VMOVUPS      (SI), X0
	VMOVUPS      (SI)(R9*1), X1
	VMOVUPS      (SI)(R9*2), X2
	VMOVUPS      (SI)(R13*1), X3
	VMOVUPS      (R11), X4
	VMOVUPS      (R11)(R9*1), X5
	VMOVUPS      (R11)(R9*2), X6
	VMOVUPS      (R11)(R13*1), X7
	VINSERTF128  $1, (R10), Y0, Y0
	VINSERTF128  $1, (R10)(R9*1), Y1, Y1
	VINSERTF128  $1, (R10)(R9*2), Y2, Y2
	VINSERTF128  $1, (R10)(R13*1), Y3, Y3
	VINSERTF128  $1, (R12), Y4, Y4
	VINSERTF128  $1, (R12)(R9*1), Y5, Y5
	VINSERTF128  $1, (R12)(R9*2), Y6, Y6
	VINSERTF128  $1, (R12)(R13*1), Y7, Y7
	QUAD(Y0, Y1, Y2, Y3, Y8, Y9, Y10, Y11)
	QUAD(Y4, Y5, Y6, Y7, Y12, Y13, Y14, Y15)
	VMOVUPS      Y0, (DI)
	VMOVUPS      Y4, 32(DI)
	VMOVUPS      Y1, 128(DI)
	VMOVUPS      Y5, 160(DI)
	VMOVUPS      Y2, 256(DI)
	VMOVUPS      Y6, 288(DI)
	VMOVUPS      Y3, 384(DI)
	VMOVUPS      Y7, 416(DI)
	ADDQ         $512, DI
	ADDQ         $16, SI
	ADDQ         $16, R10
	ADDQ         $16, R11
	ADDQ         $16, R12
	SUBQ         $4, DX
	JNE          four
	VZEROUPPER
	RET
