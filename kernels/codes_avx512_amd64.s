//go:build !noasm

#include "textflag.h"

// A page is unpacked to words, once. Rows of q come in blocks of up to 8, made ready by fours: see codes_avx512_amd64.h. Then
// 4 channels of the codes of 16 tokens are multiplied by a row's 4 bytes, which are broadcast from memory.
//
// Registers of scoreCodesZMM:
//	SI   scratch              DX   channels of a row, padded to spans of 64
//	R8   q of the block       R9   bytes per row of q
//	R11  rows left            R12  dst, of the block
//	R13  codes of the page    DI   dst, of the page
//	K2   even bytes           Z22 .. Z31 constants, see below

// Offsets in the scratch.
#define U(row) ((row)*1088)   // products of a row, rounded to bytes; not 1024, for the sake of the cache
#define PAGE 8704             // spreads of even and odd channels, means of both, for each span
#define ALL 12800             // of 8 rows, float32 or int32: the sum to subtract
#define FACTOR 12832          // the value of a unit
#define BASE 12864            // the mean
#define TIMES 12896           // the factor that rounds to bytes

// FINISH turns the sums of a row into estimates.
#define FINISH(row, a) \
	VPADDD      a, a, a                      \
	VPSUBD.BCST (ALL+4*(row))(R10), a, a     \
	VCVTDQ2PS   a, a                         \
	VMULPS.BCST (FACTOR+4*(row))(R10), a, a  \
	VADDPS.BCST (BASE+4*(row))(R10), a, a    \
	VMOVUPS     a, (R12)                     \
	ADDQ        R14, R12

// LOAD takes the next codes, unless those at hand last for 16 channels more.
#define LOAD(skip) \
	TESTQ     R15, CX   \
	JNE       skip      \
	VMOVDQU64 (AX), Z16 \
	ADDQ      $64, AX   \
skip:

// CODES leaves 4 channels of 16 tokens in Z17.
#define CODES \
	VPANDD   Z31, Z16, Z17 \
	VPSRLVW  Z30, Z16, Z16

#define ADD(row, off, a) VPDPBUSD.BCST (U(row)+off)(BX)(CX*1), Z17, a

#define ADD2(off, a, b) \
	CODES          \
	ADD(0, off, a) \
	ADD(1, off, b)

#define ADD3(off) \
	CODES           \
	ADD(0, off, Z0) \
	ADD(1, off, Z1) \
	ADD(2, off, Z2)

#define ADD4(off) \
	ADD3(off)       \
	ADD(3, off, Z3)

#define ADD6(off) \
	ADD4(off)       \
	ADD(4, off, Z4) \
	ADD(5, off, Z5)

#define ADD8(off) \
	ADD6(off)       \
	ADD(6, off, Z6) \
	ADD(7, off, Z7)

#define NEXT \
	ADDQ $16, CX           \
	CMPQ CX, lanes+48(FP)

#define CLEAR4(a, b, c, e) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD e, e, e

// START begins the rows at BX and R10.
#define START \
	MOVQ R13, AX           \
	XORL CX, CX

// func scoreCodesZMM(dst *float32, ldDst int, q *float32, rows, d, bits, lanes int, tiles, codes *byte, pages *int32, n, tileBytes, codeBytes, ahead int)
//
// d is padded to spans; lanes is what of it a tile has, as bytes of a page.
TEXT ·scoreCodesZMM(SB), 0, $13056-112
	MOVQ   dst+0(FP), DI
	MOVQ   d+32(FP), DX
	LEAQ   80(DX*2), R9
	LEAQ   scratch-13056(SP), SI
	ADDQ   $63, SI
	ANDQ   $-64, SI
	MOVQ   $0x5555555555555555, AX
	KMOVQ  AX, K2
	MOVL   $0x01010101, AX
	VPBROADCASTD AX, Z28        // ones, bytes
	MOVL   $1, AX
	VPBROADCASTD AX, Z29        // ones, dwords
	MOVQ   bits+40(FP), CX
	VPBROADCASTW CX, Z30        // how far to shift codes
	MOVL   $1, AX
	SHLL   CX, AX
	DECL   AX
	VPBROADCASTB AX, Z31        // mask of a code
	VPBROADCASTD AX, X23        // the same, dwords
	MOVQ   CX, R15
	ANDQ   $1, R15
	SHLQ   $4, R15
	MOVQ   R15, twice-8(SP)     // 16 if a load lasts for 32 channels
	MOVL   $0x46cccccd, AX      // 0.8 * 1<<15
	CMPQ   CX, $1
	JEQ    oneBit
	MOVL   $0x46800000, AX      // 0.5 * 1<<15

