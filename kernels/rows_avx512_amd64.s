//go:build !noasm

#include "textflag.h"

// Registers of mulZMM:
//	SI, R10, R11  rows 0, 3 and 6 of a    R9   from a row of a to the next
//	DX   row of b                         R12  from a row of b to the next
//	DI   columns of c                     R8   from a row of c to the next
//	BX   columns of b                     R13  columns left
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

// PANEL does two vectors of some rows.
#define PANEL(EACH, ROWS, four, rest, one, end) \
	MOVQ DI, AX                        \
	EACH(READ)                         \
	SUBQ $4, CX                        \
	JLT  rest                          \
four:                                  \
	B((DX), 64(DX))                    \
	ROWS(0)                            \
	B((DX)(R12*1), 64(DX)(R12*1))      \
	ROWS(4)                            \
	LEAQ (DX)(R12*2), DX               \
	B((DX), 64(DX))                    \
	ROWS(8)                            \
	B((DX)(R12*1), 64(DX)(R12*1))      \
	ROWS(12)                           \
	LEAQ (DX)(R12*2), DX               \
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
	ADDQ R12, DX                       \
	ADDQ $4, SI                        \
	ADDQ $4, R10                       \
	ADDQ $4, R11                       \
	DECQ CX                            \
	JNE  one                           \
end:                                   \
	MOVQ DI, AX                        \
	EACH(WRITE)                        \
	JMP  next

// func mulZMM(c *float32, ldc int, a *float32, lda int, b *float32, ldb, m, n, k int, add bool)
TEXT ·mulZMM(SB), NOSPLIT, $0-73
	MOVQ c+0(FP), DI
	MOVQ ldc+8(FP), R8
	SHLQ $2, R8
	MOVQ lda+24(FP), R9
	SHLQ $2, R9
	MOVQ b+32(FP), BX
	MOVQ ldb+40(FP), R12
	SHLQ $2, R12
	MOVQ n+56(FP), R13

panel:
	MOVQ    $32, CX
	CMPQ    R13, CX
	CMOVQLT R13, CX
	MOVL    $-1, AX
	BZHIL   CX, AX, AX
	KMOVW   AX, K1
	SHRL    $16, AX
	KMOVW   AX, K2
	KXORW   K3, K3, K3
	KXORW   K4, K4, K4
	CMPB    add+72(FP), $0
	JEQ     begin
	KMOVW   K1, K3
	KMOVW   K2, K4

begin:
	MOVQ a+16(FP), SI
	LEAQ (R9)(R9*2), AX
	LEAQ (SI)(AX*1), R10
	LEAQ (SI)(AX*2), R11
	MOVQ BX, DX
	MOVQ k+64(FP), CX
	MOVQ m+48(FP), AX
	CMPQ AX, $8
	JEQ  rows8
	CMPQ AX, $1
	JEQ  rows1
	CMPQ AX, $7
	JEQ  rows7
	CMPQ AX, $6
	JEQ  rows6
	CMPQ AX, $5
	JEQ  rows5
	CMPQ AX, $4
	JEQ  rows4
	CMPQ AX, $3
	JEQ  rows3

	PANEL(EACH2, ROWS2, four2, rest2, one2, end2)

rows1:
	PANEL(EACH1, ROWS1, four1, rest1, one1, end1)

rows3:
	PANEL(EACH3, ROWS3, four3, rest3, one3, end3)

rows4:
	PANEL(EACH4, ROWS4, four4, rest4, one4, end4)

rows5:
	PANEL(EACH5, ROWS5, four5, rest5, one5, end5)

rows6:
	PANEL(EACH6, ROWS6, four6, rest6, one6, end6)

rows7:
	PANEL(EACH7, ROWS7, four7, rest7, one7, end7)

rows8:
	PANEL(EACH8, ROWS8, four8, rest8, one8, end8)

next:
	ADDQ $128, DI
	ADDQ $128, BX
	SUBQ $32, R13
	JGT  panel
	VZEROUPPER
	RET
