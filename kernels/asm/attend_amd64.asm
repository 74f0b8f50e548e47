.levels avx2

// The products of decode attention: dot makes logits of keys, acc adds weighted values.
//
// Cells come in tiles of 16, of which the last repeats its last cell. With each tile go up to 16 rows of the list that is asked for;
// the first block of query rows asks for them, since prefetches that come thick and fast are dropped.

.long nibbles 8:0x0f0f0f0f
.long fifteen 8:15
.long eight 8:8

// tiles begins a kernel, and makes room for what all have on their frames.
.macro tiles
	.slot padded 64
	.slot cells 8
	.slot left 8
	.slot askCells 8
	.slot askLeft 8
	.slot base 8
	.slot asks 128 // addresses
	.slot rows 128 // those of the tile; asks come next
	MOVQ {a.cells}, SI
	MOVQ {a.n}, CX
	MOVQ {a.askCells}, DX
	MOVQ {a.askN}, BX
	MOVQ SI, {cells}
	MOVQ CX, {left}
	MOVQ DX, {askCells}
	MOVQ BX, {askLeft}
.end

// place makes addresses of the 16 cells at SI, of which CX are left.
.macro place what
	CMPQ CX, $16
	JGE  whole{what}
	XORL BX, BX
	DECQ CX
repeat{what}:
	CMPQ    BX, CX
	MOVQ    BX, DX
	CMOVQGT CX, DX
	MOVL    (SI)(DX*4), AX
	MOVL    AX, {padded}(BX*4)
	INCQ    BX
	CMPQ    BX, $16
	JNE     repeat{what}
	LEAQ    {padded}, SI
whole{what}:
	{args}
	.if what == "rows"
		VPBROADCASTQ {base}, Y0
		VPBROADCASTQ {a.stride}, Y1
	.else
		VPBROADCASTQ {a.askBase}, Y0
		VPBROADCASTQ {a.askStride}, Y1
	.end
	VPSRLQ $32, Y1, Y3
	.for i in 4
		VPMOVZXDQ {16*i}(SI), Y2
		VPMULUDQ  Y3, Y2, Y4
		VPMULUDQ  Y1, Y2, Y2
		VPSLLQ    $32, Y4, Y4
		VPADDQ    Y0, Y2, Y2
		VPADDQ    Y4, Y2, Y2
		.if what == "rows"
			VMOVDQU Y2, {rows+32*i}
		.else
			VMOVDQU Y2, {asks+32*i}
		.end
	.end
.end

// tile places the next one, and goes on at {to} if there is nothing to ask for.
.macro tile to
	MOVQ {cells}, SI
	MOVQ {left}, CX
	place rows
	MOVQ  {askLeft}, CX
	TESTQ CX, CX
	JLE   {to}
	MOVQ  {askCells}, SI
	place asks
	ADDQ  $64, {askCells}
	SUBQ  $16, {askLeft}
	MOVQ  {a.end}, DX // the last byte, where it may be in a line of its own
	TESTQ DX, DX
	JEQ   placed
	.for i in 16
		MOVQ       {asks+8*i}, SI
		PREFETCHT0 (SI)(DX*1)
	.end
placed:
.end

.macro nextTile
	ADDQ $64, {cells}
	SUBQ $16, {left}
	JGT  tile
	VZEROUPPER
	RET
.end

// choose goes to the code for 3, 2 or 1 of R11 rows; 2 and 2 reuse what is converted better than 3 and 1.
.macro choose
	CMPQ R11, $4
	JEQ  rows2
	CMPQ R11, $2
	JGT  rows3
	JEQ  rows2
.end

// Registers of dot:
//	R12-R15  ends of the rows of 4 cells    SI  their addresses, 128 bytes before those to ask for
//	DX       offset from them, up to 0      CX  cells left of the tile
//	R11      rows left
//	R9       &out[row][cell]                R8  bytes from a row of it to the next
//	BX       q                              R10 bytes from a row of it to the next
//	AX, DI, BP  for the products
// The logits of 4 cells are left in X0, X4 and X8.
.list outRow = (R9), (R9)(R8*1), (R9)(R8*2)

