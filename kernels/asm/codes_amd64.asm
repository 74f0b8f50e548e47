.levels avx2 avx512

// Estimates by residual codes. A page is decoded once for all rows: 4 channels of 16 tokens in 64
// bytes, each a code looked up in a table of its channel that has the levels times the spread, from
// 0 on. Then rows of q come in blocks and are multiplied with that, 4 bytes broadcast from memory.
// With avx2 the sums of 16 channels, in pairs 8 products, are within 16 bits: see codeTop. rows <=
// 32.
//
//	SI   scratch              DX   d, padded
//	R8   q of the rows        R9   bytes per row of q, R10 3 times that
//	R11  rows left            R12  dst, of the page
//	DI   dst, of the row      R13, R14, R15 distances to the next rows of q

// Offsets in the scratch. First what is known of up to 32 rows:
.set ALL = 0      // the sum to subtract
.set SCALE = 128  // of q, for means
.set SUM = 256    // of q, times the zero point of means
.set LEVELS = 384 // scale of q, for codes
.set FACTOR = 512 // of the page: the value of a level
.set BASE = 640   // of the page: the mean
.set TABLE = 768  // of 16 channels (avx2)
.set MEANS = 832  // of the page, bytes and then 0; words of 16 even and 16 odd channels with avx2
.set CODES = 2880 // decoded

.if avx2
	.set ROWS = 2
	.set AND = "VPAND"
	.set XOR = "VPXOR"
	.set SHIFT = 8     // how far to shift codes
	.set CODE = 9      // mask of a code
	.set BEGIN = 10    // where the tables of 4 channels begin
	.set TRIPLE = 11   // where levels are 3 times as large
	.set NEGATIVE = 12 // where they are negative
	.set LIFT = 13     // what makes all 0 or more
	.set SPREAD = 14   // masks
	.set MEAN = 15
	.quad four 0x0101010100000000, 0x0303030302020202, 0x0505050504040404, 0x0707070706060606, \
		0x0909090908080808, 0x0b0b0b0b0a0a0a0a, 0x0d0d0d0d0c0c0c0c, 0x0f0f0f0f0e0e0e0e
	.quad ones 4:0x0001000100010001
.else
	.set ROWS = 8
	.set AND = "VPANDD"
	.set XOR = "VPXORD"
	.set SHIFT = 30
	.set CODE = 31
	.set BEGIN = 29
	.set TRIPLE = 25
	.set NEGATIVE = 24
	.set LIFT = 19
	.set SPREAD = 27
	.set MEAN = 28
	.set FOUR = 26 // each of 16 channels 4 times
	.quad four 0x0101010100000000, 0x0303030302020202, 0x0505050504040404, 0x0707070706060606, \
		0x0909090908080808, 0x0b0b0b0b0a0a0a0a, 0x0d0d0d0d0c0c0c0c, 0x0f0f0f0f0e0e0e0e
.end

// Of codes 0 to 3, for 1 and 2 bits: where levels are 3 times as large, where they are negative,
// and what makes all 0 or more; 0.8 and 0.5.
.long levels 0, 0x000000ff, 0x07070708, 0x3f4ccccd, \
	0xff0000ff, 0x0000ffff, 0x15151616, 0x3f000000

.list rowOfQ = (BX), (BX)(R9*1), (BX)(R9*2), (BX)(R10*1), \
	(R13), (R13)(R9*1), (R13)(R9*2), (R13)(R10*1)
.list distance = , (R13*1), (R14*1), (R15*1)

.include codesdecode_amd64.inc

.macro zero n
	.for v in n
		{XOR} V{v}, V{v}, V{v}
	.end
.end

// means adds channels of 4 rows, or of the first one again, to their sums. AX and DI are the two
// parts of q.
.macro means
	.if avx512
		VMOVDQU64 {MEANS}(SI)(CX*1), V18
	.else
		VMOVDQU {MEANS}(SI)(CX*1), V4
		VMOVDQU {MEANS+32}(SI)(CX*1), V5
	.end
	.for r in 4
		.if avx512
			VMOVDQU64 (AX){distance[r]}, V16
			VMOVDQU64 (DI){distance[r]}, V17
			VPDPBUSD  V16, V18, V{r}
			VPDPBUSD  V17, V18, V{4+r}
		.else
			VPMADDWD (AX){distance[r]}, V4, V6
			VPMADDWD (DI){distance[r]}, V5, V7
			VPADDD   V6, V{r}, V{r}
			VPADDD   V7, V{r}, V{r}
		.end
	.end
