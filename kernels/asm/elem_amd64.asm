.levels avx2 avx512

// Functions of vectors. But for above they are too short, or too seldom used, for wider registers
// to show.

.long elem 0x7fffffff, 0x477fe000, 0xc77fe000, 0x7f800000 // magnitude, 65504, -65504, +Inf

// while and again are the ends of a loop over n vectors, as long as there are so many among CX
// elements.
// The speed of so short a loop depends on where it begins.
.macro while n
	PCALIGN $32
loop{n}:
	SUBQ ${n*L}, CX
	JLT  rest{n}
.end

.macro again n
	JMP loop{n}
rest{n}:
	ADDQ ${n*L}, CX
.end

.macro done
	VZEROUPPER
	RET
.end

.if avx2

.func scale elemArgs
	MOVQ         {a.dst}, DI
	MOVQ         {a.n}, CX
	VBROADCASTSS {a.s}, V0
	.for n in 4, 1
		while {n}
		.for i in n
			VMULPS {W*i}(DI), V0, V{1+i}
		.end
		.for i in n
			VMOVUPS V{1+i}, {W*i}(DI)
		.end
		ADDQ ${n*W}, DI
		again {n}
	.end
	done

.func axpby elemArgs
	MOVQ         {a.dst}, DI
	MOVQ         {a.x}, SI
	MOVQ         {a.n}, CX
	VBROADCASTSS {a.s}, V0
	VBROADCASTSS {a.t}, V1
	.for n in 2, 1
		while {n}
		.for i in n
			VMULPS      {W*i}(SI), V1, V{2+i}
			VFMADD231PS {W*i}(DI), V0, V{2+i}
		.end
		.for i in n
			VMOVUPS V{2+i}, {W*i}(DI)
		.end
		ADDQ ${n*W}, DI
		ADDQ ${n*W}, SI
		again {n}
	.end
	done

.func toF16 toF16Args
	MOVQ {a.dst}, DI
	MOVQ {a.src}, SI
	MOVQ {a.n}, CX
	.for i in 4
		VBROADCASTSS elem<>+{4*i}(SB), V{4+i}
	.end
	while 1
	VMOVUPS   (SI), V0
	VMINPS    V0, V5, V1 // yields V0 if it is NaN
	VMAXPS    V1, V6, V1
	VANDPS    V4, V0, V2
	VCMPPS    $0, V7, V2, V2
	VBLENDVPS V2, V0, V1, V1 // Inf is no overflow
	VCVTPS2PH $0, V1, (DI)
	ADDQ      ${W/2}, DI
	ADDQ      ${W}, SI
	again 1
	done

// VMAXPS yields its last source, the first operand here, when one is NaN: so dst
// stays where the new score is none.

// maxAdd takes all rows for 4 vectors of dst, which stay in registers.
.func maxAdd maxAddArgs
	MOVQ {a.dst}, DI
	MOVQ {a.x}, SI
	MOVQ {a.ld}, R8
	SHLQ $2, R8
	MOVQ {a.by}, R9
	MOVQ {a.rows}, R10
	MOVQ {a.n}, CX
	.for n in 4, 1
		while {n}
		.for i in n
			VMOVUPS {W*i}(DI), V{i}
		.end
		MOVQ SI, BX
		MOVQ R9, R11
		MOVQ R10, DX
	row{n}:
		VBROADCASTSS (R11), V8
		.for i in n
			VADDPS {W*i}(BX), V8, V{4+i}
			VMAXPS V{i}, V{4+i}, V{i}
		.end
		ADDQ R8, BX
		ADDQ $4, R11
		DECQ DX
		JNE  row{n}
		.for i in n
			VMOVUPS V{i}, {W*i}(DI)
		.end
		ADDQ ${n*W}, SI
		ADDQ ${n*W}, DI
		again {n}
	.end
	done