.macro dotRows
	tiles
	.slot q 8
	.slot out 8
	.slot outTile 8
	.slot size 8
	.slot asking 8
	MOVQ {a.size}, DX
	MOVQ DX, {size}
	ADDQ {a.base}, DX
	MOVQ DX, {base}
	MOVQ {a.out}, DX
	MOVQ DX, {outTile}
	MOVQ {a.ldOut}, R8
	MOVQ {a.ldIn}, R10
	SHLQ $2, R8
	SHLQ $2, R10

tile:
	MOVQ $0, {asking}
	tile start
	MOVQ $1, {asking}
start:
	{args}
	MOVQ {a.in}, BX
	MOVQ {a.rows}, R11
	MOVQ {outTile}, R9
	MOVQ BX, {q}
	MOVQ R9, {out}

rows:
	MOVQ    {q}, BX
	MOVQ    {out}, R9
	LEAQ    {rows}, SI
	MOVL    $16, CX
	CMPQ    CX, {left}
	CMOVQGT {left}, CX
	choose
	.for R in 1, 2, 3
	rows{R}:
		pointers
	quad{R}:
		CMPQ {asking}, $0
		JEQ  asked{R}
		.for t in 4
			MOVQ {128+8*t}(SI), R{12+t}
		.end
		XORL DX, DX
	ask{R}:
		.for t in 4
			PREFETCHT0 (R{12+t})(DX*1)
		.end
		ADDQ $64, DX
		CMPQ DX, {size}
		JLT  ask{R}
	asked{R}:
		.for t in 4
			MOVQ {8*t}(SI), R{12+t}
		.end
		products
		CMPQ CX, $4
		JLT  part{R}
		.for r in R
			VMOVUPS X{4*r}, {outRow[r]}
		.end
		ADDQ $32, SI
		ADDQ $16, R9
		SUBQ $4, CX
		JNE  quad{R}
	done{R}:
		MOVQ {out}, R9
		MOVQ {q}, BX
		.for r in R
			ADDQ R8, R9
			ADDQ R10, BX
		.end
		MOVQ R9, {out}
		MOVQ BX, {q}
		MOVQ $0, {asking}
		SUBQ ${R}, R11
		JNE  rows
		JMP  next
	part{R}: // 1 to 3 cells, of which the last is there again
		MOVQ CX, AX
		SHRQ $1, AX
		.for r in R
			VMOVSS     X{4*r}, (R9)
			VEXTRACTPS $1, X{4*r}, (R9)(AX*4)
			VEXTRACTPS $2, X{4*r}, -4(R9)(CX*4)
			ADDQ       R8, R9
		.end
		JMP done{R}
	.end

next:
	ADDQ $64, {outTile}
	nextTile
.end

// sum4 adds up the lanes of 4 vectors from n on, all in the same order. A blend takes the place of one shuffle of each VHADDPS:
// shuffles are what this is short of.
.macro sum4 n
	VSHUFPS      $0x4e, Y{n+1}, Y{n}, Y12   // a2 a3 b0 b1 | a6 a7 b4 b5
	VBLENDPS     $0xcc, Y{n+1}, Y{n}, Y{n}  // a0 a1 b2 b3 | a4 a5 b6 b7
	VSHUFPS      $0x4e, Y{n+3}, Y{n+2}, Y13
	VBLENDPS     $0xcc, Y{n+3}, Y{n+2}, Y{n+2}
	VADDPS       Y12, Y{n}, Y{n}
	VADDPS       Y13, Y{n+2}, Y{n+2}
	VSHUFPS      $0x88, Y{n+2}, Y{n}, Y12
	VSHUFPS      $0xdd, Y{n+2}, Y{n}, Y13
	VADDPS       Y12, Y13, Y{n} // a b c e, channels 0-3 | 4-7
	VEXTRACTF128 $1, Y{n}, X12
	VADDPS       X12, X{n}, X{n}
.end

// Floats. 12 accumulators and 3 rows of q leave one register for a key, which is converted once for all of them.
.list qRow = BX, DI, BP

.macro loadF32 p
	VMOVUPS {p}, Y12
.end

.macro loadF16 p
	VCVTPH2PS {p}, Y12
.end

