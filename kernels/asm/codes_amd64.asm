.levels avx2 avx512

// Estimates by residual codes, of up to 4 rows of q and codeBatch pages. First each row gets its
// weights in all pages: channels of q times the page's spreads, rounded to int8. Then 4 channels of
// 16 tokens, 64 bytes, which a shift and a mask make of codes, are multiplied with 4 weights of a
// row, broadcast from memory. (Page by page the products would wait for the weights: a third
// slower.) With avx2 the sums of 64 channels, 32 pairs of 762, are within 16 bits.
//
// Both times:
//	R8   the page             R11  pages left          SI   its place in the scratch
//	DX   d, padded            CX   channel             R9, R10  bytes per row, and 3 times that
// Weights:
//	BX   a lane of the page   AX, DI  even and odd channels of q
//	R12  weights              R13, R14  their bytes per row, and 3 times that
// Products:
//	AX   weights              R13  codes of the page
//	R12  dst, of the page     DI   dst, of the row     R14  bytes per row of dst

// Offsets in the scratch: of a page, 64 bytes; then avx2's sums of codes times weights, and the
// weights.
.set FACTOR = 0  // of each row: the value of a step between codes
.set BASE = 16   // the estimate where all codes are 0
.set PAGES = 32  // at once, at most
.set SUMS = 2048
.set WEIGHTS = 2304

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
	.set UNIT = 29
	.set MIDDLE = 30
	.set CODE = 27
	.set SHIFT = 28
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
		VSHUFI64X2    $0x44, Z3, Z2, Z6
		VSHUFI64X2    $0xee, Z3, Z2, Z7
		VPADDD        Z5, Z4, Z0 // lanes of rows 0, 0, 1, 1
		VPADDD        Z7, Z6, Z2 // 2, 2, 3, 3
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

// multiply adds 4 channels, the n-th of 16, of R rows to their sums. avx512 has 4 of them, 4
// registers apart, so that enough are on their way.
.macro multiply n
	.if avx512
		VPANDD  V{CODE}, V16, V{17+n}
		VPSRLVW V{SHIFT}, V16, V16
		.for r in R
			VPDPBUSD.BCST {4*n}(AX){row[r]}, V{17+n}, V{4*n+r}
		.end
	.else
		.for h in 2
			VPAND  V{CODE}, V{8+h}, V{12+h}
			VPSRLW X{SHIFT}, V{8+h}, V{8+h}
		.end
		.for r in R
			VPBROADCASTD {4*n}(AX){row[r]}, V14
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
		VMULPS.BCST {FACTOR+4*r}(SI), V{r}, V{r}
		VADDPS.BCST {BASE+4*r}(SI), V{r}, V{r}
		VMOVUPS     V{r}, (DI)
	.else
		VBROADCASTSS {FACTOR+4*r}(SI), V13
		VBROADCASTSS {BASE+4*r}(SI), V14
		.for h in 2
			VCVTDQ2PS V{2*r+h}, V{2*r+h}
			VMULPS    V13, V{2*r+h}, V{2*r+h}
			VADDPS    V14, V{2*r+h}, V{2*r+h}
			VMOVUPS   V{2*r+h}, {32*h}(DI)
		.end
	.end
	ADDQ R14, DI
.end

// ask asks for the lines that begin at o of the page to come, if there is one, and are step apart.
.macro ask o step
	TESTQ R15, R15
	JLE   asked{o}R{R}
	MOVQ  {aheadAt}, BX
	MOVQ  {o}(R8)(BX*1), BX
	MOVQ  DX, CX

ask{o}R{R}:
	PREFETCHT0 (BX)
	ADDQ {step}, BX
	SUBQ $16, CX
	JNE  ask{o}R{R}

asked{o}R{R}:
	DECQ R15
.end

// choose goes to what is for as many rows as there are.
.macro choose what
	.for i in 3
		CMPQ {rows}, ${i+1}
		JEQ  {what}{i+1}
	.end
	JMP {what}4
.end

