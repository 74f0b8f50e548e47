//go:build !noasm

#include "textflag.h"

// Each function converts the rows of 16 cells and puts the cells side by side: dst[c*32+j] is channel c of cell j. A
// list of fewer cells repeats its last.
//
//	DI   row of dst, of 32 floats
//	CX   offset in the rows of the cache    DX   channels left
//	(SP) 16 pointers to these rows
//	Z0 .. Z3   a dword of each cell; Z4 .. Z7 scratch; Z16 .. constants and scales
//	AX, BX, SI, R9, R12, R13  scratch

#define POINTERS \
	MOVQ dst+0(FP), DI      \
	MOVQ d+8(FP), DX        \
	MOVQ base+16(FP), R12   \
	MOVQ stride+24(FP), R13 \
	MOVQ cells+32(FP), SI   \
	MOVQ n+40(FP), R9       \
	DECQ R9                 \
	XORL BX, BX             \
	XORL CX, CX             \
pointer:                    \
	CMPQ    BX, R9          \
	MOVQ    BX, AX          \
	CMOVQGT R9, AX          \
	MOVLQSX (SI)(AX*4), AX  \
	IMULQ   R13, AX         \
	ADDQ    R12, AX         \
	MOVQ    AX, (SP)(BX*8)  \
	INCQ    BX              \
	CMPQ    BX, $16         \
	JNE     pointer

// LANES reads 16 bytes of cells i, i+4, i+8 and i+12; p is 8*i.
#define LANES(p, at, x, z) \
	MOVQ         (p+0)(SP), AX                \
	MOVQ         (p+32)(SP), BX               \
	MOVQ         (p+64)(SP), SI               \
	MOVQ         (p+96)(SP), R9               \
	VMOVDQU      at(AX)(CX*1), x              \
	VINSERTI32X4 $1, at(BX)(CX*1), z, z       \
	VINSERTI32X4 $2, at(SI)(CX*1), z, z       \
	VINSERTI32X4 $3, at(R9)(CX*1), z, z

// DWORDS makes Z0 .. Z3 dwords 0 .. 3 of the 16 bytes, each of all cells in order.
#define DWORDS(at) \
	LANES(0, at, X0, Z0)    \
	LANES(8, at, X1, Z1)    \
	LANES(16, at, X2, Z2)   \
	LANES(24, at, X3, Z3)   \
	VPUNPCKLDQ  Z1, Z0, Z4  \
	VPUNPCKHDQ  Z1, Z0, Z5  \
	VPUNPCKLDQ  Z3, Z2, Z6  \
	VPUNPCKHDQ  Z3, Z2, Z7  \
	VPUNPCKLQDQ Z6, Z4, Z0  \
	VPUNPCKHQDQ Z6, Z4, Z1  \
	VPUNPCKLQDQ Z7, Z5, Z2  \
	VPUNPCKHQDQ Z7, Z5, Z3


// func turnF32ZMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·turnF32ZMM(SB), NOSPLIT, $128-48
	POINTERS

four:
	DWORDS(0)
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 128(DI)
	VMOVUPS Z2, 256(DI)
	VMOVUPS Z3, 384(DI)
	ADDQ    $512, DI
	ADDQ    $16, CX
	SUBQ $4, DX
	JNE  four
	VZEROUPPER
	RET

// F16 stores both halves of each dword.
#define F16(z, at) \
	VPSRLD    $16, z, Z5 \
	VPMOVDW   z, Y4      \
	VPMOVDW   Z5, Y5     \
	VCVTPH2PS Y4, Z4     \
	VCVTPH2PS Y5, Z5     \
	VMOVUPS   Z4, at(DI)      \
	VMOVUPS   Z5, (at+128)(DI)

// func turnF16ZMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·turnF16ZMM(SB), NOSPLIT, $128-48
	POINTERS

eight:
	DWORDS(0)
	F16(Z0, 0)
	F16(Z1, 256)
	F16(Z2, 512)
	F16(Z3, 768)
	ADDQ $1024, DI
	ADDQ $16, CX
	SUBQ $8, DX
	JNE  eight
	VZEROUPPER
	RET

#define BF16(z, at) \
	VPSLLD $16, z, Z4   \
	VPANDD Z16, z, Z5   \
	VMOVUPS Z4, at(DI)       \
	VMOVUPS Z5, (at+128)(DI)