.end

// fold makes X0 the sums of the 4 rows.
.macro fold
	.if avx512
		.for r in 4
			VPSLLD $6, V{r}, V{r}
			VPADDD V{4+r}, V{r}, V{r}
		.end
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
		VPHADDD      V1, V0, V0
		VPHADDD      V3, V2, V2
		VPHADDD      V2, V0, V0
		VEXTRACTI128 $1, Y0, X1
		VPADDD       X1, X0, X0
	.end
.end

// add multiplies R rows by 4*STEPS channels. avx512 has SETS of sums, from {SET} to {SET} on, so
// that enough are on their way; avx2 has sums of 16 channels in 16 bits.
.macro add
	.for k in STEPS
		.if avx512
			VMOVDQA64 {64*k}(AX), V16
			.for r in R
				VPDPBUSD.BCST {4*k}{rowOfQ[r]}, V16, V{SET*(k%SETS)+r}
			.end
		.else
			VMOVDQU {64*k}(AX), V8
			VMOVDQU {64*k+32}(AX), V9
			.for r in R
				VPBROADCASTD {4*k}{rowOfQ[r]}, V12
				.if k == 0
					VPMADDUBSW V12, V8, V{4+2*r}
					VPMADDUBSW V12, V9, V{5+2*r}
				.else
					VPMADDUBSW V12, V8, V13
					VPMADDUBSW V12, V9, V12
					VPADDW     V13, V{4+2*r}, V{4+2*r}
					VPADDW     V12, V{5+2*r}, V{5+2*r}
				.end
			.end
		.end
	.end
	.if avx2
		.for v in 2*R
			VPMADDWD V15, V{4+v}, V{4+v}
			VPADDD   V{4+v}, V{v}, V{v}
		.end
	.end
.end

// finish turns the sums of row r into estimates.
.macro finish r
	.if avx512
		VPSUBD.BCST {ALL+4*r}(R15), V{r}, V{r}
		VCVTDQ2PS   V{r}, V{r}
		VMULPS.BCST {FACTOR+4*r}(R15), V{r}, V{r}
		VADDPS.BCST {BASE+4*r}(R15), V{r}, V{r}
		VMOVUPS     V{r}, (DI)
	.else
		VPBROADCASTD {ALL+4*r}(R15), V12
		VBROADCASTSS {FACTOR+4*r}(R15), V13
		VBROADCASTSS {BASE+4*r}(R15), V14
		.for h in 2
			VPSUBD    V12, V{2*r+h}, V{2*r+h}
			VCVTDQ2PS V{2*r+h}, V{2*r+h}
			VMULPS    V13, V{2*r+h}, V{2*r+h}
			VADDPS    V14, V{2*r+h}, V{2*r+h}
			VMOVUPS   V{2*r+h}, {32*h}(DI)
		.end
	.end
	ADDQ R14, DI
.end

.func scoreCodes codesArgs
	.keep q, rows, bits, tiles, codes, pages, n, codeBytes, ahead
	.slot row 8       // bytes per row of dst
	.slot twice 8     // 16 if a line of codes lasts for 32 channels
	.slot tileBytes 8
	.slot mask 4      // of a code
	.slot unit 4      // the value of a level
	.slot mean 4      // scales of the page
	.slot sd 4
	.slot end 8       // of a part of q
	.slot scratch 19328 // 63 for aligning it
	MOVQ {a.dst}, R12
	MOVQ {a.ldDst}, CX
	SHLQ $2, CX
	MOVQ CX, {row}
	MOVQ {a.d}, DX
	LEAQ 16(DX)(DX*4), R9
	LEAQ (R9)(R9*2), R10
	LEAQ {scratch}, SI
	ADDQ $63, SI
	ANDQ $-64, SI
	MOVQ {bits}, CX
	MOVQ CX, AX
	ANDQ $1, AX
	SHLQ $4, AX
	MOVQ AX, {twice}
	MOVQ DX, AX
	SHLQ $4, AX
	ADDQ $128, AX
	MOVQ AX, {tileBytes}
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	MOVL AX, {mask}
	IMUL3L $7, AX, R13 // the largest level times the largest spread
	MOVQ {q}, AX
	MOVQ {rows}, R11
	MOVQ SI, BX
	LEAQ (AX)(DX*4), AX

