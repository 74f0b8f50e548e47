//go:build !noasm

#include "textflag.h"
#include "go_asm.h"

#define CONST2(name, off, v) DATA name<>+off(SB)/4, $v

// The same values as in scalar.go, for broadcasts from memory.
CONST2(expz, 0, 0x3fb8aa3b)  // log2(e)
CONST2(expz, 4, 0xbf318000)  // -ln2Hi
CONST2(expz, 8, 0x395e8083)  // -ln2Lo
CONST2(expz, 12, 0x39506967) // C7
CONST2(expz, 16, 0x3ab743ce) // C6
CONST2(expz, 20, 0x3c088908) // C5
CONST2(expz, 24, 0x3d2aa9c1) // C4
CONST2(expz, 28, 0x3e2aaaaa) // C3
CONST2(expz, 32, 0x3f000000) // C2
CONST2(expz, 36, 0x3f800000) // 1
CONST2(expz, 40, 0xc2ae999a) // cutoff, -87.3
GLOBL expz<>(SB), RODATA|NOPTR, $44

// EXP replaces x by exp(x), for x <= 0 or NaN; see softmax_avx2_amd64.s. Z20 to
// Z30 are the constants in their order; m, p and k are overwritten.
#define EXP(x, m, p, k) \
	VMULPS      Z20, x, m         \
	VRNDSCALEPS $8, m, m          \
	VCMPPS      $0x15, Z30, x, k  \ // !(x < cutoff)
	VFMADD231PS Z21, m, x         \
	VFMADD231PS Z22, m, x         \
	VCVTPS2DQ   m, m              \
	VPSLLD      $23, m, m         \
	VMOVAPS     Z23, p            \
	VFMADD213PS Z24, x, p         \
	VFMADD213PS Z25, x, p         \
	VFMADD213PS Z26, x, p         \
	VFMADD213PS Z27, x, p         \
	VFMADD213PS Z28, x, p         \
	VFMADD213PS Z29, x, p         \
	VFMADD213PS Z29, x, p         \
	VPADDD.Z    m, p, k, x

// func softmaxRowsZMM(x *float32, lo, hi *int32, rows int, max, sum *float32) (masked bool)
//
//	R10 row of x, R11 its lo, R12 its hi, R13 its max, R14 its sum, R15 rows left
//	DI  x, R9 the end of its whole vectors, K1 the lanes of the last one
TEXT ·softmaxRowsZMM(SB), NOSPLIT, $0-49
	MOVQ         x+0(FP), R10
	MOVQ         lo+8(FP), R11
	MOVQ         hi+16(FP), R12
	MOVQ         rows+24(FP), R15
	MOVQ         max+32(FP), R13
	MOVQ         sum+40(FP), R14
	MOVB         $0, masked+48(FP)
	VBROADCASTSS expz<>+0(SB), Z20
	VBROADCASTSS expz<>+4(SB), Z21
	VBROADCASTSS expz<>+8(SB), Z22
	VBROADCASTSS expz<>+12(SB), Z23
	VBROADCASTSS expz<>+16(SB), Z24
	VBROADCASTSS expz<>+20(SB), Z25
	VBROADCASTSS expz<>+24(SB), Z26
	VBROADCASTSS expz<>+28(SB), Z27
	VBROADCASTSS expz<>+32(SB), Z28
	VBROADCASTSS expz<>+36(SB), Z29
	VBROADCASTSS expz<>+40(SB), Z30

row:
	MOVLQSX      (R11), AX
	MOVLQSX      (R12), R8
	SUBQ         AX, R8
	JLE          next
	LEAQ         (R10)(AX*4), DI
	VBROADCASTSS (R13), Z8
	VMOVAPS      Z8, Z9
	MOVL         $-1, AX
	MOVQ         R8, CX
	ANDQ         $15, CX
	BZHIL        CX, AX, AX
	KMOVW        AX, K1
	ANDQ         $-16, R8
	LEAQ         (DI)(R8*4), R9

	// VMAXPS yields its second source, the running maximum, if x is NaN.
	MOVQ DI, SI
	LEAQ -64(R9), DX

max32:
	CMPQ    SI, DX
	JAE     max16
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VMAXPS  Z8, Z0, Z8
	VMAXPS  Z9, Z1, Z9
	ADDQ    $128, SI
	JMP     max32

max16:
	CMPQ    SI, R9
	JAE     maxTail
	VMOVUPS (SI), Z0
	VMAXPS  Z8, Z0, Z8

maxTail:
	VMOVUPS.Z (R9), K1, Z0
	VMAXPS    Z9, Z0, K1, Z9

	VMAXPS        Z8, Z9, Z8
	VEXTRACTF64X4 $1, Z8, Y0
	VMAXPS        Y8, Y0, Y8
	VEXTRACTF128  $1, Y8, X0
	VMAXPS        X8, X0, X8
	VPERMILPS     $0x4e, X8, X0
	VMAXPS        X8, X0, X8
	VPERMILPS     $0xb1, X8, X0
	VMAXPS        X8, X0, X8
	VMOVSS        X8, (R13)
	VMOVD         X8, AX
	CMPL          AX, $0xff800000
	JEQ           masked
	VBROADCASTSS  X8, Z8
	VPXORD        Z9, Z9, Z9
	VPXORD        Z10, Z10, Z10

exp32:
	CMPQ    DI, DX
	JAE     exp16
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z1
	VSUBPS  Z8, Z0, Z0
	VSUBPS  Z8, Z1, Z1
	EXP(Z0, Z2, Z3, K2)
	EXP(Z1, Z4, Z5, K3)
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VADDPS  Z0, Z9, Z9
	VADDPS  Z1, Z10, Z10
	ADDQ    $128, DI
	JMP     exp32

exp16:
	CMPQ    DI, R9
	JAE     expTail
	VMOVUPS (DI), Z0
	VSUBPS  Z8, Z0, Z0
	EXP(Z0, Z2, Z3, K2)
	VMOVUPS Z0, (DI)
	VADDPS  Z0, Z9, Z9

expTail:
	TESTQ     CX, CX
	JEQ       reduce
	VMOVUPS.Z (R9), K1, Z0
	VSUBPS    Z8, Z0, Z0
	EXP(Z0, Z2, Z3, K2)
	VMOVUPS   Z0, K1, (R9)
	VADDPS    Z0, Z10, K1, Z10

reduce:
	VADDPS        Z9, Z10, Z9
	VEXTRACTF64X4 $1, Z9, Y0
	VADDPS        Y0, Y9, Y9
	VEXTRACTF128  $1, Y9, X0
	VADDPS        X0, X9, X9
	VPERMILPS     $0x4e, X9, X0
	VADDPS        X0, X9, X9
	VPERMILPS     $0xb1, X9, X0
	VADDPS        X0, X9, X9
	VMOVSS        X9, (R14)

next:
	ADDQ $(4*const_ldTile), R10
	ADDQ $4, R11
	ADDQ $4, R12
	ADDQ $4, R13
	ADDQ $4, R14
	DECQ R15
	JNE  row
	VZEROUPPER
	RET

masked:
	MOVL $0, (R14)
	MOVB $1, masked+48(FP)
	JMP  next