// func turnBF16ZMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·turnBF16ZMM(SB), NOSPLIT, $128-48
	POINTERS
	VPTERNLOGD $0xff, Z16, Z16, Z16
	VPSLLD     $16, Z16, Z16

eight:
	DWORDS(0)
	BF16(Z0, 0)
	BF16(Z1, 256)
	BF16(Z2, 512)
	BF16(Z3, 768)
	ADDQ $1024, DI
	ADDQ $16, CX
	SUBQ $8, DX
	JNE  eight
	VZEROUPPER
	RET

// SCALE reads the scales of 2 cells.
#define SCALE(p, i, lo, hi) \
	MOVQ    (p+0)(SP), AX               \
	MOVQ    (p+64)(SP), BX              \
	VPINSRW $i, (AX)(CX*1), lo, lo      \
	VPINSRW $i, (BX)(CX*1), hi, hi

// SCALES makes Z17 the scales of a block.
#define SCALES \
	SCALE(0, 0, X0, X1)          \
	SCALE(8, 1, X0, X1)          \
	SCALE(16, 2, X0, X1)         \
	SCALE(24, 3, X0, X1)         \
	SCALE(32, 4, X0, X1)         \
	SCALE(40, 5, X0, X1)         \
	SCALE(48, 6, X0, X1)         \
	SCALE(56, 7, X0, X1)         \
	VINSERTI128 $1, X1, Y0, Y0   \
	VCVTPH2PS   Y0, Z17

#define SCALED(z, to) \
	VCVTDQ2PS z, z          \
	VMULPS    Z17, z, z     \
	VMOVUPS   z, to

// BYTES stores 4 channels, signed bytes of each dword.
#define BYTES(z, at) \
	VPSLLD $24, z, Z4           \
	VPSLLD $16, z, Z5           \
	VPSLLD $8, z, Z6            \
	VPSRAD $24, z, Z7           \
	VPSRAD $24, Z4, Z4          \
	VPSRAD $24, Z5, Z5          \
	VPSRAD $24, Z6, Z6          \
	SCALED(Z4, at(DI))          \
	SCALED(Z5, (at+128)(DI))    \
	SCALED(Z6, (at+256)(DI))    \
	SCALED(Z7, (at+384)(DI))

// func turnQ8ZMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·turnQ8ZMM(SB), NOSPLIT, $128-48
	POINTERS

block:
	SCALES
	DWORDS(2)
	BYTES(Z0, 0)
	BYTES(Z1, 512)
	BYTES(Z2, 1024)
	BYTES(Z3, 1536)
	DWORDS(18)
	BYTES(Z0, 2048)
	BYTES(Z1, 2560)
	BYTES(Z2, 3072)
	BYTES(Z3, 3584)
	ADDQ $4096, DI
	ADDQ $34, CX
	SUBQ $32, DX
	JNE  block
	VZEROUPPER
	RET

// NIBBLES stores 4 channels, the low nibbles of each dword, and what its high nibbles are, 16 channels on.
#define NIBBLE(z, shift, to) \
	VPSRLD $shift, z, Z4        \
	VPANDD Z18, Z4, Z4          \
	VPSUBD Z19, Z4, Z4          \
	SCALED(Z4, to)

#define NIBBLES(z, at) \
	NIBBLE(z, 0, at(DI))          \
	NIBBLE(z, 8, (at+128)(DI))    \
	NIBBLE(z, 16, (at+256)(DI))   \
	NIBBLE(z, 24, (at+384)(DI))   \
	NIBBLE(z, 4, (at+2048)(DI))   \
	NIBBLE(z, 12, (at+2176)(DI))  \
	NIBBLE(z, 20, (at+2304)(DI))  \
	NIBBLE(z, 28, (at+2432)(DI))

// func turnQ4ZMM(dst *float32, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·turnQ4ZMM(SB), NOSPLIT, $128-48
	POINTERS
	MOVL         $15, AX
	VPBROADCASTD AX, Z18
	MOVL         $8, AX
	VPBROADCASTD AX, Z19

block:
	SCALES
	DWORDS(2)
	NIBBLES(Z0, 0)
	NIBBLES(Z1, 512)
	NIBBLES(Z2, 1024)
	NIBBLES(Z3, 1536)
	ADDQ $4096, DI
	ADDQ $18, CX
	SUBQ $32, DX
	JNE  block
	VZEROUPPER
	RET
