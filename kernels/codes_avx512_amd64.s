//go:build !noasm

#include "textflag.h"

// Rows of q come in blocks of up to 8. A page takes three steps, of which those for three pages are done side by side, so that none
// has to wait for the one before:
//
//	bound    its summary as words, and of each row the factor that makes products of q and spreads bytes
//	ready    these products, the row's mean
//	product  4 channels of the codes of 16 tokens are multiplied by a row's 4 bytes, which are broadcast from memory
//
// Registers of scoreCodesZMM:
//	SI   scratch              DX   channels of a row, padded to spans of 64
//	R8   q of the block       R9   bytes per row of q
//	R10  what product reads   R12  dst, of the page
//	R14, R15, R13             distances to the next rows of q, in bound and ready
//	K2   even bytes           Z20 .. Z31 constants, see below
//
// Four rows are made ready at a time. A missing one is the first one again.

// Offsets in the scratch. It begins with two buffers that ready writes and product reads in turns.
#define U(row) ((row)*1088)   // products of a row, rounded to bytes; not 1024, for the sake of the cache
#define ALL 8704              // of 8 rows, float32 or int32: the sum to subtract
#define FACTOR 8736           // the value of a unit
#define BASE 8768             // the mean
#define BUFFER 8832
#define PAGE (2*BUFFER)       // spreads of even and odd channels, means of both, for each span
#define TIMES (PAGE+4096)     // of 8 rows: the factor that makes bytes
#define STEP (TIMES+32)       // the value of a unit over the scales of row and page

// FINISH turns the sums of a row into estimates.
#define FINISH(row, a) \
	VPADDD      a, a, a                      \
	VPSUBD.BCST (ALL+4*(row))(R10), a, a     \
	VCVTDQ2PS   a, a                         \
	VMULPS.BCST (FACTOR+4*(row))(R10), a, a  \
	VADDPS.BCST (BASE+4*(row))(R10), a, a    \
	VMOVUPS     a, (DI)                      \
	ADDQ        R14, DI

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
	MOVQ codes-16(SP), AX  \
	XORL CX, CX

// DISTANCES are those of the next 3 rows of CX rows that are left.
#define DISTANCES(done) \
	XORL R14, R14           \
	XORL R15, R15           \
	XORL R13, R13           \
	CMPQ CX, $2             \
	JLT  done               \
	MOVQ R9, R14            \
	JEQ  done               \
	LEAQ (R9)(R9*1), R15    \
	CMPQ CX, $3             \
	JEQ  done               \
	LEAQ (R9)(R9*2), R13    \
done:

// FOLD combines the lanes of 4 vectors: a lane of a is then what is left of one of them.
#define FOLD(op, a, b, c, e, t, v) \
	VSHUFI64X2 $0x44, b, a, t \
	VSHUFI64X2 $0xee, b, a, v \
	op         t, v, a        \
	VSHUFI64X2 $0x44, e, c, t \
	VSHUFI64X2 $0xee, e, c, v \
	op         t, v, c        \
	VSHUFI64X2 $0x88, c, a, t \
	VSHUFI64X2 $0xdd, c, a, v \
	op         t, v, a

// ROW makes 64 channels of a row ready: products, means, the sum of bytes.
#define ROW(q0, q1, m, mean, sum, out) \
	VMOVDQU64 q0, Z0          \
	VMOVDQU64 q1, Z1          \
	VPDPWSSD  Z0, Z6, mean    \
	VPDPWSSD  Z1, Z7, mean    \
	VPMULLW   Z4, Z0, Z0      \
	VPMULLW   Z5, Z1, Z1      \
	VPMULHRSW m, Z0, Z0       \
	VPMULHRSW m, Z1, Z1       \
	VPSLLW    $8, Z1, Z1      \
	VMOVDQU8  Z0, K2, Z1      \
	VMOVDQU64 Z1, out         \
	VPDPBUSD  Z1, Z28, sum

