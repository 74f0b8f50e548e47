.levels neon

#include "neon_arm64.h"

// For V16, V17, V19 and V24 to V30: log2(e), lowest, magic, C4 to C1 and 1 of expWeight; then -1 and the
// largest logit negated.
.long weight 0x3fb8aa3b, 0xc2b00f34, 0x4b40007f, 0x3c1d0168, 0x3d64fe25, 0x3e7601bc, 0x3f317096, \
	0x3f800000, 0xbf800000, 0xff7fffff

// larger keeps the larger of each pair in m. A NaN in x is passed over.
.macro larger m x
	FCMGT(16, {x}, {m})
	VBIT V16.B16, V{x}.B16, V{m}.B16
.end

// Registers of raise and weigh:
//	R0  x, to be read    R3  to be written      R1  columns left    R2  scratch
//	R4  row              R10 from a row to the next                 R12 columns
//	R9  rows left        R7  max                R8  sum             R11 raised

.macro rows
	MOVD {a.x}, R4
	MOVD {a.ld}, R10
	LSL  $2, R10
	MOVD {a.n}, R12
	MOVD {a.rows}, R9
	MOVD {a.max}, R7
.end

.func raise rowsArgs bool
	rows
	MOVD ZR, R11
	MOVD $0x41000000, R2
	VDUP R2, V19.S4
	MOVD $0xff800000, R2

row:
	MOVD R4, R0
	MOVD R12, R1
	.for v in 4
		VDUP R2, V{12+v}.S4
	.end

columns:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	.for v in 4
		larger {12+v}, {v}
	.end
	SUBS $16, R1
	BNE  columns
	larger 12, 13
	larger 14, 15
	larger 12, 14
	VEXT  $8, V12.B16, V12.B16, V0.B16
	larger 12, 0
	VEXT  $4, V12.B16, V12.B16, V0.B16
	larger 12, 0
	FMOVS (R7), F1
	FADD(3, 1, 19)
	FCMGT(3, 12, 3)
	VBIT  V3.B16, V12.B16, V1.B16
	FMOVS F1, (R7)
	VMOV  V3.S[0], R1
	ORR   R1, R11
	ADD   R10, R4
	ADD   $4, R7
	SUBS  $1, R9
	BNE   row
	AND   $1, R11
	MOVB  R11, {ret}
	RET

.func weigh rowsArgs
	rows
	MOVD {a.sum}, R8
	MOVD $weight<>(SB), R3
	.for v in 16, 17, 19, 24, 25, 26, 27, 28, 29, 30
		VLD1R.P 4(R3), [V{v}.S4]
	.end

row:
	MOVD  R4, R0
	MOVD  R4, R3
	MOVD  R12, R1
	FMOVS (R7), F18
	VDUP  V18.S[0], V18.S4
	FMAX(18, 18, 30)
	FMUL(18, 18, 29)
	.for v in 4
		VMOVI $0, V{12+v}.B16
	.end

columns:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	.for v in 4
		FADD({v}, {v}, 18)
		FMAX({v}, {v}, 17) // x-m, also if that is NaN
		VMOV  V19.B16, V{8+v}.B16
		VFMLA V{v}.S4, V16.S4, V{8+v}.S4
		FSUB({4+v}, 19, {8+v})
		VFMLA V{v}.S4, V16.S4, V{4+v}.S4 // f
		VSHL $23, V{8+v}.S4, V{8+v}.S4
	.end
	.for v in 4
		VMOV  V25.B16, V{v}.B16
		VFMLA V24.S4, V{4+v}.S4, V{v}.S4
	.end
	.for v in 4
		VMOV  V26.B16, V{20+v}.B16
		VFMLA V{v}.S4, V{4+v}.S4, V{20+v}.S4
	.end
	.for v in 4
		VMOV  V27.B16, V{v}.B16
		VFMLA V{20+v}.S4, V{4+v}.S4, V{v}.S4
	.end
	.for v in 4
		VMOV  V28.B16, V{20+v}.B16
		VFMLA V{v}.S4, V{4+v}.S4, V{20+v}.S4
	.end
	.for v in 4
		FMUL({v}, {20+v}, {8+v})
		FADD({12+v}, {12+v}, {v})
	.end
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R3)
	SUBS   $16, R1
	BNE    columns
	FADD(12, 12, 13)
	FADD(14, 14, 15)
	FADD(12, 12, 14)
	FADDP(12, 12, 12)
	FADDP(12, 12, 12)
	FMOVS (R8), F1
	FADDS F1, F12, F12
	FMOVS F12, (R8)
	ADD   R10, R4
	ADD   $4, R7
	ADD   $4, R8
	SUBS  $1, R9
	BNE   row
	RET
