.levels neon

#include "neon_arm64.h"

// Weighted sums of values. Tiles of 16 tokens stay in the L1 cache while blocks of 4 to 1
// rows and of 16 or 32 channels go over them, their sums in registers. For each
// block of rows the weights of the tile are laid out by token, so that one load
// fetches those of four rows for FMLA by lane. Rows missing from four stand for
// the last one again where channels are left: it is then computed, and stored, more than once.
//
// A token is converted between the multiplications of the one before, which keeps
// the units busy that can convert; the last token is converted twice.
//
//	R0   acc               R1   bytes per row of acc
//	R2   &p[0][token]      R3   bytes per row of p
//	R4   rows              R5   d
//	R6   V                 R7   stride
//	R8   &cells[token]     R9   tokens left after the tile
//	R10  &ptrs[token]      R11  &weights[token]
//	R12  V, token          R13  offset of the channel in a row of V
//	R14  counter           R15  channels left
//	R16  acc, block        R17  p, block
//	R19  .. R22  acc, rows of the block
//	R23  tokens of the tile
//	R24  rows left         R25  rows of the block
//	R26  scratch
//	V0   .. V15  sums      V16  weights
//	V20  .. V23  channels  V24  .. V27  channels to convert
//	V17  .. V19, V28 .. V31  constants

// begin starts a pass over the tile, token goes to the next token.
.macro begin
	MOVD ${ptrs}, R10
	MOVD ${weights}, R11
	MOVD R23, R14
.end

.macro token
	MOVD.P 8(R10), R12
	ADD    R13, R12
.end

// fetch prepares channels 16*h to 16*h+15 of the token at R12, or, where h is -1, 16 of them; of a
// block of 32 the half that R15, the channels left, tells: V29 is the shift for it, 0 or -4.
.macro fetch h
	.if TYPE == "F32" && h == 1
		ADD $64, R12
	.end
	.if TYPE == "F16" || TYPE == "BF16"
		.if h == 1
			FLDPQ 32(R12), (F24, F25)
		.else
			FLDPQ (R12), (F24, F25)
		.end
	.end
	.if QUANTISED
		.if h != 1
			VLD1R (R12), [V28.H4]
			FCVTL(28, 28)
		.end
		.if TYPE == "Q8"
			.if h == -1
				AND   $16, R15, R26
				ADD   R26, R12
				FMOVQ 2(R12), F24
			.else
				FMOVQ {2+16*h}(R12), F24
			.end
			VEOR V31.B16, V24.B16, V24.B16
			widen 24
		.else
			.if h != 1
				FMOVQ 2(R12), F24
			.end
			.if h == -1
				USHLB(24, 24, 29)
			.end
			.if h == 0
				VUSHR $4, V24.B16, V27.B16
			.end
			.if h == 1
				widen 27
			.else
				VAND V31.B16, V24.B16, V24.B16
				widen 24
			.end
		.end
	.end
.end

// widen makes 16 bytes 16-bit integers; V17 is 0. With the half 0x4b00 of V18 above, such an
// integer is 2^23 more as a float32, and V30, 2^23 and the bytes' zero point, is subtracted: that
// takes fewer of the units that can convert.
.macro widen v
	VZIP1 V17.B16, V{v}.B16, V25.B16
	VZIP2 V17.B16, V{v}.B16, V26.B16
.end

// part converts the i-th 4 of 16 channels.
.macro part i
	.if TYPE == "F32"
		FMOVQ {16*i}(R12), F{20+i}
	.end
	.if TYPE == "F16"
		.if i%2 == 0
			FCVTL({20+i}, {24+i/2})
		.else
			FCVTL2({20+i}, {24+i/2})
		.end
	.end
	.if TYPE == "BF16" // the upper half of a float32; V31 is 0
		VZIP{1+i%2} V{24+i/2}.H8, V31.H8, V{20+i}.H8
	.end
	.if QUANTISED
		VZIP{1+i%2} V18.H8, V{25+i/2}.H8, V{20+i}.H8
		FSUB({20+i}, {20+i}, 30)
	.end