// PAIR leaves the sums of a row, of means and of bytes, side by side.
#define PAIR(mean, sum) \
	VPUNPCKLDQ sum, mean, Z0    \
	VPUNPCKHDQ sum, mean, mean  \
	VPADDD     Z0, mean, mean

// func scoreCodesZMM(dst *float32, ldDst int, q *float32, rows, d, bits, lanes int, tiles, codes *byte, pages *int32, n, tileBytes, codeBytes, ahead int)
//
// d is padded to spans; lanes is what of it a tile has, as bytes of a page. rows <= 8.
TEXT ·scoreCodesZMM(SB), 0, $22016-112
	MOVQ   dst+0(FP), R12
	MOVQ   d+32(FP), DX
	LEAQ   128(DX*2), R9
	LEAQ   scratch-22016(SP), SI
	ADDQ   $63, SI
	ANDQ   $-64, SI
	MOVQ   SI, R10
	MOVQ   $0x5555555555555555, AX
	KMOVQ  AX, K2
	MOVL   $0x01010101, AX
	VPBROADCASTD AX, Z28        // ones, bytes
	MOVL   $1, AX
	VPBROADCASTD AX, X29        // ones, dwords
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
	MOVL   $7, AX
	VPBROADCASTW AX, Z19        // of spreads
	MOVL   $16, AX
	VPBROADCASTW AX, Z18        // zero of means
	MOVL   $0x4a7e0000, AX      // 127 << 15
	VMOVD  AX, X24
	VPBROADCASTD X24, X24
	MOVQ   $0x0d0905010c080400, AX
	VMOVQ  AX, X25
	VPMOVZXBD X25, Y25          // the first dwords of 4 lanes, then the second ones
	MOVQ   $-2, AX
	MOVQ   AX, page-24(SP)      // that of product

	// Ready, for the next page, in the buffer that product does not read.
page:
	LEAQ BUFFER(SI), BX
	CMPQ BX, R10
	JNE  other
	MOVQ SI, BX

other:
	MOVQ BX, R10
	MOVQ BX, next-32(SP)
	MOVQ rows+24(FP), R11
	MOVQ q+16(FP), R8
	LEAQ STEP(SI), DI

ready:
	MOVQ      R11, CX
	DISTANCES(readyRows)
	LEAQ      (R8)(DX*2), AX
	VMOVSS    64(AX), X2
	VINSERTPS $0x10, 64(AX)(R14*1), X2, X2
	VINSERTPS $0x20, 64(AX)(R15*1), X2, X2
	VINSERTPS $0x30, 64(AX)(R13*1), X2, X2
	VMULPS    X21, X2, X0
	VMULPS    (DI), X0, X0
	VMOVUPS   X0, FACTOR(R10)
	VMULPS    X20, X2, X3
	VPBROADCASTW -32(DI), Z16
	VPBROADCASTW -28(DI), Z17
	VPBROADCASTW -24(DI), Z2
	VPBROADCASTW -20(DI), Z26
	CLEAR4(Z8, Z9, Z10, Z11)
	CLEAR4(Z12, Z13, Z14, Z15)
	MOVQ      R8, AX
	XORL      CX, CX

