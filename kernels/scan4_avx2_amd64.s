//go:build !noasm

#include "textflag.h"

// Registers of scan4YMM:
//	BX   tile                 AX   2 pages of 16 channels
//	R8   q of the block       R9   bytes per row of q, R10 3 times that
//	R12  q's even words       R13  odd words
//	R14  of squares, even     R15  odd
//	DX   d, padded            CX   channels left
//	R11  rows left            SI   sums, 512 bytes a row: of means, then of squares, for 8 times 2 pages
//	DI   &mean[row][page]
//
//	Y0-Y7    sums of up to 4 rows, of means and of squares; a lane is a page
//	Y8-Y11   even and odd means, squares of even and odd spreads
//	Y14, Y15 masks

#define HALF \
	PREFETCHT0 2176(AX)   \ // the hardware is slow to see where the next tile begins
	VMOVDQU (AX), Y9      \
	VPAND   Y14, Y9, Y8   \
	VPSRLW  $5, Y9, Y10   \
	VPAND   Y15, Y10, Y10 \
	VPSRLW  $13, Y9, Y11  \
	VPSRLW  $8, Y9, Y9    \
	VPAND   Y14, Y9, Y9   \
	VPMULLW Y10, Y10, Y10 \
	VPMULLW Y11, Y11, Y11

#define HALF_MEANS \
	PREFETCHT0 2176(AX)   \
	VMOVDQU (AX), Y9      \
	VPAND   Y14, Y9, Y8   \
	VPSRLW  $8, Y9, Y9    \
	VPAND   Y14, Y9, Y9

#define ADD(even, odd, x, y, a) \
	VBROADCASTI128 even, Y12  \
	VBROADCASTI128 odd, Y13   \
	VPMADDWD       x, Y12, Y12 \
	VPMADDWD       y, Y13, Y13 \
	VPADDD         Y12, a, a   \
	VPADDD         Y13, a, a

#define ROW0 ADD((R12), (R13), Y8, Y9, Y0)
#define ROW1 ADD((R12)(R9*1), (R13)(R9*1), Y8, Y9, Y2)
#define ROW2 ADD((R12)(R9*2), (R13)(R9*2), Y8, Y9, Y4)
#define ROW3 ADD((R12)(R10*1), (R13)(R10*1), Y8, Y9, Y6)
#define SQUARE0 ADD((R14), (R15), Y10, Y11, Y1)
#define SQUARE1 ADD((R14)(R9*1), (R15)(R9*1), Y10, Y11, Y3)
#define SQUARE2 ADD((R14)(R9*2), (R15)(R9*2), Y10, Y11, Y5)
#define SQUARE3 ADD((R14)(R10*1), (R15)(R10*1), Y10, Y11, Y7)

#define CLEAR(a, b) \
	VPXOR a, a, a \
	VPXOR b, b, b

// START begins 2 pages. The other 2 of the 4 lie beside them.
#define START \
	LEAQ (R8)(DX*2), R12   \
	LEAQ (R12)(DX*1), R13  \
	LEAQ 8(R12)(DX*4), R14 \
	LEAQ (R14)(DX*1), R15  \
	MOVQ DX, CX

#define NEXT \
	ADDQ $64, AX  \
	ADDQ $16, R12 \
	ADDQ $16, R13 \
	ADDQ $16, R14 \
	ADDQ $16, R15 \
	SUBQ $16, CX

#define KEEP(off, a, b) \
	VMOVDQU a, off(SI)       \
	VMOVDQU b, (off+256)(SI)

// AGAIN goes on to the next 2 pages. R12 is what takes AX from the end of these to the start of those: back and 32 bytes on, or
// only back by those 32 bytes.
#define AGAIN(loop) \
	MOVQ    $-32, R12          \
	MOVQ    DX, R13            \
	SHLQ    $2, R13            \
	NEGQ    R13                \
	ADDQ    $32, R13           \
	TESTQ   $32, SI            \
	CMOVQEQ R13, R12           \
	ADDQ    R12, AX            \
	ADDQ    $32, SI            \
	TESTQ   $255, SI           \
	JNE     loop

