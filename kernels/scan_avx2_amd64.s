//go:build !noasm

#include "textflag.h"

// Registers of scanYMM:
//	SI   tile                  AX   4 channels of it
//	BX   &q[row]               R10  bytes per q row
//	DX   q's pairs (x0, x2)    R13  q's pairs (x1, x3)
//	R9   &dst[row][page]       R8   bytes per dst row
//	CX   pages left            R11  rows left
//	R12  bytes of a tile       R14  groups of 4 channels left
//	R15  d
//
//	Y0-Y5    sums of pages 0-7 and 8-15, per row
//	Y6, Y7   channels 0 and 2, 1 and 3 of pages 0-7, Y8, Y9 of pages 8-15
//	Y15      mask
//
// &dst[0][page] is kept in its argument.

#define GROUP \
	PREFETCHT0 1088(AX)   \ // planes are short, and the hardware is slow to see the next
	VMOVDQU (AX), Y6      \
	VMOVDQU 32(AX), Y8    \
	VPSRLW  $8, Y6, Y7    \
	VPSRLW  $8, Y8, Y9    \
	VPAND   Y15, Y6, Y6   \
	VPAND   Y15, Y8, Y8

#define ROW(even, odd, a, b) \
	VPBROADCASTD even, Y10    \
	VPBROADCASTD odd, Y11     \
	VPMADDWD     Y6, Y10, Y12 \
	VPMADDWD     Y8, Y10, Y13 \
	VPADDD       Y12, a, a    \
	VPADDD       Y13, b, b    \
	VPMADDWD     Y7, Y11, Y12 \
	VPMADDWD     Y9, Y11, Y13 \
	VPADDD       Y12, a, a    \
	VPADDD       Y13, b, b

#define START \
	LEAQ (BX)(R15*2), DX  \
	LEAQ (DX)(R15*1), R13 \
	LEAQ 64(SI), AX       \
	MOVQ R15, R14         \
	SHRQ $2, R14

#define NEXT \
	ADDQ $64, AX \
	ADDQ $4, DX  \
	ADDQ $4, R13 \
	DECQ R14

// SCORE makes scores of the sums of a row, and goes on to the next one.
#define SCORE(a, b) \
	MOVL         4(BX)(R15*4), AX \
	IMULL        sign+56(FP), AX  \
	VMOVD        AX, X12          \
	VPBROADCASTD X12, Y12         \
	VBROADCASTSS (BX)(R15*4), Y13 \
	VPSUBD       Y12, a, a        \
	VPSUBD       Y12, b, b        \
	VCVTDQ2PS    a, a             \
	VCVTDQ2PS    b, b             \
	VMULPS       (SI), Y13, Y12   \
	VMULPS       32(SI), Y13, Y13 \
	VMULPS       Y12, a, a        \
	VMULPS       Y13, b, b        \
	ADDQ         R10, BX

// KEEP stores the scores of a row: all 16, or, by way of the stack, as many as
// there are.
#define KEEP(a, b, part, copy, next) \
	CMPQ    CX, $16                  \
	JLT     part                     \
	VMOVUPS a, (R9)                  \
	VMOVUPS b, 32(R9)                \
	JMP     next                     \
part:                                \
	VMOVUPS a, scores-64(SP)         \
	VMOVUPS b, scores-32(SP)         \
	LEAQ    scores-64(SP), AX        \
	XORL    R14, R14                 \
copy:                                \
	MOVL    (AX)(R14*4), DX          \
	MOVL    DX, (R9)(R14*4)          \
	INCQ    R14                      \
	CMPQ    R14, CX                  \
	JLT     copy                     \
next:                                \
	ADDQ    R8, R9

// func scanYMM(dst *float32, ldDst int, q *float32, rows, d int, tiles *byte, n, sign int)
TEXT ·scanYMM(SB), NOSPLIT, $64-64
	MOVQ     ldDst+8(FP), R8
	MOVQ     d+32(FP), R15
	MOVQ     tiles+40(FP), SI
	MOVQ     n+48(FP), CX
	LEAQ     8(R15*4), R10
	MOVQ     R15, R12
	SHLQ     $4, R12
	ADDQ     $64, R12
	SHLQ     $2, R8
	VPCMPEQW Y15, Y15, Y15
	VPSRLW   $8, Y15, Y15

tile:
	MOVQ q+16(FP), BX
	MOVQ rows+24(FP), R11
	MOVQ dst+0(FP), R9

rows:
	CMPQ  R11, $2
	JGT   three
	JEQ   two
	TESTQ R11, R11
	JNE   one
	ADDQ  R12, SI
	ADDQ  $64, dst+0(FP)
	SUBQ  $16, CX
	JGT   tile
	VZEROUPPER
	RET

three:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	START

three4:
	GROUP
	ROW((DX), (R13), Y0, Y1)
	ROW((DX)(R10*1), (R13)(R10*1), Y2, Y3)
	ROW((DX)(R10*2), (R13)(R10*2), Y4, Y5)
	NEXT
	JNE three4

	SCORE(Y0, Y1)
	KEEP(Y0, Y1, three0Part, three0Copy, three0Next)
	SCORE(Y2, Y3)
	KEEP(Y2, Y3, three1Part, three1Copy, three1Next)
	SCORE(Y4, Y5)
	KEEP(Y4, Y5, three2Part, three2Copy, three2Next)
	SUBQ $3, R11
	JMP  rows

two:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	START

two4:
	GROUP
	ROW((DX), (R13), Y0, Y1)
	ROW((DX)(R10*1), (R13)(R10*1), Y2, Y3)
	NEXT
	JNE two4

	SCORE(Y0, Y1)
	KEEP(Y0, Y1, two0Part, two0Copy, two0Next)
	SCORE(Y2, Y3)
	KEEP(Y2, Y3, two1Part, two1Copy, two1Next)
	SUBQ $2, R11
	JMP  rows

one:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	START

one4:
	GROUP
	ROW((DX), (R13), Y0, Y1)
	NEXT
	JNE one4

	SCORE(Y0, Y1)
	KEEP(Y0, Y1, onePart, oneCopy, oneNext)
	DECQ R11
	JMP  rows