.end

// weight loads the weights of a token, times the scale of its block: there are fewer of them than
// channels.
.macro weight
	FMOVQ.P 16(R11), F16
	.if QUANTISED
		FMUL(16, 16, 28)
	.end
.end

// move reads or writes the sums of R rows and 4*VECTORS channels.
.macro move OP
	.for r in R
		.for i in VECTORS/2
			.if OP == "load"
				FLDPQ {32*i}(R{19+r}), (F{VECTORS*r+2*i}, F{VECTORS*r+2*i+1})
			.else
				FSTPQ (F{VECTORS*r+2*i}, F{VECTORS*r+2*i+1}), {32*i}(R{19+r})
			.end
		.end
	.end
.end

// products adds those of 16 channels, the h-th, with R rows, and converts the next ones.
.macro products h
	.for i in 4
		.for r in R
			FMLALANE({VECTORS*r+4*h+i}, {20+i}, 16, {r})
		.end
		part {i}
	.end
.end

.for TYPE in F32, F16, BF16, Q8, Q4
.set QUANTISED = TYPE == "Q8" || TYPE == "Q4"
.func acc{TYPE} blockArgs
	.keep size
	.slot ptrs 136
	.slot weights 256
	MOVD {a.out}, R0
	MOVD {a.ldOut}, R1
	MOVD {a.in}, R2
	MOVD {a.ldIn}, R3
	MOVD {a.rows}, R4
	MOVD {a.d}, R5
	MOVD {a.base}, R6
	MOVD {a.stride}, R7
	MOVD {a.cells}, R8
	MOVD {a.n}, R9
	LSL  $2, R1
	LSL  $2, R3
	.if TYPE == "F32"
		.set BYTES = 4
	.end
	.if TYPE == "F16"
		.set BYTES = 2
	.end
	.if TYPE == "BF16"
		.set BYTES = 2
		VMOVI $0, V31.B16
	.end
	.if TYPE == "Q8"
		.set BLOCK = 34
		.set ZERO = 128
		VMOVI $128, V31.B16
	.end
	.if TYPE == "Q4"
		.set BLOCK = 18
		.set ZERO = 8
		VMOVI $0, V29.B16
		VMOVI $15, V31.B16
	.end
	.if QUANTISED
		VMOVI $0, V17.B16
		MOVD  $0x4b00, R10
		VDUP  R10, V18.H8
		MOVD  ${0x4b000000+ZERO}, R10
		VDUP  R10, V30.S4
	.end

tile:
	MOVD $16, R23
	CMP  R23, R9
	CSEL LT, R9, R23, R23
	SUB  R23, R9
	MOVD ${ptrs}, R10
	MOVD R23, R14

ptr:
	MOVW.P 4(R8), R11
	MADD   R7, R6, R11, R11
	MOVD.P R11, 8(R10)
	SUBS   $1, R14
	BNE    ptr
	MOVD   R11, (R10) // for what is converted ahead of the last token

	// The next tile, to the line of the last byte of each row.
	MOVD $16, R14
	CMP  R14, R9
	CSEL LT, R9, R14, R14
	CBZ  R14, start
	MOVD {size}, R13
	SUB  $1, R13
	MOVD R8, R10

fetchRow:
	MOVW.P 4(R10), R11
	MADD   R7, R6, R11, R11
	MOVD   R13, R12

fetchLine:
	PRFM (R11), PLDL2KEEP
	ADD  $64, R11
	SUBS $64, R12
	BGE  fetchLine
	ADD  R12, R11
	PRFM (R11), PLDL2KEEP
	SUBS $1, R14
	BNE  fetchRow

start:
	MOVD R0, R16
	MOVD R2, R17
	MOVD R4, R24

