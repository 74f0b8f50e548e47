.levels avx2 avx512

// Registers of mul:
//	R15  rows of a left              R13  how many
//	SI, R10, R11  rows 0, 3 and 6    R9   from a row of a to the next
//	R12  how many are multiplied at once
//	R14  row of c                    R8   from a row of c to the next
//	DI   columns of that             R11  columns left (avx2)
//	BX   columns of b                DX   row of b
//	CX   terms left                  AX   scratch
//	K1, K2  columns of both vectors that are written; K3, K4 that are read

// Vectors: sums, two for each row, from 0 on; b from B on; a from A on, in turns.
.if avx2
	.set ROWS = 6
	.set B = 12
	.set A = 14
	.set TURNS = 2
.else
	.set ROWS = 8
	.set B = 16
	.set A = 20
	.set TURNS = 8
.end
.list rowOfA = (SI), (SI)(R9*1), (SI)(R9*2), (R10), (R10)(R9*1), (R10)(R9*2), (R11), (R11)(R9*1)

// terms multiplies R rows by n rows of b.
.macro terms n
	.for l in n
		VMOVUPS {128*l}(DX), V{B}
		VMOVUPS {128*l+W}(DX), V{B+1}
		.for r in R
			VBROADCASTSS {4*l}{rowOfA[r]}, V{A+r%TURNS}
			VFMADD231PS  V{B}, V{A+r%TURNS}, V{2*r}
			VFMADD231PS  V{B+1}, V{A+r%TURNS}, V{2*r+1}
		.end
	.end
	ADDQ ${128*n}, DX
	ADDQ ${4*n}, SI
	ADDQ ${4*n}, R10
	.if avx512
		ADDQ ${4*n}, R11
	.end
.end

// read and write move R rows of c, of which avx2 has only one vector where the columns end.
.macro read
	.if avx512
		MOVQ DI, AX
		.for r in R
			VMOVUPS.Z (AX), K3, V{2*r}
			VMOVUPS.Z {W}(AX), K4, V{2*r+1}
			ADDQ      R8, AX
		.end
	.else
		CMPB {a.add}, $0
		MOVQ DI, AX
		JEQ  zero{R}
		CMPQ R11, ${L}
		JEQ  readHalf{R}
		.for r in R
			VMOVUPS (AX), V{2*r}
			VMOVUPS {W}(AX), V{2*r+1}
			ADDQ    R8, AX
		.end
		JMP sum{R}
	zero{R}:
		.for r in 2*R
			VXORPS V{r}, V{r}, V{r}
		.end
		JMP sum{R}
	readHalf{R}:
		.for r in R
			VMOVUPS (AX), V{2*r}
			VXORPS  V{2*r+1}, V{2*r+1}, V{2*r+1}
			ADDQ    R8, AX
		.end
	.end
.end

.macro write
	MOVQ DI, AX
	.if avx512
		.for r in R
			VMOVUPS V{2*r}, K1, (AX)
			VMOVUPS V{2*r+1}, K2, {W}(AX)
			ADDQ    R8, AX
		.end
	.else
		CMPQ R11, ${L}
		JEQ  writeHalf{R}
		.for r in R
			VMOVUPS V{2*r}, (AX)
			VMOVUPS V{2*r+1}, {W}(AX)
			ADDQ    R8, AX
		.end
		JMP next
	writeHalf{R}:
		.for r in R
			VMOVUPS V{2*r}, (AX)
			ADDQ    R8, AX
		.end
	.end
	JMP next
.end

.func mul mulArgs
	MOVQ {a.c}, R14
	MOVQ {a.ldc}, R8
	SHLQ $2, R8
	MOVQ {a.a}, R15
	MOVQ {a.lda}, R9
	SHLQ $2, R9
	MOVQ {a.m}, R13
	.if avx512
		MOVQ  {a.n}, CX
		MOVBLZX {a.add}, DX
		MOVL  $-1, AX
		BZHIL CX, AX, AX
		KMOVW AX, K1
		SHRL  $16, AX
		KMOVW AX, K2
		KXORW K3, K3, K3
		KXORW K4, K4, K4
		TESTL DX, DX
		JEQ   rows
		KMOVW K1, K3
		KMOVW K2, K4
	.end

rows: // as many as there are sums for, or of the last ones at most about half
	MOVQ R14, DI
	{args}
	MOVQ {a.b}, BX
	.if avx2
		MOVQ {a.n}, R11
	.end
	MOVQ R13, R12
	CMPQ R12, ${ROWS}
	JLE  columns
	INCQ R12
	SHRQ $1, R12
	CMPQ R12, ${ROWS}
	JLE  columns
	MOVQ ${ROWS}, R12

