.levels neon dotprod

#include "neon_arm64.h"

// Summaries of 8 bits.
//
//	R0   &dst[0][page]     R1   bytes per dst row
//	R2   q                 R3   rows
//	R4   d                 R5   tile
//	R6   pages left        R7   correction by the sum of q
//	R8   bytes of a row of q
//	R9   rows left         R10  q, row
//	R11  &dst[row][page]   R13  tile, channel
//	R14  channels left     R12, R17 scratch
//	R15 .. R16, R19, R20, R21, R22  two parts of q for each row, channel
//
// Sums of row r are V{8*r} to V{8*r+7}: with dotprod those of the bytes hi of q and those of lo, of
// 4 pages each; with neon of two pages each, in halves that are yet to be added. V24 and V25, or
// more, are the tile.

.if dotprod
	.set ROWS = 3
	.set Q = 28 // 8 bytes hi and 8 bytes lo of each row
.else
	.set ROWS = 2
	.set Q = 26 // two for each row
.end
.list part0 = R15, R16, R21
.list part1 = R19, R20, R22

// step multiplies 8 channels with dotprod, 4 with neon.
.macro step
	.if dotprod
		.for r in R
			FMOVD.P 8({part0[r]}), F{Q+r}
			VLD1.P  8({part1[r]}), V{Q+r}.D[1]
		.end
		.for lane in 2
			VLD1.P 64(R13), [V24.B16, V25.B16, V26.B16, V27.B16]
			.for v in 4
				VEOR V31.B16, V{24+v}.B16, V{24+v}.B16 // makes the bytes signed
			.end
			.for r in R
				.for v in 4
					SDOTLANE({8*r+v}, {24+v}, {Q+r}, {lane})
				.end
				.for v in 4
					SDOTLANE({8*r+4+v}, {24+v}, {Q+r}, {2+lane})
				.end
			.end
		.end
		SUBS $8, R14
	.else
		.for r in R
			VLD1R.P 4({part0[r]}), [V{Q+2*r}.S4]
			VLD1R.P 4({part1[r]}), [V{Q+2*r+1}.S4]
		.end
		.for v in 4
			FMOVQ.P 16(R13), F24
			VUSHR   $8, V24.H8, V25.H8
			VAND    V31.B16, V24.B16, V24.B16
			.for r in R
				.for odd in 2
					SMLALH({8*r+2*v}, {24+odd}, {Q+2*r+odd})
					SMLAL2H({8*r+2*v+1}, {24+odd}, {Q+2*r+odd})
				.end
			.end
		.end
		SUBS $4, R14
	.end
.end

// score makes scores of the sums of row r, stores them, and goes on to the next row.
.macro score r
	.for v in 4
		.if dotprod
			VSHL $6, V{8*r+v}.S4, V{8*r+v}.S4
			VADD V{8*r+4+v}.S4, V{8*r+v}.S4, V{8*r+v}.S4
		.else
			VADDP V{8*r+2*v+1}.S4, V{8*r+2*v}.S4, V{8*r+v}.S4
		.end
	.end
	ADD   R4<<2, R10, R12
	FMOVS (R12), F28
	MOVW  4(R12), R17
	MUL   R7, R17
	VDUP  R17, V29.S4
	VLD1  (R5), [V24.S4, V25.S4, V26.S4, V27.S4]
	.for v in 4
		VADD V29.S4, V{8*r+v}.S4, V{8*r+v}.S4
		SCVTF({8*r+v}, {8*r+v})
		FMULLANE0({24+v}, {24+v}, 28)
		FMUL({8*r+v}, {8*r+v}, {24+v})
	.end
	CMP  $16, R6
	BLT  part{R}{r}
	VST1 [V{8*r}.S4, V{8*r+1}.S4, V{8*r+2}.S4, V{8*r+3}.S4], (R11)
	B    stored{R}{r}
part{R}{r}:
	MOVD ${scores}, R12
	VST1 [V{8*r}.S4, V{8*r+1}.S4, V{8*r+2}.S4, V{8*r+3}.S4], (R12)
	MOVD R11, R13
	MOVD R6, R17
copy{R}{r}:
	FMOVS.P 4(R12), F24
	FMOVS.P F24, 4(R13)
	SUBS    $1, R17
	BNE     copy{R}{r}
stored{R}{r}:
	ADD R8, R10
	ADD R1, R11
.end

.func scan scanArgs
	.slot scores 64
	MOVD {a.dst}, R0
	MOVD {a.ldDst}, R1
	MOVD {a.q}, R2
	MOVD {a.rows}, R3
	MOVD {a.d}, R4
	MOVD {a.tiles}, R5
	MOVD {a.n}, R6
	MOVD {a.sign}, R7
	NEG  R7, R7
	LSL  $2, R1
	LSL  $2, R4, R8
	ADD  $8, R8
	.if dotprod
		ADD   $128, R7 // the bytes are 128 too low
		VMOVI $128, V31.B16
	.else
		MOVD $255, R9
		VDUP R9, V31.H8
	.end

tile:
	MOVD R2, R10
	MOVD R0, R11
	MOVD R3, R9

rows:
	CBZ  R9, next
	ADD  $64, R5, R13
	MOVD R4, R14
	.if dotprod
		MOVD R10, R15
	.else
		ADD R4<<1, R10, R15
	.end
	ADD R8, R15, R16
	ADD R8, R16, R21
	ADD R4, R15, R19
	ADD R4, R16, R20
	ADD R4, R21, R22
	.if dotprod
		CMP $4, R9
		BEQ start2
	.end
	.for i in ROWS
		.set R = ROWS-i
	rows{R}:
		.if R > 1
			CMP ${R}, R9
			BLT rows{R-1}
		.end
	start{R}:
		.for v in 8*R
			VMOVI $0, V{v}.B16
		.end
	loop{R}:
		step
		BNE loop{R}
		.for r in R
			score {r}
		.end
		SUB ${R}, R9
		B   rows
	.end

next:
	ADD  $64, R0
	ADD  R4<<4, R5
	ADD  $64, R5
	SUBS $16, R6
	BGT  tile
	RET
