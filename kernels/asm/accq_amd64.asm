.levels avx2

// Sums of weighted quantised values.

.include tiles_amd64.inc
.include accframe_amd64.inc

.long fifteen 8:15
.long eight 8:8

// valueQ8 and valueQ4 make Y15 channels 8*i of a block of a cell.
.macro valueQ8 i
	VPMOVSXBD {2+8*i}(AX)(BX*1), Y15
.end

.macro valueQ4 i
	VPMOVZXBD {2+i%2*8}(AX)(BX*1), Y15
	.if i < 2
		VPAND fifteen<>(SB), Y15, Y15
	.else
		VPSRLD $4, Y15, Y15
	.end
	VPSUBD eight<>(SB), Y15, Y15
.end

// multiply has the scale of the block in the register of a weight, so that two of three weights are loaded again and again.
.macro multiply n v lanes
	VBROADCASTSS {weight[0]}, Y12
	VPBROADCASTW (AX)(BX*1), X13
	VCVTPH2PS    X13, Y13
	.if R == 2
		VBROADCASTSS {weight[1]}, Y14
	.end
	.for i in n
		value{TYPE} {i}
		VCVTDQ2PS   Y15, Y15
		VMULPS      Y13, Y15, Y15
		.if R == 3
			VBROADCASTSS {weight[1]}, Y14
		.end
		VFMADD231PS Y15, Y12, Y{i}
		.if R > 1
			VFMADD231PS Y15, Y14, Y{4+i}
		.end
		.if R > 2
			VBROADCASTSS {weight[2]}, Y14
			VFMADD231PS  Y15, Y14, Y{8+i}
		.end
	.end
.end

.macro block
	channels 4, V, 8, {BYTES}
.end

.for TYPE in Q8, Q4
.set BYTES = 34
.if TYPE == "Q4"
	.set BYTES = 18
.end
.func acc{TYPE} blockArgs
	accRows
.end