columns:
	MOVQ R15, SI
	LEAQ (R9)(R9*2), AX
	LEAQ (SI)(AX*1), R10
	.if avx512
		LEAQ (SI)(AX*2), R11
	.end
	MOVQ BX, DX
	{args}
	MOVQ {a.k}, CX
	.for i in ROWS
		.set R = ROWS-i
	rows{R}:
		.if R > 1
			CMPQ R12, ${R}
			JLT  rows{R-1}
		.end
		read
	sum{R}:
		SUBQ $4, CX
		JLT  rest{R}
	four{R}:
		terms 4
		SUBQ $4, CX
		JGE  four{R}
	rest{R}:
		ADDQ $4, CX
		JEQ  end{R}
	one{R}:
		terms 1
		DECQ CX
		JNE  one{R}
	end{R}:
		write
	.end

next:
	.if avx2
		ADDQ $64, DI
		ADDQ $64, BX
		SUBQ $16, R11
		JGT  columns
	.end
	MOVQ  R12, AX
	IMULQ R8, AX
	ADDQ  AX, R14
	MOVQ  R12, AX
	IMULQ R9, AX
	ADDQ  AX, R15
	SUBQ  R12, R13
	JNE   rows
	VZEROUPPER
	RET

// lanes4 makes rows n to n+3 of 4 channels, in each 128-bit lane, 4 channels of 4 rows. It
// overwrites t to t+3.
.macro lanes4 n t
	VUNPCKLPS V{n+1}, V{n}, V{t}
	VUNPCKHPS V{n+1}, V{n}, V{t+1}
	VUNPCKLPS V{n+3}, V{n+2}, V{t+2}
	VUNPCKHPS V{n+3}, V{n+2}, V{t+3}
	VUNPCKLPD V{t+2}, V{t}, V{n}
	VUNPCKHPD V{t+2}, V{t}, V{n+1}
	VUNPCKLPD V{t+3}, V{t+1}, V{n+2}
	VUNPCKHPD V{t+3}, V{t+1}, V{n+3}
.end

.if avx2

// Registers of turn:
//	DI   row of dst, of 32 floats     DX  channels left
//	SI, R10, R11, R12  rows 0, 4, 8 and 12 of src
//	R9   from a row of src to the next, R13 three times that
.list rowAfter = , (R9*1), (R9*2), (R13*1)

.func turn turnArgs
	MOVQ {a.dst}, DI
	MOVQ {a.src}, SI
	MOVQ {a.d}, DX
	LEAQ (DX*4), R9
	LEAQ (R9)(R9*2), R13
	LEAQ (SI)(R9*4), R10
	LEAQ (R10)(R9*4), R11
	LEAQ (R11)(R9*4), R12

four:
	.for r in 4
		VMOVUPS     (SI){rowAfter[r]}, X{r}
		VMOVUPS     (R11){rowAfter[r]}, X{4+r}
		VINSERTF128 $1, (R10){rowAfter[r]}, Y{r}, Y{r}
		VINSERTF128 $1, (R12){rowAfter[r]}, Y{4+r}, Y{4+r}
	.end
	lanes4 0, 8
	lanes4 4, 12
	.for r in 4
		VMOVUPS Y{r}, {128*r}(DI)
		VMOVUPS Y{4+r}, {128*r+32}(DI)
	.end
	ADDQ $512, DI
	.for p in SI, R10, R11, R12
		ADDQ $16, {p}
	.end
	SUBQ $4, DX
	JNE  four
	VZEROUPPER
	RET

.else

// Registers of turnCellsF32 to turnCellsQ4, which put 16 cells side by side:
//	DI   row of dst, of 32 floats
//	CX   offset in the rows of the cache    DX   channels left
//	V0 .. V3  a dword of each cell; V4 .. V7 scratch; V16 .. constants and scales
//	AX, BX, SI, R9, R12, R13  scratch

// dwords makes V0 .. V3 dwords 0 .. 3 of the 16 bytes at an offset, each of all cells in order.
.macro dwords at
	.for i in 4
		MOVQ         {rows+8*i}, AX
		MOVQ         {rows+8*i+32}, BX
		MOVQ         {rows+8*i+64}, SI
		MOVQ         {rows+8*i+96}, R9
		VMOVDQU      {at}(AX)(CX*1), X{i}
		VINSERTI32X4 $1, {at}(BX)(CX*1), V{i}, V{i}
		VINSERTI32X4 $2, {at}(SI)(CX*1), V{i}, V{i}
		VINSERTI32X4 $3, {at}(R9)(CX*1), V{i}, V{i}
	.end
	lanes4 0, 4
