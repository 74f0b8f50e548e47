.levels avx2 avx512

// Logits of float keys. A key is converted once for the rows of a block.

.include tiles_amd64.inc
.include dotframe_amd64.inc

// sum4 adds up the lanes of 4 vectors from n on, all in the same order. A blend takes the place of
// one shuffle of each VHADDPS: shuffles are what this is short of.
.macro blend b a
	.if avx512
		VBLENDMPS V{b}, V{a}, K2, V{a}
	.else
		VBLENDPS $0xcc, V{b}, V{a}, V{a}
	.end
.end

.macro sum4 n
	VSHUFPS $0x4e, V{n+1}, V{n}, V{K} // a2 a3 b0 b1 | ..
	blend   {n+1}, {n}                // a0 a1 b2 b3 | ..
	VSHUFPS $0x4e, V{n+3}, V{n+2}, V{Q}
	blend   {n+3}, {n+2}
	VADDPS  V{K}, V{n}, V{n}
	VADDPS  V{Q}, V{n+2}, V{n+2}
	VSHUFPS $0x88, V{n+2}, V{n}, V{K}
	VSHUFPS $0xdd, V{n+2}, V{n}, V{Q}
	VADDPS  V{K}, V{Q}, V{n} // a b c e, channels 0-3 | 4-7 | ..
	.if avx512
		VEXTRACTF64X4 $1, Z{n}, Y{K}
		VADDPS        Y{K}, Y{n}, Y{n}
	.end
	VEXTRACTF128 $1, Y{n}, X{n+1}
	VADDPS       X{n+1}, X{n}, X{n}
.end

.list qRow = BX, DI, BP, R10

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
	.if R > 3
		LEAQ (DI)(R10*2), R10
	.end
	NEGQ DX
	MOVQ DX, {minusD}
.end

// multiply does the channels from at on in registers v: V, or H for the last 8 of avx512.
.macro multiply v at
	.for r in R
		VMOVUPS {4*at}({qRow[r]})(DX*4), {v}{Q+r}
	.end
	.for t in 4
		.set k = K
		.if avx512
			.set k = K+t
		.end
		load{TYPE} {BYTES*at}(R{12+t})(DX*{BYTES}), {v}{k}
		.for r in R
			VFMADD231PS V{k}, V{Q+r}, V{4*r+t}
		.end
	.end
.end

// multiply2 does two steps, of one key after the other: to go along several rows at a time makes
// the memory slower.
.macro multiply2
	.set QQ = 8
	.if avx512
		.set QQ = Q
	.end
	.for r in R
		.for step in 2
			VMOVUPS {4*L*step}({qRow[r]})(DX*4), V{QQ+2*r+step}
		.end
	.end
	.for t in 4
		.for step in 2
			load{TYPE} {BYTES*L*step}(R{12+t})(DX*{BYTES}), V{K+t%2*2+step}
			.for r in R
				VFMADD231PS V{K+t%2*2+step}, V{QQ+2*r+step}, V{4*r+t}
			.end
		.end
	.end
.end

// products has what is no multiple of two steps first.
.macro products
	MOVQ {minusD}, DX
	.for i in 4*R
		VXORPS Y{i}, Y{i}, Y{i}
	.end
	.if avx512
		TESTQ    $8, DX
		JEQ      even{R}
		multiply H, 0
		ADDQ     $8, DX
		JEQ      sum{R}
	even{R}:
	.end
	TESTQ    ${L}, DX
	JEQ      product{R}
	multiply V, 0
	ADDQ     ${L}, DX
	JEQ      sum{R}
product{R}:
	.if avx512 || R < 3
		multiply2
	.else
		multiply V, 0
		multiply V, {L}
	.end
	ADDQ ${2*L}, DX
	JNE  product{R}
sum{R}:
	.for r in R
		sum4 {4*r}
	.end
.end

.for TYPE in F32, F16, BF16
.set BYTES = 2
.if TYPE == "F32"
	.set BYTES = 4
.end
.func dot{TYPE} blockArgs
	.slot minusD 8
	.if avx512
		MOVL  $0xcccc, DX
		KMOVW DX, K2
	.end
	dotRows
.end
