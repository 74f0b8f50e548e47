//go:build !noasm

#include "textflag.h"

// Registers of dotF16AVX2:
//	DI   &dst[token]          R9   &dst[row][token]
//	R8   bytes per dst row    R10  bytes per q row
//	BX   q, channel           R11  rows left
//	SI   k, token             AX   k, channel
//	R12  stride               R13  3*stride
//	CX   tokens left          DX   bytes of the q row left

// FMA3 does one token of three rows.
#define FMA3(mem, a, b, c) \
	VCVTPH2PS   mem, Y12    \
	VFMADD231PS Y12, Y13, a \
	VFMADD231PS Y12, Y14, b \
	VFMADD231PS Y12, Y15, c

#define FMA2(mem, a, b) \
	VCVTPH2PS   mem, Y12    \
	VFMADD231PS Y12, Y13, a \
	VFMADD231PS Y12, Y14, b

#define FMA1(mem, a) \
	VCVTPH2PS   mem, Y12    \
	VFMADD231PS Y12, Y13, a

// SUM4 leaves the sums of a, b, c and e in xa. A blend takes the place of one
// shuffle of each VHADDPS: shuffles are what this sequence is short of.
#define SUM4(a, b, c, e, xa) \
	VSHUFPS      $0x4e, b, a, Y12 \ // a2 a3 b0 b1 | a6 a7 b4 b5
	VBLENDPS     $0xcc, b, a, a   \ // a0 a1 b2 b3 | a4 a5 b6 b7
	VSHUFPS      $0x4e, e, c, Y13 \
	VBLENDPS     $0xcc, e, c, c   \
	VADDPS       Y12, a, a        \
	VADDPS       Y13, c, c        \
	VSHUFPS      $0x88, c, a, Y12 \
	VSHUFPS      $0xdd, c, a, Y13 \
	VADDPS       Y12, Y13, a      \ // a b c e, channels 0-3 | 4-7
	VEXTRACTF128 $1, a, X12       \
	VADDPS       X12, xa, xa

// SUM1 leaves the sum of a in xa. It adds in the order of SUM4, so that a token's
// logit does not depend on where runs of neighbouring cells begin and end.
#define SUM1(a, xa) \
	VSHUFPS      $0x4e, a, a, Y12 \ // a2 a3 a0 a1
	VADDPS       Y12, a, a        \
	VSHUFPS      $0xb1, a, a, Y12 \
	VADDPS       Y12, a, a        \
	VEXTRACTF128 $1, a, X12       \
	VADDPS       X12, xa, xa

// func dotF16AVX2(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, n, ahead int)
TEXT ·dotF16AVX2(SB), NOSPLIT, $0-72
	MOVQ dst+0(FP), DI
	MOVQ ldDst+8(FP), R8
	MOVQ d+32(FP), R10
	MOVQ k+40(FP), SI
	MOVQ stride+48(FP), R12
	MOVQ n+56(FP), CX
	SHLQ $2, R8
	SHLQ $2, R10
	LEAQ (R12)(R12*2), R13

quad:
	SUBQ $4, CX
	JLT  tail
	MOVQ ahead+64(FP), AX
	CMPQ CX, AX
	JLT  quadStart

	// Four rows, at the distance.
	IMULQ R12, AX
	ADDQ  SI, AX
	MOVQ R10, DX

fetchLine:
	PREFETCHT1 (AX)
	PREFETCHT1 (AX)(R12*1)
	PREFETCHT1 (AX)(R12*2)
	PREFETCHT1 (AX)(R13*1)
	ADDQ       $64, AX
	SUBQ       $128, DX // bytes of q: 32 channels
	JGT        fetchLine

quadStart:
	MOVQ q+16(FP), BX
	MOVQ rows+24(FP), R11
	MOVQ DI, R9

quadRows:
	CMPQ R11, $4 // 2+2 reuses a converted K better than 3+1
	JEQ  quad2
	CMPQ R11, $2
	JGT  quad3
	JEQ  quad2
	TESTQ R11, R11
	JNE  quad1
	ADDQ $16, DI
	LEAQ (SI)(R12*4), SI
	JMP  quad

quad3:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	MOVQ   SI, AX
	MOVQ   R10, DX

quad3Loop:
	VMOVUPS (BX), Y13
	VMOVUPS (BX)(R10*1), Y14
	VMOVUPS (BX)(R10*2), Y15
	FMA3((AX), Y0, Y4, Y8)
	FMA3((AX)(R12*1), Y1, Y5, Y9)
	FMA3((AX)(R12*2), Y2, Y6, Y10)
	FMA3((AX)(R13*1), Y3, Y7, Y11)
	ADDQ    $16, AX
	ADDQ    $32, BX
	SUBQ    $32, DX
	JNE     quad3Loop

	SUM4(Y0, Y1, Y2, Y3, X0)
	SUM4(Y4, Y5, Y6, Y7, X4)
	SUM4(Y8, Y9, Y10, Y11, X8)
	VMOVUPS X0, (R9)
	VMOVUPS X4, (R9)(R8*1)
	VMOVUPS X8, (R9)(R8*2)
	LEAQ    (BX)(R10*2), BX // the loop went over the first row
	LEAQ    (R9)(R8*2), R9
	ADDQ    R8, R9
	SUBQ    $3, R11
	JMP     quadRows

