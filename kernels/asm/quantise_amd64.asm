.levels avx2

.set HALF_BASE = 32
.long round 0x4b400000, {HALF_BASE} // 3<<22: adding it rounds to an integer; half of scanBase

// Shuffles within a half: the low bytes of 4 int32 go to the low int32, or to the
// next one; or the low int16 of 0, 2, 1 and 3 to the low int64.
.quad low 0x808080800c080400, 0x8080808080808080, \
	0x0c08040080808080, 0x8080808080808080, \
	0x0d0c050409080100, 0x8080808080808080

// integers leaves the integers of 8 channels in Y0 and adds them to Y5. It is the
// rounding of roundInt even for NaN.
.macro integers
	VMULPS (SI), Y6, Y0
	VADDPS Y7, Y0, Y0
	VPSUBD Y7, Y0, Y0
	VPADDD Y0, Y5, Y5
.end

// halves leaves the low int64 of both halves of a register as 4 int32: low, low,
// high, high.
.macro halves n
	VEXTRACTI128 $1, Y{n}, X1
	VPUNPCKLDQ   X1, X{n}, X{n}
.end

.for BITS in 8, 14
.func quantise{BITS} quantiseArgs int32
	MOVQ           {a.dst}, DI
	MOVQ           {a.x}, SI
	MOVQ           {a.n}, CX
	VBROADCASTSS   {a.inv}, Y6
	VBROADCASTSS   round<>+0(SB), Y7
	VBROADCASTI128 low<>+0(SB), Y8
	VPXOR          Y5, Y5, Y5
	.if BITS == 14
		VBROADCASTI128 low<>+16(SB), Y9
		VBROADCASTI128 low<>+32(SB), Y10
		VPBROADCASTD   round<>+4(SB), Y11
		LEAQ           (DI)(CX*1), R8  // lo
		LEAQ           (DI)(CX*2), R9  // pairs (x0, x2)
		LEAQ           (R8)(CX*2), R10 // pairs (x1, x3)
	.end

eight:
	integers
	.if BITS == 8
		VPSHUFB Y8, Y0, Y0
		halves 0
		VMOVQ   X0, (DI)
	.else
		VPADDD  Y11, Y0, Y2
		VPSRAD  $6, Y2, Y2 // hi
		VPSLLD  $6, Y2, Y3
		VPSUBD  Y3, Y0, Y3 // lo
		VPSHUFB Y8, Y2, Y2
		VPSHUFB Y9, Y3, Y3
		VPSHUFB Y10, Y0, Y0
		VPOR    Y3, Y2, Y2
		halves 0
		halves 2
		VMOVQ   X2, (DI)
		VMOVHPS X2, (R8)
		VMOVQ   X0, (R9)
		VMOVHPS X0, (R10)
		ADDQ    $8, R8
		ADDQ    $8, R9
		ADDQ    $8, R10
	.end
	ADDQ         $32, SI
	ADDQ         $8, DI
	SUBQ         $8, CX
	JNE          eight
	VEXTRACTI128 $1, Y5, X1
	VPADDD       X1, X5, X5
	VPSHUFD      $0x4e, X5, X1
	VPADDD       X1, X5, X5
	VPSHUFD      $0xb1, X5, X1
	VPADDD       X1, X5, X5
	VMOVD        X5, AX
	MOVL         AX, {ret}
	VZEROUPPER
	RET
.end

// Registers of encode:
//	DI   codes of the line     SI   x, channels of the line
//	R8   mean of the line      R9   spread of the line
//	R10  bytes per token of x  DX   channels left
//	R11  tokens left           R12, R13, R14, BX the same of the token
//	CX   8 channels left       AX   8 channels of the line
//
//	Y0   minus the codes: channels 4 apart are bits or pairs of bits
//	X7   where the next 8 channels belong, X8 steps of it, X9 how far apart 4 channels are
//	Y10  all ones with 2 bits  Y11 signs, Y12 zero, X13 every fourth byte

.quad every4th 0xffffffff0c080400, 0xffffffffffffffff

.func encode encodeArgs
	.slot most 8   // 8 channels of a line of codes
	.slot tokens 8
	MOVQ    {a.dst}, DI
	MOVQ    {a.x}, SI
	MOVQ    {a.mean}, R8
	MOVQ    {a.sd}, R9
	MOVQ    {a.d}, DX
	MOVQ    {a.n}, CX
	MOVQ    CX, {tokens}
	LEAQ    (DX*4), R10
	MOVQ    {a.bits}, CX
	MOVL    $8, AX
	SHRL    CX, AX
	MOVQ    AX, {most}
	VMOVD   CX, X9
	VPADDD  X9, X9, X8
	DECL    CX
	NEGL    CX
	VMOVD   CX, X10
	VPBROADCASTD X10, Y10
	VPCMPEQD Y11, Y11, Y11
	VPSLLD  $31, Y11, Y11
	VPXOR   Y12, Y12, Y12
	VMOVDQU every4th<>(SB), X13

line:
	MOVQ    {most}, AX
	MOVQ    DX, CX
	SHRQ    $3, CX
	CMPQ    CX, AX
	CMOVQLT CX, AX
	MOVQ    {tokens}, R11
	MOVQ    SI, R12
	MOVQ    DI, R15

token:
	MOVQ  R12, BX
	MOVQ  R8, R13
	MOVQ  R9, R14
	MOVQ  AX, CX
	VPXOR Y0, Y0, Y0
	VPXOR X7, X7, X7

eight:
	VMOVUPS (BX), Y1
	VSUBPS  (R13), Y1, Y1
	VMOVUPS (R14), Y2
	VXORPS  Y11, Y2, Y3
	VCMPPS  $0x1d, Y2, Y1, Y4
	VCMPPS  $0x1d, Y3, Y1, Y5
	VCMPPS  $0x1d, Y12, Y1, Y6
	VPADDD  Y5, Y4, Y4
	VPAND   Y10, Y4, Y4
	VPADDD  Y6, Y4, Y4
	VPSLLD  X7, Y4, Y4
	VPADDD  Y4, Y0, Y0
	VPADDD  X8, X7, X7
	ADDQ    $32, BX
	ADDQ    $32, R13
	ADDQ    $32, R14
	DECQ    CX
	JNE     eight

	VEXTRACTI128 $1, Y0, X1
	VPSLLD  X9, X1, X1
	VPADDD  X1, X0, X0
	VPSUBD  X0, X12, X0
	VPSHUFB X13, X0, X0
	VMOVD   X0, (R15)
	ADDQ    $4, R15
	ADDQ    R10, R12
	DECQ    R11
	JNE     token

	ADDQ $64, DI
	MOVQ R13, R8
	MOVQ R14, R9
	MOVQ AX, CX
	SHLQ $5, CX
	ADDQ CX, SI
	SHRQ $2, CX
	SUBQ CX, DX
	JGT  line
	VZEROUPPER
	RET
