//go:build !noasm

#include "textflag.h"

// Registers of mulYMM:
//	R15  rows of a left            R13  how many
//	SI, R10  rows 0 and 3 of them  R9   from a row of a to the next
//	R12  how many are multiplied at once
//	R14  row of c                  R8   from a row of c to the next
//	DI   columns of that           R11  columns left
//	BX   columns of b, in rows of 32 floats    DX  row of b
//	CX   terms left                AX   scratch
//	Y0 .. Y11  sums of two vectors for each row; Y12, Y13 b; Y14, Y15 a

#define STEP(a, x, c0, c1) \
	VBROADCASTSS a, x        \
	VFMADD231PS  Y12, x, c0  \
	VFMADD231PS  Y13, x, c1

#define A0(o) STEP(o(SI), Y14, Y0, Y1)
#define A1(o) STEP(o(SI)(R9*1), Y15, Y2, Y3)
#define A2(o) STEP(o(SI)(R9*2), Y14, Y4, Y5)
#define A3(o) STEP(o(R10), Y15, Y6, Y7)
#define A4(o) STEP(o(R10)(R9*1), Y14, Y8, Y9)
#define A5(o) STEP(o(R10)(R9*2), Y15, Y10, Y11)

#define ROWS1(o) A0(o)
#define ROWS2(o) A0(o) A1(o)
#define ROWS3(o) ROWS2(o) A2(o)
#define ROWS4(o) ROWS3(o) A3(o)
#define ROWS5(o) ROWS4(o) A4(o)
#define ROWS6(o) ROWS5(o) A5(o)

#define READ(c0, c1) \
	VMOVUPS (AX), c0   \
	VMOVUPS 32(AX), c1 \
	ADDQ    R8, AX

#define READHALF(c0, c1) \
	VMOVUPS (AX), c0   \
	VXORPS  c1, c1, c1 \
	ADDQ    R8, AX

#define ZERO(c0, c1) \
	VXORPS c0, c0, c0 \
	VXORPS c1, c1, c1

#define WRITE(c0, c1) \
	VMOVUPS c0, (AX)   \
	VMOVUPS c1, 32(AX) \
	ADDQ    R8, AX

#define WRITEHALF(c0, c1) \
	VMOVUPS c0, (AX) \
	ADDQ    R8, AX

#define EACH1(F) F(Y0, Y1)
#define EACH2(F) EACH1(F) F(Y2, Y3)
#define EACH3(F) EACH2(F) F(Y4, Y5)
#define EACH4(F) EACH3(F) F(Y6, Y7)
#define EACH5(F) EACH4(F) F(Y8, Y9)
#define EACH6(F) EACH5(F) F(Y10, Y11)

#define B(row, next) \
	VMOVUPS row, Y12  \
	VMOVUPS next, Y13

// BLOCK does two vectors of some rows, of which the second may not exist.
#define BLOCK(EACH, ROWS, zero, half, sum, four, rest, one, end, halfEnd) \
	MOVQ DI, AX                        \
	CMPB add+64(FP), $0                \
	JEQ  zero                          \
	CMPQ R11, $8                       \
	JEQ  half                          \
	EACH(READ)                         \
	JMP  sum                           \
zero:                                  \
	EACH(ZERO)                         \
	JMP  sum                           \
half:                                  \
	EACH(READHALF)                     \
sum:                                   \
	SUBQ $4, CX                        \
	JLT  rest                          \
four:                                  \
	B((DX), 32(DX))                    \
	ROWS(0)                            \
	B(128(DX), 160(DX))                \
	ROWS(4)                            \
	B(256(DX), 288(DX))                \
	ROWS(8)                            \
	B(384(DX), 416(DX))                \
	ROWS(12)                           \
	ADDQ $512, DX                      \
	ADDQ $16, SI                       \
	ADDQ $16, R10                      \
	SUBQ $4, CX                        \
	JGE  four                          \
rest:                                  \
	ADDQ $4, CX                        \
	JEQ  end                           \
one:                                   \
	B((DX), 32(DX))                    \
	ROWS(0)                            \
	ADDQ $128, DX                       \
	ADDQ $4, SI                        \
	ADDQ $4, R10                       \
	DECQ CX                            \
	JNE  one                           \
end:                                   \
	MOVQ DI, AX                        \
	CMPQ R11, $8                       \
	JEQ  halfEnd                       \
	EACH(WRITE)                        \
	JMP  next                          \
halfEnd:                               \
	EACH(WRITEHALF)                    \
	JMP  next

// func mulYMM(c *float32, ldc int, a *float32, lda int, b *float32, m, n, k int, add bool)
TEXT ·mulYMM(SB), NOSPLIT, $0-65
	MOVQ c+0(FP), R14
	MOVQ ldc+8(FP), R8
	SHLQ $2, R8
	MOVQ a+16(FP), R15
	MOVQ lda+24(FP), R9
	SHLQ $2, R9
	MOVQ m+40(FP), R13

rows: // 6, or of the last 11 at most about half
	MOVQ R14, DI
	MOVQ b+32(FP), BX
	MOVQ n+48(FP), R11
	MOVQ R13, R12
	CMPQ R12, $6
	JLE  columns
	INCQ R12
	SHRQ $1, R12
	CMPQ R12, $6
	JLE  columns
	MOVQ $6, R12

columns:
	MOVQ R15, SI
	LEAQ (R9)(R9*2), R10
	ADDQ SI, R10
	MOVQ BX, DX
	MOVQ k+56(FP), CX
	CMPQ R12, $6
	JEQ  rows6
	CMPQ R12, $5
	JEQ  rows5
	CMPQ R12, $4
	JEQ  rows4
	CMPQ R12, $3
	JEQ  rows3
	CMPQ R12, $1
	JEQ  rows1

	BLOCK(EACH2, ROWS2, zero2, half2, sum2, four2, rest2, one2, end2, halfEnd2)

rows1:
	BLOCK(EACH1, ROWS1, zero1, half1, sum1, four1, rest1, one1, end1, halfEnd1)

rows3:
	BLOCK(EACH3, ROWS3, zero3, half3, sum3, four3, rest3, one3, end3, halfEnd3)

rows4:
	BLOCK(EACH4, ROWS4, zero4, half4, sum4, four4, rest4, one4, end4, halfEnd4)

rows5:
	BLOCK(EACH5, ROWS5, zero5, half5, sum5, four5, rest5, one5, end5, halfEnd5)

rows6:
	BLOCK(EACH6, ROWS6, zero6, half6, sum6, four6, rest6, one6, end6, halfEnd6)

next:
	ADDQ  $64, DI
	ADDQ  $64, BX
	SUBQ  $16, R11
	JGT   columns
	MOVQ  R12, AX
	IMULQ R8, AX
	ADDQ  AX, R14
	MOVQ  R12, AX
	IMULQ R9, AX
	ADDQ  AX, R15
	SUBQ  R12, R13
	JNE   rows
	VZEROUPPER
	RET
