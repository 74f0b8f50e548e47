//go:build !noasm

#include "textflag.h"

// A page is unpacked to words once, then come rows of q by fours: their products with its spreads as bytes, and the
// products of those with the codes. VPMADDUBSW adds pairs in 16 bits, which hold 128 channels.
//
// Registers of scoreCodesYMM:
//	SI   scratch              DX   channels of a row, padded to spans of 64
//	R8   q of the block       R9   bytes per row of q, R10 3 times that
//	R11  rows left            DI   dst, of the row
//	R12  dst, of the page     R13  codes of the page
//	Y14, Y15 mask of a code, how far to shift codes

// Offsets in the scratch.
#define U(row) ((row)*1088)   // products of a row, rounded to bytes; not 1024, for the sake of the cache
#define SUM(row) (4352+(row)*64)
#define TIMES(row) (4608+(row)*32) // the factor that makes bytes, in each word
#define ALL 4736              // of 4 rows, float32 or int32: the sum to subtract
#define FACTOR 4752           // the value of a unit
#define BASE 4768             // the mean
#define PAGE 4800             // spreads of even and odd channels, means of both, for each span

DATA lowBytes<>+0(SB)/8, $0x00ff00ff00ff00ff
DATA lowBytes<>+8(SB)/8, $0x00ff00ff00ff00ff
DATA lowBytes<>+16(SB)/8, $0x00ff00ff00ff00ff
DATA lowBytes<>+24(SB)/8, $0x00ff00ff00ff00ff
GLOBL lowBytes<>(SB), RODATA|NOPTR, $32

DATA oneWords<>+0(SB)/8, $0x0001000100010001
DATA oneWords<>+8(SB)/8, $0x0001000100010001
DATA oneWords<>+16(SB)/8, $0x0001000100010001
DATA oneWords<>+24(SB)/8, $0x0001000100010001
GLOBL oneWords<>(SB), RODATA|NOPTR, $32

DATA oneBytes<>+0(SB)/8, $0x0101010101010101
DATA oneBytes<>+8(SB)/8, $0x0101010101010101
DATA oneBytes<>+16(SB)/8, $0x0101010101010101
DATA oneBytes<>+24(SB)/8, $0x0101010101010101
GLOBL oneBytes<>(SB), RODATA|NOPTR, $32

// HALF makes words of two lanes of 16 channels in Y0.
#define HALF(at, top) \
	VPSRLW  $5, Y0, Y1       \
	VPSRLW  $13, Y0, Y2      \
	VPSRLW  $8, Y0, Y3       \
	VPAND   Y7, Y1, Y1       \
	VPAND   Y6, Y0, Y0       \
	VPAND   Y6, Y3, Y3       \
	VPSUBW  Y5, Y0, Y0       \
	VPSUBW  Y5, Y3, Y3       \
	VMOVDQU Y1, at(BX)       \
	VMOVDQU Y2, (at+64)(BX)  \
	VMOVDQU Y0, (at+128)(BX) \
	VMOVDQU Y3, (at+192)(BX) \
	VPMAXUW Y1, top, top     \
	VPMAXUW Y2, top, top

// READY makes 32 channels of a row ready: products, means, the sum of bytes.
#define READY(row, q0, q1, out, mean, sum) \
	VMOVDQU    q0, Y8                     \
	VMOVDQU    q1, Y9                     \
	VPMADDWD   Y8, Y6, Y10                \
	VPADDD     Y10, mean, mean            \
	VPMADDWD   Y9, Y7, Y10                \
	VPADDD     Y10, mean, mean            \
	VPMULLW    Y4, Y8, Y8                 \
	VPMULLW    Y5, Y9, Y9                 \
	VPMULHRSW  TIMES(row)(SI), Y8, Y8     \
	VPMULHRSW  TIMES(row)(SI), Y9, Y9     \
	VPSLLW     $8, Y9, Y9                 \
	VPAND      lowBytes<>(SB), Y8, Y8     \
	VPOR       Y9, Y8, Y8                 \
	VMOVDQU    Y8, out                    \
	VMOVDQU    oneBytes<>(SB), Y10        \
	VPMADDUBSW Y8, Y10, Y10               \
	VPADDW     Y10, sum, sum

// TOTAL keeps the mean of a row, whose scale is at q, and mask times the sum of its bytes.
#define TOTAL(row, q, mean, sum) \
	VPMADDWD     oneWords<>(SB), sum, Y10   \
	VPHADDD      Y10, mean, Y9              \
	VEXTRACTI128 $1, Y9, X10                \
	VPADDD       X10, X9, X9                \
	VPHADDD      X9, X9, X9                 \
	VPEXTRD      $1, X9, AX                 \
	IMULL        mask-8(SP), AX             \
	MOVL         AX, (ALL+4*(row))(SI)      \
	VCVTDQ2PS    X9, X9                     \
	VMOVSS       q, X10                     \
	VMULSS       meanScale-12(SP), X10, X10 \
	VMULSS       X10, X9, X9                \
	VMOVSS       X9, (BASE+4*(row))(SI)