known:
	MOVL  (AX), R14
	MOVL  R14, {SCALE}(BX)
	MOVL  4(AX), R14
	SHLL  $4, R14
	MOVL  R14, {SUM}(BX)
	MOVL  8(AX)(DX*1), R14
	MOVL  R14, {LEVELS}(BX)
	MOVL  12(AX)(DX*1), R14
	IMULL R13, R14
	MOVL  R14, {ALL}(BX)
	ADDQ  R9, AX
	ADDQ  $4, BX
	DECQ  R11
	JNE   known
	.if avx512
		constants
	.end

page: // asks for one to come
	MOVQ {pages}, R8
	MOVQ {ahead}, CX
	CMPQ CX, {n}
	JGE  page0
	MOVLQSX (R8)(CX*4), CX
	locate
	PREFETCHT0 (DI)
	PREFETCHT0 64(DI)
	MOVQ {codeBytes}, CX

ask:
	PREFETCHT0 -64(R13)(CX*1)
	SUBQ $64, CX
	JGT  ask
	MOVQ DX, CX

askTile:
	PREFETCHT0 -64(BX)(CX*4)
	SUBQ $16, CX
	JGT  askTile

page0:
	MOVLQSX (R8), CX
	locate
	MOVL (DI), AX
	MOVL AX, {mean}
	MOVL 64(DI), AX
	MOVL AX, {sd}
	.if avx2
		constants
	.else
		MOVQ BX, AX
		LEAQ {MEANS}(SI), DI
		MOVQ DX, CX

	span:
		VMOVDQU (AX), X0
		CMPQ CX, $32
		JLT  gathered
		VINSERTI32X4 $1, 64(AX), Z0, Z0
		CMPQ CX, $48
		JLT  gathered
		VINSERTI32X4 $2, 128(AX), Z0, Z0
		JEQ  gathered
		VINSERTI32X4 $3, 192(AX), Z0, Z0

	gathered:
		VPANDD    V{MEAN}, V0, V0
		VMOVDQA64 V0, (DI)
		ADDQ $256, AX
		ADDQ $64, DI
		SUBQ $64, CX
		JGT  span
	.end

	MOVQ {twice}, R15
	LEAQ {CODES}(SI), DI
	XORL CX, CX

lane:
	.if avx2
		// Means, of 32 channels where there are; else those of the other 16 are 0.
		TESTQ   $16, CX
		JNE     meansDone
		VMOVDQU (BX), X3
		LEAQ    16(CX), AX
		CMPQ    AX, DX
		JGE     means16
		VINSERTI128 $1, 64(BX), Y3, Y3

	means16:
		VPAND   V{MEAN}, V3, V4
		VPSRLW  $8, V3, V3
		VPAND   V{MEAN}, V3, V3
		VMOVDQU V4, {MEANS}(SI)(CX*2)
		VMOVDQU V3, {MEANS+32}(SI)(CX*2)

	meansDone:
		VBROADCASTI128 (BX), V2
		VPSRLW $5, V2, V2
		VPAND  V{SPREAD}, V2, V2
		.for h in 2
			VPSHUFB four<>+{32*h}(SB), V2, V3
			tables
			VMOVDQU V3, {TABLE+32*h}(SI)
		.end
	.else
		VBROADCASTI32X4 (BX), V3
		VPSRLW  $5, V3, V3
		VPANDD  V{SPREAD}, V3, V3
		VPSHUFB V{FOUR}, V3, V3
		tables
	.end
	TESTQ R15, CX
	JNE   atHand
	.for v in 2-avx512
		.if avx512
			VMOVDQU64 (R13), V0
		.else
			VMOVDQU {32*v}(R13), V{v}
		.end
	.end
	ADDQ $64, R13

