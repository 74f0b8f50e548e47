.levels neon

#include "neon_arm64.h"

// Registers of the functions of vectors:
//	R0  dst, to be read   R1  x       R2  elements left
//	R3  y                 R4  dst, to be written: loads need not wait for an address from a store
//	V0 .. V3  dst         V4 .. V7    x

// while and again are the ends of a loop over n vectors, as long as there are so many among R2
// elements.
.macro while n
loop{n}:
	SUBS ${4*n}, R2
	BLT  rest{n}
.end

.macro again n
	B loop{n}
rest{n}:
	ADD ${4*n}, R2
.end

// load and store move n vectors, 4 or 2, from number v on.
.macro load p n v
	.if n == 4
		VLD1.P {p}, [V{v}.S4, V{v+1}.S4, V{v+2}.S4, V{v+3}.S4]
	.else
		VLD1.P {p}, [V{v}.S4, V{v+1}.S4]
	.end
.end

.macro store n v
	.if n == 4
		VST1.P [V{v}.S4, V{v+1}.S4, V{v+2}.S4, V{v+3}.S4], 64(R4)
	.else
		VST1.P [V{v}.S4, V{v+1}.S4], 32(R4)
	.end
.end

.for NAME in scale, axpby
.func {NAME} elemArgs
	MOVD {a.dst}, R0
	MOVD R0, R4
	MOVD {a.n}, R2
	.if NAME != "scale"
		MOVD {a.x}, R1
	.end
	FMOVS {a.s}, F20
	VDUP  V20.S[0], V20.S4
	FMOVS {a.t}, F21
	VDUP  V21.S[0], V21.S4
	.for n in 4, 2
		while {n}
		load {16*n}(R0), {n}, 0
		.if NAME != "scale"
			load {16*n}(R1), {n}, 4
		.end
		.for i in n
			.if NAME == "scale"
				FMUL({i}, {i}, 20)
			.end
			.if NAME == "axpby"
				FMUL({4+i}, {4+i}, 21)
				VFMLA V{i}.S4, V20.S4, V{4+i}.S4
				VMOV  V{4+i}.B16, V{i}.B16
			.end
		.end
		store {n}, 0
		again {n}
	.end
	RET
.end

// maxAdd takes all rows for some vectors of dst. Besides: R5 bytes per row of x, R6 what they are
// raised by, R7 rows; R8 to R11 the row, the same, rows left, and x there.
.func maxAdd maxAddArgs
	MOVD {a.dst}, R0
	MOVD R0, R4
	MOVD {a.x}, R1
	MOVD {a.ld}, R5
	LSL  $2, R5
	MOVD {a.by}, R6
	MOVD {a.rows}, R7
	MOVD {a.n}, R2
	.for n in 4, 2
		while {n}
		load {16*n}(R0), {n}, 0
		MOVD R1, R8
		MOVD R6, R9
		MOVD R7, R10
	row{n}:
		VLD1R.P 4(R9), [V20.S4]
		MOVD R8, R11
		load {16*n}(R11), {n}, 4
		.for i in n
			FADD({4+i}, {4+i}, 20)
			FCMGT({24+i}, {4+i}, {i})
			VBIT V{24+i}.B16, V{4+i}.B16, V{i}.B16
		.end
		ADD  R5, R8
		SUBS $1, R10
		BNE  row{n}
		store {n}, 0
		ADD ${16*n}, R1
		again {n}
	.end
	RET

// maxAddSqrt likewise: R5 and R6 are bytes per row of x and y.
.func maxAddSqrt maxAddSqrtArgs
	MOVD  {a.dst}, R4
	MOVD  {a.x}, R1
	MOVD  {a.y}, R3
	MOVD  {a.ldX}, R5
	LSL   $2, R5
	MOVD  {a.ldY}, R6
	LSL   $2, R6
	MOVD  {a.rows}, R7
	MOVD  {a.n}, R2
	FMOVS {a.beta}, F20
	VDUP  V20.S[0], V20.S4
	VMOVI $0, V31.B16
	MOVD  $0xff800000, R8 // -Inf
	VDUP  R8, V30.S4
	.for n in 4, 2
		while {n}
		.for i in n
			VMOV V30.B16, V{i}.B16
		.end
		MOVD R1, R8
		MOVD R3, R9
		MOVD R7, R10
	row{n}:
		MOVD R8, R11
		load {16*n}(R11), {n}, 4
		MOVD R9, R11
		load {16*n}(R11), {n}, 16
		.for i in n
			FMAX({16+i}, {16+i}, 31) // a NaN stays
			FSQRT({16+i}, {16+i})
			VFMLA V{16+i}.S4, V20.S4, V{4+i}.S4
			FCMGT({24+i}, {4+i}, {i})
			VBIT V{24+i}.B16, V{4+i}.B16, V{i}.B16
		.end
		ADD  R5, R8
		ADD  R6, R9
		SUBS $1, R10
		BNE  row{n}
		store {n}, 0
		ADD ${16*n}, R1
		ADD ${16*n}, R3
		again {n}
	.end
	RET

