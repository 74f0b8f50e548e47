.levels avx2 avx512

// Summaries of 8 bits.
//
//	SI   tile                  AX   channels of it
//	BX   q, row                R9   bytes per row of q, R10 3 times that
//	R12, R13  its hi and lo bytes, or its pairs (x0, x2) and (x1, x3) with avx2
//	DI   &dst[row][page]       R8   bytes per dst row
//	R11  rows left             CX   channels left
//	DX   d                     K1   pages of the tile
//
// Sums are from V0 on: hi and lo of a row, or of pages 0 to 7 and 8 to 15. V{SIGN} is all ones if
// bytes are signed, else 0.

.list rowAfter = , (R9*1), (R9*2), (R10*1)
.if avx2
	.set ROWS = 3
	.set SIGN = 14
	.long numbers 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.else
	.set ROWS = 4
	.set SIGN = 31
.end

// group takes 4 channels of 16 pages, the u-th from AX on. Planes are short, and the hardware is
// slow to see where the next begins.
.macro group u
	PREFETCHT0 {1088+64*u}(AX)
	.if avx2
		VMOVDQU (AX), V6
		VMOVDQU 32(AX), V8
		VPSRLW  $8, V6, V7
		VPSRLW  $8, V8, V9
		VPAND   V15, V6, V6
		VPAND   V15, V8, V8
	.else
		VMOVDQU64 {64*u}(AX), V16
	.end
.end

// add adds the products of the group with row r to the sums from V{2*s} on.
.macro add r u s
	.if avx2
		VPBROADCASTD (R12){rowAfter[r]}, V10
		VPBROADCASTD (R13){rowAfter[r]}, V11
		.for i in 2
			VPMADDWD V{6+i}, V{10+i}, V12
			VPMADDWD V{8+i}, V{10+i}, V13
			VPADDD   V12, V{2*s}, V{2*s}
			VPADDD   V13, V{2*s+1}, V{2*s+1}
		.end
	.else
		VPDPBUSD.BCST {4*u}(R12){rowAfter[r]}, V16, V{2*s}
		VPDPBUSD.BCST {4*u}(R13){rowAfter[r]}, V16, V{2*s+1}
	.end
.end

// score makes scores of the sums of row r, whose scale and sum lie at R12:
// float(sum - 128*sum of q) * (scale of q * scale of page).
.macro score r
	.if avx512
		VPSLLD $6, V{2*r}, V{2*r}
		VPADDD V{2*r+1}, V{2*r}, V{2*r}
		VPBROADCASTD 4(R12){rowAfter[r]}, V18
		VPSLLD       $7, V18, V18
		VPANDD       V{SIGN}, V18, V18
		VPSUBD       V18, V{2*r}, V{2*r}
		VCVTDQ2PS    V{2*r}, V{2*r}
		VMULPS.BCST  (R12){rowAfter[r]}, V17, V18
		VMULPS       V18, V{2*r}, V{2*r}
		VMOVUPS      V{2*r}, K1, (DI)
	.else
		VPBROADCASTD 4(R12){rowAfter[r]}, V10
		VPSLLD       $7, V10, V10
		VPAND        V{SIGN}, V10, V10
		VBROADCASTSS (R12){rowAfter[r]}, V11
		.for i in 2
			VPSUBD    V10, V{2*r+i}, V{2*r+i}
			VCVTDQ2PS V{2*r+i}, V{2*r+i}
			VMULPS    {32*i}(SI), V11, V12
			VMULPS    V12, V{2*r+i}, V{2*r+i}
		.end
		CMPQ    {n}, $16
		JLT     part{R}{r}
		VMOVUPS V{2*r}, (DI)
		VMOVUPS V{2*r+1}, 32(DI)
		JMP     stored{R}{r}
	part{R}{r}:
		VPBROADCASTD {n}, V13
		.for i in 2
			VPCMPGTD   numbers<>+{32*i}(SB), V13, V12
			VMASKMOVPS V{2*r+i}, V12, {32*i}(DI)
		.end
	stored{R}{r}:
	.end
	ADDQ R8, DI
.end

.func scan scanArgs
	.keep dst, q, rows, n
	MOVQ {a.ldDst}, R8
	SHLQ $2, R8
	MOVQ {a.d}, DX
	LEAQ 8(DX*4), R9
	LEAQ (R9)(R9*2), R10
	MOVQ {a.tiles}, SI
	MOVQ {a.sign}, AX
	NEGL AX
	SARL $31, AX
	.if avx2
		VMOVD        AX, X{SIGN}
		VPBROADCASTD X{SIGN}, V{SIGN}
		VPCMPEQW     V15, V15, V15
		VPSRLW       $8, V15, V15
	.else
		VPBROADCASTD AX, V{SIGN}
		KXNORW       K1, K1, K1
	.end

tile:
	.if avx512
		VMOVUPS (SI), V17
		MOVQ    {n}, CX
		CMPQ    CX, $16
		JGE     whole
		MOVL    $-1, AX
		BZHIL   CX, AX, AX
		KMOVW   AX, K1
	whole:
	.end
	MOVQ {q}, BX
	MOVQ {rows}, R11
	MOVQ {dst}, DI

rows:
	TESTQ R11, R11
	JEQ   next
	LEAQ  64(SI), AX
	MOVQ  DX, CX
	.if avx2
		LEAQ (BX)(DX*2), R12
	.else
		MOVQ BX, R12
	.end
	LEAQ (R12)(DX*1), R13
	.for i in ROWS
		.set R = ROWS-i
		.set STEPS = 1
		.if avx512 && R == 1
			.set STEPS = 2 // two groups, so that four sums are on their way
		.end
	rows{R}:
		.if R > 1
			CMPQ R11, ${R}
			JLT  rows{R-1}
		.end
		.for s in 2*R*STEPS
			.if avx2
				VPXOR V{s}, V{s}, V{s}
			.else
				VPXORD V{s}, V{s}, V{s}
			.end
		.end
	loop{R}:
		.for u in STEPS
			group {u}
			.for r in R
				add {r}, {u}, {r+u}
			.end
		.end
		ADDQ ${64*STEPS}, AX
		ADDQ ${4*STEPS}, R12
		ADDQ ${4*STEPS}, R13
		SUBQ ${4*STEPS}, CX
		JNE  loop{R}
		.if STEPS == 2
			VPADDD V2, V0, V0
			VPADDD V3, V1, V1
		.end
		LEAQ (BX)(DX*4), R12
		.for r in R
			score {r}
			ADDQ R9, BX
		.end
		SUBQ ${R}, R11
		JMP  rows
	.end

next:
	MOVQ DX, AX
	SHLQ $4, AX
	LEAQ 64(SI)(AX*1), SI
	ADDQ $64, {dst}
	SUBQ $16, {n}
	JGT  tile
	VZEROUPPER
	RET
