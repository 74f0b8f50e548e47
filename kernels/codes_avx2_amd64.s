//go:build !noasm

#include "textflag.h"

// A page is decoded once for all rows: 4 channels of 16 tokens in two vectors, each a code looked up in a table of its channel
// that has the levels times the spread, from 0 on. Then two rows of q at a time are multiplied with that, 4 bytes broadcast from
// memory. Sums of 16 channels, in pairs 8 products, are within 16 bits: see codeTop. rows <= 32.
//
// Registers of scoreCodesYMM:
//	SI   scratch              DX   d, padded
//	R8   q of the rows        R9   bytes per row of q, R10 3 times that
//	R11  rows left            R12  dst, of the page
//	DI   dst, of the row      R13, R14, R15 distances to the next rows of q
//	Y8 .. Y15 constants, while decoding

// Offsets in the scratch. First what is known of up to 32 rows:
#define ALL 0        // the sum to subtract
#define SCALE 128    // of q, for means
#define SUM 256      // of q, times the zero point of means
#define LEVELS 384   // scale of q, for codes
#define FACTOR 512   // of the page: the value of a level
#define BASE 640     // of the page: the mean
#define TABLE 768    // of 16 channels
#define MEANS 832    // of the page: words of 16 even and 16 odd channels
#define CODES 2880   // decoded

DATA spread4<>+0(SB)/8, $0x0101010100000000
DATA spread4<>+8(SB)/8, $0x0303030302020202
DATA spread4<>+16(SB)/8, $0x0505050504040404
DATA spread4<>+24(SB)/8, $0x0707070706060606
DATA spread4<>+32(SB)/8, $0x0909090908080808
DATA spread4<>+40(SB)/8, $0x0b0b0b0b0a0a0a0a
DATA spread4<>+48(SB)/8, $0x0d0d0d0d0c0c0c0c
DATA spread4<>+56(SB)/8, $0x0f0f0f0f0e0e0e0e
GLOBL spread4<>(SB), RODATA|NOPTR, $64

DATA oneWords<>+0(SB)/8, $0x0001000100010001
DATA oneWords<>+8(SB)/8, $0x0001000100010001
DATA oneWords<>+16(SB)/8, $0x0001000100010001
DATA oneWords<>+24(SB)/8, $0x0001000100010001
GLOBL oneWords<>(SB), RODATA|NOPTR, $32

// Of codes 0 to 3, for 1 and 2 bits: where levels are 3 times as large, where they are negative, and what makes all 0 or more.
DATA levels<>+0(SB)/8, $0x000000ff00000000
DATA levels<>+8(SB)/8, $0x3f4ccccd07070708 // and 0.8
DATA levels<>+16(SB)/8, $0x0000ffffff0000ff
DATA levels<>+24(SB)/8, $0x3f00000015151616 // and 0.5
GLOBL levels<>(SB), RODATA|NOPTR, $32

// DISTANCES are those of the next 3 of CX rows; a missing row is the first one again.
#define DISTANCES(done) \
	XORL R13, R13           \
	XORL R14, R14           \
	XORL R15, R15           \
	CMPQ CX, $2             \
	JLT  done               \
	MOVQ R9, R13            \
	JEQ  done               \
	LEAQ (R9)(R9*1), R14    \
	CMPQ CX, $3             \
	JEQ  done               \
	MOVQ R10, R15           \
done:

// TABLES makes those of 8 channels of Y2.
#define TABLES(which, out) \
	VPSHUFB which, Y2, Y3      \
	VPADDB  Y3, Y3, Y4         \
	VPAND   Y11, Y4, Y4        \
	VPADDB  Y4, Y3, Y3         \
	VPXOR   Y12, Y3, Y3        \
	VPADDB  Y13, Y3, Y3        \
	VMOVDQU Y3, out(SI)

// DECODE stores 4 channels of Y0 and Y1, and goes on to the next ones.
#define DECODE(table, off) \
	VBROADCASTI128 table(SI), Y2 \
	VPAND   Y9, Y0, Y3           \
	VPAND   Y9, Y1, Y4           \
	VPOR    Y10, Y3, Y3          \
	VPOR    Y10, Y4, Y4          \
	VPSHUFB Y3, Y2, Y3           \
	VPSHUFB Y4, Y2, Y4           \
	VPSRLW  X8, Y0, Y0           \
	VPSRLW  X8, Y1, Y1           \
	VMOVDQU Y3, off(DI)          \
	VMOVDQU Y4, (off+32)(DI)

// MEAN adds 32 channels of a row to its sum.
#define MEAN(a) \
	VPMADDWD (AX), Y4, Y6       \
	VPMADDWD (AX)(DX*1), Y5, Y7 \
	VPADDD   Y6, a, a           \
	VPADDD   Y7, a, a

#define CLEAR4(a, b, c, e) \
	VPXOR a, a, a \
	VPXOR b, b, b \
	VPXOR c, c, c \
	VPXOR e, e, e