// FOLD adds the 4 dwords of each of 8 pages and puts the pages in order.
#define FOLD(off, out) \
	VMOVDQU off(SI), Y8             \
	VMOVDQU (off+64)(SI), Y9        \
	VPHADDD (off+32)(SI), Y8, Y8    \
	VPHADDD (off+96)(SI), Y9, Y9    \
	VPHADDD Y9, Y8, Y8              \
	VPERMD  Y8, Y7, out

// SCORE turns sums into scores: a and b are of 16 pages, scales at sc and q's at qs.
#define SCORE(a, b, s0, s1, qs) \
	VCVTDQ2PS a, a         \
	VCVTDQ2PS b, b         \
	VBROADCASTSS qs, Y4    \
	VMULPS    s0, Y4, Y5   \
	VMULPS    s1, Y4, Y6   \
	VMULPS    Y5, a, a     \
	VMULPS    Y6, b, b

// STORE keeps the scores of pages that there are.
#define STORE(a, b, to, to8) \
	VMASKMOVPS a, Y2, to  \
	VMASKMOVPS b, Y3, to8

DATA slots<>+0(SB)/8, $0x0000000400000000
DATA slots<>+8(SB)/8, $0x0000000500000001
DATA slots<>+16(SB)/8, $0x0000000600000002
DATA slots<>+24(SB)/8, $0x0000000700000003
GLOBL slots<>(SB), RODATA|NOPTR, $32

DATA numbers<>+0(SB)/8, $0x0000000100000000
DATA numbers<>+8(SB)/8, $0x0000000300000002
DATA numbers<>+16(SB)/8, $0x0000000500000004
DATA numbers<>+24(SB)/8, $0x0000000700000006
DATA numbers<>+32(SB)/8, $0x0000000900000008
DATA numbers<>+40(SB)/8, $0x0000000b0000000a
DATA numbers<>+48(SB)/8, $0x0000000d0000000c
DATA numbers<>+56(SB)/8, $0x0000000f0000000e
GLOBL numbers<>(SB), RODATA|NOPTR, $64

// func scan4YMM(mean, spread *float32, ld int, q *float32, rows, d int, tiles *byte, n int)
TEXT ·scan4YMM(SB), 0, $2368-64
	MOVQ  mean+0(FP), DI
	MOVQ  d+40(FP), DX
	MOVQ  tiles+48(FP), BX
	LEAQ  16(DX*8), R9
	LEAQ  (R9)(R9*2), R10
	LEAQ  sums-2304(SP), SI
	ADDQ  $255, SI
	ANDQ  $-256, SI
	MOVL  $31, AX
	VMOVD AX, X14
	VPBROADCASTW X14, Y14
	MOVL  $7, AX
	VMOVD AX, X15
	VPBROADCASTW X15, Y15

tile:
	MOVQ q+24(FP), R8
	MOVQ rows+32(FP), R11
	MOVQ DI, dst-2312(SP)

rows:
	LEAQ  128(BX), AX
	CMPQ  spread+8(FP), $0
	JEQ   means
	CMPQ  R11, $4
	JGE   four
	CMPQ  R11, $2
	JGE   two
	TESTQ R11, R11
	JNE   one

next:
	MOVQ DX, AX
	SHLQ $4, AX
	LEAQ 128(BX)(AX*1), BX
	MOVQ dst-2312(SP), DI
	ADDQ $64, DI
	SUBQ $16, n+56(FP)
	JGT  tile
	VZEROUPPER
	RET

four:
	START
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)

fourLoop:
	HALF
	ROW0
	SQUARE0
	ROW1
	SQUARE1
	ROW2
	SQUARE2
	ROW3
	SQUARE3
	NEXT
	JNE   fourLoop
	KEEP(0, Y0, Y1)
	KEEP(512, Y2, Y3)
	KEEP(1024, Y4, Y5)
	KEEP(1536, Y6, Y7)
	AGAIN(four)
	MOVL  $4, CX
	JMP   finish

