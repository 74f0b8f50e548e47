//go:build !noasm

#include "textflag.h"

// Registers of scanZMM:
//	DI   &dst[page]          SI   &dst[row][page]
//	R8   bytes per dst row   R11  rows left
//	R9   bytes per q row     R10  3 times that
//	BX   tile                AX   tile, channel group
//	R12  hi bytes of q       R13  lo bytes of q
//	DX   d                   CX   groups left
//	K1   pages of the tile   Z31  all ones if bytes are signed, else 0
//	Z0-Z7 sums: hi and lo of up to 4 rows

// LOAD takes a group, and asks for what lies about a tile further on: planes are
// short, and the hardware is slow to see where the next begins.
#define AHEAD 1088
#define LOAD(off) \
	PREFETCHT0 (AHEAD+off)(AX) \
	VMOVDQU64  off(AX), Z16

// GROUP adds 4 channels of 16 pages for a row.
#define GROUP(hi, lo, a, b) \
	VPDPBUSD.BCST hi, Z16, a \
	VPDPBUSD.BCST lo, Z16, b

// FINISH turns the sums of a row, whose scale and sum lie at sc and su, into
// scores: float(64*hi + lo - 128*sum) * (scale of q * scale of page).
#define FINISH(a, b, sc, su, out) \
	VPSLLD       $6, a, a        \
	VPADDD       b, a, a         \
	VPBROADCASTD su, Z18         \
	VPSLLD       $7, Z18, Z18    \
	VPANDD       Z31, Z18, Z18   \
	VPSUBD       Z18, a, a       \
	VCVTDQ2PS    a, a            \
	VMULPS.BCST  sc, Z17, Z18    \
	VMULPS       Z18, a, a       \
	VMOVUPS      a, K1, out

// START begins a block of rows, END moves to what follows the last of them.
#define START \
	LEAQ 64(BX), AX      \
	LEAQ (R12)(DX*1), R13 \
	MOVQ DX, CX          \
	VMOVUPS (BX), Z17

#define NEXT(n) \
	ADDQ $(64*n), AX \
	ADDQ $(4*n), R12 \
	ADDQ $(4*n), R13 \
	SUBQ $(4*n), CX

// TO_SCALE leaves the address of the first row's scale in R13: hi has gone by.
#define TO_SCALE \
	LEAQ (R12)(DX*2), R13 \
	ADDQ DX, R13

// func scanZMM(dst *float32, ldDst int, q *float32, rows, d int, tiles *byte, n int, sign Sign)
TEXT ·scanZMM(SB), NOSPLIT, $0-60
	MOVQ  dst+0(FP), DI
	MOVQ  ldDst+8(FP), R8
	MOVQ  d+32(FP), DX
	MOVQ  tiles+40(FP), BX
	SHLQ  $2, R8
	LEAQ  8(DX*4), R9
	LEAQ  (R9)(R9*2), R10
	MOVL  sign+56(FP), AX
	NEGL  AX
	SARL  $31, AX
	VPBROADCASTD AX, Z31
	KXNORW K1, K1, K1

tile:
	MOVQ n+48(FP), CX
	CMPQ CX, $16
	JGE  rowsStart
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1

rowsStart:
	MOVQ q+16(FP), R12
	MOVQ DI, SI
	MOVQ rows+24(FP), R11

rows:
	CMPQ R11, $4
	JGE  four
	CMPQ R11, $2
	JGT  three
	JEQ  two
	TESTQ R11, R11
	JNE  one
	MOVQ DX, AX
	SHLQ $4, AX
	LEAQ 64(BX)(AX*1), BX
	ADDQ $64, DI
	SUBQ $16, n+48(FP)
	JGT  tile
	VZEROUPPER
	RET

four:
	START
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	LEAQ (R12)(R10*1), R10 // the fourth row has a pointer of its own for now

fourLoop:
	LOAD(0)
	GROUP((R12), (R13), Z0, Z1)
	GROUP((R12)(R9*1), (R13)(R9*1), Z2, Z3)
	GROUP((R12)(R9*2), (R13)(R9*2), Z4, Z5)
	GROUP((R10), (R10)(DX*1), Z6, Z7)
	ADDQ $4, R10
	NEXT(1)
	JNE  fourLoop

	LEAQ (R9)(R9*2), R10
	TO_SCALE
	FINISH(Z0, Z1, (R13), 4(R13), (SI))
	FINISH(Z2, Z3, (R13)(R9*1), 4(R13)(R9*1), (SI)(R8*1))
	FINISH(Z4, Z5, (R13)(R9*2), 4(R13)(R9*2), (SI)(R8*2))
	LEAQ (SI)(R8*2), SI
	FINISH(Z6, Z7, (R13)(R10*1), 4(R13)(R10*1), (SI)(R8*1))
	LEAQ (SI)(R8*2), SI
	LEAQ 8(R13)(R10*1), R12
	SUBQ $4, R11
	JMP  rows

three:
	START
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5

threeLoop:
	LOAD(0)
	GROUP((R12), (R13), Z0, Z1)
	GROUP((R12)(R9*1), (R13)(R9*1), Z2, Z3)
	GROUP((R12)(R9*2), (R13)(R9*2), Z4, Z5)
	NEXT(1)
	JNE  threeLoop

	TO_SCALE
	FINISH(Z0, Z1, (R13), 4(R13), (SI))
	FINISH(Z2, Z3, (R13)(R9*1), 4(R13)(R9*1), (SI)(R8*1))
	FINISH(Z4, Z5, (R13)(R9*2), 4(R13)(R9*2), (SI)(R8*2))
	LEAQ (SI)(R8*2), SI
	ADDQ R8, SI
	LEAQ 8(R13)(R9*2), R12
	SUBQ $3, R11
	JMP  rows

two:
	START
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3

twoLoop:
	LOAD(0)
	GROUP((R12), (R13), Z0, Z1)
	GROUP((R12)(R9*1), (R13)(R9*1), Z2, Z3)
	NEXT(1)
	JNE  twoLoop

	TO_SCALE
	FINISH(Z0, Z1, (R13), 4(R13), (SI))
	FINISH(Z2, Z3, (R13)(R9*1), 4(R13)(R9*1), (SI)(R8*1))
	LEAQ (SI)(R8*2), SI
	LEAQ 8(R13)(R9*1), R12
	SUBQ $2, R11
	JMP  rows

one:
	START
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3

oneLoop: // two groups, so that four sums are on their way
	LOAD(0)
	GROUP((R12), (R13), Z0, Z1)
	LOAD(64)
	GROUP(4(R12), 4(R13), Z2, Z3)
	NEXT(2)
	JNE  oneLoop

	VPADDD Z2, Z0, Z0
	VPADDD Z3, Z1, Z1
	TO_SCALE
	FINISH(Z0, Z1, (R13), 4(R13), (SI))
	ADDQ R8, SI
	LEAQ 8(R13), R12
	DECQ R11
	JMP  rows