.macro loadBF16 p
	VPMOVZXWD {p}, Y12
	VPSLLD    $16, Y12, Y12
.end

.for TYPE in F32, F16, BF16
.set BYTES = 2
.if TYPE == "F32"
	.set BYTES = 4
.end

// pointers go to the ends of the rows of q.
.macro pointers
	{args}
	MOVQ {a.d}, DX
	LEAQ (BX)(DX*4), BX
	.if R > 1
		LEAQ (BX)(R10*1), DI
	.end
	.if R > 2
		LEAQ (BX)(R10*2), BP
	.end
	NEGQ DX
	MOVQ DX, {minusD}
.end

.macro products
	MOVQ {minusD}, DX
	.for i in 4*R
		VXORPS Y{i}, Y{i}, Y{i}
	.end
product{R}:
	.for r in R
		VMOVUPS ({qRow[r]})(DX*4), Y{13+r}
	.end
	.for t in 4
		load{TYPE} (R{12+t})(DX*{BYTES})
		.for r in R
			VFMADD231PS Y12, Y{13+r}, Y{4*r+t}
		.end
	.end
	ADDQ $8, DX
	JNE  product{R}
	.for r in R
		sum4 {4*r}
	.end
.end

.func dot{TYPE} blockArgs
	.slot minusD 8
	dotRows
.end

// Quantised keys. The integers are summed over a whole block before they become floats, which are multiplied and added as in the
// generic kernels: the logits are the same bits.
//	AX, BP, DI      q: the block, its scale, its bias
//	Y1, Y2, Y5, Y6  the keys     X15  their scales
//	Y7, Y11         q            Y3   int16 ones
//	Y9-Y14          products, sums
.list qBlock = (AX), (AX)(R10*1), (AX)(R10*2)
.list qScale = (BP), (BP)(R10*1), (BP)(R10*2)
.list qBias = (DI), (DI)(R10*1), (DI)(R10*2)

// keys loads the F16 scales, at the begin of each block, and the block: magnitudes of Q8_0; of Q4_0 the low nibbles of cells 0 and 2
// in Y1, the high ones in Y2, and those of cells 1 and 3 in Y5 and Y6. VMOVD takes two bytes more of a scale, which are overwritten.
.list magnitudes = Y1, Y2, Y5, Y6
.macro keysQ8
	.for t in 4
		VPABSB 2(R{12+t})(DX*1), {magnitudes[t]}
	.end
.end

.macro keysQ4
	VMOVDQU     nibbles<>(SB), Y14
	VMOVDQU     2(R12)(DX*1), X1
	VMOVDQU     2(R13)(DX*1), X5
	VINSERTI128 $1, 2(R14)(DX*1), Y1, Y1
	VINSERTI128 $1, 2(R15)(DX*1), Y5, Y5
	VPSRLW      $4, Y1, Y2
	VPSRLW      $4, Y5, Y6
	VPAND       Y14, Y1, Y1
	VPAND       Y14, Y2, Y2
	VPAND       Y14, Y5, Y5
	VPAND       Y14, Y6, Y6
.end

// integersQ8 gives the keys' signs to q, which is never -128; so does 2*128*127 fit in an int16. The sums are formed as in sum4.
.macro integersQ8
	VMOVDQU {qBlock[r]}, Y7
	.for t in 4
		VPSIGNB    2(R{12+t})(DX*1), Y7, Y{9+t}
		VPMADDUBSW Y{9+t}, {magnitudes[t]}, Y{9+t}
		VPMADDWD   Y3, Y{9+t}, Y{9+t}
	.end
	VSHUFPS      $0x4e, Y10, Y9, Y13
	VBLENDPS     $0xcc, Y10, Y9, Y9
	VSHUFPS      $0x4e, Y12, Y11, Y14
	VBLENDPS     $0xcc, Y12, Y11, Y11
	VPADDD       Y13, Y9, Y9
	VPADDD       Y14, Y11, Y11
	VSHUFPS      $0x88, Y11, Y9, Y13
	VSHUFPS      $0xdd, Y11, Y9, Y14
	VPADDD       Y13, Y14, Y9
	VEXTRACTI128 $1, Y9, X13
	VPADDD       X13, X9, X9
.end

