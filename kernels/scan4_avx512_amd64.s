//go:build !noasm

#include "textflag.h"

// Registers of scan4ZMM:
//	BX   tile                 AX   line of it: 4 pages of 16 channels
//	R8   q of the block       R9   bytes per row of q, R10 3 times that
//	R12  hi bytes of q        R13  lo bytes
//	R14  hi bytes of squares  R15  lo bytes
//	DX   d, padded            CX   channels left
//	R11  rows left            SI   sums, 512 bytes a row: of means, then of squares, for 4 times 4 pages
//	DI   &mean[row][page]
//
//	Z0-Z15   sums of up to 4 rows: hi and lo of means, hi and lo of squares; a lane is a page
//	Z16, Z17 means and squares of spreads
//	Z27      masks of spreads
//	Z28, Z29 squares of 0 to 7, masks of means
//	Z30      order of slots after FOLD
//	K1       pages of the tile

#define LINE \
	PREFETCHT0 2176(AX)    \ // the hardware is slow to see where the next tile begins
	VMOVDQU64 (AX), Z16    \
	VPSRLW  $5, Z16, Z17   \
	VPANDD  Z29, Z16, Z16  \
	VPANDD  Z27, Z17, Z17  \
	VPSHUFB Z17, Z28, Z17

#define LINE_MEANS \
	PREFETCHT0 2176(AX)    \
	VMOVDQU64 (AX), Z16    \
	VPANDD  Z29, Z16, Z16

#define ADD(hi, lo, x, a, b) \
	VBROADCASTI32X4 hi, Z18 \
	VBROADCASTI32X4 lo, Z19 \
	VPDPBUSD Z18, x, a      \
	VPDPBUSD Z19, x, b

#define ROW0 ADD((R12), (R13), Z16, Z0, Z1)
#define ROW1 ADD((R12)(R9*1), (R13)(R9*1), Z16, Z4, Z5)
#define ROW2 ADD((R12)(R9*2), (R13)(R9*2), Z16, Z8, Z9)
#define ROW3 ADD((R12)(R10*1), (R13)(R10*1), Z16, Z12, Z13)
#define SQUARE0 ADD((R14), (R15), Z17, Z2, Z3)
#define SQUARE1 ADD((R14)(R9*1), (R15)(R9*1), Z17, Z6, Z7)
#define SQUARE2 ADD((R14)(R9*2), (R15)(R9*2), Z17, Z10, Z11)
#define SQUARE3 ADD((R14)(R10*1), (R15)(R10*1), Z17, Z14, Z15)

#define START \
	MOVQ R8, R12           \
	LEAQ (R8)(DX*1), R13   \
	LEAQ 8(R8)(DX*4), R14  \
	LEAQ (R14)(DX*1), R15  \
	MOVQ DX, CX

#define CLEAR(a, b, c, e) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD e, e, e

#define NEXT \
	ADDQ $64, AX  \
	ADDQ $16, R12 \
	ADDQ $16, R13 \
	ADDQ $16, R14 \
	ADDQ $16, R15 \
	SUBQ $16, CX

// KEEP stores 64*hi + lo of a row.
#define KEEP(off, a, b, c, e) \
	VPSLLD $6, a, a              \
	VPSLLD $6, c, c              \
	VPADDD b, a, a               \
	VPADDD e, c, c               \
	VMOVDQA64 a, off(SI)         \
	VMOVDQA64 c, (off+256)(SI)

// FOLD adds the 4 dwords of each page and puts the pages in order.
#define FOLD(off) \
	VMOVDQA64  off(SI), Z0             \
	VMOVDQA64  (off+128)(SI), Z2       \
	VPUNPCKHDQ (off+64)(SI), Z0, Z4    \
	VPUNPCKLDQ (off+64)(SI), Z0, Z0    \
	VPUNPCKHDQ (off+192)(SI), Z2, Z5   \
	VPUNPCKLDQ (off+192)(SI), Z2, Z2   \
	VPADDD     Z4, Z0, Z0              \
	VPADDD     Z5, Z2, Z2              \
	VPUNPCKHQDQ Z2, Z0, Z4             \
	VPUNPCKLQDQ Z2, Z0, Z0             \
	VPADDD     Z4, Z0, Z0              \
	VPERMD     Z0, Z30, Z0

// func scan4ZMM(mean, spread *float32, ld int, q *float32, rows, d int, tiles *byte, n int)
TEXT ·scan4ZMM(SB), 0, $2368-64
	MOVQ  mean+0(FP), DI
	MOVQ  d+40(FP), DX
	MOVQ  tiles+48(FP), BX
	LEAQ  16(DX*8), R9
	LEAQ  (R9)(R9*2), R10
	LEAQ  sums-2304(SP), SI
	ADDQ  $255, SI
	ANDQ  $-256, SI
	MOVQ  $0x3124191009040100, AX
	VMOVQ AX, X28
	VSHUFI32X4 $0, Z28, Z28, Z28
	MOVL  $31, AX
	VPBROADCASTB AX, Z29
	MOVL  $7, AX
	VPBROADCASTB AX, Z27
	MOVQ  $0x0d0905010c080400, AX
	VMOVQ AX, X30
	MOVQ  $0x0f0b07030e0a0602, AX
	VPINSRQ $1, AX, X30, X30
	VPMOVZXBD X30, Z30
	KXNORW K1, K1, K1