readySpan:
	VMOVDQA64 PAGE(SI)(CX*4), Z4
	VMOVDQA64 (PAGE+64)(SI)(CX*4), Z5
	VMOVDQA64 (PAGE+128)(SI)(CX*4), Z6
	VMOVDQA64 (PAGE+192)(SI)(CX*4), Z7
	ROW((AX), 64(AX), Z16, Z8, Z12, U(0)(BX)(CX*1))
	ROW((AX)(R14*1), 64(AX)(R14*1), Z17, Z9, Z13, U(1)(BX)(CX*1))
	ROW((AX)(R15*1), 64(AX)(R15*1), Z2, Z10, Z14, U(2)(BX)(CX*1))
	ROW((AX)(R13*1), 64(AX)(R13*1), Z26, Z11, Z15, U(3)(BX)(CX*1))
	ADDQ $128, AX
	ADDQ $64, CX
	CMPQ CX, DX
	JNE  readySpan

	PAIR(Z8, Z12)
	PAIR(Z9, Z13)
	PAIR(Z10, Z14)
	PAIR(Z11, Z15)
	FOLD(VPADDD, Z8, Z9, Z10, Z11, Z0, Z1)
	VPSHUFD $0x4e, Z8, Z0
	VPADDD  Z0, Z8, Z8
	VPERMD  Z8, Z25, Z8
	VEXTRACTI128 $1, Y8, X0
	VPMULLD X23, X0, X0
	VMOVDQU X0, ALL(R10)
	VCVTDQ2PS X8, X8
	VMULPS  X3, X8, X8
	VMOVUPS X8, BASE(R10)
	ADDQ $16, R10
	ADDQ $16, DI
	ADDQ $U(4), BX
	LEAQ (R8)(R9*4), R8
	SUBQ $4, R11
	JGT  ready

	// Bound, for the page after it or the last one.
	MOVQ pages+72(FP), R8
	MOVQ n+80(FP), DI
	DECQ DI
	MOVQ page-24(SP), R11
	ADDQ $2, R11
	CMPQ R11, DI
	CMOVQGT DI, R11
	MOVQ ahead+104(FP), CX
	ADDQ R11, CX
	CMPQ CX, DI
	JGT  summary
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

summary:
	MOVLQSX (R8)(R11*4), R10
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
	LEAQ TIMES(SI), BX

bound:
	MOVQ      R11, CX
	DISTANCES(boundRows)
	LEAQ      (R8)(DX*2), AX
	VPMULLW   (AX), Z26, Z0
	VPMULLW   (AX)(R14*1), Z26, Z1
	VPMULLW   (AX)(R15*1), Z26, Z2
	VPMULLW   (AX)(R13*1), Z26, Z3
	FOLD(VPMAXUW, Z0, Z1, Z2, Z3, Z4, Z5)
	VPSHUFD   $0x4e, Z0, Z1
	VPMAXUW   Z1, Z0, Z0
	VPSHUFD   $0xb1, Z0, Z1
	VPMAXUW   Z1, Z0, Z0
	VPSRLD    $16, Z0, Z1
	VPMAXUW   Z1, Z0, Z0
	VPERMD    Z0, Z25, Z0
	VPSLLD    $16, X0, X0
	VPSRLD    $16, X0, X0
	VPMAXSD   X29, X0, X0
	VCVTDQ2PS X0, X0
	VDIVPS    X0, X24, X1
	VCVTTPS2DQ X1, X1
	MOVL      $32767, CX
	VPBROADCASTD CX, X2
	VPMINSD   X2, X1, X1
	VMOVDQU   X1, (BX)
	VCVTDQ2PS X1, X1
	VDIVPS    X1, X22, X1
	VMOVUPS   X1, 32(BX)
	ADDQ      $16, BX
	LEAQ      (R8)(R9*4), R8
	SUBQ      $4, R11
	JGT       bound

	// Product.
	MOVQ next-32(SP), R10
	INCQ page-24(SP)
	JLE  page
	MOVQ page-24(SP), AX
	DECQ AX
	MOVQ pages+72(FP), R8
	MOVLQSX (R8)(AX*4), AX
	IMULQ codeBytes+96(FP), AX
	ADDQ codes+64(FP), AX
	MOVQ AX, codes-16(SP)
	LEAQ BUFFER(SI), AX
	CMPQ AX, R10
	JNE  product0
	MOVQ SI, AX

product0:
	MOVQ AX, R10
product:
	MOVQ ldDst+8(FP), R14
	SHLQ $2, R14
	MOVQ twice-8(SP), R15
	MOVQ R10, BX
	MOVQ R12, DI
	MOVQ rows+24(FP), R11
	CMPQ R11, $8
	JLT  some
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
	JMP  done

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

done:
	MOVQ next-32(SP), R10
	ADDQ $64, R12
	MOVQ page-24(SP), AX
	CMPQ AX, n+80(FP)
	JLT  page
	VZEROUPPER
	RET
