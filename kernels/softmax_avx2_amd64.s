//go:build !noasm

#include "textflag.h"
#include "go_asm.h"

// Every constant fills a vector, so that it can be a memory operand.
#define CONST8(name, off, v) \
	DATA name<>+off(SB)/8, $v     \
	DATA name<>+off+8(SB)/8, $v   \
	DATA name<>+off+16(SB)/8, $v  \
	DATA name<>+off+24(SB)/8, $v

// The same values as in scalar.go.
CONST8(expc, 0, 0x3fb8aa3b3fb8aa3b)   // log2(e)
CONST8(expc, 32, 0xbf318000bf318000)  // -ln2Hi
CONST8(expc, 64, 0x395e8083395e8083)  // -ln2Lo
CONST8(expc, 96, 0x3950696739506967)  // C7
CONST8(expc, 128, 0x3ab743ce3ab743ce) // C6
CONST8(expc, 160, 0x3c0889083c088908) // C5
CONST8(expc, 192, 0x3d2aa9c13d2aa9c1) // C4
CONST8(expc, 224, 0x3e2aaaaa3e2aaaaa) // C3
CONST8(expc, 256, 0x3f0000003f000000) // C2
CONST8(expc, 288, 0x3f8000003f800000) // 1
CONST8(expc, 320, 0xc2ae999ac2ae999a) // cutoff, -87.3
CONST8(expc, 352, 0x7fffffff7fffffff) // magnitude
GLOBL expc<>(SB), RODATA|NOPTR, $384

// A mask of n lanes begins 4*n bytes before the middle.
DATA lanes<>+0(SB)/8, $-1
DATA lanes<>+8(SB)/8, $-1
DATA lanes<>+16(SB)/8, $-1
DATA lanes<>+24(SB)/8, $-1
DATA lanes<>+32(SB)/8, $0
DATA lanes<>+40(SB)/8, $0
DATA lanes<>+48(SB)/8, $0
DATA lanes<>+56(SB)/8, $0
GLOBL lanes<>(SB), RODATA|NOPTR, $64

// EXP replaces Y0 by exp(Y0), for Y0 <= 0 or NaN. It overwrites Y2 to Y4; Y9 is
// log2(e) and Y10 the cutoff. 2^m is applied by adding m to the exponent: no
// carry can occur above the cutoff, what is below gets masked, and for NaN the
// conversion of m yields 1<<31, which the shift drops.
#define EXP \
	VMULPS      Y9, Y0, Y2                       \
	VROUNDPS    $8, Y2, Y2                       \ // m
	VCMPPS      $0x15, Y10, Y0, Y4               \ // !(x < cutoff)
	VFMADD231PS expc<>+32(SB), Y2, Y0            \
	VFMADD231PS expc<>+64(SB), Y2, Y0            \ // r
	VCVTPS2DQ   Y2, Y2                           \
	VPSLLD      $23, Y2, Y2                      \
	VMOVUPS     expc<>+96(SB), Y3                \
	VFMADD213PS expc<>+128(SB), Y0, Y3           \
	VFMADD213PS expc<>+160(SB), Y0, Y3           \
	VFMADD213PS expc<>+192(SB), Y0, Y3           \
	VFMADD213PS expc<>+224(SB), Y0, Y3           \
	VFMADD213PS expc<>+256(SB), Y0, Y3           \
	VFMADD213PS expc<>+288(SB), Y0, Y3           \
	VFMADD213PS expc<>+288(SB), Y0, Y3           \
	VPADDD      Y2, Y3, Y0                       \
	VANDPS      Y4, Y0, Y0

// func softmaxRowsYMM(x *float32, lo, hi *int32, rows int, max, sum *float32) (masked bool)
//
//	R10 row of x, R11 its lo, R12 its hi, R13 its max, R14 its sum, R15 rows left
//	DI  x, R9 the end of its whole vectors, CX the lanes of the last one
TEXT ·softmaxRowsYMM(SB), NOSPLIT, $0-49
	MOVQ    x+0(FP), R10
	MOVQ    lo+8(FP), R11
	MOVQ    hi+16(FP), R12
	MOVQ    rows+24(FP), R15
	MOVQ    max+32(FP), R13
	MOVQ    sum+40(FP), R14
	MOVB    $0, masked+48(FP)
	VMOVUPS expc<>+0(SB), Y9
	VMOVUPS expc<>+320(SB), Y10

