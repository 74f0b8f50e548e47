.levels neon dotprod

#include "neon_arm64.h"

.if neon

// Registers of decode:
//	R0  z        R2  codes        R3  a lane of the page
//	R4  d        R5  channel      R6  16 if a line of codes lasts for 32 channels
//	V24 minus bits, V25 levels, V26 mask of a code, V27 where the tables of 4 channels begin
//	V28 .. V31 numbers of 4 channels each
.quad channels 0x0101010100000000, 0x0303030302020202, 0x0505050504040404, 0x0707070706060606, \
	0x0909090908080808, 0x0b0b0b0b0a0a0a0a, 0x0d0d0d0d0c0c0c0c, 0x0f0f0f0f0e0e0e0e

.func decodeCodes decodeArgs
	MOVD {a.z}, R0
	MOVD {a.bits}, R1
	MOVD {a.codes}, R2
	MOVD {a.lanes}, R3
	MOVD {a.d}, R4
	NEG  R1, R5
	VDUP R5, V24.B16
	MOVD $0x0301fffd, R5 // 3, 1, -1, -3
	MOVD $3, R7
	MOVD $0, R6
	CMP  $1, R1
	BNE  levels
	MOVD $0x000001ff, R5 // 1, -1
	MOVD $1, R7
	MOVD $16, R6

levels:
	VDUP R5, V25.S4
	VDUP R7, V26.B16
	MOVD $0x0c080400, R5
	VDUP R5, V27.S4
	MOVD $channels<>(SB), R5
	VLD1 (R5), [V28.B16, V29.B16, V30.B16, V31.B16]
	MOVD $0, R5

lane:
	FMOVQ (R3), F16
	ADD   $64, R3
	VUSHR $5, V16.B16, V16.B16
	.for n in 4 // tables: the spreads, 4 times each, times levels
		VTBL V{28+n}.B16, [V16.B16], V{20+n}.B16
		MULB({20+n}, {20+n}, 25)
	.end
	TST   R6, R5
	BNE   atHand
	VLD1.P 64(R2), [V0.B16, V1.B16, V2.B16, V3.B16]

atHand:
	.for n in 4
		.for v in 4
			VAND V26.B16, V{v}.B16, V{4+v}.B16
			VORR V27.B16, V{4+v}.B16, V{4+v}.B16
			VTBL V{4+v}.B16, [V{20+n}.B16], V{4+v}.B16
			USHLB({v}, {v}, 24)
		.end
		VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)
	.end
	ADD $16, R5
	CMP R4, R5
	BNE lane
	RET

.func meansOfCodes meansArgs
	MOVD {a.dst}, R0
	MOVD {a.q}, R1
	MOVD {a.rowBytes}, R2
	MOVD {a.rows}, R3
	MOVD {a.lanes}, R4
	MOVD {a.d}, R5
	MOVD $31, R6
	VDUP R6, V30.H8
	MOVD $16, R6
	VDUP R6, V31.H8

row:
	ADD   R5<<1, R1, R6 // even channels
	ADD   R5, R6, R7    // odd ones
	MOVD  R4, R8
	MOVD  R5, R9
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16

mean:
	FMOVQ (R8), F4
	ADD   $64, R8
	FMOVQ.P 16(R6), F2
	FMOVQ.P 16(R7), F3
	VUSHR $8, V4.H8, V5.H8
	.for odd in 2
		VAND V30.B16, V{4+odd}.B16, V{4+odd}.B16
		VSUB V31.H8, V{4+odd}.H8, V{4+odd}.H8
		SMLALH(0, {4+odd}, {2+odd})
		SMLAL2H(1, {4+odd}, {2+odd})
	.end
	SUBS  $16, R9
	BNE   mean
	VADD  V1.S4, V0.S4, V0.S4
	VADDP V0.S4, V0.S4, V0.S4
	VADDP V0.S4, V0.S4, V0.S4
	FMOVS.P F0, 4(R0)
	ADD   R2, R1
	SUBS  $1, R3
	BNE   row
	RET
.end

// Registers of multiplyCodes:
//	R0  dst, row     R1  bytes per row of dst
//	R2  z            R3  q, row            R4  bytes per row of q
//	R5  rows left    R6  d
//	R7  factor       R8  base
//	R9  z, channel   R10 .. R13 q, channel R14 channels left
//	V16 .. V19  z    V24 .. V27 q

// finish turns the 4 sums from v on of a row into estimates.
.macro finish v
	FMOVS.P 4(R7), F28
	VLD1R.P 4(R8), [V29.S4]
	.for i in 4
		SCVTF({v+i}, {v+i})
		FMULLANE0({v+i}, {v+i}, 28)
		FADD({v+i}, {v+i}, 29)
	.end
	VST1 [V{v}.S4, V{v+1}.S4, V{v+2}.S4, V{v+3}.S4], (R0)
	ADD  R1, R0
	ADD  R4, R3
.end

// multiply adds 16 channels of R rows to their sums: 4 a row, or 8 with neon, which adds 4 products
// in 16 bits before.
.macro multiply
	.for r in R
		FMOVQ.P 16(R{10+r}), F{24+r}
	.end
	.for lane in 4
		VLD1.P 64(R9), [V16.B16, V17.B16, V18.B16, V19.B16]
		.if dotprod
			.for r in R
				.for v in 4
					SDOTLANE({4*r+v}, {16+v}, {24+r}, {lane})
				.end
			.end
		.else
			VDUP V24.S[{lane}], V25.S4
			.for v in 4
				.if lane == 0
					SMULLB({8+2*v}, {16+v}, 25)
					SMULL2B({9+2*v}, {16+v}, 25)
				.else
					SMLALB({8+2*v}, {16+v}, 25)
					SMLAL2B({9+2*v}, {16+v}, 25)
				.end
			.end
		.end
	.end
	.if neon
		.for v in 8
			SADALPH({v}, {8+v})
		.end
	.end
.end

.func multiplyCodes productArgs
	MOVD {a.dst}, R0
	MOVD {a.ldDst}, R1
	MOVD {a.z}, R2
	MOVD {a.q}, R3
	MOVD {a.rowBytes}, R4
	MOVD {a.rows}, R5
	MOVD {a.d}, R6
	MOVD {a.factor}, R7
	MOVD {a.base}, R8
	LSL  $2, R1

rows:
	MOVD R2, R9
	MOVD R3, R10
	MOVD R6, R14
	.for R in 4, 1
		.if R == 1 || dotprod
			.if R == 4
				CMP $4, R5
				BLT one
				ADD R4, R10, R11
				ADD R4, R11, R12
				ADD R4, R12, R13
			.else
			one:
			.end
			.for v in 4*R+4*neon
				VMOVI $0, V{v}.B16
			.end
		loop{R}:
			multiply
			SUBS $16, R14
			BNE  loop{R}
			.if neon
				.for v in 4
					VADDP V{2*v+1}.S4, V{2*v}.S4, V{v}.S4
				.end
			.end
			.for r in R
				finish {4*r}
			.end
			SUBS ${R}, R5
			BNE  rows
			RET
		.end
	.end
