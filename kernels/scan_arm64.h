// The end of a block of rows of the Scan kernels: V0-V3, V8-V11 and V16-V19 hold the
// integers of up to 3 rows. Adds the correction, scales and stores.
//
// Registers, beyond those of the kernels:
//	R10  q, row       R11  &dst[row][page]
//	R12  .. R14  scratch
//	V24  .. V27  scales of the pages
//	V28  scale of q   V29  correction

finish:
	ADD   R4<<2, R10, R12
	FMOVS (R12), F28
	MOVW  4(R12), R14
	MUL   R7, R14
	VDUP  R14, V29.S4
	VLD1  (R5), [V24.S4, V25.S4, V26.S4, V27.S4]
	VADD  V29.S4, V0.S4, V0.S4
	VADD  V29.S4, V1.S4, V1.S4
	VADD  V29.S4, V2.S4, V2.S4
	VADD  V29.S4, V3.S4, V3.S4
	SCVTF(0, 0)
	SCVTF(1, 1)
	SCVTF(2, 2)
	SCVTF(3, 3)
	FMULLANE0(24, 24, 28)
	FMULLANE0(25, 25, 28)
	FMULLANE0(26, 26, 28)
	FMULLANE0(27, 27, 28)
	FMUL(0, 0, 24)
	FMUL(1, 1, 25)
	FMUL(2, 2, 26)
	FMUL(3, 3, 27)
	CMP   $16, R6
	BLT   part
	VST1  [V0.S4, V1.S4, V2.S4, V3.S4], (R11)
	B     stored

part:
	MOVD $buf-64(SP), R12
	VST1 [V0.S4, V1.S4, V2.S4, V3.S4], (R12)
	MOVD R11, R13
	MOVD R6, R14

copy:
	FMOVS.P 4(R12), F24
	FMOVS.P F24, 4(R13)
	SUBS    $1, R14
	BNE     copy

stored:
	ADD  R8, R10
	ADD  R1, R11
	VMOV V8.B16, V0.B16
	VMOV V9.B16, V1.B16
	VMOV V10.B16, V2.B16
	VMOV V11.B16, V3.B16
	VMOV V16.B16, V8.B16
	VMOV V17.B16, V9.B16
	VMOV V18.B16, V10.B16
	VMOV V19.B16, V11.B16
	SUBS $1, R24
	BNE  finish
	B    rows

next:
	ADD  $64, R0
	ADD  R4<<4, R5
	ADD  $64, R5
	SUBS $16, R6
	BGT  tile
	RET
