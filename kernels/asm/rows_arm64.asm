.levels neon

#include "neon_arm64.h"

// Registers of mul:
//	R0   columns of c     R1   from a row of c to the next
//	R2   a                R3   from a row of a to the next
//	R4   columns of b     R5   from a row of b to the next, 128
//	R6   rows left        R19  how many are multiplied at once
//	R7   columns left     R20  row of c
//	R8   terms left       R9   row of b
//	R10 .. R13  rows of a    R14  row of c    R15  add
//	V0 .. V15  sums of four vectors for each row; V16 .. V19 b; V20 .. V23 a

// term multiplies a row of b by lane i of a.
.macro term i
	VLD1 (R9), [V16.S4, V17.S4, V18.S4, V19.S4]
	ADD  R5, R9
	.for r in R
		.for v in 4
			FMLALANE({4*r+v}, {16+v}, {20+r}, {i})
		.end
	.end
.end

// move reads or writes R rows of c, of which the last two of four vectors may not exist.
.macro move OP
	MOVD R0, R14
	CMP  $8, R7
	BEQ  half{OP}{R}
	.for r in R
		.if OP == "FLDPQ"
			FLDPQ (R14), (F{4*r}, F{4*r+1})
			FLDPQ 32(R14), (F{4*r+2}, F{4*r+3})
		.else
			FSTPQ (F{4*r}, F{4*r+1}), (R14)
			FSTPQ (F{4*r+2}, F{4*r+3}), 32(R14)
		.end
		ADD R1, R14
	.end
	B moved{OP}{R}
half{OP}{R}:
	.for r in R
		.if OP == "FLDPQ"
			FLDPQ (R14), (F{4*r}, F{4*r+1})
		.else
			FSTPQ (F{4*r}, F{4*r+1}), (R14)
		.end
		ADD R1, R14
	.end
moved{OP}{R}:
.end

.func mul mulArgs
	MOVD {a.c}, R20
	MOVD {a.ldc}, R1
	LSL  $2, R1
	MOVD {a.a}, R2
	MOVD {a.lda}, R3
	LSL  $2, R3
	MOVD $128, R5
	MOVD {a.m}, R6

rows: // 4, or of the last 7 at most about half
	MOVD R20, R0
	MOVD {a.b}, R4
	MOVD {a.n}, R7
	MOVD R6, R19
	CMP  $4, R19
	BLE  columns
	ADD  $1, R19
	LSR  $1, R19
	CMP  $4, R19
	BLE  columns
	MOVD $4, R19

columns:
	MOVD {a.k}, R8
	MOVD R4, R9
	MOVD R2, R10
	ADD  R3, R10, R11
	ADD  R3, R11, R12
	ADD  R3, R12, R13
	.for r in 16
		VMOVI $0, V{r}.B16
	.end
	MOVBU {a.add}, R15
	.for R in 4, 3, 2, 1
	rows{R}:
		.if R > 1
			CMP ${R}, R19
			BLT rows{R-1}
		.end
		CBZ  R15, sum{R}
		move FLDPQ
	sum{R}:
		SUBS $4, R8
		BLT  rest{R}
	four{R}:
		.for r in R
			FMOVQ.P 16(R{10+r}), F{20+r}
		.end
		.for i in 4
			term {i}
		.end
		SUBS $4, R8
		BGE  four{R}
	rest{R}:
		ADDS $4, R8
		BEQ  end{R}
	one{R}:
		.for r in R
			FMOVS.P 4(R{10+r}), F{20+r}
		.end
		term 0
		SUBS $1, R8
		BNE  one{R}
	end{R}:
		move FSTPQ
		B next
	.end

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

// Registers of turn:
//	R0  columns of dst      R1  from a row of dst to the next, 128
//	R2  rows of src         R3  from a row of src to the next
//	R4  groups of 4 rows left    R5 .. R8  rows of src
//	R9  row of dst          R10  channels left    R11  d

.func turn turnArgs
	MOVD {a.dst}, R0
	MOVD $128, R1
	MOVD {a.src}, R2
	MOVD {a.d}, R11
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
	.for r in 4
		FMOVQ.P 16(R{5+r}), F{r}
	.end
	VZIP1 V2.S4, V0.S4, V4.S4
	VZIP1 V3.S4, V1.S4, V5.S4
	VZIP2 V2.S4, V0.S4, V6.S4
	VZIP2 V3.S4, V1.S4, V7.S4
	VZIP1 V5.S4, V4.S4, V0.S4
	VZIP2 V5.S4, V4.S4, V1.S4
	VZIP1 V7.S4, V6.S4, V2.S4
	VZIP2 V7.S4, V6.S4, V3.S4
	.for r in 4
		FMOVQ F{r}, (R9)
		ADD   R1, R9
	.end
	SUBS $4, R10
	BNE  quad
	ADD  $16, R0
	SUBS $1, R4
	BNE  group
	RET
