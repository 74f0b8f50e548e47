.levels avx2 avx512

// Logits of quantised keys.

.include tiles_amd64.inc

.long nibbles 8:0x0f0f0f0f

.if avx512

// Each of the 16 cells of a tile has a lane of its own, so there are no sums across lanes and no
// order to keep. The rows' sums are in out. The int32 sum of a block begins with the bias of q,
// which takes back what making keys unsigned has added.
//	SI   q, row and block        R9   bytes from a row of q to the next
//	BX   its scale               R12  bytes from scales to biases
//	DI   &out[row][tile]         R11  bytes from a row of out to the next
//	AX   offset of the block     R13  bytes of a row of keys
//	R14  channel of the block    CX   rows left
//	R8, R10, DX  scratch
//	K1   cells to store          K2   the same, but none in the first block
//	Z0-Z7  channels 4*i to 4*i+3 of each cell, unsigned     Z28  constant     Z30  scales

// unpack4 transposes the dwords of each 128-bit lane of n to n+3, by way of t to t+3.
.macro unpack4 n t
	VPUNPCKLDQ  Z{n+1}, Z{n}, Z{t}
	VPUNPCKHDQ  Z{n+1}, Z{n}, Z{t+1}
	VPUNPCKLDQ  Z{n+3}, Z{n+2}, Z{t+2}
	VPUNPCKHDQ  Z{n+3}, Z{n+2}, Z{t+3}
	VPUNPCKLQDQ Z{t+2}, Z{t}, Z{n}
	VPUNPCKHQDQ Z{t+2}, Z{t}, Z{n+1}
	VPUNPCKLQDQ Z{t+3}, Z{t+1}, Z{n+2}
	VPUNPCKHQDQ Z{t+3}, Z{t+1}, Z{n+3}
.end

// keysQ8 has cells i and i+4 in register 8+i, and i+8 and i+12 in 12+i. Of the transposed ones,
// dword i is in lanes 0 and 2, and dword i+4 in lanes 1 and 3.
.macro keysQ8
	.for i in 8
		MOVQ         {rows+i/4*64+i%4*8}, R8
		MOVQ         {rows+i/4*64+i%4*8+32}, R10
		VMOVDQU      2(R8)(AX*1), Y{8+i}
		VINSERTI64X4 $1, 2(R10)(AX*1), Z{8+i}, Z{8+i}
	.end
	unpack4 8, 16
	unpack4 12, 20
	.for i in 4
		VSHUFI32X4 $0x88, Z{12+i}, Z{8+i}, Z{i}
		VSHUFI32X4 $0xdd, Z{12+i}, Z{8+i}, Z{4+i}
		VPXORD     Z28, Z{i}, Z{i}
		VPXORD     Z28, Z{4+i}, Z{4+i}
	.end
.end

.macro keysQ4
	.for i in 4
		.for lane in 4
			MOVQ {rows+8*i+32*lane}, R8
			.if lane == 0
				VMOVDQU 2(R8)(AX*1), X{8+i}
			.else
				VINSERTI32X4 ${lane}, 2(R8)(AX*1), Z{8+i}, Z{8+i}
			.end
		.end
	.end
	unpack4 8, 16
	.for i in 4
		VPSRLW $4, Z{8+i}, Z{4+i}
		VPANDD Z28, Z{8+i}, Z{i}
		VPANDD Z28, Z{4+i}, Z{4+i}
	.end
.end

.for TYPE in Q8, Q4
.set BYTES = 34
.set CONSTANT = 0x80808080
.if TYPE == "Q4"
	.set BYTES = 18
	.set CONSTANT = 0x0f0f0f0f
.end
.func dot{TYPE} blockArgs
	tiles
	.slot outTile 8
	MOVQ         {a.base}, DX
	MOVQ         DX, {base}
	MOVQ         {a.out}, DX
	MOVQ         DX, {outTile}
	MOVQ         {a.size}, R13
	MOVQ         {a.d}, R12
	MOVQ         {a.ldIn}, R9
	MOVQ         {a.ldOut}, R11
	SHRQ         $3, R12
	SHLQ         $2, R9
	SHLQ         $2, R11
	MOVL         ${CONSTANT}, DX
	VPBROADCASTD DX, Z28

tile:
	MOVL    $16, CX
	CMPQ    CX, {left}
	CMOVQGT {left}, CX
	XORL    DX, DX
	BTSL    CX, DX
	DECL    DX
	KMOVW   DX, K1
	KXORW   K2, K2, K2
	tile
	XORL AX, AX
	XORL R14, R14

block: // each asks for one more line of the rows
	LEAQ (R14)(R14*1), DX
	CMPQ DX, R13
	JGE  asked
	.for i in 16
		MOVQ  {asks+8*i}, R8
		fetch (R8)(DX*1)
	.end
asked:
	VPXOR X8, X8, X8
	VPXOR X9, X9, X9
	.for i in 16
		MOVQ    {rows+8*i}, R8
		VPINSRW ${i%8}, (R8)(AX*1), X{8+i/8}, X{8+i/8}
	.end
	VINSERTI128 $1, X9, Y8, Y8
	VCVTPH2PS   Y8, Z30
	keys{TYPE}
	MOVQ AX, R10
	{args}
	MOVQ {a.in}, SI
	MOVQ {a.d}, BX
	MOVQ {a.rows}, CX
	MOVQ R10, AX
	MOVQ R14, R8
	SHRQ $3, R8
	ADDQ SI, BX
	ADDQ R8, BX
	ADDQ R14, SI
	MOVQ {outTile}, DI

row:
	VPBROADCASTD (BX)(R12*1), Z24
	.for i in 8
		VPDPBUSD.BCST {4*i}(SI), Z{i}, Z24
	.end
	VMULPS.BCST (BX), Z30, Z25
	VMOVUPS.Z   (DI), K2, Z26
	VCVTDQ2PS   Z24, Z24
	VFMADD231PS Z24, Z25, Z26
	VMOVUPS     Z26, K1, (DI)
	ADDQ        R9, SI
	ADDQ        R9, BX
	ADDQ        R11, DI
	DECQ        CX
	JNE         row

	KMOVW K1, K2
	ADDQ  $32, R14
	ADDQ  ${BYTES}, AX
	CMPQ  AX, R13
	JLT   block

	ADDQ $64, {outTile}
	nextTile
.end

.else

.include dotframe_amd64.inc

// The integers are summed over a whole block before they become floats, which are multiplied and
// added as in the generic kernels: the logits are the same bits.
//	AX, BP, DI      q: the block, its scale, its bias
//	Y1, Y2, Y5, Y6  the keys     X15  their scales
//	Y7, Y11         q            Y3   int16 ones
//	Y9-Y14          products, sums
.list qBlock = (AX), (AX)(R10*1), (AX)(R10*2)
.list qScale = (BP), (BP)(R10*1), (BP)(R10*2)
.list qBias = (DI), (DI)(R10*1), (DI)(R10*2)

// keys loads the F16 scales, at the begin of each block, and the block: magnitudes of Q8_0; of Q4_0
// the low nibbles of cells 0 and 2 in Y1, the high ones in Y2, and those of cells 1 and 3 in Y5 and
// Y6. VMOVD takes two bytes more of a scale, which are overwritten.
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

// integersQ8 gives the keys' signs to q, which is never -128; so does 2*128*127 fit in an int16.
// The sums are formed as in sum4.
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

.end