quad2:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	MOVQ   SI, AX
	MOVQ   R10, DX

quad2Loop:
	VMOVUPS (BX), Y13
	VMOVUPS (BX)(R10*1), Y14
	FMA2((AX), Y0, Y4)
	FMA2((AX)(R12*1), Y1, Y5)
	FMA2((AX)(R12*2), Y2, Y6)
	FMA2((AX)(R13*1), Y3, Y7)
	ADDQ    $16, AX
	ADDQ    $32, BX
	SUBQ    $32, DX
	JNE     quad2Loop

	SUM4(Y0, Y1, Y2, Y3, X0)
	SUM4(Y4, Y5, Y6, Y7, X4)
	VMOVUPS X0, (R9)
	VMOVUPS X4, (R9)(R8*1)
	ADDQ    R10, BX
	LEAQ    (R9)(R8*2), R9
	SUBQ    $2, R11
	JMP     quadRows

quad1:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	MOVQ   SI, AX
	MOVQ   R10, DX

quad1Loop:
	VMOVUPS (BX), Y13
	FMA1((AX), Y0)
	FMA1((AX)(R12*1), Y1)
	FMA1((AX)(R12*2), Y2)
	FMA1((AX)(R13*1), Y3)
	ADDQ    $16, AX
	ADDQ    $32, BX
	SUBQ    $32, DX
	JNE     quad1Loop

	SUM4(Y0, Y1, Y2, Y3, X0)
	VMOVUPS X0, (R9)
	ADDQ    R8, R9
	DECQ    R11
	JMP     quadRows

tail:
	ADDQ $4, CX

one:
	SUBQ $1, CX
	JLT  done
	MOVQ q+16(FP), BX
	MOVQ rows+24(FP), R11
	MOVQ DI, R9

oneRows:
	CMPQ R11, $4
	JEQ  one2
	CMPQ R11, $2
	JGT  one3
	JEQ  one2
	TESTQ R11, R11
	JNE  one1
	ADDQ $4, DI
	ADDQ R12, SI
	JMP  one

one3:
	VXORPS Y0, Y0, Y0
	VXORPS Y4, Y4, Y4
	VXORPS Y8, Y8, Y8
	MOVQ   SI, AX
	MOVQ   R10, DX

one3Loop:
	VMOVUPS (BX), Y13
	VMOVUPS (BX)(R10*1), Y14
	VMOVUPS (BX)(R10*2), Y15
	FMA3((AX), Y0, Y4, Y8)
	ADDQ    $16, AX
	ADDQ    $32, BX
	SUBQ    $32, DX
	JNE     one3Loop

	SUM1(Y0, X0)
	SUM1(Y4, X4)
	SUM1(Y8, X8)
	VMOVSS X0, (R9)
	VMOVSS X4, (R9)(R8*1)
	VMOVSS X8, (R9)(R8*2)
	LEAQ   (BX)(R10*2), BX
	LEAQ   (R9)(R8*2), R9
	ADDQ   R8, R9
	SUBQ   $3, R11
	JMP    oneRows

one2:
	VXORPS Y0, Y0, Y0
	VXORPS Y4, Y4, Y4
	MOVQ   SI, AX
	MOVQ   R10, DX

one2Loop:
	VMOVUPS (BX), Y13
	VMOVUPS (BX)(R10*1), Y14
	FMA2((AX), Y0, Y4)
	ADDQ    $16, AX
	ADDQ    $32, BX
	SUBQ    $32, DX
	JNE     one2Loop

	SUM1(Y0, X0)
	SUM1(Y4, X4)
	VMOVSS X0, (R9)
	VMOVSS X4, (R9)(R8*1)
	ADDQ   R10, BX
	LEAQ   (R9)(R8*2), R9
	SUBQ   $2, R11
	JMP    oneRows

one1:
	VXORPS Y0, Y0, Y0
	MOVQ   SI, AX
	MOVQ   R10, DX

one1Loop:
	VMOVUPS (BX), Y13
	FMA1((AX), Y0)
	ADDQ    $16, AX
	ADDQ    $32, BX
	SUBQ    $32, DX
	JNE     one1Loop

	SUM1(Y0, X0)
	VMOVSS X0, (R9)
	ADDQ   R8, R9
	DECQ   R11
	JMP    oneRows

done:
	VZEROUPPER
	RET
