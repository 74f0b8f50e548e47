.levels amx

.include amx_amd64.inc

// useTiles configures the tiles of the thread, and leaves in was what they were.
.func useTiles tilesArgs
	MOVQ {a.was}, AX
	tileConfigStore
	{args}
	MOVQ {a.config}, AX
	tileConfig
	RET

// Registers of mulHalves:
//	SI, R10  row 0 and 16 of a       R9   from a row of a to the next
//	DI, R11  row 0 and 16 of c       R8   from a row of c to the next
//	BX       row of b                R12  from a pair of rows of b to the next
//	R13      rows left               CX   terms left
// Tiles: 0 to 3 are sums, of 16 columns each; 4 and 5 of a, 6 and 7 of b.

// move loads or stores the sums of T times 16 rows.
.macro move OP
	{OP} 0, {DI}, {R8}, 0
	{OP} 1, {DI}, {R8}, 64
	.if T == 2
		{OP} 2, {R11}, {R8}, 0
		{OP} 3, {R11}, {R8}, 64
	.end
.end

// loadA loads the parts of a at an offset.
.macro loadA at
	tileLoad 4, {SI}, {R9}, {at}
	.if T == 2
		tileLoad 5, {R10}, {R9}, {at}
	.end
.end

// products adds those of what tiles 4 to 7 have.
.macro products
	tileMul 0, 4, 6
	tileMul 1, 4, 7
	.if T == 2
		tileMul 2, 5, 6
		tileMul 3, 5, 7
	.end
.end

.func mulHalves mulArgs
	MOVQ {a.c}, DI
	MOVQ {a.ldc}, R8
	SHLQ $2, R8
	MOVQ {a.a}, SI
	MOVQ {a.lda}, R9
	SHLQ $2, R9
	MOVQ {a.m}, R13
	MOVL $256, R12

rows:
	MOVQ {a.b}, BX
	MOVQ {a.k}, CX
	MOVQ R9, R10
	SHLQ $4, R10
	ADDQ SI, R10
	MOVQ R8, R11
	SHLQ $4, R11
	ADDQ DI, R11
	CMPQ R13, $16
	JLE  begin1
	.for T in 2, 1
	begin{T}:
		CMPB {a.add}, $0
		JEQ  zero{T}
		move tileLoad
		JMP  terms{T}
	zero{T}:
		.for t in 2*T
			tileZero {t}
		.end
	terms{T}:
		tileLoad 6, {BX}, {R12}, 0
		tileLoad 7, {BX}, {R12}, 64
		loadA 64
		products
		loadA 0
		products
		tileLoad 6, {BX}, {R12}, 128
		tileLoad 7, {BX}, {R12}, 192
		products
		ADDQ $128, SI
		ADDQ $128, R10
		ADDQ $4096, BX
		SUBQ $32, CX
		JNE  terms{T}
		move tileStore
		.if T == 2
			JMP next
		.end
	.end

next:
	MOVQ {a.k}, CX // back to the first term, and on by 32 rows
	SHLQ $2, CX
	SUBQ CX, SI
	MOVQ R9, DX
	SHLQ $5, DX
	ADDQ DX, SI
	MOVQ R8, DX
	SHLQ $5, DX
	ADDQ DX, DI
	SUBQ $32, R13
	JGT  rows
	RET

// Of each float: half a bf16, what a bf16 has of it, bits of which none is there in less than 2^-63;
// and the numbers of the odd words of two vectors. The rest of less is taken for 0, as processors are
// slow where it has no whole bf16.
.long parts 1:0x8000, 1:0xffff0000, 1:0x60000000, 1:0x00030001, 1:0x00070005, 1:0x000b0009, 1:0x000f000d, \
	1:0x00130011, 1:0x00170015, 1:0x001b0019, 1:0x001f001d, 1:0x00230021, 1:0x00270025, \
	1:0x002b0029, 1:0x002f002d, 1:0x00330031, 1:0x00370035, 1:0x003b0039, 1:0x003f003d

// Registers of halve:
//	DI  row of dst   R8   from one to the next   R10  32 floats of it
//	SI  row of src   R9   from one to the next   R11  32 floats of it
//	R13 rows left    CX   floats left
.func halve halveArgs
	MOVQ {a.dst}, DI
	MOVQ {a.ldDst}, R8
	SHLQ $2, R8
	MOVQ {a.src}, SI
	MOVQ {a.ldSrc}, R9
	SHLQ $2, R9
	MOVQ {a.rows}, R13
	VPBROADCASTD parts<>+0(SB), Z16
	VPBROADCASTD parts<>+4(SB), Z17
	VPBROADCASTD parts<>+8(SB), Z19
	VMOVDQU32    parts<>+12(SB), Z18

row:
	MOVQ DI, R10
	MOVQ SI, R11
	MOVQ {a.n}, CX

floats:
	.for i in 2
		VMOVUPS {64*i}(R11), Z{i}
	.end
	.for i in 2
		VPADDD Z16, Z{i}, Z{2+i}
	.end
	.for i in 2
		VPANDD Z17, Z{2+i}, Z{2+i}
	.end
	.for i in 2
		VCMPPS $3, Z{i}, Z{i}, K{1+i} // a NaN stays one
		VPANDD Z17, Z{i}, K{1+i}, Z{2+i}
	.end
	.for i in 2
		VPTESTMD Z19, Z{i}, K{1+i}
	.end
	.for i in 2
		VSUBPS.Z Z{2+i}, Z{i}, K{1+i}, Z{i}
	.end
	.for i in 2
		VPADDD Z16, Z{i}, Z{i}
	.end
	VPERMT2W Z3, Z18, Z2
	VPERMT2W Z1, Z18, Z0
	VMOVDQU32 Z2, (R10)
	VMOVDQU32 Z0, 64(R10)
	ADDQ $128, R10
	ADDQ $128, R11
	SUBQ $32, CX
	JNE  floats
	ADDQ R8, DI
	ADDQ R9, SI
	DECQ R13
	JNE  row
	VZEROUPPER
	RET

// Registers of halvePairs:
//	DI  two rows of 32 floats    CX  rows left
.func halvePairs halvePairsArgs
	MOVQ {a.x}, DI
	MOVQ {a.rows}, CX
	VPBROADCASTD parts<>+0(SB), Z16
	VPBROADCASTD parts<>+4(SB), Z17

pair:
	.for i in 2
		VMOVUPS {64*i}(DI), Z{i}
		VMOVUPS {64*i+128}(DI), Z{2+i}
	.end
	.for i in 4
		VPADDD Z16, Z{i}, Z{4+i}
	.end
	.for i in 4
		VPANDD Z17, Z{4+i}, Z{4+i}
	.end
	.for i in 4
		VSUBPS Z{4+i}, Z{i}, Z{8+i}
	.end
	.for i in 4
		VPADDD Z16, Z{8+i}, Z{8+i}
	.end
	.for i in 2
		VPSRLD $16, Z{4+i}, Z{i}
		VPORD  Z{i}, Z{6+i}, Z{i}
		VPSRLD $16, Z{8+i}, Z{8+i}
		VPTERNLOGD $0xea, Z{8+i}, Z17, Z{10+i}
	.end
	.for i in 2
		VMOVUPS Z{i}, {64*i}(DI)
		VMOVUPS Z{10+i}, {64*i+128}(DI)
	.end
	ADDQ $256, DI
	SUBQ $2, CX
	JNE  pair
	VZEROUPPER
	RET
