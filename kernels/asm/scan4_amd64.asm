.levels avx2 avx512

// Summaries of 4 bits.
//
//	BX   from the tile to the one after the next
//	AX   line of the tile: 4 pages of 16 channels; with avx2, 2 of them
//	R8   q of the block       R9   bytes per row of q, R10 3 times that
//	R12, R13  hi and lo bytes of q, or its even and odd words with avx2
//	R14, R15  the same of squares
//	DX   d, padded            CX   channels left
//	R11  rows left            SI   sums, 512 bytes a row: of means, then of squares,
//	                               for 4 times 4 or 8 times 2 pages
//	DI   &mean[row][page]     K1   pages of the tile
//
// A lane is a page. Sums of a row are SUMS vectors, those of means before those of squares.
.if avx2
	.set SUMS = 2
	.set FIRST = 8 // means: even channels, odd ones; and squares of spreads
	.set MEANS = 14
	.set SPREADS = 15 // masks
	.long slots 0, 4, 1, 5, 2, 6, 3, 7
	.long numbers 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.else
	.set SUMS = 4
	.set FIRST = 16 // means, squares of spreads
	.set SPREADS = 27
	.set SQUARES = 28 // of 0 to 7
	.set MEANS = 29
	.set SLOTS = 30 // their order after fold
.end
.list rowAfter = , (R9*1), (R9*2), (R10*1)
.list part = R12, R13, R14, R15

// line takes the means, and the squares of spreads if wanted.
.macro line squares
	PREFETCHT0 (AX)(BX*1)
	.if avx512
		VMOVDQU64 (AX), V16
		.if squares
			VPSRLW  $5, V16, V17
			VPANDD  V{SPREADS}, V17, V17
			VPSHUFB V17, V{SQUARES}, V17
		.end
		VPANDD V{MEANS}, V16, V16
	.else
		VMOVDQU (AX), V9
		VPAND   V{MEANS}, V9, V8
		.if squares
			VPSRLW  $5, V9, V10
			VPAND   V{SPREADS}, V10, V10
			VPSRLW  $13, V9, V11
			VPMULLW V10, V10, V10
			VPMULLW V11, V11, V11
		.end
		VPSRLW $8, V9, V9
		VPAND  V{MEANS}, V9, V9
	.end
.end

// add multiplies means (s = 0) or squares by row r.
.macro add r s
	.if avx512
		.for h in 2
			VBROADCASTI32X4 ({part[2*s+h]}){rowAfter[r]}, V{18+h}
		.end
		.for h in 2
			VPDPBUSD V{18+h}, V{16+s}, V{SUMS*r+2*s+h}
		.end
	.else
		.for h in 2
			VBROADCASTI128 ({part[2*s+h]}){rowAfter[r]}, V{12+h}
		.end
		.for h in 2
			VPMADDWD V{8+2*s+h}, V{12+h}, V{12+h}
		.end
		.for h in 2
			VPADDD V{12+h}, V{SUMS*r+s}, V{SUMS*r+s}
		.end
	.end
.end

// keep stores the sums of row r.
.macro keep r
	.for s in 2
		.if avx512
			VPSLLD    $6, V{SUMS*r+2*s}, V{SUMS*r+2*s}
			VPADDD    V{SUMS*r+2*s+1}, V{SUMS*r+2*s}, V{SUMS*r+2*s}
			VMOVDQA64 V{SUMS*r+2*s}, {512*r+256*s}(SI)
		.else
			VMOVDQU V{SUMS*r+s}, {512*r+256*s}(SI)
		.end
	.end
.end

