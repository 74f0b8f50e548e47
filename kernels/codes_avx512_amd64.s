//go:build !noasm

#include "textflag.h"

// A page is decoded once for all rows: 4 channels of 16 tokens in a vector, each a code looked up in a table of its channel that
// has the levels times the spread, from 0 on. Rows of q come in blocks of up to 8 and are multiplied with that, 4 bytes broadcast
// from memory. rows <= 32.
//
// Registers of scoreCodesZMM:
//	SI   scratch              DX   d, padded
//	R8   q of the rows        R9   bytes per row of q, R10 3 times that
//	R11  rows left            R12  dst, of the page
//	DI   dst, of the row      R13, R14, R15 distances to the next rows of q
//	X20, X21 scales of means and spreads, X22 value of a level
//	Z24 .. Z31 constants

// Offsets in the scratch. First what is known of up to 32 rows:
#define ALL 0        // the sum to subtract
#define SCALE 128    // of q, for means
#define SUM 256      // of q, times the zero point of means
#define LEVELS 384   // scale of q, for codes
#define FACTOR 512   // of the page: the value of a level
#define BASE 640     // of the page: the mean
#define MEANS 768    // of the page, bytes; 0 behind the last one
#define CODES 1856   // decoded

#include "codes_avx512_amd64.h"

// func scoreCodesZMM(dst *float32, ldDst int, q *float32, rows, d, bits int, tiles, codes *byte, pages *int32, n, codeBytes, ahead int)
TEXT ·scoreCodesZMM(SB), 0, $18368-96
	MOVQ   dst+0(FP), R12
	MOVQ   d+32(FP), DX
	LEAQ   16(DX)(DX*4), R9
	LEAQ   (R9)(R9*2), R10
	LEAQ   scratch-18368(SP), SI
	ADDQ   $63, SI
	ANDQ   $-64, SI
	MOVQ   $0x0706050403020100, AX
	VMOVQ  AX, X26
	MOVQ   $0x0f0e0d0c0b0a0908, AX
	VPINSRQ $1, AX, X26, X26
	VPMOVZXBD X26, Z26
	MOVL   $0x01010101, AX
	VPBROADCASTD AX, Z0
	VPMULLD Z0, Z26, Z26        // each of 16 channels 4 times
	MOVL   $0x0c080400, AX
	VPBROADCASTD AX, Z29        // where the tables of 4 channels begin
	MOVL   $31, AX
	VPBROADCASTB AX, Z28        // mask of means
	MOVL   $7, AX
	VPBROADCASTB AX, Z27        // of spreads
	MOVQ   bits+40(FP), CX
	VPBROADCASTW CX, Z30        // how far to shift codes
	// Tables: levels 1 to 3 times as large where Z25 is, negative where Z24 is; and what makes them 0 or more.
	MOVL   $0xff0000ff, AX
	MOVL   $0x0000ffff, BX
	MOVL   $0x15151616, DI
	MOVL   $21, R8
	MOVL   $3, R13
	MOVL   $0x3f000000, R14     // 0.5
	CMPQ   CX, $1
	JNE    constants
	XORL   AX, AX
	MOVL   $0x000000ff, BX
	MOVL   $0x07070708, DI
	MOVL   $7, R8
	MOVL   $1, R13
	MOVL   $0x3f4ccccd, R14     // 0.8

constants:
	VPBROADCASTD AX, Z25
	VPBROADCASTD BX, Z24
	VPBROADCASTD DI, Z19
	VPBROADCASTB R13, Z31       // mask of a code
	VPBROADCASTD R14, X22
	MOVQ   q+16(FP), AX
	MOVQ   rows+24(FP), R11
	MOVQ   SI, BX
	LEAQ   (AX)(DX*4), AX

known:
	MOVL   (AX), R13
	MOVL   R13, SCALE(BX)
	MOVL   4(AX), R13
	SHLL   $4, R13
	MOVL   R13, SUM(BX)
	MOVL   8(AX)(DX*1), R13
	MOVL   R13, LEVELS(BX)
	MOVL   12(AX)(DX*1), R13
	IMULL  R8, R13
	MOVL   R13, ALL(BX)
	ADDQ   R9, AX
	ADDQ   $4, BX
	DECQ   R11
	JNE    known
	ANDQ   $1, CX
	SHLQ   $4, CX
	MOVQ   CX, twice-8(SP)      // 16 if a line of codes lasts for 32 channels
	MOVQ DX, AX
	SHLQ $4, AX
	ADDQ $128, AX
	MOVQ AX, tileBytes-16(SP)

page:
	// Ask for a page to come.
	MOVQ pages+64(FP), R8
	MOVQ ahead+88(FP), CX
	CMPQ CX, n+72(FP)
	JGE  decode
	MOVLQSX (R8)(CX*4), BX
	MOVQ BX, AX
	IMULQ codeBytes+80(FP), AX
	ADDQ codes+56(FP), AX
	MOVQ codeBytes+80(FP), CX

