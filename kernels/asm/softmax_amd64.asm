.levels avx2 avx512

// The same values as in scalar.go: log2(e), -ln2Hi, -ln2Lo, C7 to C2, 1, cutoff, magnitude. Each
// fills a vector.
.long expc {L}:0x3fb8aa3b, {L}:0xbf318000, {L}:0x395e8083, \
	{L}:0x39506967, {L}:0x3ab743ce, {L}:0x3c088908, {L}:0x3d2aa9c1, {L}:0x3e2aaaaa, {L}:0x3f000000, {L}:0x3f800000, {L}:0xc2ae999a, {L}:0x7fffffff
.if avx2
	.list C = V9, expc<>+32(SB), expc<>+64(SB), expc<>+96(SB), expc<>+128(SB), \
		expc<>+160(SB), expc<>+192(SB), expc<>+224(SB), expc<>+256(SB), expc<>+288(SB), V10
	// A mask of n lanes begins 4*n bytes before the middle.
	.long lanes 8:0xffffffff, 8:0
.else
	.list C = V20, V21, V22, V23, V24, V25, V26, V27, V28, V29, V30
.end

.macro constants
	.if avx2
		VMOVUPS expc<>+0(SB), V9
		VMOVUPS expc<>+320(SB), V10
	.else
		.for i in 11
			VMOVUPS expc<>+{64*i}(SB), V{20+i}
		.end
	.end
.end

// exp replaces V{x} by exp, for x <= 0 or NaN. It overwrites V{2+2*x}, V{3+2*x} and V{6+x} or
// K{2+x}. 2^m is applied by adding m to the exponent: no carry can occur above the cutoff, what is
// below gets masked, and for NaN the conversion of m yields 1<<31, which the shift drops.
.macro exp x
	.set m = 2+2*x
	.set p = 3+2*x
	VMULPS {C[0]}, V{x}, V{m}
	.if avx2
		VROUNDPS $8, V{m}, V{m}
		VCMPPS   $0x15, {C[10]}, V{x}, V{6+x} // !(x < cutoff)
	.else
		VRNDSCALEPS $8, V{m}, V{m}
		VCMPPS      $0x15, {C[10]}, V{x}, K{2+x}
	.end
	VFMADD231PS {C[1]}, V{m}, V{x}
	VFMADD231PS {C[2]}, V{m}, V{x} // r
	VCVTPS2DQ   V{m}, V{m}
	VPSLLD      $23, V{m}, V{m}
	VMOVUPS     {C[3]}, V{p}
	.for i in 6
		VFMADD213PS {C[4+i]}, V{x}, V{p}
	.end
	VFMADD213PS {C[9]}, V{x}, V{p}
	.if avx2
		VPADDD V{m}, V{p}, V{x}
		VANDPS V{6+x}, V{x}, V{x}
	.else
		VPADDD.Z V{m}, V{p}, K{2+x}, V{x}
	.end
.end

// reduce leaves in the first lane what OP makes of all of V{v}.
.macro reduce OP v
	.if avx512
		VEXTRACTF64X4 $1, Z{v}, Y0
		{OP} Y{v}, Y0, Y{v}
	.end
	VEXTRACTF128 $1, Y{v}, X0
	{OP} X{v}, X0, X{v}
	VPERMILPS $0x4e, X{v}, X0
	{OP} X{v}, X0, X{v}
	VPERMILPS $0xb1, X{v}, X0
	{OP} X{v}, X0, X{v}
.end

// Registers of softmaxRow:
//	DI  x, R9 the end of its whole vectors, CX how many lanes the last one has, V11 or K1 these
//	R13 max, R14 sum, V8 maximum, and V12; V12, V13 sums

.func softmaxRow softmaxArgs bool
	MOVQ {a.x}, DI
	MOVQ {a.n}, R8
	MOVQ {a.max}, R13
	MOVQ {a.sum}, R14
	MOVB $0, {ret}
	constants
	VBROADCASTSS (R13), V8
	VMOVAPS V8, V12
	MOVQ    R8, CX
	ANDQ    ${L-1}, CX
	ANDQ    ${-L}, R8
	LEAQ    (DI)(R8*4), R9
	.if avx2
		LEAQ    lanes<>+32(SB), AX
		SHLQ    $2, CX
		SUBQ    CX, AX
		VMOVUPS (AX), V11
		SHRQ    $2, CX
	.else
		MOVL  $-1, AX
		BZHIL CX, AX, AX
		KMOVW AX, K1
	.end

	// VMAXPS yields its second source, the running maximum, if x is NaN.
	MOVQ DI, SI
	LEAQ {-W}(R9), DX

max2:
	CMPQ    SI, DX
	JAE     max1
	VMOVUPS (SI), V0
	VMOVUPS {W}(SI), V1
	VMAXPS  V8, V0, V8
	VMAXPS  V12, V1, V12
	ADDQ    ${2*W}, SI
	JMP     max2

max1:
	CMPQ    SI, R9
	JAE     maxTail
	VMOVUPS (SI), V0
	VMAXPS  V8, V0, V8

maxTail:
	.if avx2
		TESTQ      CX, CX
		JEQ        maxReduce
		VMASKMOVPS (R9), V11, V0
		VMAXPS     V12, V0, V0
		VBLENDVPS  V11, V0, V12, V12
	.else
		VMOVUPS.Z (R9), K1, V0
		VMAXPS    V12, V0, K1, V12
	.end

