.levels neon dotprod

#include "neon_arm64.h"

// Summaries of 4 bits: 16 pages, one row.
//
//	R0   &mean[0], R1 &spread[0]
//	R2   q                     R3   d
//	R5   tile: scales          R6   tile, 4 pages of 16 channels
//	R7   4 pages left          R8   channels left
//	R9 .. R12  q's channels: hi and lo bytes, or even and odd words with neon; the same of squares
//	V28 mask of means, V30 squares of 0 to 7
//	V16 .. V19 means, V20 .. V23 squares of spreads
//
// Sums are SUMS times 4, a page each, before those of squares as many.
.if dotprod
	.set SUMS = 2
	.set Q = 24
.else
	.set SUMS = 1
	.set Q = 12
.end

// score makes scores of V0 and stores them.
.macro score to
	SCVTF(0, 0)
	FMULLANE0(26, 24, 25)
	FMUL(0, 0, 26)
	VST1.P [V0.S4], 16({to})
.end

.func scan4 scan4Args
	MOVD  {a.mean}, R0
	MOVD  {a.spread}, R1
	MOVD  {a.q}, R2
	MOVD  {a.d}, R3
	MOVD  {a.tiles}, R5
	MOVD  (R5), R5
	ADD   $64, R5, R6
	VMOVI $31, V28.B16
	MOVD  $0x3124191009040100, R7
	VDUP  R7, V30.D2
	MOVD  $255, R7
	VDUP  R7, V31.H8
	MOVD  $4, R7

pages:
	.if dotprod
		MOVD R2, R9
	.else
		ADD R3<<1, R2, R9
	.end
	ADD  R3, R9, R10
	ADD  R3<<2, R9, R11
	ADD  $8, R11
	ADD  R3, R11, R12
	MOVD R3, R8
	.for v in 8*SUMS
		VMOVI $0, V{v}.B16
	.end

loop:
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16]
	.for v in 4
		VUSHR $5, V{16+v}.B16, V{20+v}.B16
		VTBL  V{20+v}.B16, [V30.B16], V{20+v}.B16
		VAND  V28.B16, V{16+v}.B16, V{16+v}.B16
	.end
	.for i in 4
		FMOVQ.P 16(R{9+i}), F{Q+i}
	.end
	.for i in 4
		.for v in 4
			.if dotprod
				SDOT({4*i+v}, {16+i/2*4+v}, {Q+i})
			.else
				.if i%2 == 0
					VUSHR $8, V{16+2*i+v}.H8, V26.H8
					VAND  V31.B16, V{16+2*i+v}.B16, V{16+2*i+v}.B16
					.for odd in 2
						SMLALH({2*i+v}, {(16+2*i+v)*(1-odd)+26*odd}, {Q+i+odd})
						SMLAL2H({2*i+v}, {(16+2*i+v)*(1-odd)+26*odd}, {Q+i+odd})
					.end
				.end
			.end
		.end
	.end
	SUBS $16, R8
	BNE  loop

	.for i in 2*SUMS // adds the 4 lanes of each page
		VADDP V{4*i+1}.S4, V{4*i}.S4, V{4*i}.S4
		VADDP V{4*i+3}.S4, V{4*i+2}.S4, V{4*i+2}.S4
		VADDP V{4*i+2}.S4, V{4*i}.S4, V{4*i}.S4
	.end
	.if dotprod
		.for i in 0, 8
			VSHL $6, V{i}.S4, V{i}.S4
			VADD V{i+4}.S4, V{i}.S4, V{i}.S4
		.end
	.end
	ADD   R3<<2, R2, R9
	ADD   R3<<2, R9, R10
	MOVW  4(R9), R11 // the zero point of means: 16 times the sum of q
	VDUP  R11, V1.S4
	VSHL  $4, V1.S4, V1.S4
	VSUB  V1.S4, V0.S4, V0.S4
	FMOVQ.P 16(R5), F27
	VUSHR $16, V27.S4, V24.S4
	VSHL  $16, V24.S4, V24.S4
	FMOVS (R9), F25
	score R0
	VSHL  $16, V27.S4, V24.S4
	FMUL(24, 24, 24)
	FMOVS 8(R10), F25
	VMOV  V{4*SUMS}.B16, V0.B16
	score R1
	SUBS  $1, R7
	BNE   pages
	RET
