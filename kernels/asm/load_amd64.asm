.levels avx2 avx512

// Registers of loadF32 to loadQ4:
//	DI   dst            SI   row
//	BX   base           R12  stride
//	R13  cells          CX   cells left
//	R10  d              DX   channels left
//	R8   from the end of a row of dst to the next

.set MANY = 32/L // vectors of 32 channels

// convert stores n vectors of channels from SI on; few is 8 channels, whatever the width.
.macro convert R n
	.for i in n
		.if TYPE == "F32"
			VMOVUPS {W*i}(SI), {R}{i}
		.end
		.if TYPE == "F16"
			VCVTPH2PS {W/2*i}(SI), {R}{i}
		.end
		.if TYPE == "BF16"
			VPMOVZXWD {W/2*i}(SI), {R}{i}
			VPSLLD    $16, {R}{i}, {R}{i}
		.end
		.if TYPE == "Q8"
			VPMOVSXBD {2+L*i}(SI), {R}{i}
		.end
	.end
	.if TYPE == "Q4" // the high nibbles are 16 channels on
		.for i in n/2
			VPMOVZXBD {2+L*i}(SI), V{i}
			VPSRLD    $4, V{i}, V{n/2+i}
			{AND}     V6, V{i}, V{i}
		.end
		.for i in n
			VPSUBD V7, V{i}, V{i}
		.end
	.end
	.if TYPE == "Q8" || TYPE == "Q4"
		VPBROADCASTW (SI), H5
		VCVTPH2PS    H5, V5
		.for i in n
			VCVTDQ2PS V{i}, V{i}
			VMULPS    V5, V{i}, V{i}
		.end
	.end
	.for i in n
		VMOVUPS {R}{i}, {W*i}(DI)
	.end
.end

.set AND = "VPAND"
.if avx512
	.set AND = "VPANDD"
.end

.for TYPE in F32, F16, BF16, Q8, Q4
.func load{TYPE} loadArgs
	MOVQ {a.dst}, DI
	MOVQ {a.ld}, R8
	MOVQ {a.d}, R10
	MOVQ {a.base}, BX
	MOVQ {a.stride}, R12
	MOVQ {a.cells}, R13
	MOVQ {a.n}, CX
	SUBQ R10, R8
	SHLQ $2, R8
	.set BYTES = 2 // of a channel
	.set BLOCK = 64 // of 32 of them
	.if TYPE == "F32"
		.set BYTES = 4
		.set BLOCK = 128
	.end
	.if TYPE == "Q8"
		.set BLOCK = 34
	.end
	.if TYPE == "Q4"
		.set BLOCK = 18
		.for v in 2
			MOVL         ${15-7*v}, AX
			VMOVD        AX, X{6+v}
			VPBROADCASTD X{6+v}, V{6+v}
		.end
	.end

row:
	MOVLQSX (R13), SI
	IMULQ   R12, SI
	ADDQ    BX, SI
	ADDQ    $4, R13
	MOVQ    R10, DX
	SUBQ    $32, DX
	.if BLOCK >= 64
		JLT rest
	.end

many:
	convert V, {MANY}
	ADDQ ${BLOCK}, SI
	ADDQ $128, DI
	SUBQ $32, DX
	JGE  many
	.if BLOCK >= 64
	rest:
		ADDQ $32, DX
		JEQ  next
	few:
		convert Y, 1
		ADDQ ${8*BYTES}, SI
		ADDQ $32, DI
		SUBQ $8, DX
		JNE  few
	next:
	.end
	ADDQ R8, DI
	DECQ CX
	JNE  row
	VZEROUPPER
	RET
.end

.if avx2
.func prefetchCells prefetchArgs
	MOVQ {a.base}, BX
	MOVQ {a.stride}, R12
	MOVQ {a.size}, R10
	MOVQ {a.cells}, SI
	MOVQ {a.n}, CX

row:
	MOVLQSX (SI), AX
	IMULQ   R12, AX
	ADDQ    BX, AX
	XORL    DX, DX

line:
	PREFETCHT1 (AX)(DX*1)
	ADDQ       $64, DX
	CMPQ       DX, R10
	JLT        line
	PREFETCHT1 -1(AX)(R10*1) // rows need not begin with a line
	ADDQ       $4, SI
	DECQ       CX
	JNE        row
	RET
.end