// FIRST begins the sums of a row in 16 bits with 4 channels, ADD adds 4 more, WIDEN adds them to those in 32 bits.
#define FIRST(q, a, b) \
	VPBROADCASTD q, Y12    \
	VPMADDUBSW Y12, Y8, a  \
	VPMADDUBSW Y12, Y9, b

#define ADD(q, a, b) \
	VPBROADCASTD q, Y12         \
	VPMADDUBSW   Y12, Y8, Y13   \
	VPMADDUBSW   Y12, Y9, Y12   \
	VPADDW       Y13, a, a      \
	VPADDW       Y12, b, b

#define WIDEN(a, b, x, y) \
	VPMADDWD Y15, a, a \
	VPMADDWD Y15, b, b \
	VPADDD   a, x, x   \
	VPADDD   b, y, y

// START goes to the codes and the bytes of q.
#define START \
	LEAQ CODES(SI), AX       \
	LEAQ 8(R8)(DX*4), BX     \
	MOVQ DX, CX              \
	CLEAR4(Y0, Y1, Y2, Y3)

#define LOAD(off) \
	VMOVDQU off(AX), Y8       \
	VMOVDQU (off+32)(AX), Y9

#define NEXT(loop) \
	ADDQ $256, AX \
	ADDQ $16, BX  \
	SUBQ $16, CX  \
	JNE  loop

// FINISH turns the sums of a row into estimates.
#define FINISH(a, b) \
	VPBROADCASTD ALL(R15), Y12    \
	VBROADCASTSS FACTOR(R15), Y13 \
	VBROADCASTSS BASE(R15), Y14   \
	VPSUBD    Y12, a, a           \
	VPSUBD    Y12, b, b           \
	VCVTDQ2PS a, a                \
	VCVTDQ2PS b, b                \
	VMULPS    Y13, a, a           \
	VMULPS    Y13, b, b           \
	VADDPS    Y14, a, a           \
	VADDPS    Y14, b, b           \
	VMOVUPS   a, (DI)             \
	VMOVUPS   b, 32(DI)           \
	ADDQ      R14, DI             \
	ADDQ      $4, R15

// func scoreCodesYMM(dst *float32, ldDst int, q *float32, rows, d, bits int, tiles, codes *byte, pages *int32, n, codeBytes, ahead int)
TEXT ·scoreCodesYMM(SB), 0, $19392-96
	MOVQ   dst+0(FP), R12
	MOVQ   d+32(FP), DX
	LEAQ   16(DX)(DX*4), R9
	LEAQ   (R9)(R9*2), R10
	LEAQ   scratch-19392(SP), SI
	ADDQ   $63, SI
	ANDQ   $-64, SI
	MOVQ   bits+40(FP), CX
	MOVQ   CX, AX
	ANDQ   $1, AX
	SHLQ   $4, AX
	MOVQ   AX, twice-8(SP)      // 16 if a line of codes lasts for 32 channels
	MOVQ   DX, AX
	SHLQ   $4, AX
	ADDQ   $128, AX
	MOVQ   AX, tileBytes-16(SP)
	MOVL   $1, AX
	SHLL   CX, AX
	DECL   AX
	MOVL   AX, mask-20(SP)
	IMUL3L $7, AX, R13         // the largest level times the largest spread
	MOVQ   q+16(FP), AX
	MOVQ   rows+24(FP), R11
	MOVQ   SI, BX
	LEAQ   (AX)(DX*4), AX

known:
	MOVL   (AX), R14
	MOVL   R14, SCALE(BX)
	MOVL   4(AX), R14
	SHLL   $4, R14
	MOVL   R14, SUM(BX)
	MOVL   8(AX)(DX*1), R14
	MOVL   R14, LEVELS(BX)
	MOVL   12(AX)(DX*1), R14
	IMULL  R13, R14
	MOVL   R14, ALL(BX)
	ADDQ   R9, AX
	ADDQ   $4, BX
	DECQ   R11
	JNE    known

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
	MOVL (BX)(AX*4), CX
	MOVL CX, meanScale-24(SP)
	MOVL 64(BX)(AX*4), CX
	MOVL CX, sdScale-28(SP)
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ DX, CX
	LEAQ 128(BX)(CX*4), BX
	ADDQ AX, BX

	MOVQ bits+40(FP), AX
	VMOVD AX, X8                // how far to shift codes
	SHLQ $4, AX
	LEAQ levels<>(SB), CX
	VPBROADCASTD -16(CX)(AX*1), Y11
	VPBROADCASTD -12(CX)(AX*1), Y12
	VPBROADCASTD -8(CX)(AX*1), Y13
	MOVL -4(CX)(AX*1), AX
	MOVL AX, unit-32(SP)
	VPBROADCASTB mask-20(SP), Y9 // of a code
	MOVL $0x0c080400, AX
	VMOVD AX, X10
	VPBROADCASTD X10, Y10       // where the tables of 4 channels begin
	MOVL $7, AX
	VMOVD AX, X14
	VPBROADCASTB X14, Y14       // mask of spreads
	MOVL $31, AX
	VMOVD AX, X15
	VPBROADCASTW X15, Y15       // of means
	MOVQ twice-8(SP), R15
	LEAQ CODES(SI), DI
	XORL CX, CX

