.levels avx2

// Registers of sumSq and minMax:
//	DI, SI  the two results, channel
//	BX      x, channel         AX  x, channel and row
//	R12     bytes per row      CX  rows left
//	R10     channels left      R11 rows
//	V0 .. V3 first result, V4 .. V7 second result

.macro sumSq mem i
	VMOVUPS     {mem}, V15
	VADDPS      V15, V{i}, V{i}
	VFMADD231PS V15, V15, V{4+i}
.end

// The instructions yield their second source, the old bound, for a NaN.
.macro minMax mem i
	VMOVUPS {mem}, V15
	VMINPS  V{i}, V15, V{i}
	VMAXPS  V{4+i}, V15, V{4+i}
.end

.for NAME in sumSq, minMax
.func {NAME} statsArgs
	MOVQ {a.first}, DI
	MOVQ {a.second}, SI
	MOVQ {a.x}, BX
	MOVQ {a.d}, R10
	MOVQ {a.n}, R11
	LEAQ (R10*4), R12
	.for n in 4, 1
	block{n}:
		SUBQ ${n*L}, R10
		JLT  rest{n}
		.for i in n
			VMOVUPS {W*i}(DI), V{i}
			VMOVUPS {W*i}(SI), V{4+i}
		.end
		MOVQ BX, AX
		MOVQ R11, CX
	row{n}:
		.for i in n
			{NAME} {W*i}(AX), {i}
		.end
		ADDQ R12, AX
		DECQ CX
		JNE  row{n}
		.for i in n
			VMOVUPS V{i}, {W*i}(DI)
			VMOVUPS V{4+i}, {W*i}(SI)
		.end
		ADDQ ${n*W}, DI
		ADDQ ${n*W}, SI
		ADDQ ${n*W}, BX
		JMP  block{n}
	rest{n}:
		ADDQ ${n*L}, R10
	.end
	VZEROUPPER
	RET
.end