row:
	MOVLQSX      (R11), AX
	MOVLQSX      (R12), R8
	SUBQ         AX, R8
	JLE          next
	LEAQ         (R10)(AX*4), DI
	VBROADCASTSS (R13), Y8
	VMOVAPS      Y8, Y1
	MOVQ         R8, CX
	ANDQ         $7, CX
	ANDQ         $-8, R8
	LEAQ         (DI)(R8*4), R9
	LEAQ         lanes<>+32(SB), AX
	SHLQ         $2, CX
	SUBQ         CX, AX
	VMOVUPS      (AX), Y11
	SHRQ         $2, CX

	// VMAXPS yields its second source, the running maximum, if x is NaN.
	MOVQ DI, SI
	LEAQ -32(R9), DX

max16:
	CMPQ    SI, DX
	JAE     max8
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y2
	VMAXPS  Y8, Y0, Y8
	VMAXPS  Y1, Y2, Y1
	ADDQ    $64, SI
	JMP     max16

max8:
	CMPQ    SI, R9
	JAE     maxTail
	VMOVUPS (SI), Y0
	VMAXPS  Y8, Y0, Y8

maxTail:
	TESTQ      CX, CX
	JEQ        maxReduce
	VMASKMOVPS (R9), Y11, Y0
	VMAXPS     Y1, Y0, Y0
	VBLENDVPS  Y11, Y0, Y1, Y1

maxReduce:
	VMAXPS       Y8, Y1, Y8
	VEXTRACTF128 $1, Y8, X0
	VMAXPS       X8, X0, X8
	VPERMILPS    $0x4e, X8, X0
	VMAXPS       X8, X0, X8
	VPERMILPS    $0xb1, X8, X0
	VMAXPS       X8, X0, X8
	VMOVSS       X8, (R13)
	VMOVD        X8, AX
	CMPL         AX, $0xff800000
	JEQ          masked
	VBROADCASTSS X8, Y8
	VXORPS       Y1, Y1, Y1

exp8:
	CMPQ    DI, R9
	JAE     expTail
	VMOVUPS (DI), Y0
	VSUBPS  Y8, Y0, Y0
	EXP
	VMOVUPS Y0, (DI)
	VADDPS  Y0, Y1, Y1
	ADDQ    $32, DI
	JMP     exp8

expTail:
	TESTQ      CX, CX
	JEQ        sumReduce
	VMASKMOVPS (R9), Y11, Y0
	VSUBPS     Y8, Y0, Y0
	EXP
	VANDPS     Y11, Y0, Y0
	VADDPS     Y0, Y1, Y1

	// Masked stores are slow on AMD.
	TESTQ        $4, CX
	JEQ          store2
	VMOVUPS      X0, (R9)
	ADDQ         $16, R9
	VEXTRACTF128 $1, Y0, X0

store2:
	TESTQ     $2, CX
	JEQ       store1
	VMOVLPS   X0, (R9)
	ADDQ      $8, R9
	VPERMILPS $0x4e, X0, X0

store1:
	TESTQ  $1, CX
	JEQ    sumReduce
	VMOVSS X0, (R9)

sumReduce:
	VEXTRACTF128 $1, Y1, X0
	VADDPS       X0, X1, X1
	VHADDPS      X1, X1, X1
	VHADDPS      X1, X1, X1
	VMOVSS       X1, (R14)

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

// func softCapYMM(x *float32, n int, c, f float32)
// n is a positive multiple of 8, f is -2/c.
TEXT ·softCapYMM(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), DI
	MOVQ         n+8(FP), CX
	VBROADCASTSS c+16(FP), Y11
	VBROADCASTSS f+20(FP), Y12
	VMOVUPS      expc<>+352(SB), Y13
	VMOVUPS      expc<>+288(SB), Y14
	VMOVUPS      expc<>+0(SB), Y9
	VMOVUPS      expc<>+320(SB), Y10

cap8:
	VMOVUPS (DI), Y5
	VANDPS  Y13, Y5, Y0
	VANDNPS Y5, Y13, Y5 // sign
	VMULPS  Y12, Y0, Y0
	EXP
	VSUBPS  Y0, Y14, Y1
	VADDPS  Y0, Y14, Y0
	VDIVPS  Y0, Y1, Y0
	VMULPS  Y11, Y0, Y0
	VORPS   Y5, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNE     cap8
	VZEROUPPER
	RET