lane:
	// Means, of 32 channels where there are; else those of the other 16 are 0.
	TESTQ   $16, CX
	JNE     meansDone
	VMOVDQU (BX), X0
	LEAQ    16(CX), AX
	CMPQ    AX, DX
	JGE     means16
	VINSERTI128 $1, 64(BX), Y0, Y0

means16:
	VPAND   Y15, Y0, Y1
	VPSRLW  $8, Y0, Y0
	VPAND   Y15, Y0, Y0
	VMOVDQU Y1, MEANS(SI)(CX*2)
	VMOVDQU Y0, (MEANS+32)(SI)(CX*2)

meansDone:
	VBROADCASTI128 (BX), Y2
	VPSRLW    $5, Y2, Y2
	VPAND     Y14, Y2, Y2
	TABLES(spread4<>(SB), TABLE)
	TABLES(spread4<>+32(SB), (TABLE+32))
	TESTQ     R15, CX
	JNE       upper
	VMOVDQU   (R13), Y5
	VMOVDQU   32(R13), Y6
	VMOVDQA   Y5, Y0
	VMOVDQA   Y6, Y1
	ADDQ      $64, R13
	JMP       atHand

upper:
	VPSRLW    $4, Y5, Y0
	VPSRLW    $4, Y6, Y1

atHand:
	DECODE(TABLE, 0)
	DECODE((TABLE+16), 64)
	DECODE((TABLE+32), 128)
	DECODE((TABLE+48), 192)
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
	LEAQ (R8)(DX*2), AX
	CLEAR4(Y0, Y1, Y2, Y3)
	XORL CX, CX

mean:
	VMOVDQU MEANS(SI)(CX*1), Y4
	VMOVDQU (MEANS+32)(SI)(CX*1), Y5
	MEAN(Y0)
	ADDQ R13, AX
	MEAN(Y1)
	SUBQ R13, AX
	ADDQ R14, AX
	MEAN(Y2)
	SUBQ R14, AX
	ADDQ R15, AX
	MEAN(Y3)
	SUBQ R15, AX
	ADDQ $32, AX
	ADDQ $64, CX
	MOVQ CX, DI
	SHRQ $1, DI
	CMPQ DI, DX
	JLT  mean

	VPHADDD   Y1, Y0, Y0
	VPHADDD   Y3, Y2, Y2
	VPHADDD   Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD    X1, X0, X0
	VPSUBD    SUM(BX), X0, X0
	VCVTDQ2PS X0, X0
	VBROADCASTSS meanScale-24(SP), X1
	VMULPS    SCALE(BX), X1, X1
	VMULPS    X1, X0, X0
	VMOVUPS   X0, BASE(BX)
	VBROADCASTSS sdScale-28(SP), X1
	VMULPS    LEVELS(BX), X1, X1
	VBROADCASTSS unit-32(SP), X2
	VMULPS    X2, X1, X1
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
	VMOVDQU oneWords<>(SB), Y15

rows:
	CMPQ R11, $2
	JLT  one
	START

two:
	LOAD(0)
	FIRST(0(BX), Y4, Y5)
	FIRST(0(BX)(R9*1), Y6, Y7)
	LOAD(64)
	ADD(4(BX), Y4, Y5)
	ADD(4(BX)(R9*1), Y6, Y7)
	LOAD(128)
	ADD(8(BX), Y4, Y5)
	ADD(8(BX)(R9*1), Y6, Y7)
	LOAD(192)
	ADD(12(BX), Y4, Y5)
	ADD(12(BX)(R9*1), Y6, Y7)
	WIDEN(Y4, Y5, Y0, Y1)
	WIDEN(Y6, Y7, Y2, Y3)
	NEXT(two)
	FINISH(Y0, Y1)
	FINISH(Y2, Y3)
	LEAQ (R8)(R9*2), R8
	SUBQ $2, R11
	JMP  rows

one:
	TESTQ R11, R11
	JEQ  done
	START

oneLoop:
	LOAD(0)
	FIRST(0(BX), Y4, Y5)
	LOAD(64)
	ADD(4(BX), Y4, Y5)
	LOAD(128)
	ADD(8(BX), Y4, Y5)
	LOAD(192)
	ADD(12(BX), Y4, Y5)
	WIDEN(Y4, Y5, Y0, Y1)
	NEXT(oneLoop)
	FINISH(Y0, Y1)

done:
	ADDQ $64, R12
	ADDQ $4, pages+64(FP)
	DECQ n+72(FP)
	JNE  page
	VZEROUPPER
	RET
