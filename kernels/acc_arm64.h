// The Acc kernels. Tiles of 16 tokens stay in the L1 cache while blocks of 4 to 1
// rows and of 16 or 32 channels go over them, their sums in registers. For each
// block of rows the weights of the tile are laid out by token, so that one load
// fetches those of four rows for FMLA by lane. Rows missing from four stand for
// the last one again: it is then computed, and stored, more than once.
//
// A token is converted between the multiplications of the one before, which keeps
// the units busy that can convert; the last token is converted twice.
//
// Included by acc_arm64.s with the macros
//	FETCH    prepares channels 0-15 of the token at R12; where V is quantised, the
//	         half of a block that R15, the channels left, tells
//	FETCHA   prepares channels 0-15, FETCHB, after it, 16-31
//	FETCH8   prepares channels 0-7
//	PART0 .. PART3  then convert 4 channels to V20 .. V23
//	WEIGHT   loads the weights to V16, and may scale them
//	NEXT32, NEXT16, NEXT8  advance R13 by so many channels; R15 is what is left
//
// Registers:
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
//	V20  .. V23  channels
//	V17  .. V19, V24 .. V31  scratch and constants of the macros

tile:
	MOVD $16, R23
	CMP  R23, R9
	CSEL LT, R9, R23, R23
	SUB  R23, R9
	MOVD $ptrs-144(SP), R10
	MOVD R23, R14

ptr:
	MOVW.P 4(R8), R11
	MADD   R7, R6, R11, R11
	MOVD.P R11, 8(R10)
	SUBS   $1, R14
	BNE    ptr
	MOVD   R11, (R10)       // for what is converted ahead of the last token

	// The next tile, to the line of the last byte of each row.
	MOVD $16, R14
	CMP  R14, R9
	CSEL LT, R9, R14, R14
	CBZ  R14, start
	MOVD size+64(FP), R13
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
	ADD  R1, R19, R20
	CMP  $2, R25
	CSEL LT, R19, R20, R20
	ADD  R1, R20, R21
	CMP  $3, R25
	CSEL LT, R20, R21, R21
	ADD  R1, R21, R22
	CMP  $4, R25
	CSEL LT, R21, R22, R22
	MADD R25, R16, R1, R16

	MOVD R17, R10
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

	MOVD $weights-400(SP), R11
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
	FMOVS   F0, (R11)
	FMOVS   F1, 4(R11)
	FMOVS   F2, 8(R11)
	FMOVS   F3, 12(R11)
	ADD     $16, R11
	SUBS    $1, R15
	BNE     stage1

staged:
	MOVD ZR, R13
	MOVD R5, R15
	CMP  $2, R25
	BLE  narrow

	// 4 or 3 rows.
wide:
	CMP $16, R15
	BLT last
	TOKENS
	TOKEN
	FETCH
	PARTS
	CMP $3, R25
	BEQ pass3

	FLDPQ (R19), (F0, F1)
	FLDPQ 32(R19), (F2, F3)
	FLDPQ (R20), (F4, F5)
	FLDPQ 32(R20), (F6, F7)
	FLDPQ (R21), (F8, F9)
	FLDPQ 32(R21), (F10, F11)
	FLDPQ (R22), (F12, F13)
	FLDPQ 32(R22), (F14, F15)

loop4:
	TOKEN
	FETCH
	FMLALANE(0, 20, 16, 0)
	FMLALANE(4, 20, 16, 1)
	FMLALANE(8, 20, 16, 2)
	FMLALANE(12, 20, 16, 3)
	PART0
	FMLALANE(1, 21, 16, 0)
	FMLALANE(5, 21, 16, 1)
	FMLALANE(9, 21, 16, 2)
	FMLALANE(13, 21, 16, 3)
	PART1
	FMLALANE(2, 22, 16, 0)
	FMLALANE(6, 22, 16, 1)
	FMLALANE(10, 22, 16, 2)
	FMLALANE(14, 22, 16, 3)
	PART2
	FMLALANE(3, 23, 16, 0)
	FMLALANE(7, 23, 16, 1)
	FMLALANE(11, 23, 16, 2)
	FMLALANE(15, 23, 16, 3)
	PART3
	WEIGHT
	SUBS $1, R14
	BNE  loop4

	FSTPQ (F12, F13), (R22)
	FSTPQ (F14, F15), 32(R22)

wideDone:
	FSTPQ (F0, F1), (R19)
	FSTPQ (F2, F3), 32(R19)
	FSTPQ (F4, F5), (R20)
	FSTPQ (F6, F7), 32(R20)
	FSTPQ (F8, F9), (R21)
	FSTPQ (F10, F11), 32(R21)
	ADD   $64, R19
	ADD   $64, R20
	ADD   $64, R21
	ADD   $64, R22
	SUB   $16, R15
	NEXT16
	B     wide

pass3:
	FLDPQ (R19), (F0, F1)
	FLDPQ 32(R19), (F2, F3)
	FLDPQ (R20), (F4, F5)
	FLDPQ 32(R20), (F6, F7)
	FLDPQ (R21), (F8, F9)
	FLDPQ 32(R21), (F10, F11)

