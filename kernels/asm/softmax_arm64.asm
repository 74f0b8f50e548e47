.levels neon

#include "neon_arm64.h"

// The same values as in scalar.go, in the order of V19 to V30: log2(e), 3<<22, which rounds, ln2Hi,
// ln2Lo, cutoff, 1, C2 to C7.
.long expc 0x3fb8aa3b, 0x4b400000, 0x3f318000, 0xb95e8083, 0xc2ae999a, 0x3f800000, \
	0x3f000000, 0x3e2aaaaa, 0x3d2aa9c1, 0x3c088908, 0x3ab743ce, 0x39506967

// constants brings them, and 0 to V31.
.macro constants
	MOVD $expc<>(SB), R3
	.for v in 12
		VLD1R.P 4(R3), [V{19+v}.S4]
	.end
	VMOVI $0, V31.B16
.end

// exp replaces x by exp(x), for x <= 0 or NaN. It overwrites V4 to
// V9. After 3<<22 was added, m is in the low bits of V4; shifted into the exponent
// it makes V4 = 2^m, a normal number above the cutoff. What is below gets masked,
// and NaN comes through r.
.macro exp x
	VMOV  V20.B16, V4.B16
	VFMLA V{x}.S4, V19.S4, V4.S4
	FCMGT(9, 23, {x}) // x < cutoff
	FSUB(5, 4, 20) // m
	VFMLS V5.S4, V21.S4, V{x}.S4
	VFMLS V5.S4, V22.S4, V{x}.S4 // r
	VSHL  $23, V4.S4, V4.S4
	VADD  V24.S4, V4.S4, V4.S4 // 2^m
	FMUL(5, {x}, {x}) // r^2
	VMOV  V25.B16, V6.B16
	VMOV  V27.B16, V7.B16
	VMOV  V29.B16, V8.B16
	VFMLA V{x}.S4, V26.S4, V6.S4 // C2 + C3*r
	VFMLA V{x}.S4, V28.S4, V7.S4 // C4 + C5*r
	VFMLA V{x}.S4, V30.S4, V8.S4 // C6 + C7*r
	VFMLA V8.S4, V5.S4, V7.S4
	VFMLA V7.S4, V5.S4, V6.S4 // P
	VFMLA V6.S4, V5.S4, V{x}.S4 // r + r^2*P
	FMUL({x}, {x}, 4)
	FADD({x}, {x}, 4) // 2^m + 2^m*(r + r^2*P)
	VBIT  V9.B16, V31.B16, V{x}.B16
.end

// some loads R1 < 4 floats at R0 to the first lanes of V0.
.macro some
	.set at = at+1
	MOVD   R0, R2
	VLD1.P 4(R2), V0.S[0]
	CMP    $2, R1
	BLT    loaded{at}
	VLD1.P 4(R2), V0.S[1]
	BEQ    loaded{at}
	VLD1   (R2), V0.S[2]
loaded{at}:
.end

// larger keeps the larger of each pair in m. A NaN in x is passed over.
.macro larger m x
	FCMGT(16, {x}, {m})
	VBIT V16.B16, V{x}.B16, V{m}.B16
.end

// Registers of softmaxRow:
//	R0   x, to be read     R1   elements left     R2  scratch
//	R3   x, to be written: loads need not wait for an address from a store
//	R7   max               R8   sum               R12 elements
//	V0 .. V3  x     V4 .. V9  of exp
//	V12 .. V15  maxima, then sums   V16 masks    V18  the new maximum
//	V19 .. V31  constants

.func softmaxRow softmaxArgs bool
	.set at = 0
	MOVD {a.x}, R0
	MOVD {a.n}, R12
	MOVD {a.max}, R7
	MOVD {a.sum}, R8
	constants
	MOVD  R0, R3
	MOVD  R12, R1
	FMOVS (R7), F12
	.for v in 4
		VDUP V12.S[0], V{15-v}.S4
	.end

max16:
	SUBS   $16, R1
	BLT    maxRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	.for v in 4
		larger {12+v}, {v}
	.end
	B max16

maxRest:
	ADD $16, R1
	larger 12, 13
	larger 14, 15
	larger 12, 14

max4:
	SUBS   $4, R1
	BLT    maxTail
	VLD1.P 16(R0), [V0.S4]
	larger 12, 0
	B max4

maxTail:
	ADDS $4, R1
	BEQ  maxReduce
	VMOV V12.B16, V0.B16
	some
	larger 12, 0

