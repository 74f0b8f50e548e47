.levels avx2 avx512

// Estimates by residual codes, of up to 4 rows of q. First each row gets its weights in a page:
// channels of q times the page's spreads, rounded to int8. Then 4 channels of 16 tokens, 64 bytes,
// which a shift and a mask make of codes, are multiplied with 4 weights of a row, broadcast from
// memory. Weights are those of the next page, so that products need not wait for them, and ports
// that multiply have work while others make weights. With avx2 the sums of 64 channels, 32 pairs of
// 762, are within 16 bits.
//
// Both times:
//	SI   place of the weights in work, R15 of those that are multiplied; they change places
//	R11  pages whose weights are left  DX   d, padded     CX   channel
//	R13, R14  bytes per row of weights, and 3 times that
// Weights:
//	R8   the page             BX   a lane of it
//	AX, DI  even and odd channels of q         R9, R10  bytes per row, and 3 times that
//	R12  weights
// Products:
//	AX   weights              BX   codes of the page
//	R12  {twice}              DI   dst, of the row

// Offsets in a place: of each row, FACTOR and BASE; then the weights.
.set FACTOR = 0  // the value of a step between codes
.set BASE = 16   // the estimate where all codes are 0
.set WEIGHTS = 64
.set PAGE = 32   // size of a Coded

.if avx2
	.set SPREAD = 8  // mask of spreads in words, of 12 bits more
	.set ODD = 9     // mask of odd bytes
	.set ONES = 10   // bytes
	.set UNIT = 12
	.set MIDDLE = 13
	.set CODE = 10   // mask of codes
	.set SHIFT = 11
	.quad consts 4:0x7000700070007000, 4:0xff00ff00ff00ff00, 4:0x0101010101010101, \
		4:0x0001000100010001
.else
	.set SPREAD = 24
	.set EVEN = 25
	.set ONES = 26
	.set CODE = 27
	.set SHIFT = 28
	.set UNIT = 29
	.set MIDDLE = 30
.end

// Of 1 and 2 bits: mask of codes, value of a step between them, and how many steps their middle is
// above 0.
.long levels 0x01010101, 0x3fcccccd, 0x3f000000, 0, \
	0x03030303, 0x3f800000, 0x3fc00000, 0

.list row = , (R9*1), (R9*2), (R10*1)
.list weightsOf = , (R13*1), (R13*2), (R14*1)

.macro zero n
	.for v in n
		.if avx512
			VPXORD V{v}, V{v}, V{v}
		.else
			VPXOR V{v}, V{v}, V{v}
		.end
	.end
.end

// weigh makes the weights of R rows for as many channels as a vector has, and adds them to sums.
.macro weigh
	VPSLLW $7, V4, V5
	VPSRLW $1, V4, V4
	.for v in 4, 5
		.if avx512
			VPANDD V{SPREAD}, V{v}, V{v}
		.else
			VPAND V{SPREAD}, V{v}, V{v}
		.end
	.end
	.for r in R
		VPMULHRSW (AX){row[r]}, V5, V6
		VPMULHRSW (DI){row[r]}, V4, V7
		VPSLLW    $8, V7, V7
		.if avx512
			VPTERNLOGD $0xf8, V6, V{EVEN}, V7
			VMOVDQA64  V7, (R12){weightsOf[r]}
			VPDPBUSD   V7, V{ONES}, V{r}
		.else
			VPBLENDVB  V{ODD}, V7, V6, V7
			VMOVDQU    V7, (R12){weightsOf[r]}
			VPMADDUBSW V7, V{ONES}, V7
			VPADDW     V7, V{r}, V{r}
		.end
	.end
.end