atHand:
	.for n in 4
		decode {n}
	.end
	ADDQ $64, BX
	ADDQ $256, DI
	ADDQ $16, CX
	CMPQ CX, DX
	JNE  lane

	MOVQ {q}, R8
	MOVQ {rows}, R11
	MOVQ SI, BX

means: // of 4 rows; a missing one is the first one again
	XORL R13, R13
	XORL R14, R14
	XORL R15, R15
	CMPQ R11, $2
	JLT  distances
	MOVQ R9, R13
	JEQ  distances
	LEAQ (R9)(R9*1), R14
	CMPQ R11, $3
	JEQ  distances
	MOVQ R10, R15

distances:
	.if avx512
		MOVQ R8, AX
	.else
		LEAQ (R8)(DX*2), AX
	.end
	LEAQ (AX)(DX*1), DI
	MOVQ DI, {end}
	zero {4+4*avx512}
	XORL CX, CX

mean:
	means
	ADDQ ${W}, AX
	ADDQ ${W}, DI
	ADDQ $64, CX
	CMPQ AX, {end}
	JLT  mean
	fold
	VPSUBD       {SUM}(BX), X0, X0
	VCVTDQ2PS    X0, X0
	VBROADCASTSS {mean}, X1
	VMULPS       {SCALE}(BX), X1, X1
	VMULPS       X1, X0, X0
	VMOVUPS      X0, {BASE}(BX)
	VBROADCASTSS {sd}, X1
	VMULPS       {LEVELS}(BX), X1, X1
	VBROADCASTSS {unit}, X2
	VMULPS       X2, X1, X1
	VMOVUPS      X1, {FACTOR}(BX)
	ADDQ         $16, BX
	LEAQ         (R8)(R9*4), R8
	SUBQ         $4, R11
	JGT          means

	MOVQ {q}, R8
	MOVQ {rows}, R11
	MOVQ {row}, R14
	MOVQ SI, R15
	MOVQ R12, DI
	.if avx2
		VMOVDQU ones<>(SB), V15
	.end

rows:
	TESTQ R11, R11
	JEQ   done
	LEAQ  {CODES}(SI), AX
	LEAQ  8(R8)(DX*4), BX
	MOVQ  DX, CX
	.for i in ROWS
		.set R = ROWS-i
	rows{R}:
		.if R != 7 && R != 5
			.if R > 1
				CMPQ R11, ${R}
				JLT  rows{R-1}
			.end
			.set STEPS = 2
			.set SETS = 2
			.set SET = 4
			.if R > 4
				LEAQ (BX)(R9*4), R13
				.set SET = 8
			.end
			.if R == 8
				.set SETS = 1
			.end
			.if R == 1 || avx2
				.set STEPS = 4
				.set SETS = 4
			.end
			.if avx2
				zero {2*R}
			.else
				.for k in SETS
					.for r in R
						VPXORD V{SET*k+r}, V{SET*k+r}, V{SET*k+r}
					.end
				.end
			.end
		loop{R}:
			add
			ADDQ ${64*STEPS}, AX
			ADDQ ${4*STEPS}, BX
			.if R > 4
				ADDQ ${4*STEPS}, R13
			.end
			SUBQ ${4*STEPS}, CX
			JNE  loop{R}
			.if avx512
				.for k in SETS-1
					.for r in R
						VPADDD V{SET*(k+1)+r}, V{r}, V{r}
					.end
				.end
			.end
			.for r in R
				finish {r}
			.end
			IMUL3Q ${R}, R9, CX
			ADDQ   CX, R8
			ADDQ   ${4*R}, R15
			SUBQ   ${R}, R11
			JMP    rows
		.end
	.end

done:
	ADDQ $64, R12
	ADDQ $4, {pages}
	DECQ {n}
	JNE  page
	VZEROUPPER
	RET