// GROUP leaves 4 channels of 16 tokens in Y10 and Y11.
#define GROUP \
	VPAND  Y14, Y8, Y10 \
	VPAND  Y14, Y9, Y11 \
	VPSRLW X15, Y8, Y8  \
	VPSRLW X15, Y9, Y9

#define ADD(row, off, a, b) \
	VPBROADCASTD (U(row)+off)(SI)(CX*1), Y12 \
	VPMADDUBSW   Y12, Y10, Y13  \
	VPMADDUBSW   Y12, Y11, Y12  \
	VPADDW       Y13, a, a      \
	VPADDW       Y12, b, b

#define GROUP1(off) \
	GROUP               \
	ADD(0, off, Y0, Y1)

#define GROUP2(off) \
	GROUP1(off)         \
	ADD(1, off, Y2, Y3)

#define GROUP3(off) \
	GROUP2(off)         \
	ADD(2, off, Y4, Y5)

#define GROUP4(off) \
	GROUP3(off)         \
	ADD(3, off, Y6, Y7)

// LOAD takes the next codes, unless those at hand last for 16 channels more.
#define LOAD(skip) \
	TESTQ   R15, CX     \
	JNE     skip        \
	VMOVDQU (R13), Y8   \
	VMOVDQU 32(R13), Y9 \
	ADDQ    $64, R13    \
skip:

#define NEXT(loop) \
	ADDQ $16, CX   \
	CMPQ CX, R14   \
	JNE  loop

#define CLEAR(a, b) \
	VPXOR a, a, a \
	VPXOR b, b, b

// KEEP adds the sums of a row to those of channels before.
#define KEEP(row, a, b) \
	VPMADDWD oneWords<>(SB), a, a    \
	VPMADDWD oneWords<>(SB), b, b    \
	VPADDD   SUM(row)(SI), a, a      \
	VPADDD   (SUM(row)+32)(SI), b, b \
	VMOVDQU  a, SUM(row)(SI)         \
	VMOVDQU  b, (SUM(row)+32)(SI)

// func scoreCodesYMM(dst *float32, ldDst int, q *float32, rows, d, bits, lanes int, tiles, codes *byte, pages *int32, n, tileBytes, codeBytes, ahead int)
//
// d is padded to spans; lanes is what of it a tile has, as bytes of a page.
TEXT ·scoreCodesYMM(SB), 0, $9152-112
	MOVQ   dst+0(FP), R12
	MOVQ   d+32(FP), DX
	LEAQ   128(DX*2), R9
	LEAQ   (R9)(R9*2), R10
	LEAQ   scratch-9152(SP), SI
	ADDQ   $63, SI
	ANDQ   $-64, SI
	MOVQ   bits+40(FP), CX
	VMOVD  CX, X15              // how far to shift codes
	MOVL   $1, AX
	SHLL   CX, AX
	DECL   AX
	MOVL   AX, mask-8(SP)
	VMOVD  AX, X14
	VPBROADCASTB X14, Y14       // mask of a code
	ANDQ   $1, CX
	SHLQ   $4, CX
	MOVQ   CX, twice-32(SP)     // 16 if a load lasts for 32 channels
	MOVL   $0x46cccccd, AX      // 0.8 * 1<<15
	JNE    step
	MOVL   $0x46800000, AX      // 0.5 * 1<<15

step:
	MOVL   AX, unit-20(SP)      // the value of a unit times 1<<15

page:
	// Ask for a page to come.
	MOVQ pages+72(FP), R8
	MOVQ ahead+104(FP), CX
	CMPQ CX, n+80(FP)
	JGE  unpack
	MOVLQSX (R8)(CX*4), BX
	MOVQ BX, AX
	IMULQ codeBytes+96(FP), AX
	ADDQ codes+64(FP), AX
	MOVQ codeBytes+96(FP), CX

ask:
	PREFETCHT0 -64(AX)(CX*1)
	SUBQ $64, CX
	JGT  ask
	MOVQ BX, AX
	SHRQ $4, BX
	IMULQ tileBytes+88(FP), BX
	ADDQ tiles+56(FP), BX
	ANDL $15, AX
	PREFETCHT0 (BX)(AX*4)
	PREFETCHT0 64(BX)(AX*4)
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ lanes+48(FP), CX
	LEAQ 128(BX)(CX*4), BX
	ADDQ AX, BX
	MOVQ lanes+48(FP), CX

askTile:
	PREFETCHT0 -64(BX)(CX*4)
	SUBQ $16, CX
	JGT  askTile

