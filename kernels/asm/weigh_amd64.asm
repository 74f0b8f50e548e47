.levels avx2 avx512

// For each vector: log2(e), C4 to C1 and 1 of expWeight (avx512: of the best polynomial from 0 to 1),
// lowest and magic of avx2, or -126; then -1, the largest logit negated, -Inf.
.if avx2
	.long weight {L}:0x3fb8aa3b, {L}:0x3c1d0168, {L}:0x3d64fe25, {L}:0x3e7601bc, {L}:0x3f317096, {L}:0x3f800000, \
		{L}:0xc2b00f34, {L}:0x4b40007f, {L}:0xbf800000, {L}:0xff7fffff, {L}:0xff800000
.else
	.long weight {L}:0x3fb8aa3b, {L}:0x3c5bfbb8, {L}:0x3d55fc28, {L}:0x3e77122a, {L}:0x3f316b63, {L}:0x3f800000, \
		{L}:0xc2fc0000, {L}:0, {L}:0xbf800000, {L}:0xff7fffff, {L}:0xff800000
.end
.long rise 4:0x41000000

// fold leaves in X0 what OP makes of all of V0, V1, V2 and V3, a lane each.
.macro fold OP
	.if avx512
		.for v in 4
			VEXTRACTF64X4 $1, Z{v}, Y{4+v}
			{OP} Y{4+v}, Y{v}, Y{v}
		.end
	.end
	VUNPCKLPS Y1, Y0, Y4
	VUNPCKHPS Y1, Y0, Y5
	VUNPCKLPS Y3, Y2, Y6
	VUNPCKHPS Y3, Y2, Y7
	{OP} Y5, Y4, Y4
	{OP} Y7, Y6, Y6
	VUNPCKLPD Y6, Y4, Y0
	VUNPCKHPD Y6, Y4, Y1
	{OP} Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	{OP} X1, X0, X0
.end

// Registers of raise and weigh:
//	DI  x of 4 rows     BX  from a row to the next, R9 three times that
//	R8  bytes of a row  R15 rows left
//	R13 max             R14 sum
//	SI  x               CX  bytes left, or from the row's begin
.list rowAfter = , (BX*1), (BX*2), (R9*1)

.macro rowsOf4
	MOVQ {a.x}, DI
	MOVQ {a.ld}, BX
	MOVQ {a.n}, R8
	MOVQ {a.rows}, R15
	MOVQ {a.max}, R13
	SHLQ $2, BX
	SHLQ $2, R8
	LEAQ (BX)(BX*2), R9
.end

// VMAXPS yields its second source, the running maximum, if x is NaN.
.func raise rowsArgs bool
	rowsOf4
	VMOVUPS rise<>+0(SB), X9
	VXORPS  X10, X10, X10
	VMOVUPS weight<>+{10*W}(SB), V11

four:
	.for r in 4
		VMOVAPS V11, V{r}
	.end
	MOVQ DI, SI
	MOVQ R8, CX

columns:
	.for i in 128/W
		.for r in 4
			VMOVUPS {W*i}(SI){rowAfter[r]}, V{4+r}
			VMAXPS  V{r}, V{4+r}, V{r}
		.end
	.end
	ADDQ $128, SI
	SUBQ $128, CX
	JNE  columns
	fold VMAXPS
	VMOVUPS   (R13), X1
	VADDPS    X9, X1, X2
	VCMPPS    $0x1e, X2, X0, X2 // greater
	VBLENDVPS X2, X0, X1, X1
	VORPS     X2, X10, X10
	VMOVUPS   X1, (R13)
	ADDQ      $16, R13
	LEAQ      (DI)(BX*4), DI
	SUBQ      $4, R15
	JNE       four
	VMOVMSKPS X10, CX
	TESTL     CX, CX
	SETNE     {ret}
	VZEROUPPER
	RET

// Two vectors in turns: one after the other, what waits fills the schedulers. The L1 cache is asked for
// the rows that raise is called with next: 32 rows of 144 floats ahead, as in rows_tile.go.
.set AHEAD = 32*144*4
.func weigh rowsArgs
	.slot sums 256
	rowsOf4
	MOVQ {a.sum}, R14
	.for v in 8
		VMOVUPS weight<>+{W*v}(SB), V{8+v}
	.end

four:
	MOVQ DI, SI
	.for r in 4
		VBROADCASTSS {4*r}(R13), V7
		VMAXPS weight<>+{9*W}(SB), V7, V7
		VMULPS weight<>+{8*W}(SB), V7, V7
		VXORPS V6, V6, V6
		XORL   CX, CX
	columns{r}:
		.for line in 2
			PREFETCHT0 {64*line+AHEAD}(SI)(CX*1)
		.end
		.for pair in 64/W
			.for i in 2
				VADDPS {W*(2*pair+i)}(SI)(CX*1), V7, V{3*i}
			.end
			.if avx2
				.for i in 2
					VMAXPS V{3*i}, V14, V{3*i} // x-m, also if that is NaN
				.end
				.for i in 2
					VMOVAPS V15, V{3*i+1}
					VFMADD231PS V8, V{3*i}, V{3*i+1}
				.end
				.for i in 2
					VSUBPS V15, V{3*i+1}, V{3*i+2}
				.end
				.for i in 2
					VFMSUB213PS V{3*i+2}, V8, V{3*i} // f
				.end
				.for i in 2
					VPSLLD $23, V{3*i+1}, V{3*i+1}
				.end
			.else
				.for i in 2
					VMULPS V8, V{3*i}, V{3*i} // t
				.end
				.for i in 2
					VREDUCEPS $9, V{3*i}, V{3*i+1}
				.end
				.for i in 2
					VCMPPS $0x15, V14, V{3*i}, K{1+i} // not less, also if that is NaN
				.end
			.end
			.for i in 2
				VMOVAPS V9, V{3*i+2}
			.end
			.for c in 4
				.for i in 2
					.if avx2
						VFMADD213PS V{10+c}, V{3*i}, V{3*i+2}
					.else
						VFMADD213PS V{10+c}, V{3*i+1}, V{3*i+2}
					.end
				.end
			.end
			.for i in 2
				.if avx2
					VMULPS  V{3*i+1}, V{3*i+2}, V{3*i+2}
				.else
					VSCALEFPS.Z V{3*i}, V{3*i+2}, K{1+i}, V{3*i+2}
				.end
			.end
			.for i in 2
				VADDPS  V{3*i+2}, V6, V6
				VMOVUPS V{3*i+2}, {W*(2*pair+i)}(SI)(CX*1)
			.end
		.end
		ADDQ $128, CX
		CMPQ CX, R8
		JNE  columns{r}
		ADDQ BX, SI
		VMOVUPS V6, {sums+W*r}
	.end
	.for r in 4
		VMOVUPS {sums+W*r}, V{r}
	.end
	fold VADDPS
	VADDPS  (R14), X0, X0
	VMOVUPS X0, (R14)
	ADDQ    $16, R13
	ADDQ    $16, R14
	LEAQ    (DI)(BX*4), DI
	SUBQ    $4, R15
	JNE     four
	VZEROUPPER
	RET