// fold makes X0 the sums of the 4 rows.
.macro fold
	.if avx512
		VSHUFI64X2    $0x44, Z1, Z0, Z4
		VSHUFI64X2    $0xee, Z1, Z0, Z5
		VPADDD        Z5, Z4, Z0 // lanes of rows 0, 0, 1, 1
		.if R > 2
			VSHUFI64X2 $0x44, Z3, Z2, Z6
			VSHUFI64X2 $0xee, Z3, Z2, Z7
			VPADDD     Z7, Z6, Z2 // 2, 2, 3, 3
		.end
		VPUNPCKLDQ    Z2, Z0, Z1
		VPUNPCKHDQ    Z2, Z0, Z3
		VPADDD        Z3, Z1, Z0 // 0 and 2 alternate in two lanes, then 1 and 3
		VEXTRACTI64X4 $1, Z0, Y1
		VEXTRACTI128  $1, Y0, X2
		VEXTRACTI128  $1, Y1, X3
		VPADDD        X2, X0, X0
		VPADDD        X3, X1, X1
		VPUNPCKLDQ    X1, X0, X2 // 0, 1, 2, 3
		VPUNPCKHDQ    X1, X0, X3
		VPADDD        X3, X2, X0
	.else
		.for r in 4
			VPMADDWD consts<>+96(SB), V{r}, V{r}
		.end
		VPHADDD      V1, V0, V0
		VPHADDD      V3, V2, V2
		VPHADDD      V2, V0, V0
		VEXTRACTI128 $1, Y0, X1
		VPADDD       X1, X0, X0
	.end
.end

// multiply adds 4 channels, the n-th of 16, of R rows to their sums. avx512 has CHAINS of them, R
// registers apart, so that enough are on their way.
.macro multiply n
	.if avx512
		VPANDD V{CODE}, V16, V{17+n}
		.if n < 3
			VPSRLVW V{SHIFT}, V16, V16
		.end
		.for r in R
			VPDPBUSD.BCST {4*n}(AX){weightsOf[r]}, V{17+n}, V{n%CHAINS*R+r}
		.end
	.else
		.for h in 2
			VPAND V{CODE}, V{8+h}, V{12+h}
			.if n < 3
				VPSRLW X{SHIFT}, V{8+h}, V{8+h}
			.end
		.end
		.for r in R
			VPBROADCASTD {4*n}(AX){weightsOf[r]}, V14
			VPMADDUBSW V14, V12, V15
			VPMADDUBSW V14, V13, V14
			VPADDW     V15, V{2*r}, V{2*r}
			VPADDW     V14, V{2*r+1}, V{2*r+1}
		.end
	.end
.end

// finish turns the sums of row r into estimates.
.macro finish r
	.if avx512
		VCVTDQ2PS   V{r}, V{r}
		VMULPS.BCST {FACTOR+4*r}(R15), V{r}, V{r}
		VADDPS.BCST {BASE+4*r}(R15), V{r}, V{r}
		VMOVUPS     V{r}, (DI)
	.else
		VBROADCASTSS {FACTOR+4*r}(R15), V13
		VBROADCASTSS {BASE+4*r}(R15), V14
		.for h in 2
			VCVTDQ2PS V{2*r+h}, V{2*r+h}
			VMULPS    V13, V{2*r+h}, V{2*r+h}
			VADDPS    V14, V{2*r+h}, V{2*r+h}
			VMOVUPS   V{2*r+h}, {32*h}(DI)
		.end
	.end
	ADDQ {ldDst}, DI
.end

// ask asks for the codes of one more page to come, if one is left to ask for.
.macro ask i
	MOVQ  {asked}, AX
	CMPQ  AX, {last}
	JAE   asked{i}R{R}
	MOVQ  8(AX), BX
	ADDQ  ${PAGE}, AX
	MOVQ  AX, {asked}
	MOVQ  DX, CX

ask{i}R{R}:
	PREFETCHT1 (BX)
	ADDQ {step}, BX
	SUBQ $16, CX
	JNE  ask{i}R{R}

asked{i}R{R}:
.end

// choose goes to the loop for as many rows as there are.
.macro choose
	.for i in 3
		CMPQ {rows}, ${i+1}
		JEQ  page{i+1}
	.end
	JMP page4
.end