rows:
	CBZ  R24, tileDone
	MOVD $4, R25
	CMP  $4, R24
	CSEL LT, R24, R25, R25
	CMP  $5, R24
	BNE  chosen
	MOVD $3, R25

chosen:
	SUB  R25, R24
	MOVD R16, R19
	MOVD R17, R10
	.for r in 3 // a missing row is the one before
		ADD  R1, R{19+r}, R{20+r}
		CMP  ${2+r}, R25
		CSEL LT, R{19+r}, R{20+r}, R{20+r}
	.end
	MADD R25, R16, R1, R16
	ADD  R3, R10, R12
	CMP  $2, R25
	CSEL LT, R10, R12, R12
	ADD  R3, R12, R13
	CMP  $3, R25
	CSEL LT, R12, R13, R13
	ADD  R3, R13, R14
	CMP  $4, R25
	CSEL LT, R13, R14, R14
	MADD R25, R17, R3, R17
	MOVD ${weights}, R11
	MOVD R23, R15

stage4:
	SUBS   $4, R15
	BLT    stageRest
	VLD1.P 16(R10), [V0.S4]
	VLD1.P 16(R12), [V1.S4]
	VLD1.P 16(R13), [V2.S4]
	VLD1.P 16(R14), [V3.S4]
	VST4.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R11)
	B      stage4

stageRest:
	ADDS $4, R15
	BEQ  staged

stage1:
	FMOVS.P 4(R10), F0
	FMOVS.P 4(R12), F1
	FMOVS.P 4(R13), F2
	FMOVS.P 4(R14), F3
	.for r in 4
		FMOVS F{r}, {4*r}(R11)
	.end
	ADD  $16, R11
	SUBS $1, R15
	BNE  stage1

staged:
	MOVD ZR, R13
	MOVD R5, R15
	.for R in 4, 3, 2, 1
		.set VECTORS = 4 // of 4 channels: 32 channels where there are registers for them
		.set H = -1
		.if R < 3
			.set VECTORS = 8
			.set H = 0
		.end
		.if R > 1
			CMP ${R}, R25
			BNE not{R}
		.end
	block{R}:
		CMP ${4*VECTORS}, R15
		BLT last
		begin
		token
		fetch {H}
		.for i in 4
			part {i}
		.end
		weight
		move load
	loop{R}:
		.if R < 3
			fetch 1
			products 0
		.end
		token
		fetch {H}
		products {R < 3}
		weight
		SUBS $1, R14
		BNE  loop{R}
		move store
		.for r in 4
			ADD ${16*VECTORS}, R{19+r}
		.end
		SUB ${4*VECTORS}, R15
		.if QUANTISED
			.if R > 2
				.if TYPE == "Q4"
					AND  $16, R15, R26
					NEG  R26>>2, R26
					VDUP R26, V29.B16
				.end
				TBNZ $4, R15, block{R}
			.end
			ADD ${BLOCK}, R13
		.else
			ADD ${4*VECTORS*BYTES}, R13
		.end
		B block{R}
	not{R}:
	.end

last: // the channels that are left, 8 at a time; none where V is quantised
	CBZ R15, rows
	.if !QUANTISED
		begin
		.for r in 4
			FLDPQ (R{19+r}), (F{4*r}, F{4*r+1})
		.end
	loop8:
		token
		FMOVQ.P 16(R11), F16
		.if TYPE != "F32"
			FMOVQ (R12), F24
		.end
		.for i in 2
			part {i}
		.end
		.for r in 4
			.for i in 2
				FMLALANE({4*r+i}, {20+i}, 16, {r})
			.end
		.end
		SUBS $1, R14
		BNE  loop8
		.for r in 4
			FSTPQ.P (F{4*r}, F{4*r+1}), 32(R{19+r})
		.end
		SUB $8, R15
		ADD ${8*BYTES}, R13
		B   last
	.end

tileDone:
	ADD  R23<<2, R2
	CBNZ R9, tile
	RET
.end
