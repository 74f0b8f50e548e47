.levels neon

#include "neon_arm64.h"
.include floats_arm64.inc

// Registers of loadF32 to loadQ4:
//	R0  dst, row     R1  row          R2  channels left
//	R3  cells        R4  cells left   R5  base   R6  stride
//	R7  d            R8  from the end of a row of dst to the next

// widen stores the 16 int8 of a vector times the scale V28.
.macro widen v
	SXTLB(2, {v})
	SXTL2B(3, {v})
	.for h in 2
		SXTLH({4+2*h}, {2+h})
		SXTL2H({5+2*h}, {2+h})
	.end
	.for i in 4
		SCVTF({4+i}, {4+i})
		FMUL({4+i}, {4+i}, 28)
	.end
	FSTPQ.P (F4, F5), 32(R0)
	FSTPQ.P (F6, F7), 32(R0)
.end

.for TYPE in F32, F16, BF16, Q8, Q4
.func load{TYPE} loadArgs
	MOVD {a.dst}, R0
	MOVD {a.ld}, R8
	MOVD {a.d}, R7
	MOVD {a.base}, R5
	MOVD {a.stride}, R6
	MOVD {a.cells}, R3
	MOVD {a.n}, R4
	SUB  R7, R8
	LSL  $2, R8
	.if TYPE == "BF16"
		VMOVI $0, V31.B16
	.end
	.if TYPE == "Q4"
		VMOVI $8, V30.B16
		VMOVI $15, V31.B16
	.end

row:
	MOVW.P 4(R3), R1
	MADD   R6, R5, R1, R1
	MOVD   R7, R2

channels:
	.if TYPE == "Q8" || TYPE == "Q4"
		VLD1R.P 2(R1), [V28.H4]
		FCVTL(28, 28)
		.if TYPE == "Q8"
			VLD1.P 32(R1), [V0.B16, V1.B16]
		.else
			FMOVQ.P 16(R1), F0
			VUSHR   $4, V0.B16, V1.B16
			VAND    V31.B16, V0.B16, V0.B16
			VSUB    V30.B16, V0.B16, V0.B16
			VSUB    V30.B16, V1.B16, V1.B16
		.end
		widen 0
		widen 1
		SUBS $32, R2
	.else
		convert R1, 0
		FSTPQ.P (F0, F1), 32(R0)
		SUBS    $8, R2
	.end
	BNE  channels
	ADD  R8, R0
	SUBS $1, R4
	BNE  row
	RET
.end

// Registers of prefetch:
//	R0  base        R1  stride       R2  size-1
//	R3  &cells[j]   R4  cells left   R5  address    R6  bytes left

.func prefetchCells prefetchArgs
	MOVD {a.base}, R0
	MOVD {a.stride}, R1
	MOVD {a.size}, R2
	MOVD {a.cells}, R3
	MOVD {a.n}, R4
	SUB  $1, R2

row:
	MOVW.P 4(R3), R5
	MADD   R1, R0, R5, R5
	MOVD   R2, R6

line:
	PRFM (R5), PLDL2KEEP
	ADD  $64, R5
	SUBS $64, R6
	BGE  line
	ADD  R6, R5
	PRFM (R5), PLDL2KEEP
	SUBS $1, R4
	BNE  row
	RET