maxReduce:
	VMAXPS V8, V12, V8
	reduce VMAXPS, 8
	VMOVSS X8, (R13)
	VMOVD  X8, AX
	CMPL   AX, $0xff800000
	JEQ    masked
	VBROADCASTSS X8, V8
	VXORPS V12, V12, V12
	VXORPS V13, V13, V13

	.for n in 2, 1
	exp{n}:
		.if n == 2
			CMPQ DI, DX
			JAE  exp1
		.else
			CMPQ DI, R9
			JAE  expTail
		.end
		.for i in n
			VMOVUPS {W*i}(DI), V{i}
		.end
		.for i in n
			VSUBPS V8, V{i}, V{i}
		.end
		.for i in n
			exp {i}
		.end
		.for i in n
			VMOVUPS V{i}, {W*i}(DI)
			VADDPS  V{i}, V{12+i}, V{12+i}
		.end
		ADDQ ${W*n}, DI
		.if n == 2
			JMP exp2
		.end
	.end

expTail:
	TESTQ CX, CX
	JEQ   sumReduce
	.if avx2
		VMASKMOVPS (R9), V11, V0
	.else
		VMOVUPS.Z (R9), K1, V0
	.end
	VSUBPS V8, V0, V0
	exp 0
	.if avx2
		VANDPS V11, V0, V0
		VADDPS V0, V13, V13

		// Masked stores are slow on AMD.
		TESTQ   $4, CX
		JEQ     store2
		VMOVUPS X0, (R9)
		ADDQ    $16, R9
		VEXTRACTF128 $1, Y0, X0

	store2:
		TESTQ   $2, CX
		JEQ     store1
		VMOVLPS X0, (R9)
		ADDQ    $8, R9
		VPERMILPS $0x4e, X0, X0

	store1:
		TESTQ  $1, CX
		JEQ    sumReduce
		VMOVSS X0, (R9)
	.else
		VMOVUPS V0, K1, (R9)
		VADDPS  V0, V13, K1, V13
	.end

sumReduce:
	VADDPS V12, V13, V12
	reduce VADDPS, 12
	VMOVSS X12, (R14)

end:
	VZEROUPPER
	RET

masked:
	MOVL $0, (R14)
	MOVB $1, {ret}
	JMP  end

// expSum adds up roughExp, see scalar.go, of multiples of 16 numbers. Where VMAXPS has a NaN it
// yields its last source, the first operand here.
.long rough {L}:0xc2ae0000, {L}:0x4b38aa3b, {L}:0x4e7de2d1

.func expSum expSumArgs float32
	MOVQ {a.x}, SI
	MOVQ {a.n}, DX
	MOVQ {a.max}, R13
	MOVQ SI, DI
	MOVQ DX, CX
	VBROADCASTSS (R13), V8
	.for i in 4
		VMOVAPS V8, V{12+i}
	.end
	.for pass in 2 // 4 vectors, so that additions need not wait for each other; then the rest
		.set n = 4-pass*(4-16/L)
	largest{n}:
		SUBQ ${n*L}, CX
		JLT  all{n}
		.for i in n
			VMOVUPS {W*i}(DI), V{i}
			VMAXPS  V{12+i}, V{i}, V{12+i}
		.end
		ADDQ ${n*W}, DI
		JMP  largest{n}
	all{n}:
		ADDQ ${n*L}, CX
	.end
	VMAXPS V12, V13, V12
	VMAXPS V14, V15, V14
	VMAXPS V12, V14, V8
	reduce VMAXPS, 8
	VXORPS X12, X12, X12
	VMOVSS X8, (R13)
	VMOVD  X8, AX
	CMPL   AX, $0xff800000
	JEQ    summed
	VBROADCASTSS X8, V8
	.for i in 4
		VXORPS V{12+i}, V{12+i}, V{12+i}
	.end
	VMOVUPS rough<>+0(SB), V9
	VMOVUPS rough<>+{W}(SB), V10
	VMOVUPS rough<>+{2*W}(SB), V11
	.for pass in 2
		.set n = 4-pass*(4-16/L)
	sum{n}:
		SUBQ ${n*L}, DX
		JLT  added{n}
		.for i in n
			VMOVUPS     {W*i}(SI), V{i}
			VSUBPS      V8, V{i}, V{i}
			VMAXPS      V9, V{i}, V{i}
			VFMADD213PS V11, V10, V{i}
			VCVTPS2DQ   V{i}, V{i}
			VADDPS      V{i}, V{12+i}, V{12+i}
		.end
		ADDQ ${n*W}, SI
		JMP  sum{n}
	added{n}:
		ADDQ ${n*L}, DX
	.end
	VADDPS V13, V12, V12
	VADDPS V15, V14, V14
	VADDPS V14, V12, V12
	reduce VADDPS, 12

summed:
	VMOVSS X12, {ret}
	VZEROUPPER
	RET

.if avx2

// softCap makes x c*(1-t)/(1+t) with t = exp(|x|*f), f = -2/c, signed as x.
.func softCap elemArgs
	MOVQ         {a.dst}, DI
	MOVQ         {a.n}, CX
	VBROADCASTSS {a.s}, V11
	VBROADCASTSS {a.t}, V12
	VMOVUPS      expc<>+352(SB), V13
	VMOVUPS      expc<>+288(SB), V14
	constants

eight:
	VMOVUPS (DI), V5
	VANDPS  V13, V5, V0
	VANDNPS V5, V13, V5 // sign
	VMULPS  V12, V0, V0
	exp 0
	VSUBPS  V0, V14, V1
	VADDPS  V0, V14, V0
	VDIVPS  V0, V1, V0
	VMULPS  V11, V0, V0
	VORPS   V5, V0, V0
	VMOVUPS V0, (DI)
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNE     eight
	VZEROUPPER
	RET
.end