unpack:
	MOVLQSX (R8), R13
	MOVQ R13, AX
	IMULQ codeBytes+96(FP), R13
	ADDQ codes+64(FP), R13
	MOVQ R13, codesAt-40(SP)
	MOVQ AX, R11
	SHRQ $4, R11
	IMULQ tileBytes+88(FP), R11
	ADDQ tiles+56(FP), R11
	ANDL $15, AX
	MOVL (R11)(AX*4), CX
	MOVL CX, meanScale-12(SP)
	MOVL 64(R11)(AX*4), CX
	MOVL CX, sdScale-16(SP)
	MOVL AX, CX
	ANDL $3, AX
	SHLL $4, AX
	SHRL $2, CX
	IMULQ lanes+48(FP), CX
	LEAQ 128(R11)(CX*4), R11
	ADDQ AX, R11
	MOVQ lanes+48(FP), CX
	LEAQ PAGE(SI), BX
	MOVL $31, AX
	VMOVD AX, X6
	VPBROADCASTW X6, Y6
	MOVL $7, AX
	VMOVD AX, X7
	VPBROADCASTW X7, Y7
	MOVL $16, AX
	VMOVD AX, X5
	VPBROADCASTW X5, Y5
	VPXOR Y12, Y12, Y12         // the largest spread of each pair of channels, modulo 64
	VPXOR Y13, Y13, Y13

span:
	VMOVDQU (R11), X0
	CMPQ CX, $32
	JLT  lower
	VINSERTI128 $1, 64(R11), Y0, Y0

lower:
	HALF(0, Y12)
	CMPQ CX, $48
	JLT  unpacked
	VMOVDQU 128(R11), X0
	JEQ  upper
	VINSERTI128 $1, 192(R11), Y0, Y0

upper:
	HALF(32, Y13)
	ADDQ $256, R11
	ADDQ $256, BX
	SUBQ $64, CX
	JGT  span

unpacked:
	MOVQ q+16(FP), R8
	MOVQ rows+24(FP), R11
	MOVQ R12, DI
	VMOVDQU Y12, top-136(SP)
	VMOVDQU Y13, top2-104(SP)

rows:
	// The largest products bound the factors.
	MOVQ R11, CX
	CMPQ CX, $4
	JLE  few
	MOVL $4, CX

few:
	MOVQ CX, count-48(SP)
	LEAQ (R8)(DX*2), AX
	LEAQ TIMES(0)(SI), R14
	LEAQ FACTOR(SI), R15
	VPCMPEQW X9, X9, X9

bound:
	VMOVDQU top-136(SP), Y0
	VMOVDQU top2-104(SP), Y1
	VPMULLW (AX), Y0, Y0
	VPMULLW 32(AX), Y1, Y1
	VPMAXUW Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPMAXUW X1, X0, X0
	VPXOR   X9, X0, X0
	VPHMINPOSUW X0, X0
	VMOVD   X0, BX
	NOTL    BX
	MOVWLZX BX, BX
	CMPL    BX, $1
	ADCL    $0, BX              // at least 1
	VXORPS  X0, X0, X0
	VCVTSI2SSL BX, X0, X0
	MOVL    $0x4a7e0000, BX     // 127 << 15
	VMOVD   BX, X1
	VDIVSS  X0, X1, X1
	VCVTTPS2DQ X1, X1
	VMOVD   X1, BX
	CMPL    BX, $32767
	JLE     times
	MOVL    $32767, BX

times:
	VMOVD   BX, X1
	VPBROADCASTW X1, Y1
	VMOVDQU Y1, (R14)
	VXORPS  X0, X0, X0
	VCVTSI2SSL BX, X0, X0
	VMOVSS  unit-20(SP), X1
	VDIVSS  X0, X1, X1
	VMOVSS  64(AX), X0
	VMULSS  sdScale-16(SP), X0, X0
	VMULSS  X1, X0, X0
	VMOVSS  X0, (R15)
	ADDQ    R9, AX
	ADDQ    $32, R14
	ADDQ    $4, R15
	DECQ    CX
	JNE     bound

	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y11, Y12)
	CLEAR(Y13, Y14)
	MOVQ    R8, AX
	LEAQ    PAGE(SI), BX
	MOVQ    SI, R14
	LEAQ    (SI)(DX*1), R15

ready:
	VMOVDQU (BX), Y4
	VMOVDQU 64(BX), Y5
	VMOVDQU 128(BX), Y6
	VMOVDQU 192(BX), Y7
	READY(0, (AX), 64(AX), U(0)(R14), Y0, Y11)
	CMPQ    R11, $2
	JLT     readyNext
	READY(1, (AX)(R9*1), 64(AX)(R9*1), U(1)(R14), Y1, Y12)
	JEQ     readyNext
	READY(2, (AX)(R9*2), 64(AX)(R9*2), U(2)(R14), Y2, Y13)
	CMPQ    R11, $3
	JEQ     readyNext
	READY(3, (AX)(R10*1), 64(AX)(R10*1), U(3)(R14), Y3, Y14)