// integersQ4 uses that an int16 can take the sum of 8 products, at most 8*15*127.
.macro integersQ4
	VBROADCASTI128 {qBlock[r]}, Y7
	VBROADCASTI128 16{qBlock[r]}, Y11
	VPMADDUBSW     Y7, Y1, Y9
	VPMADDUBSW     Y11, Y2, Y12
	VPMADDUBSW     Y7, Y5, Y10
	VPMADDUBSW     Y11, Y6, Y13
	VPADDW         Y12, Y9, Y9
	VPADDW         Y13, Y10, Y10
	VSHUFPS        $0x4e, Y10, Y9, Y13
	VBLENDPS       $0xcc, Y10, Y9, Y9
	VPADDW         Y13, Y9, Y9
	VPMADDWD       Y3, Y9, Y9 // 0 0 1 1 | 2 2 3 3
	VPBROADCASTD   {qBias[r]}, X14
	VEXTRACTI128   $1, Y9, X13
	VSHUFPS        $0x88, X13, X9, X10
	VSHUFPS        $0xdd, X13, X9, X9
	VPADDD         X14, X10, X10
	VPADDD         X10, X9, X9
.end

.macro pointers
.end

.macro products
	{args}
	MOVQ {a.size}, DX
	MOVQ {a.scales}, BP
	MOVQ {a.biases}, DI
	MOVQ BX, AX
	ADDQ BX, BP
	ADDQ BX, DI
	NEGQ DX
	.for r in R
		VXORPS X{4*r}, X{4*r}, X{4*r}
	.end
	VPCMPEQW Y3, Y3, Y3
	VPSRLW   $15, Y3, Y3
product{R}:
	VMOVD (R12)(DX*1), X15
	.for t in 1, 2, 3
		VPINSRW ${t}, (R{12+t})(DX*1), X15, X15
	.end
	VCVTPH2PS X15, X15
	keys{TYPE}
	.for r in R
		integers{TYPE}
		VBROADCASTSS {qScale[r]}, X13
		VMULPS       X15, X13, X13
		VCVTDQ2PS    X9, X9
		VMULPS       X13, X9, X9
		VADDPS       X9, X{4*r}, X{4*r}
	.end
	ADDQ $32, AX
	ADDQ $4, BP
	ADDQ $4, DI
	ADDQ ${BYTES}, DX
	JNE  product{R}
.end

.for TYPE in Q8, Q4
.set BYTES = 34
.if TYPE == "Q4"
	.set BYTES = 18
.end
.func dot{TYPE} blockArgs
	dotRows
.end

// Registers of acc:
//	DI   &out[row]             R13  &out[row][channel]   R8  bytes from a row of out to the next
//	SI   &weights[row][tile]   DX   &weights[row][cell]  R9  bytes from a row of weights to the next
//	BX   offset of the channel in a row of the cache     AX  row of a cell
//	R12  end of the tile's addresses   R15  end of those to ask for, or R12: asking for what is in use costs little
//	CX   minus cells left              R14  minus cells of the tile
//	R10  channels left                 R11  rows left
// For a tile, 32 or 8 channels of up to 3 rows stay in Y0-Y11, 4 for each row.
.list accRow = (R13), (R13)(R8*1), (R13)(R8*2)
.list weight = (DX), (DX)(R9*1), (DX)(R9*2)

// Y15 are channels 8*i of a cell.
.macro valueF32 i
	VMOVUPS {32*i}(AX)(BX*1), Y15
.end

.macro valueF16 i
	VCVTPH2PS {16*i}(AX)(BX*1), Y15
.end

.macro valueBF16 i
	VPMOVZXWD {16*i}(AX)(BX*1), Y15
	VPSLLD    $16, Y15, Y15
.end

.macro valueQ8 i
	VPMOVSXBD {2+8*i}(AX)(BX*1), Y15
	VCVTDQ2PS Y15, Y15
	VMULPS    Y13, Y15, Y15
.end

.macro valueQ4 i
	VPMOVZXBD {2+i%2*8}(AX)(BX*1), Y15
	.if i < 2
		VPAND fifteen<>(SB), Y15, Y15
	.else
		VPSRLD $4, Y15, Y15
	.end
	VPSUBD    eight<>(SB), Y15, Y15
	VCVTDQ2PS Y15, Y15
	VMULPS    Y13, Y15, Y15