tile:
	MOVQ n+56(FP), CX
	CMPQ CX, $16
	JGE  whole
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1

whole:
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
	JGT   three
	JEQ   two
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
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	CLEAR(Z8, Z9, Z10, Z11)
	CLEAR(Z12, Z13, Z14, Z15)

fourLoop:
	LINE
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
	KEEP(0, Z0, Z1, Z2, Z3)
	KEEP(512, Z4, Z5, Z6, Z7)
	KEEP(1024, Z8, Z9, Z10, Z11)
	KEEP(1536, Z12, Z13, Z14, Z15)
	ADDQ  $64, SI
	TESTQ $255, SI
	JNE   four
	MOVL  $4, CX
	JMP   finish

three:
	START
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	CLEAR(Z8, Z9, Z10, Z11)

threeLoop:
	LINE
	ROW0
	SQUARE0
	ROW1
	SQUARE1
	ROW2
	SQUARE2
	NEXT
	JNE   threeLoop
	KEEP(0, Z0, Z1, Z2, Z3)
	KEEP(512, Z4, Z5, Z6, Z7)
	KEEP(1024, Z8, Z9, Z10, Z11)
	ADDQ  $64, SI
	TESTQ $255, SI
	JNE   three
	MOVL  $3, CX
	JMP   finish

two:
	START
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)

twoLoop:
	LINE
	ROW0
	SQUARE0
	ROW1
	SQUARE1
	NEXT
	JNE   twoLoop
	KEEP(0, Z0, Z1, Z2, Z3)
	KEEP(512, Z4, Z5, Z6, Z7)
	ADDQ  $64, SI
	TESTQ $255, SI
	JNE   two
	MOVL  $2, CX
	JMP   finish

one:
	START
	CLEAR(Z0, Z1, Z2, Z3)

oneLoop:
	LINE
	ROW0
	SQUARE0
	NEXT
	JNE   oneLoop
	KEEP(0, Z0, Z1, Z2, Z3)
	ADDQ  $64, SI
	TESTQ $255, SI
	JNE   one
	MOVL  $1, CX
	JMP   finish

	// Means alone: the sums of squares stay 0, and are not stored.
means:
	TESTQ R11, R11
	JEQ   next
	CMPQ  R11, $3
	JGE   meansThree

meansOne:
	START
	CLEAR(Z0, Z1, Z2, Z3)

meansOneLoop:
	LINE_MEANS
	ROW0
	NEXT
	JNE   meansOneLoop
	KEEP(0, Z0, Z1, Z2, Z3)
	ADDQ  $64, SI
	TESTQ $255, SI
	JNE   meansOne
	MOVL  $1, CX
	JMP   finish

meansThree:
	START
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	CLEAR(Z8, Z9, Z10, Z11)

meansThreeLoop:
	LINE_MEANS
	ROW0
	ROW1
	ROW2
	NEXT
	JNE   meansThreeLoop
	KEEP(0, Z0, Z1, Z2, Z3)
	KEEP(512, Z4, Z5, Z6, Z7)
	KEEP(1024, Z8, Z9, Z10, Z11)
	ADDQ  $64, SI
	TESTQ $255, SI
	JNE   meansThree
	MOVL  $3, CX

	// CX rows are done.
finish:
	SUBQ    $256, SI
	SUBQ    CX, R11
	MOVQ    ld+16(FP), R13
	MOVQ    spread+8(FP), R14
	SUBQ    mean+0(FP), R14
	MOVQ    SI, R15
	VMOVUPS (BX), Z20
	VMOVUPS 64(BX), Z21
	VMULPS  Z21, Z21, Z21

row:
	LEAQ         (R8)(DX*4), R12
	FOLD(0)
	VPBROADCASTD 4(R12), Z1
	VPSLLD       $4, Z1, Z1
	VPSUBD       Z1, Z0, Z0
	VCVTDQ2PS    Z0, Z0
	VMULPS.BCST  (R12), Z20, Z1
	VMULPS       Z1, Z0, Z0
	VMOVUPS      Z0, K1, (DI)
	CMPQ         spread+8(FP), $0
	JEQ          rowDone
	FOLD(256)
	VCVTDQ2PS    Z0, Z0
	VMULPS.BCST  8(R12)(DX*4), Z21, Z1
	VMULPS       Z1, Z0, Z0
	VMOVUPS      Z0, K1, (DI)(R14*1)

rowDone:
	ADDQ $512, SI
	ADDQ R9, R8
	LEAQ (DI)(R13*4), DI
	DECQ CX
	JNE  row
	MOVQ R15, SI
	JMP  rows