readyNext:
	// Half a span further: 32 bytes of words and of bytes, and then past the odd ones.
	ADDQ  $32, AX
	ADDQ  $32, BX
	ADDQ  $32, R14
	MOVQ  R14, CX
	SUBQ  SI, CX
	TESTQ $32, CX
	JNE   ready
	ADDQ  $64, AX
	ADDQ  $192, BX
	CMPQ  R14, R15
	JNE   ready

	LEAQ (R8)(DX*2), BX
	TOTAL(0, 64(BX), Y0, Y11)
	CMPQ R11, $2
	JLT  product
	TOTAL(1, 64(BX)(R9*1), Y1, Y12)
	CMPQ R11, $2
	JEQ  product
	TOTAL(2, 64(BX)(R9*2), Y2, Y13)
	CMPQ R11, $3
	JEQ  product
	TOTAL(3, 64(BX)(R10*1), Y3, Y14)

product:
	VPXOR   Y0, Y0, Y0
	VMOVDQU Y0, SUM(0)(SI)
	VMOVDQU Y0, (SUM(0)+32)(SI)
	VMOVDQU Y0, SUM(1)(SI)
	VMOVDQU Y0, (SUM(1)+32)(SI)
	VMOVDQU Y0, SUM(2)(SI)
	VMOVDQU Y0, (SUM(2)+32)(SI)
	VMOVDQU Y0, SUM(3)(SI)
	VMOVDQU Y0, (SUM(3)+32)(SI)
	VPBROADCASTB mask-8(SP), Y14
	MOVQ    codesAt-40(SP), R13
	MOVQ    twice-32(SP), R15
	XORL    CX, CX

part:
	LEAQ 128(CX), R14
	CMPQ R14, lanes+48(FP)
	JLE  sums
	MOVQ lanes+48(FP), R14

sums:
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	CMPQ R11, $2
	JLT  one
	JEQ  two
	CMPQ R11, $3
	JEQ  three

four:
	LOAD(fourAtHand)
	GROUP4(0)
	GROUP4(4)
	GROUP4(8)
	GROUP4(12)
	NEXT(four)
	KEEP(0, Y0, Y1)
	KEEP(1, Y2, Y3)
	KEEP(2, Y4, Y5)
	KEEP(3, Y6, Y7)
	JMP  partDone

three:
	LOAD(threeAtHand)
	GROUP3(0)
	GROUP3(4)
	GROUP3(8)
	GROUP3(12)
	NEXT(three)
	KEEP(0, Y0, Y1)
	KEEP(1, Y2, Y3)
	KEEP(2, Y4, Y5)
	JMP  partDone

two:
	LOAD(twoAtHand)
	GROUP2(0)
	GROUP2(4)
	GROUP2(8)
	GROUP2(12)
	NEXT(two)
	KEEP(0, Y0, Y1)
	KEEP(1, Y2, Y3)
	JMP  partDone

one:
	LOAD(oneAtHand)
	GROUP1(0)
	GROUP1(4)
	GROUP1(8)
	GROUP1(12)
	NEXT(one)
	KEEP(0, Y0, Y1)

partDone:
	CMPQ CX, lanes+48(FP)
	JLT  part

	// Estimates.
	MOVQ count-48(SP), CX
	MOVQ ldDst+8(FP), R14
	LEAQ SUM(0)(SI), AX
	LEAQ ALL(SI), BX

estimate:
	VMOVDQU (AX), Y0
	VMOVDQU 32(AX), Y1
	VPBROADCASTD (BX), Y2
	VBROADCASTSS (FACTOR-ALL)(BX), Y3
	VBROADCASTSS (BASE-ALL)(BX), Y4
	VPADDD    Y0, Y0, Y0
	VPADDD    Y1, Y1, Y1
	VPSUBD    Y2, Y0, Y0
	VPSUBD    Y2, Y1, Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VMULPS    Y3, Y0, Y0
	VMULPS    Y3, Y1, Y1
	VADDPS    Y4, Y0, Y0
	VADDPS    Y4, Y1, Y1
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	ADDQ $64, AX
	ADDQ $4, BX
	LEAQ (DI)(R14*4), DI
	DECQ CX
	JNE  estimate

	LEAQ (R8)(R9*4), R8
	SUBQ $4, R11
	JGT  rows
	ADDQ $64, R12
	ADDQ $4, pages+72(FP)
	DECQ n+80(FP)
	JNE  page
	VZEROUPPER
	RET