.func scoreCodes codesArgs
	.keep rows, bits, base, ldBase, page, n, asked, last
	.slot twice 8 // 16 if a line of codes lasts for 32 channels
	.slot step 8  // bytes of codes of 16 channels
	.slot begun 8 // 0 on the first way through the loop, which has no weights to multiply
	.slot q 8
	.slot odd 8   // q, odd channels
	.slot dst 8
	.slot ldDst 8 // bytes per row of dst
	.slot mask 4
	.slot unit 4
	.slot middle 4
	.slot unused 4
	.slot scales 16 // of q
	.if avx2
		.slot sums 256 // of codes times weights
	.end
	.slot places 8384 // two, and 63 for aligning them
	MOVQ {a.dst}, CX
	MOVQ CX, {dst}
	MOVQ {a.ldDst}, CX
	SHLQ $2, CX
	MOVQ CX, {ldDst}
	SHLQ $2, {ldBase}
	MOVQ $0, {begun}
	MOVQ {a.d}, DX
	MOVQ {a.q}, BX
	MOVQ BX, {q}
	LEAQ 63(DX), R13
	ANDQ $-64, R13
	LEAQ (R13)(R13*2), R14
	LEAQ (BX)(R13*1), CX
	MOVQ CX, {odd}
	LEAQ 4(R13*2), R9
	LEAQ (R9)(R9*2), R10
	LEAQ {places}, SI
	ADDQ $63, SI
	ANDQ $-64, SI
	LEAQ {WEIGHTS}(SI)(R13*4), R15
	MOVQ {rows}, CX
	LEAQ {scales}, DI
	VPXOR   X0, X0, X0 // what is left there may be subnormal, and slow
	VMOVUPS X0, (DI)