ask:
	PREFETCHT0 -64(AX)(CX*1)
	SUBQ $64, CX
	JGT  ask
	MOVQ BX, AX
	SHRQ $4, BX
	IMULQ tileBytes-16(SP), BX
	ADDQ tiles+48(FP), BX
	ANDL $15, AX
	PREFETCHT0 (BX)(AX*4)
	PREFETCHT0 64(BX)(AX*4)
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ DX, CX
	LEAQ 128(BX)(CX*4), BX
	ADDQ AX, BX
	MOVQ DX, CX

askTile:
	PREFETCHT0 -64(BX)(CX*4)
	SUBQ $16, CX
	JGT  askTile

decode:
	MOVLQSX (R8), BX
	MOVQ BX, R13
	IMULQ codeBytes+80(FP), R13
	ADDQ codes+56(FP), R13
	MOVQ BX, AX
	SHRQ $4, BX
	IMULQ tileBytes-16(SP), BX
	ADDQ tiles+48(FP), BX
	ANDL $15, AX
	VBROADCASTSS (BX)(AX*4), X20
	VBROADCASTSS 64(BX)(AX*4), X21
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ DX, CX
	LEAQ 128(BX)(CX*4), BX
	ADDQ AX, BX
	MOVQ BX, AX
	LEAQ MEANS(SI), DI
	MOVQ DX, CX

span:
	VMOVDQU (AX), X0
	CMPQ CX, $32
	JLT  gathered
	VINSERTI32X4 $1, 64(AX), Z0, Z0
	CMPQ CX, $48
	JLT  gathered
	VINSERTI32X4 $2, 128(AX), Z0, Z0
	JEQ  gathered
	VINSERTI32X4 $3, 192(AX), Z0, Z0

gathered:
	VPANDD    Z28, Z0, Z0
	VMOVDQA64 Z0, (DI)
	ADDQ $256, AX
	ADDQ $64, DI
	SUBQ $64, CX
	JGT  span

	MOVQ twice-8(SP), R15
	LEAQ CODES(SI), DI
	XORL CX, CX

lane:
	VBROADCASTI32X4 (BX), Z3
	VPSRLW    $5, Z3, Z3
	VPANDD    Z27, Z3, Z3
	VPSHUFB   Z26, Z3, Z3
	VPADDB    Z3, Z3, Z1
	VPANDD    Z25, Z1, Z1
	VPADDB    Z1, Z3, Z3
	VPXORD    Z24, Z3, Z3
	VPADDB    Z19, Z3, Z3       // tables of 16 channels
	TESTQ     R15, CX
	JNE       atHand
	VMOVDQU64 (R13), Z0
	ADDQ      $64, R13

atHand:
	DECODE($0x00, 0)
	DECODE($0x55, 64)
	DECODE($0xaa, 128)
	DECODE($0xff, 192)
	ADDQ $64, BX
	ADDQ $256, DI
	ADDQ $16, CX
	CMPQ CX, DX
	JNE  lane

	MOVQ q+16(FP), R8
	MOVQ rows+24(FP), R11
	MOVQ SI, BX

means:
	MOVQ R11, CX
	DISTANCES(distances)
	MOVQ R8, AX
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)
	XORL CX, CX

mean:
	VMOVDQU64 MEANS(SI)(CX*1), Z18
	MEAN((AX), (AX)(DX*1), Z0, Z4)
	ADDQ R13, AX
	MEAN((AX), (AX)(DX*1), Z1, Z5)
	SUBQ R13, AX
	ADDQ R14, AX
	MEAN((AX), (AX)(DX*1), Z2, Z6)
	SUBQ R14, AX
	ADDQ R15, AX
	MEAN((AX), (AX)(DX*1), Z3, Z7)
	SUBQ R15, AX
	ADDQ $64, AX
	ADDQ $64, CX
	CMPQ CX, DX
	JLT  mean

	COMBINE(Z0, Z4)
	COMBINE(Z1, Z5)
	COMBINE(Z2, Z6)
	COMBINE(Z3, Z7)
	VSHUFI64X2 $0x44, Z1, Z0, Z4
	VSHUFI64X2 $0xee, Z1, Z0, Z5
	VSHUFI64X2 $0x44, Z3, Z2, Z6
	VSHUFI64X2 $0xee, Z3, Z2, Z7
	VPADDD     Z5, Z4, Z0       // lanes of rows 0, 0, 1, 1
	VPADDD     Z7, Z6, Z2       // 2, 2, 3, 3
	VPUNPCKLDQ Z2, Z0, Z1
	VPUNPCKHDQ Z2, Z0, Z3
	VPADDD     Z3, Z1, Z0       // 0 and 2 alternate in two lanes, then 1 and 3
	VEXTRACTI64X4 $1, Z0, Y1
	VEXTRACTI128 $1, Y0, X2
	VEXTRACTI128 $1, Y1, X3
	VPADDD     X2, X0, X0
	VPADDD     X3, X1, X1
	VPUNPCKLDQ X1, X0, X2       // 0, 1, 2, 3
	VPUNPCKHDQ X1, X0, X3
	VPADDD     X3, X2, X0
	VPSUBD    SUM(BX), X0, X0
	VCVTDQ2PS X0, X0
	VMULPS    SCALE(BX), X20, X1
	VMULPS    X1, X0, X0
	VMOVUPS   X0, BASE(BX)
	VMULPS    LEVELS(BX), X21, X1
	VMULPS    X22, X1, X1
	VMOVUPS   X1, FACTOR(BX)
	ADDQ      $16, BX
	LEAQ      (R8)(R9*4), R8
	SUBQ      $4, R11
	JGT       means

	MOVQ q+16(FP), R8
	MOVQ rows+24(FP), R11
	MOVQ ldDst+8(FP), R14
	SHLQ $2, R14
	MOVQ SI, R15
	MOVQ R12, DI

