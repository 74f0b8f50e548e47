.levels neon

#include "neon_arm64.h"

// Registers of sumSq and minMax:
//	R0  first result, channel    R1  second result, channel
//	R2  x, channel               R3  channels left
//	R4  n                        R5  bytes per row
//	R6  x, row                   R7  rows left
//	V0  .. V3   first result     V4  .. V7  second result
//	V16 .. V19  x                V20, V21   scratch

.macro sumSq i
	FADD({i}, {i}, {16+i})
	VFMLA V{16+i}.S4, V{16+i}.S4, V{4+i}.S4
.end

.macro minMax i
	FCMGT(20, {i}, {16+i})
	FCMGT(21, {16+i}, {4+i})
	VBIT V20.B16, V{16+i}.B16, V{i}.B16
	VBIT V21.B16, V{16+i}.B16, V{4+i}.B16
.end

.for NAME in sumSq, minMax
.func {NAME} statsArgs
	MOVD {a.first}, R0
	MOVD {a.second}, R1
	MOVD {a.x}, R2
	MOVD {a.d}, R3
	MOVD {a.n}, R4
	LSL  $2, R3, R5
	.for n in 4, 2
	block{n}:
		SUBS ${4*n}, R3
		BLT  rest{n}
		.if n == 4
			VLD1 (R0), [V0.S4, V1.S4, V2.S4, V3.S4]
			VLD1 (R1), [V4.S4, V5.S4, V6.S4, V7.S4]
		.else
			VLD1 (R0), [V0.S4, V1.S4]
			VLD1 (R1), [V4.S4, V5.S4]
		.end
		MOVD R2, R6
		MOVD R4, R7
	row{n}:
		.if n == 4
			VLD1 (R6), [V16.S4, V17.S4, V18.S4, V19.S4]
		.else
			VLD1 (R6), [V16.S4, V17.S4]
		.end
		ADD R5, R6
		.for i in n
			{NAME} {i}
		.end
		SUBS $1, R7
		BNE  row{n}
		.if n == 4
			VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
			VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R1)
		.else
			VST1.P [V0.S4, V1.S4], 32(R0)
			VST1.P [V4.S4, V5.S4], 32(R1)
		.end
		ADD ${16*n}, R2
		B   block{n}
	rest{n}:
		ADD ${4*n}, R3
	.end
	RET
.end

// Registers of quantise8 and quantise14:
//	R0  result, hi    R1  x    R2  n    R3  3<<22, then the sum
//	R4  lo            R5  pairs (x0, x2)    R6  pairs (x1, x3)
//	V4  inv           V5  3<<22 as a number, which rounds when added, V6  the same as an integer
//	V7  sum

.for BITS in 8, 14
.func quantise{BITS} quantiseArgs int32
	MOVD  {a.dst}, R0
	MOVD  {a.x}, R1
	MOVD  {a.n}, R2
	FMOVS {a.inv}, F4
	VDUP  V4.S[0], V4.S4
	MOVD  $0x4b400000, R3
	VDUP  R3, V5.S4
	VMOV  V5.B16, V6.B16
	VMOVI $0, V7.B16
	ADD   R2, R0, R4
	ADD   R2, R4, R5
	ADD   R2, R5, R6

eight:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	.for i in 2
		FMUL({i}, {i}, 4)
		FADD({i}, {i}, 5)
		VSUB V6.S4, V{i}.S4, V{i}.S4
		VADD V{i}.S4, V7.S4, V7.S4
	.end
	VUZP1 V1.H8, V0.H8, V0.H8
	.if BITS == 8
		VUZP1   V0.B16, V0.B16, V0.B16
		FMOVD.P F0, 8(R0)
	.else
		VUZP1   V0.H8, V0.H8, V2.H8
		VUZP2   V0.H8, V0.H8, V3.H8
		FMOVD.P F2, 8(R5)
		FMOVD.P F3, 8(R6)
		SRSHR6H(2, 0)
		VSHL    $6, V2.H8, V3.H8
		VSUB    V3.H8, V0.H8, V3.H8
		VUZP1   V2.B16, V2.B16, V2.B16
		VUZP1   V3.B16, V3.B16, V3.B16
		FMOVD.P F2, 8(R0)
		FMOVD.P F3, 8(R4)
	.end
	SUBS  $8, R2
	BNE   eight
	VADDV V7.S4, V7
	VMOV  V7.S[0], R3
	MOVW  R3, {ret}
	RET
.end