// fold adds the 4 dwords of each page and puts the pages in order, in V0 and with avx2 V1.
.macro fold off
	.if avx512
		.for i in 0, 2
			VMOVDQA64  {off+64*i}(SI), V{i}
			VPUNPCKHDQ {off+64*i+64}(SI), V{i}, V{4+i}
			VPUNPCKLDQ {off+64*i+64}(SI), V{i}, V{i}
			VPADDD     V{4+i}, V{i}, V{i}
		.end
		VPUNPCKHQDQ V2, V0, V4
		VPUNPCKLQDQ V2, V0, V0
		VPADDD      V4, V0, V0
		VPERMD      V0, V{SLOTS}, V0
	.else
		.for i in 2
			VMOVDQU {off+128*i}(SI), V8
			VMOVDQU {off+128*i+64}(SI), V9
			VPHADDD {off+128*i+32}(SI), V8, V8
			VPHADDD {off+128*i+96}(SI), V9, V9
			VPHADDD V9, V8, V8
			VPERMD  V8, V7, V{i}
		.end
	.end
.end

// score turns the sums of means (s = 0) or squares into scores, and stores them at a place; the
// scale of q is at scale.
.macro score s scale to
	.if avx512
		VCVTDQ2PS   V0, V0
		VMULPS.BCST {scale}, V{20+s}, V1
		VMULPS      V1, V0, V0
		VMOVUPS     V0, K1, {to}
	.else
		VBROADCASTSS {scale}, V4
		.for i in 2
			VCVTDQ2PS V{i}, V{i}
			.if s
				VMULPS V{10+i}, V4, V5
			.else
				VMULPS V{12+i}, V4, V5
			.end
			VMULPS V5, V{i}, V{i}
		.end
		CMPQ    {n}, $16
		JLT     part{s}
		VMOVUPS V0, {to}
		VMOVUPS V1, 32{to}
		JMP     stored{s}
	part{s}:
		VMASKMOVPS V0, V2, {to}
		VMASKMOVPS V1, V3, 32{to}
	stored{s}:
	.end
.end

.func scan4 scan4Args
	.keep mean, spread, ldMean, ldSpread, q, rows, tiles, n
	.slot dst 8
	.slot tile 8
	.slot toSpread 8 // from the first row of mean to that of spread
	.slot gap 8      // the same of the row in work
	.slot sums 2304 // 2048, aligned
	MOVQ {a.mean}, DI
	MOVQ {a.d}, DX
	LEAQ 16(DX*8), R9
	LEAQ (R9)(R9*2), R10
	SHLQ $2, {ldMean}
	SHLQ $2, {ldSpread}
	MOVQ {spread}, SI
	SUBQ DI, SI
	MOVQ SI, {toSpread}
	LEAQ {sums}, SI
	ADDQ $255, SI
	ANDQ $-256, SI
	.if avx512
		MOVQ         $0x3124191009040100, AX
		VMOVQ        AX, X{SQUARES}
		VSHUFI32X4   $0, V{SQUARES}, V{SQUARES}, V{SQUARES}
		MOVL         $31, AX
		VPBROADCASTB AX, V{MEANS}
		MOVL         $7, AX
		VPBROADCASTB AX, V{SPREADS}
		MOVQ         $0x0d0905010c080400, AX
		VMOVQ        AX, X{SLOTS}
		MOVQ         $0x0f0b07030e0a0602, AX
		VPINSRQ      $1, AX, X{SLOTS}, X{SLOTS}
		VPMOVZXBD    X{SLOTS}, V{SLOTS}
		KXNORW       K1, K1, K1
	.else
		MOVL         $31, AX
		VMOVD        AX, X{MEANS}
		VPBROADCASTW X{MEANS}, V{MEANS}
		MOVL         $7, AX
		VMOVD        AX, X{SPREADS}
		VPBROADCASTW X{SPREADS}, V{SPREADS}
	.end

tile:
	.if avx512
		MOVQ  {n}, CX
		CMPQ  CX, $16
		JGE   whole
		MOVL  $-1, AX
		BZHIL CX, AX, AX
		KMOVW AX, K1
	whole:
	.end
	MOVQ {tiles}, CX
	MOVQ (CX), AX
	MOVQ AX, {tile}
	MOVQ 16(CX), BX
	SUBQ AX, BX
	ADDQ $8, {tiles}
	PREFETCHT0 (AX)(BX*1)
	MOVQ {q}, R8
	MOVQ {rows}, R11
	MOVQ DI, {dst}
	MOVQ {toSpread}, R14
	MOVQ R14, {gap}