two:
	START
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)

twoLoop:
	HALF
	ROW0
	SQUARE0
	ROW1
	SQUARE1
	NEXT
	JNE   twoLoop
	KEEP(0, Y0, Y1)
	KEEP(512, Y2, Y3)
	AGAIN(two)
	MOVL  $2, CX
	JMP   finish

one:
	START
	CLEAR(Y0, Y1)

oneLoop:
	HALF
	ROW0
	SQUARE0
	NEXT
	JNE   oneLoop
	KEEP(0, Y0, Y1)
	AGAIN(one)
	MOVL  $1, CX
	JMP   finish

	// Means alone: what is kept as squares is not used.
means:
	TESTQ R11, R11
	JEQ   next
	CMPQ  R11, $3
	JGE   meansThree

meansOne:
	START
	CLEAR(Y0, Y1)

meansOneLoop:
	HALF_MEANS
	ROW0
	NEXT
	JNE   meansOneLoop
	KEEP(0, Y0, Y1)
	AGAIN(meansOne)
	MOVL  $1, CX
	JMP   finish

meansThree:
	START
	CLEAR(Y0, Y2)
	VPXOR Y4, Y4, Y4

meansThreeLoop:
	HALF_MEANS
	ROW0
	ROW1
	ROW2
	NEXT
	JNE   meansThreeLoop
	KEEP(0, Y0, Y1)
	KEEP(512, Y2, Y3)
	KEEP(1024, Y4, Y5)
	AGAIN(meansThree)
	MOVL  $3, CX

	// CX rows are done.
finish:
	SUBQ    $256, SI
	SUBQ    CX, R11
	MOVQ    ld+16(FP), R13
	MOVQ    spread+8(FP), R14
	SUBQ    mean+0(FP), R14
	MOVQ    SI, R15
	VMOVDQU slots<>(SB), Y7
	VPBROADCASTD n+56(FP), Y13
	VPCMPGTD numbers<>(SB), Y13, Y2
	VPCMPGTD numbers<>+32(SB), Y13, Y3
	VMOVUPS 64(BX), Y10
	VMOVUPS 96(BX), Y11
	VMULPS  Y10, Y10, Y10
	VMULPS  Y11, Y11, Y11

row:
	LEAQ         (R8)(DX*4), R12
	FOLD(0, Y0)
	FOLD(128, Y1)
	VPBROADCASTD 4(R12), Y4
	VPSLLD       $4, Y4, Y4
	VPSUBD       Y4, Y0, Y0
	VPSUBD       Y4, Y1, Y1
	SCORE(Y0, Y1, (BX), 32(BX), (R12))
	CMPQ         n+56(FP), $16
	JLT          part
	VMOVUPS      Y0, (DI)
	VMOVUPS      Y1, 32(DI)
	CMPQ         spread+8(FP), $0
	JEQ          rowDone
	FOLD(256, Y0)
	FOLD(384, Y1)
	SCORE(Y0, Y1, Y10, Y11, 8(R12)(DX*4))
	VMOVUPS      Y0, (DI)(R14*1)
	VMOVUPS      Y1, 32(DI)(R14*1)
	JMP          rowDone

part:
	STORE(Y0, Y1, (DI), 32(DI))
	CMPQ         spread+8(FP), $0
	JEQ          rowDone
	FOLD(256, Y0)
	FOLD(384, Y1)
	SCORE(Y0, Y1, Y10, Y11, 8(R12)(DX*4))
	STORE(Y0, Y1, (DI)(R14*1), 32(DI)(R14*1))

rowDone:
	ADDQ $512, SI
	ADDQ R9, R8
	LEAQ (DI)(R13*4), DI
	DECQ CX
	JNE  row
	MOVQ R15, SI
	JMP  rows