.func maxAddSqrt maxAddSqrtArgs
	MOVQ         {a.dst}, DI
	MOVQ         {a.x}, SI
	MOVQ         {a.y}, BX
	MOVQ         {a.ldX}, R8
	MOVQ         {a.ldY}, R9
	MOVQ         {a.rows}, R10
	MOVQ         {a.n}, CX
	SHLQ         $2, R8
	SHLQ         $2, R9
	VBROADCASTSS {a.beta}, V4
	VXORPS       V5, V5, V5
	MOVL         $0xff800000, DX // -Inf
	VMOVD        DX, X6
	VBROADCASTSS X6, V6
	while 1
	VMOVAPS V6, V1
	MOVQ    SI, R11
	MOVQ    BX, R12
	MOVQ    R10, DX

best:
	VMAXPS  (R12), V5, V0
	VADDPS  V5, V0, V0 // -0 becomes 0, as in Go's max
	VSQRTPS V0, V0
	VMULPS  V4, V0, V0
	VADDPS  (R11), V0, V0
	VMAXPS  V1, V0, V1
	ADDQ    R8, R11
	ADDQ    R9, R12
	DECQ    DX
	JNE     best
	VMOVUPS V1, (DI)
	ADDQ    ${W}, SI
	ADDQ    ${W}, BX
	ADDQ    ${W}, DI
	again 1
	done

.func absMax rowArgs float32
	MOVQ         {a.x}, SI
	MOVQ         {a.n}, CX
	VPBROADCASTD elem<>+0(SB), V4
	VPXOR        V0, V0, V0
	while 1
	VPAND   (SI), V4, V1
	VPMAXUD V1, V0, V0
	ADDQ    ${W}, SI
	again 1
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPMAXUD      X1, X0, X0
	VPSHUFD      $0xb1, X0, X1
	VPMAXUD      X1, X0, X0
	VMOVSS       X0, {ret}
	done
.end

// The store of a whole vector of indices cannot reach beyond dst[n]: there are no
// more of them than x has been read.
.func above aboveArgs int
	MOVQ         {a.dst}, DI
	MOVQ         {a.x}, SI
	MOVQ         {a.n}, CX
	VBROADCASTSS {a.t}, V4
	MOVQ         DI, R9
	.if avx2
		LEAQ     ·setLanes(SB), R8
		VPXOR    V5, V5, V5
		VPCMPEQD V6, V6, V6
		VPSRLD   $31, V6, V6
		VPSLLD   $3, V6, V6
		while 1
		VMOVUPS   (SI), V0
		VCMPPS    $0x1d, V4, V0, V0 // x >= t, false for NaN
		VMOVMSKPS V0, AX
		VPMOVZXBD (R8)(AX*8), V1
		VPADDD    V5, V1, V1
		VMOVDQU   V1, (DI)
		POPCNTL   AX, AX
		LEAQ      (DI)(AX*4), DI
		VPADDD    V6, V5, V5
		ADDQ      ${W}, SI
		again 1
	.else
		.long iota 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
		VMOVDQU64    iota<>(SB), V2
		MOVL         $16, AX
		VPBROADCASTD AX, V3

	above:
		SUBQ    $16, CX
		JLT     last
		VMOVUPS (SI), V0
		VCMPPS  $0x1d, V4, V0, K1

	store:
		KTESTW        K1, K1
		JEQ           next
		KMOVW         K1, AX
		POPCNTL       AX, AX
		VPCOMPRESSD.Z V2, K1, V1
		MOVL          $-1, BX
		BZHIL         AX, BX, BX
		KMOVW         BX, K2
		VMOVDQU32     V1, K2, (DI) // dst may end here
		LEAQ          (DI)(AX*4), DI

	next:
		VPADDD V3, V2, V2
		ADDQ   $64, SI
		JMP    above

	last:
		ADDQ      $16, CX
		JLE       end
		MOVL      $-1, AX
		BZHIL     CX, AX, AX
		KMOVW     AX, K3
		VMOVUPS.Z (SI), K3, V0
		VCMPPS    $0x1d, V4, V0, K3, K1
		XORL      CX, CX
		JMP       store

	end:
	.end
	SUBQ R9, DI
	SHRQ $2, DI
	MOVQ DI, {ret}
	done