rows:
	CMPQ R11, $8
	JLT  six
	START
	LEAQ (BX)(R9*4), R13
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)

eightLoop:
	ADD8(0)
	ADD8(4)
	ADDQ $8, R13
	NEXT(8, eightLoop)
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	FINISH(3, Z3)
	FINISH(4, Z4)
	FINISH(5, Z5)
	FINISH(6, Z6)
	FINISH(7, Z7)
	LEAQ (R8)(R9*8), R8
	ADDQ $32, R15
	SUBQ $8, R11
	JMP  rows

six:
	CMPQ R11, $6
	JLT  four
	START
	LEAQ (BX)(R9*4), R13
	CLEAR4(Z0, Z1, Z2, Z3)
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	CLEAR4(Z8, Z9, Z10, Z11)
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13

sixLoop:
	ADD6(0, Z0, Z1, Z2, Z3, Z4, Z5)
	ADD6(4, Z8, Z9, Z10, Z11, Z12, Z13)
	ADDQ $8, R13
	NEXT(8, sixLoop)
	VPADDD Z8, Z0, Z0
	VPADDD Z9, Z1, Z1
	VPADDD Z10, Z2, Z2
	VPADDD Z11, Z3, Z3
	VPADDD Z12, Z4, Z4
	VPADDD Z13, Z5, Z5
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	FINISH(3, Z3)
	FINISH(4, Z4)
	FINISH(5, Z5)
	LEAQ (R9)(R9*2), CX
	LEAQ (R8)(CX*2), R8
	ADDQ $24, R15
	SUBQ $6, R11

four:
	CMPQ R11, $4
	JLT  three
	START
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)

fourLoop:
	ADD4(0, Z0, Z1, Z2, Z3)
	ADD4(4, Z4, Z5, Z6, Z7)
	NEXT(8, fourLoop)
	VPADDD Z4, Z0, Z0
	VPADDD Z5, Z1, Z1
	VPADDD Z6, Z2, Z2
	VPADDD Z7, Z3, Z3
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	FINISH(3, Z3)
	LEAQ (R8)(R9*4), R8
	ADDQ $16, R15
	SUBQ $4, R11

three:
	CMPQ R11, $3
	JLT  two
	START
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)

threeLoop:
	ADD3(0, Z0, Z1, Z2)
	ADD3(4, Z4, Z5, Z6)
	NEXT(8, threeLoop)
	VPADDD Z4, Z0, Z0
	VPADDD Z5, Z1, Z1
	VPADDD Z6, Z2, Z2
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	JMP  done

two:
	CMPQ R11, $2
	JLT  one
	START
	CLEAR4(Z0, Z1, Z2, Z3)

twoLoop:
	ADD2(0, Z0, Z1)
	ADD2(4, Z2, Z3)
	NEXT(8, twoLoop)
	VPADDD Z2, Z0, Z0
	VPADDD Z3, Z1, Z1
	FINISH(0, Z0)
	FINISH(1, Z1)
	LEAQ (R8)(R9*2), R8
	ADDQ $8, R15
	SUBQ $2, R11

one:
	TESTQ R11, R11
	JEQ  done
	START
	CLEAR4(Z0, Z1, Z2, Z3)

oneLoop:
	ADD1(0, Z0)
	ADD1(4, Z1)
	ADD1(8, Z2)
	ADD1(12, Z3)
	NEXT(16, oneLoop)
	VPADDD Z2, Z0, Z0
	VPADDD Z3, Z1, Z1
	VPADDD Z1, Z0, Z0
	FINISH(0, Z0)

done:
	ADDQ $64, R12
	ADDQ $4, pages+64(FP)
	DECQ n+72(FP)
	JNE  page
	VZEROUPPER
	RET