oneBit:
	VMOVD  AX, X22
	VPBROADCASTD X22, X22       // the value of a unit times 1<<15
	MOVL   $31, AX
	VPBROADCASTW AX, Z27        // mask of means
	MOVL   $0x4a7e0000, AX      // 127 << 15
	VMOVD  AX, X24
	VPBROADCASTD X24, X24
	MOVQ   $0x0d0905010c080400, AX
	VMOVQ  AX, X25
	VPMOVZXBD X25, Y25          // the first dwords of 4 lanes, then the second ones

page:
	// Ask for a page to come.
	MOVQ pages+72(FP), R8
	MOVQ ahead+104(FP), CX
	CMPQ CX, n+80(FP)
	JGE  unpack
	MOVLQSX (R8)(CX*4), R10
	MOVQ R10, AX
	IMULQ codeBytes+96(FP), AX
	ADDQ codes+64(FP), AX
	MOVQ codeBytes+96(FP), CX

ask:
	PREFETCHT0 -64(AX)(CX*1)
	SUBQ $64, CX
	JGT  ask
	MOVQ R10, AX
	SHRQ $4, R10
	IMULQ tileBytes+88(FP), R10
	ADDQ tiles+56(FP), R10
	ANDL $15, AX
	PREFETCHT0 (R10)(AX*4)
	PREFETCHT0 64(R10)(AX*4)
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ lanes+48(FP), CX
	LEAQ 128(R10)(CX*4), R10
	ADDQ AX, R10
	MOVQ lanes+48(FP), CX

askTile:
	PREFETCHT0 -64(R10)(CX*4)
	SUBQ $16, CX
	JGT  askTile

unpack:
	MOVLQSX (R8), R10
	MOVQ R10, R13
	IMULQ codeBytes+96(FP), R13
	ADDQ codes+64(FP), R13
	MOVQ R10, AX
	SHRQ $4, R10
	IMULQ tileBytes+88(FP), R10
	ADDQ tiles+56(FP), R10
	ANDL $15, AX
	VBROADCASTSS (R10)(AX*4), X20   // scale of the means
	VBROADCASTSS 64(R10)(AX*4), X21 // scale of the spreads
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ lanes+48(FP), CX
	LEAQ 128(R10)(CX*4), R10
	ADDQ AX, R10
	MOVQ lanes+48(FP), CX
	LEAQ PAGE(SI), BX
	MOVL $16, AX
	VPBROADCASTW AX, Z18
	MOVL $7, AX
	VPBROADCASTW AX, Z19
	VPXORD Z26, Z26, Z26

span:
	VMOVDQU (R10), X0
	CMPQ CX, $32
	JLT  loaded
	VINSERTI32X4 $1, 64(R10), Z0, Z0
	CMPQ CX, $48
	JLT  loaded
	VINSERTI32X4 $2, 128(R10), Z0, Z0
	JEQ  loaded
	VINSERTI32X4 $3, 192(R10), Z0, Z0

loaded:
	VPSRLW $5, Z0, Z1
	VPSRLW $8, Z0, Z2
	VPSRLW $13, Z0, Z3
	VPANDD Z27, Z0, Z0
	VPANDD Z19, Z1, Z1
	VPANDD Z27, Z2, Z2
	VPSUBW Z18, Z0, Z0
	VPSUBW Z18, Z2, Z2
	VMOVDQA64 Z1, (BX)
	VMOVDQA64 Z3, 64(BX)
	VMOVDQA64 Z0, 128(BX)
	VMOVDQA64 Z2, 192(BX)
	VPMAXUW Z1, Z26, Z26
	VPMAXUW Z3, Z26, Z26    // the largest spread of each pair of channels modulo 64
	ADDQ $256, R10
	ADDQ $256, BX
	SUBQ $64, CX
	JGT  span

	MOVQ q+16(FP), R8
	MOVQ rows+24(FP), R11
	MOVQ DI, R12

