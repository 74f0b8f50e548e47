.levels neon dotprod

#include "neon_arm64.h"
.include floats_arm64.inc

// Logits of keys: four tokens at a time, and over them blocks of rows. Up to three tokens are left
// in the end: the block is then filled up with the first of them, so that all sums are made alike,
// and only part of it is stored.
//
//	R0   &dst[0][token]    R1   bytes per dst row
//	R2   q                 R3   rows
//	R4   d                 R5   K
//	R6   stride            R7   &cells[token]
//	R8   tokens left       R9   bytes of a row of K
//	R10  .. R13  rows of K    R14 .. R17  their channels
//	R19  .. R22  rows of q
//	R23  channels left     R24  rows left
//	R25  &dst[row][token]  R26  tokens of the block
//
// Sums of row r are V{4*r} to V{4*r+3}, of which the first is left, a lane a token.

// Floats: V16 to V23 hold 8 channels of each row of q, V24 to V27 of two tokens.

// multiply adds the channels from v on of a token to its sums with R rows.
.macro multiply token v
	.for h in 2
		.for r in R
			VFMLA V{v+h}.S4, V{16+2*r+h}.S4, V{4*r+token}.S4
		.end
	.end
.end

.macro blockOfFloats
	.for v in 4*R
		VMOVI $0, V{v}.B16
	.end
	.for r in R
		.if r > 0
			ADD R4<<2, R{18+r}, R{19+r}
		.end
	.end
	MOVD R4, R23
loop{R}:
	.for r in R
		FLDPQ.P 32(R{19+r}), (F{16+2*r}, F{17+2*r})
	.end
	convert R14, 24 // a token is converted while the one before is multiplied
	.for token in 3
		convert R{15+token}, {24+2*(1-token%2)}
		multiply {token}, {24+2*(token%2)}
	.end
	multiply 3, 26
	SUBS $8, R23
	BNE  loop{R}
	MOVD R{18+R}, R19
	.for r in R // the sums over lanes
		FADDP({4*r}, {4*r}, {4*r+1})
		FADDP({4*r+2}, {4*r+2}, {4*r+3})
		FADDP({4*r}, {4*r}, {4*r+2})
	.end
.end

// Quantised: a row of q is d int8, d/32 scales and as many integers that these kernels do not need.
// Sums of a block of 32 channels are exact integers.
//
//	R23  from the int8 of a row of q to the scale of the block
//	V1, V2, V3, V5   integer sums of a token; V6, V7 products
//	V16  .. V23  int8 of four tokens
//	V24, V25     int8 of q        V26  scale of q
//	V28  scales of four tokens    V30, V31  8 and 15
.list SUM = 1, 2, 3, 5

// integers loads the block of a token.
.macro integers token
	.if token == 0
		VLD1R.P 2(R14), [V28.H4]
	.else
		VLD1.P 2(R{14+token}), V28.H[{token}]
	.end
	.set v = 16+2*token
	.if TYPE == "Q8"
		VLD1.P 32(R{14+token}), [V{v}.B16, V{v+1}.B16]
	.else
		FMOVQ.P 16(R{14+token}), F{v}
		VUSHR   $4, V{v}.B16, V{v+1}.B16
		VAND    V31.B16, V{v}.B16, V{v}.B16
		VSUB    V30.B16, V{v+1}.B16, V{v+1}.B16
		VSUB    V30.B16, V{v}.B16, V{v}.B16
	.end
.end

// products leaves those of a token's int8 and q's in four partial sums. Two fit in 16 bits, as q is
// never -128.
.macro products token
	.set v = 16+2*token
	.if dotprod
		VMOVI $0, V{SUM[token]}.B16
		SDOT({SUM[token]}, {v}, 24)
		SDOT({SUM[token]}, {v+1}, 25)
	.else
		SMULLB(6, {v}, 24)
		SMULLB(7, {v+1}, 25)
		SMLAL2B(6, {v}, 24)
		SMLAL2B(7, {v+1}, 25)
		SADDLPH({SUM[token]}, 6)
		SADALPH({SUM[token]}, 7)
	.end
.end

.macro blockOfIntegers
	ADD R4>>2, R4, R23 // bytes of a row of q
	.for r in R
		.if r > 0
			ADD R23, R{18+r}, R{19+r}
		.end
		VMOVI $0, V{4*r}.B16
	.end
	MOVD R4, R23
