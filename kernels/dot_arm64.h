// The frame of the Dot kernels: walks over the tokens, four at a time, and over
// blocks of rows. ROWS4 to ROWS1 do a block; their sums end in V0, V4, V8 and V12,
// one lane per token, and R19 at the next row. Up to three tokens are left in the
// end: the block is then filled up with the first of them, so that all sums
// are made alike, and only part of it is stored.
//
// Registers:
//	R0   &dst[0][token]    R1   bytes per dst row
//	R2   q                 R3   rows
//	R4   d                 R5   K
//	R6   stride            R7   &cells[token]
//	R8   tokens left       R9   bytes of a row of K
//	R10  .. R13  rows of K
//	R14  .. R17, R20 .. R22  free for ROWSn
//	R19  q of the block    R23  counter, then rows of the block
//	R24  rows left         R25  &dst[row][token]
//	R26  tokens of the block

quad:
	SUBS    $4, R8
	BLT     tail
	MOVD    $4, R26
	LDPSW.P 8(R7), (R10, R11)
	LDPSW.P 8(R7), (R12, R13)
	MADD    R6, R5, R10, R10
	MADD    R6, R5, R11, R11
	MADD    R6, R5, R12, R12
	MADD    R6, R5, R13, R13
	CMP     $16, R8
	BLT     start

	// The four tokens that are 16 further on, to the line of their last byte.
	LDPSW 48(R7), (R14, R15)
	LDPSW 56(R7), (R16, R17)
	MADD  R6, R5, R14, R14
	MADD  R6, R5, R15, R15
	MADD  R6, R5, R16, R16
	MADD  R6, R5, R17, R17
	SUB   $1, R9, R23

fetch:
	PRFM (R14), PLDL2KEEP
	PRFM (R15), PLDL2KEEP
	PRFM (R16), PLDL2KEEP
	PRFM (R17), PLDL2KEEP
	ADD  $64, R14
	ADD  $64, R15
	ADD  $64, R16
	ADD  $64, R17
	SUBS $64, R23
	BGE  fetch
	ADD  R23, R14
	ADD  R23, R15
	ADD  R23, R16
	ADD  R23, R17
	PRFM (R14), PLDL2KEEP
	PRFM (R15), PLDL2KEEP
	PRFM (R16), PLDL2KEEP
	PRFM (R17), PLDL2KEEP
	B    start

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
	CMP $3, R24
	BEQ rows3
	BLT rows21
	CMP $5, R24 // 3+2 keeps more sums in flight than 4+1
	BEQ rows3

	ROWS4
	MOVD $4, R23
	B    store

rows3:
	ROWS3
	MOVD $3, R23
	B    store

rows21:
	CMP  $2, R24
	BLT  rows1
	ROWS2
	MOVD $2, R23
	B    store

rows1:
	CBZ  R24, next
	ROWS1
	MOVD $1, R23

store:
	SUB R23, R24

storeRow:
	TBZ   $2, R26, storePart
	FMOVQ F0, (R25)
	B     stored

storePart:
	MOVD    R25, R14
	TBZ     $1, R26, storeOne
	FMOVD.P F0, 8(R14)
	VEXT    $8, V0.B16, V0.B16, V0.B16
	TBZ     $0, R26, stored

storeOne:
	FMOVS F0, (R14)

stored:
	ADD  R1, R25
	VMOV V4.B16, V0.B16
	VMOV V8.B16, V4.B16
	VMOV V12.B16, V8.B16
	SUBS $1, R23
	BNE  storeRow
	B    rows

next:
	ADD $16, R0
	B   quad

done:
	RET
