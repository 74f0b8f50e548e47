.levels avx2

// Logits of quantised keys.

.include tiles_amd64.inc
.include dotframe_amd64.inc

.long nibbles 8:0x0f0f0f0f

// The integers are summed over a whole block before they become floats, which are multiplied and added as in the
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
