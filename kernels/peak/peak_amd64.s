//go:build !noasm

#include "textflag.h"

// func readAVX2(b *byte, n int) uint64
TEXT ·readAVX2(SB), NOSPLIT, $0-24
	MOVQ  b+0(FP), SI
	MOVQ  n+8(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

loop:
	VPXOR (SI), Y0, Y0
	VPXOR 32(SI), Y1, Y1
	VPXOR 64(SI), Y2, Y2
	VPXOR 96(SI), Y3, Y3
	VPXOR 128(SI), Y0, Y0
	VPXOR 160(SI), Y1, Y1
	VPXOR 192(SI), Y2, Y2
	VPXOR 224(SI), Y3, Y3
	ADDQ  $256, SI
	SUBQ  $256, CX
	JNE   loop

	VPXOR        Y1, Y0, Y0
	VPXOR        Y3, Y2, Y2
	VPXOR        Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPXOR        X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPXOR        X1, X0, X0
	VMOVQ        X0, AX
	MOVQ         AX, ret+16(FP)
	VZEROUPPER
	RET

// func readAVX512(b *byte, n int) uint64
TEXT ·readAVX512(SB), NOSPLIT, $0-24
	MOVQ   b+0(FP), SI
	MOVQ   n+8(FP), CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3

loop:
	VPXORQ (SI), Z0, Z0
	VPXORQ 64(SI), Z1, Z1
	VPXORQ 128(SI), Z2, Z2
	VPXORQ 192(SI), Z3, Z3
	ADDQ   $256, SI
	SUBQ   $256, CX
	JNE    loop

	VPXORQ        Z1, Z0, Z0
	VPXORQ        Z3, Z2, Z2
	VPXORQ        Z2, Z0, Z0
	VEXTRACTI64X4 $1, Z0, Y1
	VPXOR         Y1, Y0, Y0
	VEXTRACTI128  $1, Y0, X1
	VPXOR         X1, X0, X0
	VPSHUFD       $0x4e, X0, X1
	VPXOR         X1, X0, X0
	VMOVQ         X0, AX
	MOVQ          AX, ret+16(FP)
	VZEROUPPER
	RET

// ROW brings the address of row number BX+ahead to AX, or that of the last.
#define ROW(ahead) \
	LEAQ    (BX)(ahead*1), AX \
	CMPQ    AX, CX            \
	CMOVQGT CX, AX            \
	MOVLQSX (SI)(AX*4), AX    \
	IMULQ   R8, AX            \
	ADDQ    DI, AX

// func readRowsAhead(base unsafe.Pointer, stride uintptr, size int, rows *int32, n, near,
//	far int) uint64
//
// BX is the number of a row, CX that of the last, and DX an offset. R12 is the offset of the last
// byte, where it may be in a line that is not asked for yet: to do so twice would be slow.
TEXT ·readRowsAhead(SB), NOSPLIT, $0-64
	MOVQ    base+0(FP), DI
	MOVQ    stride+8(FP), R8
	MOVQ    size+16(FP), R9
	MOVQ    rows+24(FP), SI
	MOVQ    n+32(FP), CX
	MOVQ    near+40(FP), R10
	MOVQ    far+48(FP), R11
	LEAQ    -32(R9), R13
	DECQ    CX
	VPXOR   Y0, Y0, Y0
	VPXOR   Y1, Y1, Y1
	XORL    R12, R12
	MOVQ    DI, AX
	ORQ     R8, AX
	ORQ     R9, AX
	TESTQ   $63, AX
	JEQ     begin
	LEAQ    -1(R9), R12

begin: // by asking for the first rows
	XORL    BX, BX
	SUBQ    R11, BX

row:
	ROW(R11)
	XORL DX, DX

far:
	PREFETCHT1 (AX)(DX*1)
	ADDQ       $64, DX
	CMPQ       DX, R9
	JLT        far
	TESTQ      R12, R12
	JEQ        asked
	PREFETCHT1 (AX)(R12*1)

asked:
	TESTQ      BX, BX
	JLT        next
	ROW(R10)
	XORL       DX, DX

near:
	PREFETCHT0 (AX)(DX*1)
	ADDQ       $64, DX
	CMPQ       DX, R9
	JLT        near
	TESTQ      R12, R12
	JEQ        here
	PREFETCHT0 (AX)(R12*1)

here:
	MOVLQSX    (SI)(BX*4), AX
	IMULQ      R8, AX
	ADDQ       DI, AX
	VPXOR      (AX)(R13*1), Y1, Y1 // some of it once more
	XORL       DX, DX
	JMP        more

load:
	VPXOR (AX)(DX*1), Y0, Y0
	ADDQ  $32, DX

more:
	CMPQ DX, R13
	JLT  load

next:
	INCQ         BX
	CMPQ         BX, CX
	JLE          row
	VPADDQ       Y1, Y1, Y1
	VPADDQ       Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDQ       X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPADDQ       X1, X0, X0
	VMOVQ        X0, AX
	MOVQ         AX, ret+56(FP)
	VZEROUPPER
	RET

// MADD is one multiply-add on an accumulator: it times one plus one.
#define MADD(one, acc) VFMADD213PS one, one, acc

// func fmaAVX2(n int) float32
//
// Y0-Y13 accumulate, Y15 holds ones.
TEXT ·fmaAVX2(SB), NOSPLIT, $0-12
	MOVQ         n+0(FP), CX
	MOVL         $0x3f800000, AX
	VMOVD        AX, X15
	VBROADCASTSS X15, Y15
	VXORPS       Y0, Y0, Y0
	VXORPS       Y1, Y1, Y1
	VXORPS       Y2, Y2, Y2
	VXORPS       Y3, Y3, Y3
	VXORPS       Y4, Y4, Y4
	VXORPS       Y5, Y5, Y5
	VXORPS       Y6, Y6, Y6
	VXORPS       Y7, Y7, Y7
	VXORPS       Y8, Y8, Y8
	VXORPS       Y9, Y9, Y9
	VXORPS       Y10, Y10, Y10
	VXORPS       Y11, Y11, Y11
	VXORPS       Y12, Y12, Y12
	VXORPS       Y13, Y13, Y13

loop:
	MADD(Y15, Y0)
	MADD(Y15, Y1)
	MADD(Y15, Y2)
	MADD(Y15, Y3)
	MADD(Y15, Y4)
	MADD(Y15, Y5)
	MADD(Y15, Y6)
	MADD(Y15, Y7)
	MADD(Y15, Y8)
	MADD(Y15, Y9)
	MADD(Y15, Y10)
	MADD(Y15, Y11)
	MADD(Y15, Y12)
	MADD(Y15, Y13)
	DECQ CX
	JNE  loop

	VADDPS       Y1, Y0, Y0
	VADDPS       Y3, Y2, Y2
	VADDPS       Y5, Y4, Y4
	VADDPS       Y7, Y6, Y6
	VADDPS       Y9, Y8, Y8
	VADDPS       Y11, Y10, Y10
	VADDPS       Y13, Y12, Y12
	VADDPS       Y2, Y0, Y0
	VADDPS       Y6, Y4, Y4
	VADDPS       Y10, Y8, Y8
	VADDPS       Y4, Y0, Y0
	VADDPS       Y12, Y8, Y8
	VADDPS       Y8, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VMOVSS       X0, ret+8(FP)
	VZEROUPPER
	RET

#define ZERO4(a, b, c, d) \
	VPXORQ a, a, a \
	VPXORQ b, b, b \
	VPXORQ c, c, c \
	VPXORQ d, d, d

#define MADD4(a, b, c, d) \
	MADD(Z31, a) \
	MADD(Z31, b) \
	MADD(Z31, c) \
	MADD(Z31, d)

#define ADD4(a, b, c, d) \
	VADDPS a, Z0, Z0 \
	VADDPS b, Z0, Z0 \
	VADDPS c, Z0, Z0 \
	VADDPS d, Z0, Z0

// func fmaAVX512(n int) float32
//
// Z0-Z29 accumulate, Z31 holds ones.
TEXT ·fmaAVX512(SB), NOSPLIT, $0-12
	MOVQ         n+0(FP), CX
	MOVL         $0x3f800000, AX
	VMOVD        AX, X15
	VBROADCASTSS X15, Z31
	ZERO4(Z0, Z1, Z2, Z3)
	ZERO4(Z4, Z5, Z6, Z7)
	ZERO4(Z8, Z9, Z10, Z11)
	ZERO4(Z12, Z13, Z14, Z15)
	ZERO4(Z16, Z17, Z18, Z19)
	ZERO4(Z20, Z21, Z22, Z23)
	ZERO4(Z24, Z25, Z26, Z27)
	VPXORQ       Z28, Z28, Z28
	VPXORQ       Z29, Z29, Z29

loop:
	MADD4(Z0, Z1, Z2, Z3)
	MADD4(Z4, Z5, Z6, Z7)
	MADD4(Z8, Z9, Z10, Z11)
	MADD4(Z12, Z13, Z14, Z15)
	MADD4(Z16, Z17, Z18, Z19)
	MADD4(Z20, Z21, Z22, Z23)
	MADD4(Z24, Z25, Z26, Z27)
	MADD(Z31, Z28)
	MADD(Z31, Z29)
	DECQ CX
	JNE  loop

	VADDPS        Z28, Z0, Z0
	ADD4(Z1, Z2, Z3, Z4)
	ADD4(Z5, Z6, Z7, Z8)
	ADD4(Z9, Z10, Z11, Z12)
	ADD4(Z13, Z14, Z15, Z16)
	ADD4(Z17, Z18, Z19, Z20)
	ADD4(Z21, Z22, Z23, Z24)
	ADD4(Z25, Z26, Z27, Z29)
	VEXTRACTF64X4 $1, Z0, Y1
	VADDPS        Y1, Y0, Y0
	VEXTRACTF128  $1, Y0, X1
	VADDPS        X1, X0, X0
	VHADDPS       X0, X0, X0
	VHADDPS       X0, X0, X0
	VMOVSS        X0, ret+8(FP)
	VZEROUPPER
	RET
