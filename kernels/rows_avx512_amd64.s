//go:build !noasm

#include "textflag.h"

// Registers of mulZMM:
//	R15  rows of a left                   R13  how many
//	SI, R10, R11  rows 0, 3 and 6 of them R9   from a row of a to the next
//	R12  how many are multiplied at once
//	DI   row of c                         R8   from a row of c to the next
//	BX   b, in rows of 32 floats          DX   row of b
//	CX   terms left                       AX   scratch
//	K1, K2  columns of both vectors that are written; K3, K4 that are read
//	Z0 .. Z15  sums of two vectors for each row; Z16, Z17 b; Z20 .. Z27 a

#define STEP(a, x, c0, c1) \
	VBROADCASTSS a, x        \
	VFMADD231PS  Z16, x, c0  \
	VFMADD231PS  Z17, x, c1

#define A0(o) STEP(o(SI), Z20, Z0, Z1)
#define A1(o) STEP(o(SI)(R9*1), Z21, Z2, Z3)
#define A2(o) STEP(o(SI)(R9*2), Z22, Z4, Z5)
#define A3(o) STEP(o(R10), Z23, Z6, Z7)
#define A4(o) STEP(o(R10)(R9*1), Z24, Z8, Z9)
#define A5(o) STEP(o(R10)(R9*2), Z25, Z10, Z11)
#define A6(o) STEP(o(R11), Z26, Z12, Z13)
#define A7(o) STEP(o(R11)(R9*1), Z27, Z14, Z15)

#define ROWS1(o) A0(o)
#define ROWS2(o) A0(o) A1(o)
#define ROWS3(o) ROWS2(o) A2(o)
#define ROWS4(o) ROWS3(o) A3(o)
#define ROWS5(o) ROWS4(o) A4(o)
#define ROWS6(o) ROWS5(o) A5(o)
#define ROWS7(o) ROWS6(o) A6(o)
#define ROWS8(o) ROWS7(o) A7(o)

#define READ(c0, c1) \
	VMOVUPS.Z (AX), K3, c0   \
	VMOVUPS.Z 64(AX), K4, c1 \
	ADDQ      R8, AX

#define WRITE(c0, c1) \
	VMOVUPS c0, K1, (AX)   \
	VMOVUPS c1, K2, 64(AX) \
	ADDQ    R8, AX

#define EACH1(F) F(Z0, Z1)
#define EACH2(F) EACH1(F) F(Z2, Z3)
#define EACH3(F) EACH2(F) F(Z4, Z5)
#define EACH4(F) EACH3(F) F(Z6, Z7)
#define EACH5(F) EACH4(F) F(Z8, Z9)
#define EACH6(F) EACH5(F) F(Z10, Z11)
#define EACH7(F) EACH6(F) F(Z12, Z13)
#define EACH8(F) EACH7(F) F(Z14, Z15)

#define B(row, next) \
	VMOVUPS row, Z16  \
	VMOVUPS next, Z17

// BLOCK does some rows.
#define BLOCK(EACH, ROWS, four, rest, one, end) \
	MOVQ DI, AX                        \
	EACH(READ)                         \
	SUBQ $4, CX                        \
	JLT  rest                          \
four:                                  \
	B((DX), 64(DX))                    \
	ROWS(0)                            \
	B(128(DX), 192(DX))                \
	ROWS(4)                            \
	B(256(DX), 320(DX))                \
	ROWS(8)                            \
	B(384(DX), 448(DX))                \
	ROWS(12)                           \
	ADDQ $512, DX                      \
	ADDQ $16, SI                       \
	ADDQ $16, R10                      \
	ADDQ $16, R11                      \
	SUBQ $4, CX                        \
	JGE  four                          \
rest:                                  \
	ADDQ $4, CX                        \
	JEQ  end                           \
one:                                   \
	B((DX), 64(DX))                    \
	ROWS(0)                            \
	ADDQ $128, DX                       \
	ADDQ $4, SI                        \
	ADDQ $4, R10                       \
	ADDQ $4, R11                       \
	DECQ CX                            \
	JNE  one                           \
end:                                   \
	MOVQ DI, AX                        \
	EACH(WRITE)                        \
	JMP  next

// func mulZMM(c *float32, ldc int, a *float32, lda int, b *float32, m, n, k int, add bool)
TEXT ·mulZMM(SB), NOSPLIT, $0-65
	MOVQ  c+0(FP), DI
	MOVQ  ldc+8(FP), R8
	SHLQ  $2, R8
	MOVQ  a+16(FP), R15
	MOVQ  lda+24(FP), R9
	SHLQ  $2, R9
	MOVQ  b+32(FP), BX
	MOVQ  m+40(FP), R13
	MOVQ  n+48(FP), CX
	MOVL  $-1, AX
	BZHIL CX, AX, AX
	KMOVW AX, K1
	SHRL  $16, AX
	KMOVW AX, K2
	KXORW K3, K3, K3
	KXORW K4, K4, K4
	CMPB  add+64(FP), $0
	JEQ   rows
	KMOVW K1, K3
	KMOVW K2, K4

rows: // 8, or of the last 15 at most about half
	MOVQ R13, R12
	CMPQ R12, $8
	JLE  begin
	INCQ R12
	SHRQ $1, R12
	CMPQ R12, $8
	JLE  begin
	MOVQ $8, R12

begin:
	MOVQ R15, SI
	LEAQ (R9)(R9*2), AX
	LEAQ (SI)(AX*1), R10
	LEAQ (SI)(AX*2), R11
	MOVQ BX, DX
	MOVQ k+56(FP), CX
	CMPQ R12, $8
	JEQ  rows8
	CMPQ R12, $7
	JEQ  rows7
	CMPQ R12, $6
	JEQ  rows6
	CMPQ R12, $5
	JEQ  rows5
	CMPQ R12, $4
	JEQ  rows4
	CMPQ R12, $3
	JEQ  rows3
	CMPQ R12, $2
	JEQ  rows2

	BLOCK(EACH1, ROWS1, four1, rest1, one1, end1)

rows2:
	BLOCK(EACH2, ROWS2, four2, rest2, one2, end2)

rows3:
	BLOCK(EACH3, ROWS3, four3, rest3, one3, end3)

rows4:
	BLOCK(EACH4, ROWS4, four4, rest4, one4, end4)

rows5:
	BLOCK(EACH5, ROWS5, four5, rest5, one5, end5)

rows6:
	BLOCK(EACH6, ROWS6, four6, rest6, one6, end6)

rows7:
	BLOCK(EACH7, ROWS7, four7, rest7, one7, end7)

rows8:
	BLOCK(EACH8, ROWS8, four8, rest8, one8, end8)

next:
	MOVQ  AX, DI // past the rows that were written
	MOVQ  R12, AX
	IMULQ R9, AX
	ADDQ  AX, R15
	SUBQ  R12, R13
	JNE   rows
	VZEROUPPER
	RET