maxReduce:
	VEXT  $8, V12.B16, V12.B16, V0.B16
	larger 12, 0
	VEXT  $4, V12.B16, V12.B16, V0.B16
	larger 12, 0
	FMOVS F12, (R7)
	VMOV  V12.S[0], R1
	MOVD  $0xff800000, R2
	CMPW  R2, R1
	BEQ   masked
	VDUP  V12.S[0], V18.S4
	MOVD  R3, R0
	MOVD  R12, R1
	.for v in 4
		VMOVI $0, V{12+v}.B16
	.end

	.for n in 4, 1
	exp{n}:
		SUBS ${4*n}, R1
		BLT  expRest{n}
		.if n == 4
			VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
		.else
			VLD1.P 16(R0), [V0.S4]
		.end
		.for v in n
			FSUB({v}, {v}, 18)
		.end
		.for v in n
			exp {v}
			FADD({12+v}, {12+v}, {v})
		.end
		.if n == 4
			VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R3)
		.else
			VST1.P [V0.S4], 16(R3)
		.end
		B exp{n}
	expRest{n}:
		ADDS ${4*n}, R1
	.end
	BEQ  sumReduce
	MOVD $0xff800000, R2 // lanes that are not loaded become 0
	VDUP R2, V0.S4
	some
	FSUB(0, 0, 18)
	exp 0
	FADD(13, 13, 0)
	TBZ     $1, R1, one
	FMOVD.P F0, 8(R3)
	VEXT    $8, V0.B16, V0.B16, V0.B16
	TBZ     $0, R1, sumReduce

one:
	FMOVS F0, (R3)

sumReduce:
	FADD(12, 12, 13)
	FADD(14, 14, 15)
	FADD(12, 12, 14)
	FADDP(12, 12, 12)
	FADDP(12, 12, 12)
	FMOVS F12, (R8)

	MOVB  ZR, {ret}
	RET

masked:
	MOVW ZR, (R8)
	MOVD $1, R11
	MOVB R11, {ret}
	RET

// expSum adds up roughExp, see scalar.go, of multiples of 16 numbers. A NaN becomes 0.
// Registers: R0 x, R1 elements left, R3 the same for the second time, R7 max, V12 to V15 maxima, then
// sums, V18 the new maximum, V19 cutoff, V20 scale, V21 bias.
.func expSum expSumArgs float32
	MOVD {a.x}, R0
	MOVD {a.n}, R1
	MOVD {a.max}, R7
	MOVD R0, R3
	MOVD R1, R4
	FMOVS (R7), F12
	.for v in 4
		VDUP V12.S[0], V{15-v}.S4
	.end

largest:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	.for v in 4
		larger {12+v}, {v}
	.end
	SUBS $16, R1
	BNE  largest
	larger 12, 13
	larger 14, 15
	larger 12, 14
	VEXT  $8, V12.B16, V12.B16, V0.B16
	larger 12, 0
	VEXT  $4, V12.B16, V12.B16, V0.B16
	larger 12, 0
	FMOVS F12, (R7)
	VMOV  V12.S[0], R1
	VDUP  V12.S[0], V18.S4
	.for v in 4
		VMOVI $0, V{12+v}.B16
	.end
	MOVD $0xff800000, R2
	CMPW R2, R1
	BEQ  summed
	MOVD $0xc2ae0000, R2
	VDUP R2, V19.S4
	MOVD $0x4b38aa3b, R2
	VDUP R2, V20.S4
	MOVD $0x4e7de2d1, R2
	VDUP R2, V21.S4

sum:
	VLD1.P 64(R3), [V0.S4, V1.S4, V2.S4, V3.S4]
	.for v in 4
		FSUB({v}, {v}, 18)
		FMAX({v}, {v}, 19)
		VMOV  V21.B16, V{4+v}.B16
		VFMLA V{v}.S4, V20.S4, V{4+v}.S4
		FCVTNS({4+v}, {4+v})
		FADD({12+v}, {12+v}, {4+v})
	.end
	SUBS $16, R4
	BNE  sum
	FADD(12, 12, 13)
	FADD(14, 14, 15)
	FADD(12, 12, 14)
	FADDP(12, 12, 12)
	FADDP(12, 12, 12)

summed:
	FMOVS F12, {ret}
	RET

// Registers of softCap, which makes x c*(1-t)/(1+t) with t = exp(|x|*f), signed as x:
//	R0  x, to be read   R1  elements left   R3  x, to be written
//	V10 the old x       V11 scratch         V12 sign bit
//	V13 c               V14 f = -2/c

.func softCap elemArgs
	MOVD  {a.dst}, R0
	MOVD  {a.n}, R1
	FMOVS {a.s}, F13
	FMOVS {a.t}, F14
	VDUP  V13.S[0], V13.S4
	VDUP  V14.S[0], V14.S4
	MOVD  $0x80000000, R2
	VDUP  R2, V12.S4
	constants
	MOVD R0, R3

eight:
	VLD1.P 32(R0), [V0.S4, V1.S4]
	.for x in 2
		VMOV V{x}.B16, V10.B16
		FABS({x}, {x})
		FMUL({x}, {x}, 14)
		exp {x}
		FSUB(11, 24, {x})
		FADD({x}, 24, {x})
		FDIV({x}, 11, {x})
		FMUL({x}, {x}, 13)
		VBIT V12.B16, V10.B16, V{x}.B16
	.end
	VST1.P [V0.S4, V1.S4], 32(R3)
	SUBS   $8, R1
	BNE    eight
	RET