loop3:
	TOKEN
	FETCH
	FMLALANE(0, 20, 16, 0)
	FMLALANE(4, 20, 16, 1)
	FMLALANE(8, 20, 16, 2)
	PART0
	FMLALANE(1, 21, 16, 0)
	FMLALANE(5, 21, 16, 1)
	FMLALANE(9, 21, 16, 2)
	PART1
	FMLALANE(2, 22, 16, 0)
	FMLALANE(6, 22, 16, 1)
	FMLALANE(10, 22, 16, 2)
	PART2
	FMLALANE(3, 23, 16, 0)
	FMLALANE(7, 23, 16, 1)
	FMLALANE(11, 23, 16, 2)
	PART3
	WEIGHT
	SUBS $1, R14
	BNE  loop3
	B    wideDone

	// 2 rows or 1.
narrow:
	CMP $32, R15
	BLT last
	TOKENS
	TOKEN
	FETCHA
	PARTS
	CMP $1, R25
	BEQ pass1

	FLDPQ (R19), (F0, F1)
	FLDPQ 32(R19), (F2, F3)
	FLDPQ 64(R19), (F4, F5)
	FLDPQ 96(R19), (F6, F7)
	FLDPQ (R20), (F8, F9)
	FLDPQ 32(R20), (F10, F11)
	FLDPQ 64(R20), (F12, F13)
	FLDPQ 96(R20), (F14, F15)

loop2:
	FETCHB
	FMLALANE(0, 20, 16, 0)
	FMLALANE(8, 20, 16, 1)
	PART0
	FMLALANE(1, 21, 16, 0)
	FMLALANE(9, 21, 16, 1)
	PART1
	FMLALANE(2, 22, 16, 0)
	FMLALANE(10, 22, 16, 1)
	PART2
	FMLALANE(3, 23, 16, 0)
	FMLALANE(11, 23, 16, 1)
	PART3
	TOKEN
	FETCHA
	FMLALANE(4, 20, 16, 0)
	FMLALANE(12, 20, 16, 1)
	PART0
	FMLALANE(5, 21, 16, 0)
	FMLALANE(13, 21, 16, 1)
	PART1
	FMLALANE(6, 22, 16, 0)
	FMLALANE(14, 22, 16, 1)
	PART2
	FMLALANE(7, 23, 16, 0)
	FMLALANE(15, 23, 16, 1)
	PART3
	WEIGHT
	SUBS $1, R14
	BNE  loop2

	FSTPQ (F8, F9), (R20)
	FSTPQ (F10, F11), 32(R20)
	FSTPQ (F12, F13), 64(R20)
	FSTPQ (F14, F15), 96(R20)

narrowDone:
	FSTPQ (F0, F1), (R19)
	FSTPQ (F2, F3), 32(R19)
	FSTPQ (F4, F5), 64(R19)
	FSTPQ (F6, F7), 96(R19)
	ADD   $128, R19
	ADD   $128, R20
	ADD   $128, R21
	ADD   $128, R22
	SUB   $32, R15
	NEXT32
	B     narrow

pass1:
	FLDPQ (R19), (F0, F1)
	FLDPQ 32(R19), (F2, F3)
	FLDPQ 64(R19), (F4, F5)
	FLDPQ 96(R19), (F6, F7)

loop1:
	FETCHB
	FMLALANE(0, 20, 16, 0)
	PART0
	FMLALANE(1, 21, 16, 0)
	PART1
	FMLALANE(2, 22, 16, 0)
	PART2
	FMLALANE(3, 23, 16, 0)
	PART3
	TOKEN
	FETCHA
	FMLALANE(4, 20, 16, 0)
	PART0
	FMLALANE(5, 21, 16, 0)
	PART1
	FMLALANE(6, 22, 16, 0)
	PART2
	FMLALANE(7, 23, 16, 0)
	PART3
	WEIGHT
	SUBS $1, R14
	BNE  loop1
	B    narrowDone

	// Channels that are left, 8 at a time; none where V is quantised.
last:
	CBZ   R15, rows
	TOKENS
	FLDPQ (R19), (F0, F1)
	FLDPQ (R20), (F4, F5)
	FLDPQ (R21), (F8, F9)
	FLDPQ (R22), (F12, F13)

loop8:
	TOKEN
	FMOVQ.P 16(R11), F16
	FETCH8
	PART0
	PART1
	FMLALANE(0, 20, 16, 0)
	FMLALANE(1, 21, 16, 0)
	FMLALANE(4, 20, 16, 1)
	FMLALANE(5, 21, 16, 1)
	FMLALANE(8, 20, 16, 2)
	FMLALANE(9, 21, 16, 2)
	FMLALANE(12, 20, 16, 3)
	FMLALANE(13, 21, 16, 3)
	SUBS    $1, R14
	BNE     loop8

	FSTPQ.P (F0, F1), 32(R19)
	FSTPQ.P (F4, F5), 32(R20)
	FSTPQ.P (F8, F9), 32(R21)
	FSTPQ.P (F12, F13), 32(R22)
	SUB     $8, R15
	NEXT8
	B       last

tileDone:
	ADD  R23<<2, R2
	CBNZ R9, tile
	RET
