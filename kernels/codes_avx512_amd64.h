// Makes up to 8 rows ready for a page: u = round(q * spread * m / 1<<15) as bytes, and of each row m, the value of a unit of
// the sums of codes, the mean, and what the sums are too large by, since codes are taken as 0 to 3 or 0 and 1.
//
// Four rows at a time, q at R8 and up to three more at distances R14, R15 and CX; a missing row is the first one again. BX
// and R10 are where to store. Uses AX and R13 after keeping it.

#define FOLD(op, a, b, c, e, t, v) \
	VSHUFI64X2 $0x44, b, a, t \
	VSHUFI64X2 $0xee, b, a, v \
	op         t, v, a        \
	VSHUFI64X2 $0x44, e, c, t \
	VSHUFI64X2 $0xee, e, c, v \
	op         t, v, c        \
	VSHUFI64X2 $0x88, c, a, t \
	VSHUFI64X2 $0xdd, c, a, v \
	op         t, v, a

// ROW makes 64 channels of a row: products, means, the sum of bytes.
#define ROW(q0, q1, m, mean, sum, out) \
	VMOVDQU64 q0, Z0          \
	VMOVDQU64 q1, Z1          \
	VPDPWSSD  Z0, Z6, mean    \
	VPDPWSSD  Z1, Z7, mean    \
	VPMULLW   Z4, Z0, Z0      \
	VPMULLW   Z5, Z1, Z1      \
	VPMULHRSW m, Z0, Z0       \
	VPMULHRSW m, Z1, Z1       \
	VPSLLW    $8, Z1, Z1      \
	VMOVDQU8  Z0, K2, Z1      \
	VMOVDQU64 Z1, out         \
	VPDPBUSD  Z1, Z28, sum

// PAIR leaves the sums of a row, of means and of bytes, side by side.
#define PAIR(mean, sum) \
	VPUNPCKLDQ sum, mean, Z0    \
	VPUNPCKHDQ sum, mean, mean  \
	VPADDD     Z0, mean, mean

	MOVQ R11, kept-24(SP)
	MOVQ R13, codes-16(SP)
	CMPQ R11, $8
	JLE  prepare
	MOVQ $8, R11

prepare:
	XORL R14, R14
	XORL R15, R15
	XORL R13, R13
	CMPQ R11, $2
	JLT  first
	MOVQ R9, R14
	JEQ  first
	LEAQ (R9)(R9*1), R15
	CMPQ R11, $3
	JEQ  first
	LEAQ (R9)(R9*2), R13

first:
	// The largest products bound the factors.
	LEAQ      (R8)(DX*2), AX
	VPMULLW   (AX), Z26, Z0
	VPMULLW   (AX)(R14*1), Z26, Z1
	VPMULLW   (AX)(R15*1), Z26, Z2
	VPMULLW   (AX)(R13*1), Z26, Z3
	FOLD(VPMAXUW, Z0, Z1, Z2, Z3, Z4, Z5)
	VPSHUFD   $0x4e, Z0, Z1
	VPMAXUW   Z1, Z0, Z0
	VPSHUFD   $0xb1, Z0, Z1
	VPMAXUW   Z1, Z0, Z0
	VPSRLD    $16, Z0, Z1
	VPMAXUW   Z1, Z0, Z0
	VPERMD    Z0, Z25, Z0
	VPSLLD    $16, X0, X0
	VPSRLD    $16, X0, X0
	VPMAXSD   X29, X0, X0
	VCVTDQ2PS X0, X0
	VDIVPS    X0, X24, X1
	VCVTTPS2DQ X1, X1
	MOVL      $32767, CX
	VPBROADCASTD CX, X2
	VPMINSD   X2, X1, X1
	VMOVDQU   X1, TIMES(SI)
	VCVTDQ2PS X1, X1
	VDIVPS    X1, X22, X1
	VMOVSS    64(AX), X2
	VINSERTPS $0x10, 64(AX)(R14*1), X2, X2
	VINSERTPS $0x20, 64(AX)(R15*1), X2, X2
	VINSERTPS $0x30, 64(AX)(R13*1), X2, X2
	VMULPS    X21, X2, X3
	VMULPS    X1, X3, X3
	VMOVUPS   X3, FACTOR(R10)
	VMULPS    X20, X2, X19
	VPBROADCASTW TIMES(SI), Z16
	VPBROADCASTW (TIMES+4)(SI), Z17
	VPBROADCASTW (TIMES+8)(SI), Z18
	VPBROADCASTW (TIMES+12)(SI), Z3
	VPXORD    Z8, Z8, Z8
	VPXORD    Z9, Z9, Z9
	VPXORD    Z10, Z10, Z10
	VPXORD    Z11, Z11, Z11
	VPXORD    Z12, Z12, Z12
	VPXORD    Z13, Z13, Z13
	VPXORD    Z14, Z14, Z14
	VPXORD    Z15, Z15, Z15
	MOVQ      R8, AX
	XORL      CX, CX

ready:
	VMOVDQA64 PAGE(SI)(CX*4), Z4
	VMOVDQA64 (PAGE+64)(SI)(CX*4), Z5
	VMOVDQA64 (PAGE+128)(SI)(CX*4), Z6
	VMOVDQA64 (PAGE+192)(SI)(CX*4), Z7
	ROW((AX), 64(AX), Z16, Z8, Z12, U(0)(BX)(CX*1))
	ROW((AX)(R14*1), 64(AX)(R14*1), Z17, Z9, Z13, U(1)(BX)(CX*1))
	ROW((AX)(R15*1), 64(AX)(R15*1), Z18, Z10, Z14, U(2)(BX)(CX*1))
	ROW((AX)(R13*1), 64(AX)(R13*1), Z3, Z11, Z15, U(3)(BX)(CX*1))
	ADDQ $128, AX
	ADDQ $64, CX
	CMPQ CX, DX
	JNE  ready

	PAIR(Z8, Z12)
	PAIR(Z9, Z13)
	PAIR(Z10, Z14)
	PAIR(Z11, Z15)
	FOLD(VPADDD, Z8, Z9, Z10, Z11, Z0, Z1)
	VPSHUFD $0x4e, Z8, Z0
	VPADDD  Z0, Z8, Z8
	VPERMD  Z8, Z25, Z8
	VEXTRACTI128 $1, Y8, X0
	VPMULLD X23, X0, X0
	VMOVDQU X0, ALL(R10)
	VCVTDQ2PS X8, X8
	VMULPS  X19, X8, X8
	VMOVUPS X8, BASE(R10)

	ADDQ $U(4), BX
	ADDQ $16, R10
	LEAQ (R8)(R9*4), R8
	SUBQ $4, R11
	JGT  prepare
	MOVQ kept-24(SP), R11
	MOVQ codes-16(SP), R13