.func scoreCodes codesArgs
	.keep rows, bits, base, ldBase, pages, n, asked
	.slot twice 8   // 16 if a line of codes lasts for 32 channels
	.slot step 8    // bytes of codes of 16 channels
	.slot aheadAt 8 // how far ahead, in bytes
	.slot q 8
	.slot odd 8     // q, odd channels
	.slot dst 8
	.slot ldDst 8   // bytes per row of dst
	.slot weights 8 // bytes of a page
	.slot at 8      // weights of the page
	.slot sums 8
	.slot mask 4
	.slot unit 4
	.slot middle 4
	.slot unused 4
	.slot scales 16 // of q
	.slot scratch 18752 // 63 for aligning it
	MOVQ {a.dst}, CX
	MOVQ CX, {dst}
	MOVQ {a.ldDst}, CX
	SHLQ $2, CX
	MOVQ CX, {ldDst}
	SHLQ $2, {ldBase}
	MOVQ {a.d}, DX
	MOVQ {a.q}, BX
	MOVQ BX, {q}
	LEAQ 63(DX), R13
	ANDQ $-64, R13
	LEAQ (R13)(R13*2), R14
	LEAQ (BX)(R13*1), CX
	MOVQ CX, {odd}
	LEAQ (R13)(R14*1), CX
	MOVQ CX, {weights}
	LEAQ 4(R13*2), R9
	LEAQ (R9)(R9*2), R10
	LEAQ {scratch}, SI
	ADDQ $63, SI
	ANDQ $-64, SI
	MOVQ {a.ahead}, R8
	SUBQ R8, {asked}
	IMUL3Q $24, R8, CX
	MOVQ CX, {aheadAt}
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
	.else
		.for i in 3
			VMOVDQU consts<>+{32*i}(SB), V{SPREAD+i}
		.end
	.end
	VBROADCASTSS {unit}, X{UNIT}
	VBROADCASTSS {middle}, X{MIDDLE}
	MOVQ {pages}, R8
	MOVQ {n}, R11
	MOVQ {asked}, R15
	LEAQ {WEIGHTS}(SI), R12
	MOVQ R12, {at}
	choose weights
	.for i in 4
		.set R = i+1
	weights{R}:
		ask 0, $64
		MOVQ (R8), BX
		MOVQ {q}, AX
		MOVQ {odd}, DI
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
		VCVTDQ2PS    X0, X0
		VMULPS       X{MIDDLE}, X0, X0
		VBROADCASTSS 16(R8), X1
		VMULPS       {scales}, X1, X1
		VMULPS       X{UNIT}, X1, X1
		VMOVUPS      X1, {FACTOR}(SI)
		VMULPS       X1, X0, X0
		MOVLQSX      20(R8), AX
		MOVQ         {base}, DI
		LEAQ         (DI)(AX*4), DI
		VMOVSS       (DI), X2
		.for r in R-1
			ADDQ      {ldBase}, DI
			VINSERTPS ${16*r+16}, (DI), X2, X2
		.end
		VSUBPS  X0, X2, X2
		VMOVUPS X2, {BASE}(SI)
		MOVQ    {at}, R12
		ADDQ    {weights}, R12
		MOVQ    R12, {at}
		ADDQ    $24, R8
		ADDQ    $64, SI
		DECQ    R11
		JNE     weights{R}
		.if R < 4
			JMP products
		.end
	.end

products:
	MOVQ {pages}, R8
	MOVQ {n}, R11
	MOVQ {asked}, R15
	MOVQ R11, CX
	SHLQ $6, CX
	SUBQ CX, SI
	LEAQ {WEIGHTS}(SI), AX
	MOVQ AX, {at}
	MOVQ R13, R9
	MOVQ R14, R10
	MOVQ {dst}, R12
	MOVQ {ldDst}, R14
	.if avx2
		LEAQ         {SUMS}(SI), BX
		MOVQ         BX, {sums}
		VPBROADCASTD {mask}, V{CODE}
		VMOVQ        {bits}, X{SHIFT}
	.end
	choose products
	.for i in 4
		.set R = i+1
	products{R}:
		ask 8, {step}
		MOVQ 8(R8), R13
		MOVQ {twice}, DI
		XORL CX, CX
		.if avx512
			.for k in 4
				.for r in R
					VPXORD V{4*k+r}, V{4*k+r}, V{4*k+r}
				.end
			.end
		.else
			zero {2*R}
			MOVQ {sums}, BX
			.for v in 2*R
				VMOVDQU V{v}, {32*v}(BX)
			.end
		.end
	lane{R}:
		TESTQ DI, CX
		JNE   atHand{R}
		.if avx512
			VMOVDQU64 (R13), V16
		.else
			VMOVDQU (R13), V8
			VMOVDQU 32(R13), V9
		.end
		ADDQ $64, R13
	atHand{R}:
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
				VPADDD   {32*v}(BX), V{v}, V{v}
			.end
			CMPQ CX, DX
			JEQ  summed{R}
			.for v in 2*R
				VMOVDQU V{v}, {32*v}(BX)
			.end
			zero {2*R}
			JMP lane{R}
		summed{R}:
		.else
			CMPQ CX, DX
			JNE  lane{R}
			.for k in 3
				.for r in R
					VPADDD V{4*k+4+r}, V{r}, V{r}
				.end
			.end
		.end
		MOVQ R12, DI
		.for r in R
			finish {r}
		.end
		MOVQ {at}, AX
		ADDQ {weights}, AX
		MOVQ AX, {at}
		ADDQ $64, R12
		ADDQ $24, R8
		ADDQ $64, SI
		DECQ R11
		JNE  products{R}
		.if R < 4
			JMP done
		.end
	.end

done:
	VZEROUPPER
	RET