rows:
	MOVQ SI, R10
	MOVQ SI, BX

#include "codes_avx512_amd64.h"

product:
	MOVQ ldDst+8(FP), R14
	SHLQ $2, R14
	MOVQ twice-8(SP), R15
	MOVQ SI, R10
	MOVQ SI, BX
	MOVQ R11, AX
	CMPQ AX, $8
	JLT  some
	SUBQ $8, R11
	START
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)

eight:
	LOAD(eightAtHand)
	ADD8(0)
	ADD8(4)
	ADD8(8)
	ADD8(12)
	NEXT
	JNE eight
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	FINISH(3, Z3)
	FINISH(4, Z4)
	FINISH(5, Z5)
	FINISH(6, Z6)
	FINISH(7, Z7)
	JMP  block

some:
	CMPQ R11, $6
	JLT  four
	SUBQ $6, R11
	START
	CLEAR4(Z0, Z1, Z2, Z3)
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5

six:
	LOAD(sixAtHand)
	ADD6(0)
	ADD6(4)
	ADD6(8)
	ADD6(12)
	NEXT
	JNE six
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	FINISH(3, Z3)
	FINISH(4, Z4)
	FINISH(5, Z5)
	ADDQ $U(6), BX
	ADDQ $24, R10

four:
	CMPQ R11, $4
	JLT  three
	SUBQ $4, R11
	START
	CLEAR4(Z0, Z1, Z2, Z3)

fourLoop:
	LOAD(fourAtHand)
	ADD4(0)
	ADD4(4)
	ADD4(8)
	ADD4(12)
	NEXT
	JNE fourLoop
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	FINISH(3, Z3)
	ADDQ $U(4), BX
	ADDQ $16, R10

three:
	CMPQ R11, $2
	JLT  one
	JEQ  two
	SUBQ $3, R11
	START
	CLEAR4(Z0, Z1, Z2, Z3)

threeLoop:
	LOAD(threeAtHand)
	ADD3(0)
	ADD3(4)
	ADD3(8)
	ADD3(12)
	NEXT
	JNE threeLoop
	FINISH(0, Z0)
	FINISH(1, Z1)
	FINISH(2, Z2)
	JMP done

two:
	SUBQ $2, R11
	START
	CLEAR4(Z0, Z1, Z2, Z3)

twoLoop:
	LOAD(twoAtHand)
	ADD2(0, Z0, Z1)
	ADD2(4, Z2, Z3)
	ADD2(8, Z0, Z1)
	ADD2(12, Z2, Z3)
	NEXT
	JNE twoLoop
	VPADDD Z2, Z0, Z0
	VPADDD Z3, Z1, Z1
	FINISH(0, Z0)
	FINISH(1, Z1)
	JMP done

one:
	TESTQ R11, R11
	JEQ  done
	DECQ R11
	START
	CLEAR4(Z0, Z1, Z2, Z3)

oneLoop:
	LOAD(oneAtHand)
	CODES
	ADD(0, 0, Z0)
	CODES
	ADD(0, 4, Z1)
	CODES
	ADD(0, 8, Z2)
	CODES
	ADD(0, 12, Z3)
	NEXT
	JNE oneLoop
	VPADDD Z2, Z0, Z0
	VPADDD Z3, Z1, Z1
	VPADDD Z1, Z0, Z0
	FINISH(0, Z0)

block:
	TESTQ R11, R11
	JNE  rows

done:
	ADDQ $64, DI
	ADDQ $4, pages+72(FP)
	DECQ n+80(FP)
	JNE  page
	VZEROUPPER
	RET
