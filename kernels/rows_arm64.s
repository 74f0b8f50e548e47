//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Registers of mulNEON:
//	R0   columns of c     R1   from a row of c to the next
//	R2   a                R3   from a row of a to the next
//	R4   columns of b     R5   from a row of b to the next, 128
//	R6   rows left        R19  how many are multiplied at once
//	R7   columns left     R20  row of c
//	R8   terms left       R9   row of b
//	R10 .. R13  rows of a    R14  row of c    R15  add
//	V0 .. V15  sums of four vectors for each row; V16 .. V19 b; V20 .. V23 a

// TERM multiplies a row of b by lane i of a.
#define TERM(ROWS, i) \
	VLD1 (R9), [V16.S4, V17.S4, V18.S4, V19.S4] \
	ADD  R5, R9                                 \
	ROWS(i)

#define STEP(c, a, i) \
	FMLALANE(c, 16, a, i)     \
	FMLALANE((c+1), 17, a, i) \
	FMLALANE((c+2), 18, a, i) \
	FMLALANE((c+3), 19, a, i)

#define ROWS1(i) STEP(0, 20, i)
#define ROWS2(i) ROWS1(i) STEP(4, 21, i)
#define ROWS3(i) ROWS2(i) STEP(8, 22, i)
#define ROWS4(i) ROWS3(i) STEP(12, 23, i)

#define FOUR1 FMOVQ.P 16(R10), F20
#define FOUR2 FOUR1; FMOVQ.P 16(R11), F21
#define FOUR3 FOUR2; FMOVQ.P 16(R12), F22
#define FOUR4 FOUR3; FMOVQ.P 16(R13), F23

#define ONE1 FMOVS.P 4(R10), F20
#define ONE2 ONE1; FMOVS.P 4(R11), F21
#define ONE3 ONE2; FMOVS.P 4(R12), F22
#define ONE4 ONE3; FMOVS.P 4(R13), F23

#define EACH1(F) F(F0, F1, F2, F3)
#define EACH2(F) EACH1(F) F(F4, F5, F6, F7)
#define EACH3(F) EACH2(F) F(F8, F9, F10, F11)
#define EACH4(F) EACH3(F) F(F12, F13, F14, F15)

#define READ(c0, c1, c2, c3) \
	FLDPQ (R14), (c0, c1)   \
	FLDPQ 32(R14), (c2, c3) \
	ADD   R1, R14

#define READHALF(c0, c1, c2, c3) \
	FLDPQ (R14), (c0, c1) \
	ADD   R1, R14

#define WRITE(c0, c1, c2, c3) \
	FSTPQ (c0, c1), (R14)   \
	FSTPQ (c2, c3), 32(R14) \
	ADD   R1, R14

#define WRITEHALF(c0, c1, c2, c3) \
	FSTPQ (c0, c1), (R14) \
	ADD   R1, R14

// BLOCK does four vectors of some rows, of which the last two may not exist.
#define BLOCK(EACH, ROWS, FOUR, ONE, half, sum, four, rest, one, end, halfEnd) \
	MOVD R0, R14       \
	CBZ  R15, sum      \
	CMP  $8, R7        \
	BEQ  half          \
	EACH(READ)         \
	B    sum           \
half:                  \
	EACH(READHALF)     \
sum:                   \
	SUBS $4, R8        \
	BLT  rest          \
four:                  \
	FOUR               \
	TERM(ROWS, 0)      \
	TERM(ROWS, 1)      \
	TERM(ROWS, 2)      \
	TERM(ROWS, 3)      \
	SUBS $4, R8        \
	BGE  four          \
rest:                  \
	ADDS $4, R8        \
	BEQ  end           \
one:                   \
	ONE                \
	TERM(ROWS, 0)      \
	SUBS $1, R8        \
	BNE  one           \
end:                   \
	MOVD R0, R14       \
	CMP  $8, R7        \
	BEQ  halfEnd       \
	EACH(WRITE)        \
	B    next          \
halfEnd:               \
	EACH(WRITEHALF)    \
	B    next

