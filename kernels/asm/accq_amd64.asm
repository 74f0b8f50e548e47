.levels avx2 avx512

// Sums of weighted quantised values.

.include tiles_amd64.inc
.include accframe_amd64.inc

.long fifteen 16:15
.long eight 16:8

// valueQ8 and valueQ4 make register k the integers of channels L*i of a block of a cell.
.macro valueQ8 i k
	VPMOVSXBD {2+L*i}(AX)(BX*1), V{k}
.end

.macro valueQ4 i k
	.if avx512
		.if i == 0
			VPMOVZXBD 2(AX)(BX*1), V{k+1}
			VPANDD    fifteen<>(SB), V{k+1}, V{k}
		.else
			VPSRLD $4, V{k+1}, V{k}
		.end
	.else
		VPMOVZXBD {2+L*i%16}(AX)(BX*1), V{k}
		.if i < 2
			VPAND fifteen<>(SB), V{k}, V{k}
		.else
			VPSRLD $4, V{k}, V{k}
		.end
	.end
	VPSUBD eight<>(SB), V{k}, V{k}
.end

// value makes register k the values, by the scale.
.macro value i k
	value{TYPE} {i}, {k}
	VCVTDQ2PS   V{k}, V{k}
	VMULPS      V{SCALE}, V{k}, V{k}
.end

// multiply has, of avx2, three registers for the scale and the weights, so that two of three
// weights are loaded again and again.
.macro multiply n v lanes
	VPBROADCASTW (AX)(BX*1), H{SCALE}
	VCVTPH2PS    H{SCALE}, V{SCALE}
	.if avx512 || R < 3
		.for r in R
			VBROADCASTSS {weight[r]}, V{Q+r}
		.end
		.for i in n
			value {i}, {K}
			.for r in R
				VFMADD231PS V{K}, V{Q+r}, V{4*r+i}
			.end
		.end
	.else
		VBROADCASTSS {weight[0]}, Y{Q}
		.for i in n
			value {i}, {K}
			VFMADD231PS Y{K}, Y{Q}, Y{i}
			.for r in 1, 2
				VBROADCASTSS {weight[r]}, Y{Q+1}
				VFMADD231PS  Y{K}, Y{Q+1}, Y{4*r+i}
			.end
		.end
	.end
.end

.macro block
	channels {32/L}, V, {L}, {BYTES}
.end

.set SCALE = K+3
.for TYPE in Q8, Q4
.set BYTES = 34
.if TYPE == "Q4"
	.set BYTES = 18
.end
.func acc{TYPE} blockArgs
	accRows
.end