.func absMax rowArgs float32
	MOVD {a.x}, R0
	MOVD {a.n}, R2
	MOVD $0x7fffffff, R3
	VDUP R3, V16.S4
	.for i in 4
		VMOVI $0, V{4+i}.B16
	.end
	.for n in 4, 2
		while {n}
		load {16*n}(R0), {n}, 0
		.for i in n
			VAND  V16.B16, V{i}.B16, V{i}.B16
			VUMAX V{i}.S4, V{4+i}.S4, V{4+i}.S4
		.end
		again {n}
	.end
	VUMAX V5.S4, V4.S4, V4.S4
	VUMAX V7.S4, V6.S4, V6.S4
	VUMAX V6.S4, V4.S4, V4.S4
	UMAXV(4, 4)
	FMOVS F4, {ret}
	RET

.func toF16 toF16Args
	MOVD {a.dst}, R0
	MOVD {a.src}, R1
	MOVD {a.n}, R2
	.set v = 4
	// Magnitude, 65504, the largest finite number, sign.
	.for c in 0x7fffffff, 0x477fe000, 0x7f7fffff, 0x80000000
		MOVD ${c}, R3
		VDUP R3, V{v}.S4
		.set v = v + 1
	.end

eight:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	.for i in 2
		VAND  V4.B16, V{i}.B16, V{16+i}.B16
		CMGT({18+i}, {16+i}, 6)
		VBIF  V{18+i}.B16, V5.B16, V{18+i}.B16 // Inf and NaN: all ones, no limit
		VUMIN V{18+i}.S4, V{16+i}.S4, V{16+i}.S4
		VBIT  V7.B16, V{i}.B16, V{16+i}.B16
	.end
	FCVTN(16, 16)
	FCVTN2(16, 17)
	FMOVQ.P F16, 16(R0)
	SUBS    $8, R2
	BNE     eight
	RET

// A lane's bit in the mask of four lanes, and above 256 to count them.
.long bits 0x101, 0x102, 0x104, 0x108
.long iota 0, 1, 2, 3

// For each mask the bytes of the lanes in it, for TBL.
.long lanes 0, 0, 0, 0, \
	0x03020100, 0, 0, 0, \
	0x07060504, 0, 0, 0, \
	0x03020100, 0x07060504, 0, 0, \
	0x0b0a0908, 0, 0, 0, \
	0x03020100, 0x0b0a0908, 0, 0, \
	0x07060504, 0x0b0a0908, 0, 0, \
	0x03020100, 0x07060504, 0x0b0a0908, 0, \
	0x0f0e0d0c, 0, 0, 0, \
	0x03020100, 0x0f0e0d0c, 0, 0, \
	0x07060504, 0x0f0e0d0c, 0, 0, \
	0x03020100, 0x07060504, 0x0f0e0d0c, 0, \
	0x0b0a0908, 0x0f0e0d0c, 0, 0, \
	0x03020100, 0x0b0a0908, 0x0f0e0d0c, 0, \
	0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0, \
	0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c

// Registers of above:
//	R3   lanes    R4, R5  scratch
//	V16  t        V17  16
//	V18  bits     V19  4
//	V20  indices  V21  scratch

.func above aboveArgs int
	MOVD  {a.dst}, R0
	MOVD  {a.x}, R1
	MOVD  {a.n}, R2
	FMOVS {a.t}, F16
	VDUP  V16.S[0], V16.S4
	MOVD  $bits<>(SB), R3
	FMOVQ (R3), F18
	MOVD  $iota<>(SB), R3
	FMOVQ (R3), F20
	MOVD  $16, R3
	VDUP  R3, V17.S4
	MOVD  $4, R3
	VDUP  R3, V19.S4
	MOVD  $lanes<>(SB), R3
	B     loop4

none:
	VADD V17.S4, V20.S4, V20.S4

	.for n in 4, 2
		while {n}
		load {16*n}(R1), {n}, 0
		.for i in n
			FCMGE({i}, {i}, 16)
		.end
		.if n == 4
			VORR  V0.B16, V1.B16, V4.B16
			VORR  V2.B16, V3.B16, V5.B16
			VORR  V4.B16, V5.B16, V4.B16
			VADDV V4.S4, V4 // minus the lanes that have any
			VMOV  V4.S[0], R4
			CBZ   R4, none
		.end
		// All four lanes are stored: no more indices were written than elements seen, so there is
		// room.
		.for i in n
			VAND  V18.B16, V{i}.B16, V{i}.B16
			VADDV V{i}.S4, V{i}
			VMOV  V{i}.S[0], R4
			AND   $255, R4, R5
			ADD   R5<<4, R3, R5
			FMOVQ (R5), F21
			VTBL  V21.B16, [V20.B16], V21.B16
			FMOVQ F21, (R0)
			LSR   $8, R4
			ADD   R4<<2, R0
			VADD  V19.S4, V20.S4, V20.S4
		.end
		again {n}
	.end
	MOVD {a.dst}, R1
	SUB  R1, R0
	LSR  $2, R0
	MOVD R0, {ret}
	RET