loop{R}:
	.for token in 4
		integers {token}
	.end
	FCVTL(28, 28)
	.for r in R
		FMOVS   (R{19+r})(R23), F26
		FLDPQ.P 32(R{19+r}), (F24, F25)
		.for token in 4
			products {token}
		.end
		FMULLANE0(26, 28, 26)
		VADDP V2.S4, V1.S4, V1.S4
		VADDP V5.S4, V3.S4, V3.S4
		VADDP V3.S4, V1.S4, V1.S4
		SCVTF(1, 1)
		VFMLA V26.S4, V1.S4, V{4*r}.S4
	.end
	SUB $28, R23 // the int8 advance by 32, scales by 4
	CMP R4>>3, R23
	BNE loop{R}
	ADD R4>>2, R{18+R}, R19
.end

.macro store r
	TBZ   $2, R26, part{R}{r}
	FMOVQ F{4*r}, (R25)
	B     stored{R}{r}
part{R}{r}:
	MOVD    R25, R14
	TBZ     $1, R26, last{R}{r}
	FMOVD.P F{4*r}, 8(R14)
	VEXT    $8, V{4*r}.B16, V{4*r}.B16, V{4*r}.B16
	TBZ     $0, R26, stored{R}{r}
last{R}{r}:
	FMOVS F{4*r}, (R14)
stored{R}{r}:
	ADD R1, R25
.end

.for TYPE in F32, F16, BF16, Q8, Q4
.if neon || TYPE == "Q8" || TYPE == "Q4"
.func dot{TYPE} blockArgs
	MOVD {a.out}, R0
	MOVD {a.ldOut}, R1
	MOVD {a.in}, R2
	MOVD {a.rows}, R3
	MOVD {a.d}, R4
	MOVD {a.base}, R5
	MOVD {a.stride}, R6
	MOVD {a.size}, R9
	MOVD {a.cells}, R7
	MOVD {a.n}, R8
	LSL  $2, R1
	.if TYPE == "BF16"
		VMOVI $0, V31.B16
	.end
	.if TYPE == "Q4"
		VMOVI $8, V30.B16
		VMOVI $15, V31.B16
	.end

quad:
	SUBS    $4, R8
	BLT     tail
	MOVD    $4, R26
	LDPSW.P 8(R7), (R10, R11)
	LDPSW.P 8(R7), (R12, R13)
	.for t in 4
		MADD R6, R5, R{10+t}, R{10+t}
	.end
	CMP $16, R8
	BLT start

	// The four tokens that are 16 further on, to the line of their last byte.
	LDPSW 48(R7), (R14, R15)
	LDPSW 56(R7), (R16, R17)
	.for t in 4
		MADD R6, R5, R{14+t}, R{14+t}
	.end
	SUB $1, R9, R23

fetch:
	.for t in 4
		PRFM (R{14+t}), PLDL2KEEP
	.end
	.for t in 4
		ADD $64, R{14+t}
	.end
	SUBS $64, R23
	BGE  fetch
	.for t in 4
		ADD  R23, R{14+t}
		PRFM (R{14+t}), PLDL2KEEP
	.end
	B start

tail:
	ADDS   $4, R8, R26
	BEQ    done
	MOVD   ZR, R8
	MOVW.P 4(R7), R10
	MADD   R6, R5, R10, R10
	MOVD   R10, R11
	MOVD   R10, R12
	MOVD   R10, R13
	CMP    $2, R26
	BLT    start
	MOVW.P 4(R7), R11
	MADD   R6, R5, R11, R11
	BEQ    start
	MOVW.P 4(R7), R12
	MADD   R6, R5, R12, R12

start:
	MOVD R2, R19
	MOVD R3, R24
	MOVD R0, R25

rows:
	CBZ R24, next
	.for t in 4
		MOVD R{10+t}, R{14+t}
	.end
	CMP $5, R24 // 3+2 keeps more sums in flight than 4+1
	BEQ start3
	.for i in 4
		.set R = 4-i
	rows{R}:
		.if R > 1
			CMP ${R}, R24
			BLT rows{R-1}
		.end
	start{R}:
		.if TYPE == "Q8" || TYPE == "Q4"
			blockOfIntegers
		.else
			blockOfFloats
		.end
		.for r in R
			store {r}
		.end
		SUB ${R}, R24
		B   rows
	.end

next:
	ADD $16, R0
	B   quad

done:
	RET
.end
.end