.end

// scales makes V17 the scales of a block of each cell.
.macro scales
	.for i in 8
		MOVQ    {rows+8*i}, AX
		MOVQ    {rows+8*i+64}, BX
		VPINSRW ${i}, (AX)(CX*1), X0, X0
		VPINSRW ${i}, (BX)(CX*1), X1, X1
	.end
	VINSERTI128 $1, X1, Y0, Y0
	VCVTPH2PS   Y0, V17
.end

// scaled stores a channel of V4, integers.
.macro scaled channel
	VCVTDQ2PS V4, V4
	VMULPS    V17, V4, V4
	VMOVUPS   V4, {128*channel}(DI)
.end

// What each type makes of dword n of the cells, and how many channels.
.macro convertF32 n
	VMOVUPS V{n}, {128*n}(DI)
.end

.macro convertF16 n
	VPSRLD    $16, V{n}, V5
	VPMOVDW   V{n}, H4
	VPMOVDW   V5, H5
	VCVTPH2PS H4, V4
	VCVTPH2PS H5, V5
	VMOVUPS   V4, {256*n}(DI)
	VMOVUPS   V5, {256*n+128}(DI)
.end

.macro convertBF16 n
	VPSLLD  $16, V{n}, V4
	VPANDD  V16, V{n}, V5
	VMOVUPS V4, {256*n}(DI)
	VMOVUPS V5, {256*n+128}(DI)
.end

.macro convertQ8 n
	.for i in 4
		.if i < 3
			VPSLLD ${24-8*i}, V{n%4}, V4
			VPSRAD $24, V4, V4
		.else
			VPSRAD $24, V{n%4}, V4
		.end
		scaled {4*n+i}
	.end
.end

// The low nibbles are followed by the high ones, 16 channels on.
.macro convertQ4 n
	.for i in 8
		.if i == 0
			VPANDD V18, V{n}, V4
		.else
			VPSRLD ${i%4*8+i/4*4}, V{n}, V4
			VPANDD V18, V4, V4
		.end
		VPSUBD V19, V4, V4
		scaled {4*n+i%4+i/4*16}
	.end
.end

.for TYPE in F32, F16, BF16, Q8, Q4
.func turnCells{TYPE} turnCellsArgs
	.slot rows 128
	MOVQ {a.dst}, DI
	MOVQ {a.d}, DX
	MOVQ {a.base}, R12
	MOVQ {a.stride}, R13
	MOVQ {a.cells}, SI
	MOVQ {a.n}, R9
	DECQ R9
	XORL BX, BX
	XORL CX, CX

pointer: // of the last cell again, if there are fewer
	CMPQ    BX, R9
	MOVQ    BX, AX
	CMOVQGT R9, AX
	MOVLQSX (SI)(AX*4), AX
	IMULQ   R13, AX
	ADDQ    R12, AX
	MOVQ    AX, {rows}(BX*8)
	INCQ    BX
	CMPQ    BX, $16
	JNE     pointer

	.set CHANNELS = 8
	.set BYTES = 16
	.if TYPE == "F32"
		.set CHANNELS = 4
	.end
	.if TYPE == "BF16"
		VPTERNLOGD $0xff, V16, V16, V16
		VPSLLD     $16, V16, V16
	.end
	.if TYPE == "Q8"
		.set CHANNELS = 32
		.set BYTES = 34
	.end
	.if TYPE == "Q4"
		.set CHANNELS = 32
		.set BYTES = 18
		MOVL         $15, AX
		VPBROADCASTD AX, V18
		MOVL         $8, AX
		VPBROADCASTD AX, V19
	.end

block:
	.set HEAD = 0
	.if CHANNELS == 32
		scales
		.set HEAD = 2
	.end
	.for i in (BYTES-HEAD)/16
		dwords {HEAD+16*i}
		.for n in 4
			convert{TYPE} {4*i+n}
		.end
	.end
	ADDQ ${128*CHANNELS}, DI
	ADDQ ${BYTES}, CX
	SUBQ ${CHANNELS}, DX
	JNE  block
	VZEROUPPER
	RET
.end
.end
