//go:build !noasm

#include "textflag.h"

DATA f16c<>+0(SB)/4, $0x7fffffff  // magnitude
DATA f16c<>+4(SB)/4, $0x477fe000  // 65504
DATA f16c<>+8(SB)/4, $0xc77fe000  // -65504
DATA f16c<>+12(SB)/4, $0x7f800000 // +Inf
GLOBL f16c<>(SB), RODATA|NOPTR, $16

// func scaleAVX2(x *float32, n int, s float32)
TEXT ·scaleAVX2(SB), NOSPLIT, $0-20
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

// func axpbyAVX2(x, y *float32, n int, a, b float32)
TEXT ·axpbyAVX2(SB), NOSPLIT, $0-32
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

// func toF16AVX2(dst *uint16, src *float32, n int)
TEXT ·toF16AVX2(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS f16c<>+0(SB), Y4
	VBROADCASTSS f16c<>+4(SB), Y5
	VBROADCASTSS f16c<>+8(SB), Y6
	VBROADCASTSS f16c<>+12(SB), Y7

toLoop:
	VMOVUPS   (SI), Y0
	VMINPS    Y0, Y5, Y1        // yields Y0 if it is NaN
	VMAXPS    Y1, Y6, Y1
	VANDPS    Y4, Y0, Y2
	VCMPPS    $0, Y7, Y2, Y2
	VBLENDVPS Y2, Y0, Y1, Y1    // Inf is no overflow
	VCVTPS2PH $0, Y1, (DI)
	ADDQ      $32, SI
	ADDQ      $16, DI
	SUBQ      $8, CX
	JNE       toLoop
	VZEROUPPER
	RET

// func fromF16AVX2(dst *float32, src *uint16, n int)
TEXT ·fromF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

fromLoop:
	VCVTPH2PS (SI), Y0
	VMOVUPS   Y0, (DI)
	ADDQ      $16, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNE       fromLoop
	VZEROUPPER
	RET
