.levels avx2 avx512

// Sums of weighted float values.

.include tiles_amd64.inc
.include accframe_amd64.inc

.macro multiply n v lanes
	.for r in R
		VBROADCASTSS {weight[r]}, V{Q+r}
	.end
	.for i in n
		.set k = K
		.if avx512
			.set k = K+i
		.end
		load{TYPE} {BYTES*lanes*i}(AX)(BX*1), {v}{k}
		.for r in R
			VFMADD231PS {v}{k}, {v}{Q+r}, {v}{4*r+i}
		.end
	.end
.end

.macro block
	channels 4, V, {L}, {4*L*BYTES}
	channels 1, V, {L}, {L*BYTES}
	.if avx512
		channels 1, H, 8, {8*BYTES}
	.end
.end

.for TYPE in F32, F16, BF16
.set BYTES = 2
.if TYPE == "F32"
	.set BYTES = 4
.end
.func acc{TYPE} blockArgs
	accRows
.end