rows:
	TESTQ R11, R11
	JEQ   next
	MOVQ  {tile}, AX
	ADDQ  $64, AX
	CMPQ  {spread}, $0
	JEQ   rows03

	// Without squares, what is kept as their sums is not used.
	.for squares in 1, 0
		.for R in 4, 3, 2, 1
		rows{squares}{R}:
			.if squares && (avx512 || R != 3) || !squares && R%2 == 1
				.if R > 1
					CMPQ R11, ${R}
					JLT  rows{squares}{R-1}
				.end
			start{squares}{R}:
				.if avx512
					MOVQ R8, R12
				.else
					LEAQ (R8)(DX*2), R12
				.end
				LEAQ (R12)(DX*1), R13
				LEAQ 8(R12)(DX*4), R14
				LEAQ (R14)(DX*1), R15
				MOVQ DX, CX
				.for s in SUMS*R
					.if avx512
						VPXORD V{s}, V{s}, V{s}
					.else
						VPXOR V{s}, V{s}, V{s}
					.end
				.end
			loop{squares}{R}:
				line {squares}
				.for r in R
					.for s in 1+squares
						add {r}, {s}
					.end
				.end
				ADDQ $64, AX
				.for p in R12, R13, R14, R15
					ADDQ $16, {p}
				.end
				SUBQ $16, CX
				JNE  loop{squares}{R}
				.for r in R
					keep {r}
				.end
				.if avx2
					// From the end of these 2 pages to the beginning of the next ones: back and 32
					// bytes on, or only back by those.
					MOVQ    $-32, R12
					LEAQ    (DX*4), R13
					NEGQ    R13
					ADDQ    $32, R13
					TESTQ   $32, SI
					CMOVQEQ R13, R12
					ADDQ    R12, AX
				.end
				ADDQ  ${W}, SI
				TESTQ $255, SI
				JNE   start{squares}{R}
				MOVL  ${R}, CX
				.if squares || R != 1
					JMP finish
				.end
			.end
		.end
	.end

finish: // CX rows
	SUBQ $256, SI
	SUBQ CX, R11
	MOVQ {ldMean}, R13
	MOVQ {gap}, R14
	MOVQ SI, R15
	MOVQ {tile}, AX
	.if avx512
		VPSRLD $16, (AX), V20
		VPSLLD $16, V20, V20
		VPSLLD $16, (AX), V21
		VMULPS V21, V21, V21
	.else
		VMOVDQU      slots<>(SB), V7
		VPBROADCASTD {n}, V13
		.for i in 2
			VPCMPGTD numbers<>+{32*i}(SB), V13, V{2+i}
			VMOVDQU  {32*i}(AX), V{8+i}
			VPSLLD   $16, V{8+i}, V{10+i}
			VMULPS   V{10+i}, V{10+i}, V{10+i}
		.end
		.for i in 2
			VPSRLD $16, V{8+i}, V{12+i}
			VPSLLD $16, V{12+i}, V{12+i}
		.end
	.end

row:
	LEAQ (R8)(DX*4), R12
	fold 0
	VPBROADCASTD 4(R12), V4
	VPSLLD       $4, V4, V4
	.for i in 2-avx512
		VPSUBD V4, V{i}, V{i}
	.end
	score 0, (R12), (DI)
	CMPQ {spread}, $0
	JEQ  rowDone
	fold 256
	score 1, 8(R12)(DX*4), (DI)(R14*1)

rowDone:
	ADDQ $512, SI
	ADDQ R9, R8
	ADDQ R13, DI
	ADDQ {ldSpread}, R14
	SUBQ R13, R14
	DECQ CX
	JNE  row
	MOVQ R14, {gap}
	MOVQ R15, SI
	JMP  rows

next:
	MOVQ {dst}, DI
	ADDQ $64, DI
	SUBQ $16, {n}
	JGT  tile
	VZEROUPPER
	RET