// func mulNEON(c *float32, ldc int, a *float32, lda int, b *float32, m, n, k int, add bool)
TEXT ·mulNEON(SB), NOSPLIT, $0-65
	MOVD c+0(FP), R20
	MOVD ldc+8(FP), R1
	LSL  $2, R1
	MOVD a+16(FP), R2
	MOVD lda+24(FP), R3
	LSL  $2, R3
	MOVD $128, R5
	MOVD m+40(FP), R6

rows: // 4, or of the last 7 at most about half
	MOVD R20, R0
	MOVD b+32(FP), R4
	MOVD n+48(FP), R7
	MOVD R6, R19
	CMP  $4, R19
	BLE  columns
	ADD  $1, R19
	LSR  $1, R19
	CMP  $4, R19
	BLE  columns
	MOVD $4, R19

columns:
	MOVD  k+56(FP), R8
	MOVD  R4, R9
	MOVD  R2, R10
	ADD   R3, R10, R11
	ADD   R3, R11, R12
	ADD   R3, R12, R13
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16
	VMOVI $0, V8.B16
	VMOVI $0, V9.B16
	VMOVI $0, V10.B16
	VMOVI $0, V11.B16
	VMOVI $0, V12.B16
	VMOVI $0, V13.B16
	VMOVI $0, V14.B16
	VMOVI $0, V15.B16
	MOVBU add+64(FP), R15
	CMP   $4, R19
	BEQ   rows4
	CMP   $3, R19
	BEQ   rows3
	CMP   $2, R19
	BEQ   rows2

	BLOCK(EACH1, ROWS1, FOUR1, ONE1, half1, sum1, four1, rest1, one1, end1, halfEnd1)

rows2:
	BLOCK(EACH2, ROWS2, FOUR2, ONE2, half2, sum2, four2, rest2, one2, end2, halfEnd2)

rows3:
	BLOCK(EACH3, ROWS3, FOUR3, ONE3, half3, sum3, four3, rest3, one3, end3, halfEnd3)

rows4:
	BLOCK(EACH4, ROWS4, FOUR4, ONE4, half4, sum4, four4, rest4, one4, end4, halfEnd4)

next:
	ADD  $64, R0
	ADD  $64, R4
	SUBS $16, R7
	BGT  columns
	MADD R19, R20, R1, R20
	MADD R19, R2, R3, R2
	SUBS R19, R6
	BNE  rows
	RET

// func turnNEON(dst, src *float32, d int)
//
//	R0  columns of dst      R1  from a row of dst to the next, 128
//	R2  rows of src         R3  from a row of src to the next
//	R4  groups of 4 rows left    R5 .. R8  rows of src
//	R9  row of dst          R10  channels left    R11  d
TEXT ·turnNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD $128, R1
	MOVD src+8(FP), R2
	MOVD d+16(FP), R11
	LSL  $2, R11, R3
	MOVD $4, R4

group:
	MOVD R2, R5
	ADD  R3, R5, R6
	ADD  R3, R6, R7
	ADD  R3, R7, R8
	ADD  R3, R8, R2
	MOVD R0, R9
	MOVD R11, R10

quad:
	FMOVQ.P 16(R5), F0
	FMOVQ.P 16(R6), F1
	FMOVQ.P 16(R7), F2
	FMOVQ.P 16(R8), F3
	VZIP1   V2.S4, V0.S4, V4.S4
	VZIP1   V3.S4, V1.S4, V5.S4
	VZIP2   V2.S4, V0.S4, V6.S4
	VZIP2   V3.S4, V1.S4, V7.S4
	VZIP1   V5.S4, V4.S4, V0.S4
	VZIP2   V5.S4, V4.S4, V1.S4
	VZIP1   V7.S4, V6.S4, V2.S4
	VZIP2   V7.S4, V6.S4, V3.S4
	FMOVQ   F0, (R9)
	ADD     R1, R9
	FMOVQ   F1, (R9)
	ADD     R1, R9
	FMOVQ   F2, (R9)
	ADD     R1, R9
	FMOVQ   F3, (R9)
	ADD     R1, R9
	SUBS    $4, R10
	BNE     quad
	ADD     $16, R0
	SUBS    $1, R4
	BNE     group
	RET
