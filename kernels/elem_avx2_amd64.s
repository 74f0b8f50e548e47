//go:build !noasm

#include "textflag.h"

// All lengths are positive multiples of 8, but that of axpbyYMM.

DATA elem<>+0(SB)/4, $0x7fffffff  // magnitude
DATA elem<>+4(SB)/4, $0x477fe000  // 65504
DATA elem<>+8(SB)/4, $0xc77fe000  // -65504
DATA elem<>+12(SB)/4, $0x7f800000 // +Inf
GLOBL elem<>(SB), RODATA|NOPTR, $16

// func scaleYMM(x *float32, n int, s float32)
TEXT ·scaleYMM(SB), NOSPLIT, $0-20
	MOVQ         x+0(FP), DI
	MOVQ         n+8(FP), CX
	VBROADCASTSS s+16(FP), Y0

scale32:
	SUBQ    $32, CX
	JLT     scaleRest
	VMULPS  (DI), Y0, Y1
	VMULPS  32(DI), Y0, Y2
	VMULPS  64(DI), Y0, Y3
	VMULPS  96(DI), Y0, Y4
	VMOVUPS Y1, (DI)
	VMOVUPS Y2, 32(DI)
	VMOVUPS Y3, 64(DI)
	VMOVUPS Y4, 96(DI)
	ADDQ    $128, DI
	JMP     scale32

scaleRest:
	ADDQ $32, CX

scale8:
	SUBQ    $8, CX
	JLT     scaleDone
	VMULPS  (DI), Y0, Y1
	VMOVUPS Y1, (DI)
	ADDQ    $32, DI
	JMP     scale8

scaleDone:
	VZEROUPPER
	RET

// func axpbyYMM(x, y *float32, n int, a, b float32)
TEXT ·axpbyYMM(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), DI
	MOVQ         y+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS a+24(FP), Y0
	VBROADCASTSS b+28(FP), Y1

axpby16:
	SUBQ        $16, CX
	JLT         axpbyRest
	VMULPS      (SI), Y1, Y2
	VMULPS      32(SI), Y1, Y3
	VFMADD231PS (DI), Y0, Y2
	VFMADD231PS 32(DI), Y0, Y3
	VMOVUPS     Y2, (DI)
	VMOVUPS     Y3, 32(DI)
	ADDQ        $64, DI
	ADDQ        $64, SI
	JMP         axpby16

axpbyRest:
	ADDQ $16, CX

axpby8:
	SUBQ        $8, CX
	JLT         axpbyTail
	VMULPS      (SI), Y1, Y2
	VFMADD231PS (DI), Y0, Y2
	VMOVUPS     Y2, (DI)
	ADDQ        $32, DI
	ADDQ        $32, SI
	JMP         axpby8

axpbyTail:
	ADDQ $8, CX

axpby1:
	SUBQ        $1, CX
	JLT         axpbyDone
	VMULSS      (SI), X1, X2
	VFMADD231SS (DI), X0, X2
	VMOVSS      X2, (DI)
	ADDQ        $4, DI
	ADDQ        $4, SI
	JMP         axpby1

axpbyDone:
	VZEROUPPER
	RET

// func toF16YMM(dst *uint16, src *float32, n int)
TEXT ·toF16YMM(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS elem<>+0(SB), Y4
	VBROADCASTSS elem<>+4(SB), Y5
	VBROADCASTSS elem<>+8(SB), Y6
	VBROADCASTSS elem<>+12(SB), Y7

toLoop:
	VMOVUPS   (SI), Y0
	VMINPS    Y0, Y5, Y1     // yields Y0 if it is NaN
	VMAXPS    Y1, Y6, Y1
	VANDPS    Y4, Y0, Y2
	VCMPPS    $0, Y7, Y2, Y2
	VBLENDVPS Y2, Y0, Y1, Y1 // Inf is no overflow
	VCVTPS2PH $0, Y1, (DI)
	ADDQ      $32, SI
	ADDQ      $16, DI
	SUBQ      $8, CX
	JNE       toLoop
	VZEROUPPER
	RET

// VMAXPS yields its last source, the first operand here, when one is NaN: so dst
// stays where the new score is none.

// func maxIntoYMM(dst, x *float32, n int)
TEXT ·maxIntoYMM(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

max8:
	VMOVUPS (SI), Y0
	VMAXPS  (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNE     max8
	VZEROUPPER
	RET

// func maxAddSqrtYMM(dst, a, b *float32, n int, beta float32)
TEXT ·maxAddSqrtYMM(SB), NOSPLIT, $0-36
	MOVQ         dst+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), BX
	MOVQ         n+24(FP), CX
	VBROADCASTSS beta+32(FP), Y4
	VXORPS       Y5, Y5, Y5

score8:
	VMAXPS  (BX), Y5, Y0
	VADDPS  Y5, Y0, Y0 // -0 becomes 0, as in Go's max
	VSQRTPS Y0, Y0
	VMULPS  Y4, Y0, Y0
	VADDPS  (SI), Y0, Y0
	VMAXPS  (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, BX
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNE     score8
	VZEROUPPER
	RET

// func aboveYMM(dst *int32, x *float32, n int, t float32, lanes *[256]uint64) int
// The store of a whole vector of indices cannot reach beyond dst[n]: there are no
// more of them than x has been read.
TEXT ·aboveYMM(SB), NOSPLIT, $0-48
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS t+24(FP), Y4
	MOVQ         lanes+32(FP), R8
	VPXOR        Y5, Y5, Y5
	VPCMPEQD     Y6, Y6, Y6
	VPSRLD       $31, Y6, Y6
	VPSLLD       $3, Y6, Y6 // 8

above8:
	VMOVUPS   (SI), Y0
	VCMPPS    $0x1d, Y4, Y0, Y0 // x >= t, false for NaN
	VMOVMSKPS Y0, AX
	VPMOVZXBD (R8)(AX*8), Y1
	VPADDD    Y5, Y1, Y1
	VMOVDQU   Y1, (DI)
	POPCNTL   AX, AX
	LEAQ      (DI)(AX*4), DI
	VPADDD    Y6, Y5, Y5
	ADDQ      $32, SI
	SUBQ      $8, CX
	JNE       above8
	SUBQ      dst+0(FP), DI
	SHRQ      $2, DI
	MOVQ      DI, ret+40(FP)
	VZEROUPPER
	RET
