.levels neon dotprod

#include "neon_arm64.h"

.if neon

// Registers of decodeCodes:
//	R0  z        R2  codes
//	R4  d        R5  channel      R6  16 if a line of codes lasts for 32 channels
//	V24 minus bits, V26 mask of a code
.func decodeCodes decodeArgs
	MOVD {a.z}, R0
	MOVD {a.bits}, R1
	MOVD {a.codes}, R2
	MOVD {a.d}, R4
	NEG  R1, R5
	VDUP R5, V24.B16
	MOVD $3, R7
	MOVD $0, R6
	CMP  $1, R1
	BNE  codes
	MOVD $1, R7
	MOVD $16, R6

codes:
	VDUP R7, V26.B16
	MOVD $0, R5

lane:
	TST   R6, R5
	BNE   atHand
	VLD1.P 64(R2), [V0.B16, V1.B16, V2.B16, V3.B16]

atHand:
	.for n in 4
		.for v in 4
			VAND V26.B16, V{v}.B16, V{4+v}.B16
			USHLB({v}, {v}, 24)
		.end
		VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)
	.end
	ADD $16, R5
	CMP R4, R5
	BNE lane
	RET

// Registers of weighSpreads:
//	R0  dst      R1  even channels of q, R2 odd ones
//	R3  a lane of the page        R4  channels left
//	V0  sums     V31 mask of spreads in words, of 12 bits more
.func weighSpreads weightArgs
	MOVD  {a.dst}, R0
	MOVD  {a.q}, R1
	MOVD  {a.odd}, R2
	ADD   R1, R2, R2
	MOVD  {a.lanes}, R3
	MOVD  {a.d}, R4
	MOVD  {a.sum}, R5
	MOVD  $0x7000, R6
	VDUP  R6, V31.H8
	VMOVI $0, V0.B16

spreads:
	FMOVQ (R3), F4
	ADD   $64, R3
	VSHL  $7, V4.H8, V5.H8
	VUSHR $1, V4.H8, V4.H8
	VAND  V31.B16, V5.B16, V5.B16
	VAND  V31.B16, V4.B16, V4.B16
	FMOVQ.P 16(R1), F2
	FMOVQ.P 16(R2), F3
	SQRDMULHH(2, 2, 5)
	SQRDMULHH(3, 3, 4)
	VADD  V3.H8, V2.H8, V5.H8
	SADALPH(0, 5)
	VTRN1 V3.B16, V2.B16, V2.B16
	VST1.P [V2.B16], 16(R0)
	SUBS  $16, R4
	BNE   spreads
	VADDP V0.S4, V0.S4, V0.S4
	VADDP V0.S4, V0.S4, V0.S4
	FMOVS F0, (R5)
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