.end

// multiply adds a cell's value{TYPE} to N vectors of each row. The scale of a quantised block takes the register of a weight, so that two
// of three weights are loaded again and again.
.macro multiply N
	VBROADCASTSS {weight[0]}, Y12
	.if QUANTISED
		VPBROADCASTW (AX)(BX*1), X13
		VCVTPH2PS    X13, Y13
		.if R == 2
			VBROADCASTSS {weight[1]}, Y14
		.end
	.else
		.for r in R
			.if r > 0
				VBROADCASTSS {weight[r]}, Y{12+r}
			.end
		.end
	.end
	.for i in N
		value{TYPE} {i}
		.if QUANTISED && R == 3
			VBROADCASTSS {weight[1]}, Y14
		.end
		VFMADD231PS Y15, Y12, Y{i}
		.if QUANTISED
			.if R > 1
				VFMADD231PS Y15, Y14, Y{4+i}
			.end
			.if R > 2
				VBROADCASTSS {weight[2]}, Y14
				VFMADD231PS  Y15, Y14, Y{8+i}
			.end
		.else
			.for r in R
				.if r > 0
					VFMADD231PS Y15, Y{12+r}, Y{4*r+i}
				.end
			.end
		.end
	.end
.end

// channels adds {8*N} channels at a time, while there are as many.
.macro channels N bytes
	JMP  more{R}x{N}
block{R}x{N}:
	.for r in R
		.for i in N
			VMOVUPS {32*i}{accRow[r]}, Y{4*r+i}
		.end
	.end
	MOVQ SI, DX
	MOVQ R14, CX
cell{R}x{N}:
	MOVQ (R15)(CX*8), AX
	.for i in (bytes+63)/64
		PREFETCHT0 {64*i}(AX)(BX*1)
	.end
	MOVQ (R12)(CX*8), AX
	multiply {N}
	ADDQ $4, DX
	INCQ CX
	JNE  cell{R}x{N}
	.for r in R
		.for i in N
			VMOVUPS Y{4*r+i}, {32*i}{accRow[r]}
		.end
	.end
	ADDQ ${32*N}, R13
	ADDQ ${bytes}, BX
more{R}x{N}:
	SUBQ ${8*N}, R10
	JGE  block{R}x{N}
	ADDQ ${8*N}, R10
.end

.for TYPE in F32, F16, BF16, Q8, Q4
.set BYTES = 64
.set QUANTISED = 0
.if TYPE == "F32"
	.set BYTES = 128
.end
.if TYPE == "Q8"
	.set BYTES = 34
	.set QUANTISED = 1
.end
.if TYPE == "Q4"
	.set BYTES = 18
	.set QUANTISED = 1
.end
.func acc{TYPE} blockArgs
	tiles
	.slot weights 8
	MOVQ {a.base}, DX
	MOVQ DX, {base}
	MOVQ {a.in}, DX
	MOVQ DX, {weights}
	MOVQ {a.ldOut}, R8
	MOVQ {a.ldIn}, R9
	SHLQ $2, R8
	SHLQ $2, R9

tile:
	MOVL    $16, R14
	CMPQ    R14, {left}
	CMOVQGT {left}, R14
	LEAQ    {rows}, R12
	LEAQ    (R12)(R14*8), R12
	MOVQ    R12, R15
	NEGQ    R14
	tile    start
	LEAQ    128(R12), R15
start:
	{args}
	MOVQ {a.out}, DI
	MOVQ {weights}, SI
	MOVQ {a.rows}, R11

rows:
	MOVQ DI, R13
	XORL BX, BX
	{args}
	MOVQ {a.d}, R10
	choose
	.for R in 1, 2, 3
	rows{R}:
		channels 4, {BYTES}
		.if !QUANTISED
			channels 1, {BYTES/4}
		.end
		.for r in R
			ADDQ R8, DI
			ADDQ R9, SI
		.end
		MOVQ R12, R15
		SUBQ ${R}, R11
		JNE  rows
		JMP  next
	.end

next:
	ADDQ $64, {weights}
	nextTile
.end