known:
	MOVL -4(BX)(R9*1), R8
	MOVL R8, (DI)
	ADDQ R9, BX
	ADDQ $4, DI
	DECQ CX
	JNE  known

	MOVQ {bits}, CX
	MOVQ CX, AX
	SHLQ $5, AX
	MOVQ AX, {step}
	MOVQ CX, AX
	ANDQ $1, AX
	SHLQ $4, AX
	MOVQ AX, {twice}
	MOVQ CX, R8
	SHLQ $4, CX
	LEAQ levels<>-16(SB), AX
	MOVL (AX)(CX*1), R11
	MOVL R11, {mask}
	MOVL 4(AX)(CX*1), R11
	MOVL R11, {unit}
	MOVL 8(AX)(CX*1), R11
	MOVL R11, {middle}
	.if avx512
		VPBROADCASTW R8, V{SHIFT}
		VPBROADCASTD {mask}, V{CODE}
		MOVL         $0x70007000, AX
		VPBROADCASTD AX, V{SPREAD}
		MOVL         $0x00ff00ff, AX
		VPBROADCASTD AX, V{EVEN}
		MOVL         $0x01010101, AX
		VPBROADCASTD AX, V{ONES}
		VBROADCASTSS {unit}, X{UNIT}
		VBROADCASTSS {middle}, X{MIDDLE}
	.end
	MOVQ {page}, R8
	MOVQ {n}, R11
	SHLQ $5, {asked}
	ADDQ R8, {asked}
	SHLQ $5, {last}
	ADDQ R8, {last}
	choose
	.for i in 4
		.set R = i+1
		.set CHAINS = 2+2*(R < 3)
	page{R}:
		ask 0
		ask 1
		TESTQ R11, R11
		JEQ   products{R}
		DECQ  R11
		.if avx2
			.for i in 3
				VMOVDQU consts<>+{32*i}(SB), V{SPREAD+i}
			.end
			VBROADCASTSS {unit}, X{UNIT}
			VBROADCASTSS {middle}, X{MIDDLE}
		.end
		MOVQ (R8), BX
		MOVQ {q}, AX
		MOVQ {odd}, DI
		LEAQ {WEIGHTS}(SI), R12
		MOVQ DX, CX
		zero 4
	part{R}:
		VMOVDQU (BX), X4
		CMPQ    CX, $32
		JLT     spreads{R}
		.if avx2
			VINSERTI128 $1, 64(BX), Y4, Y4
		.else
			VINSERTI32X4 $1, 64(BX), Z4, Z4
			CMPQ         CX, $48
			JLT          spreads{R}
			VINSERTI32X4 $2, 128(BX), Z4, Z4
			JEQ          spreads{R}
			VINSERTI32X4 $3, 192(BX), Z4, Z4
		.end
	spreads{R}:
		weigh
		ADDQ ${W}, AX
		ADDQ ${W}, DI
		ADDQ ${4*W}, BX
		ADDQ ${W}, R12
		SUBQ ${W}, CX
		JGT  part{R}
		fold
		MOVQ         16(R8), BX
		VCVTDQ2PS    X0, X0
		VMULPS       X{MIDDLE}, X0, X0
		VPBROADCASTD (BX), X1
		VPSLLD       $16, X1, X1 // that of spreads is the low half
		VMULPS       {scales}, X1, X1
		VMULPS       X{UNIT}, X1, X1
		VMOVUPS      X1, {FACTOR}(SI)
		VMULPS       X1, X0, X0
		MOVLQSX      24(R8), AX
		MOVQ         {base}, DI
		LEAQ         (DI)(AX*4), DI
		VMOVSS       (DI), X2
		.for r in R-1
			ADDQ      {ldBase}, DI
			VINSERTPS ${16*r+16}, (DI), X2, X2
		.end
		VSUBPS  X0, X2, X2
		VMOVUPS X2, {BASE}(SI)
		ADDQ    ${PAGE}, R8
		CMPQ    {begun}, $0
		JNE     products{R}
		MOVQ    $1, {begun}
		XCHGQ   SI, R15
		JMP     page{R}

	products{R}:
		MOVQ {page}, CX
		MOVQ 8(CX), BX
		ADDQ ${PAGE}, CX
		MOVQ CX, {page}
		LEAQ {WEIGHTS}(R15), AX
		MOVQ {twice}, R12
		XORL CX, CX
		.if avx512
			zero {CHAINS*R}
		.else
			VPBROADCASTD {mask}, V{CODE}
			VMOVQ        {bits}, X{SHIFT}
			LEAQ         {sums}, DI
			zero {2*R}
		.end
	lane{R}:
		TESTQ R12, CX
		JNE   atHand{R}
		.if avx512
			VMOVDQU64 (BX), V16
		.else
			VMOVDQU (BX), V8
			VMOVDQU 32(BX), V9
		.end
		ADDQ $64, BX
	multiply{R}:
		.for n in 4
			multiply {n}
		.end
		ADDQ $16, AX
		ADDQ $16, CX
		.if avx2
			CMPQ  CX, DX
			JEQ   wide{R}
			TESTQ $63, CX
			JNE   lane{R}
		wide{R}:
			.for v in 2*R
				VPMADDWD consts<>+96(SB), V{v}, V{v}
			.end
			CMPQ CX, $64
			JLE  first{R}
			.for v in 2*R
				VPADDD {32*v}(DI), V{v}, V{v}
			.end
		first{R}:
			CMPQ CX, DX
			JEQ  summed{R}
			.for v in 2*R
				VMOVDQU V{v}, {32*v}(DI)
			.end
			zero {2*R}
			JMP lane{R}
		summed{R}:
		.else
			CMPQ CX, DX
			JNE  lane{R}
			.for k in CHAINS-1
				.for r in R
					VPADDD V{R*(k+1)+r}, V{r}, V{r}
				.end
			.end
		.end
		MOVQ {dst}, DI
		.for r in R
			finish {r}
		.end
		ADDQ  $64, {dst}
		XCHGQ SI, R15
		DECQ  {n}
		JNE   page{R}
		JMP   done

	atHand{R}:
		.if avx512
			VPSRLVW V{SHIFT}, V16, V16
		.else
			.for h in 2
				VPSRLW X{SHIFT}, V{8+h}, V{8+h}
			.end
		.end
		JMP multiply{R}
	.end

done:
	VZEROUPPER
	RET
