//go:build !noasm

#include "textflag.h"

DATA every4th<>+0(SB)/8, $0xffffffff0c080400
DATA every4th<>+8(SB)/8, $0xffffffffffffffff
GLOBL every4th<>(SB), RODATA|NOPTR, $16

// Registers of encodeYMM:
//	DI   codes of the line     SI   x, channels of the line
//	R8   mean of the line      R9   spread of the line
//	R10  bytes per token of x  DX   channels left
//	R11  tokens left           R12, R13, R14, BX the same of the token
//	CX   8 channels left       AX   8 channels of the line
//
//	Y0   minus the codes: channels 4 apart are bits or pairs of bits
//	X7   where the next 8 channels belong, X8 steps of it, X9 how far apart 4 channels are
//	Y10  all ones with 2 bits  Y11 signs, Y12 zero, X13 every fourth byte

// func encodeYMM(dst *byte, bits int, x, mean, sd *float32, d, n int)
TEXT ·encodeYMM(SB), NOSPLIT, $0-56
	MOVQ  dst+0(FP), DI
	MOVQ  bits+8(FP), AX
	MOVQ  x+16(FP), SI
	MOVQ  mean+24(FP), R8
	MOVQ  sd+32(FP), R9
	MOVQ  d+40(FP), DX
	LEAQ  (DX*4), R10
	VMOVD AX, X9
	VPADDD X9, X9, X8
	MOVL  AX, BX
	DECL  BX
	NEGL  BX
	VMOVD BX, X10
	VPBROADCASTD X10, Y10
	VPCMPEQD Y11, Y11, Y11
	VPSLLD $31, Y11, Y11
	VPXOR Y12, Y12, Y12
	VMOVDQU every4th<>(SB), X13

line:
	MOVL  $4, AX
	CMPQ  bits+8(FP), $1
	JEQ   channels
	MOVL  $2, AX

channels:
	MOVQ  DX, CX
	SHRQ  $3, CX
	CMPQ  CX, AX
	CMOVQLT CX, AX
	MOVQ  n+48(FP), R11
	MOVQ  SI, R12
	MOVQ  DI, R15

token:
	MOVQ  R12, BX
	MOVQ  R8, R13
	MOVQ  R9, R14
	MOVQ  AX, CX
	VPXOR Y0, Y0, Y0
	VPXOR X7, X7, X7

eight:
	VMOVUPS (BX), Y1
	VSUBPS  (R13), Y1, Y1
	VMOVUPS (R14), Y2
	VXORPS  Y11, Y2, Y3
	VCMPPS  $0x1d, Y2, Y1, Y4
	VCMPPS  $0x1d, Y3, Y1, Y5
	VCMPPS  $0x1d, Y12, Y1, Y6
	VPADDD  Y5, Y4, Y4
	VPAND   Y10, Y4, Y4
	VPADDD  Y6, Y4, Y4
	VPSLLD  X7, Y4, Y4
	VPADDD  Y4, Y0, Y0
	VPADDD  X8, X7, X7
	ADDQ    $32, BX
	ADDQ    $32, R13
	ADDQ    $32, R14
	DECQ    CX
	JNE     eight

	VEXTRACTI128 $1, Y0, X1
	VPSLLD  X9, X1, X1
	VPADDD  X1, X0, X0
	VPSUBD  X0, X12, X0
	VPSHUFB X13, X0, X0
	VMOVD   X0, (R15)
	ADDQ    $4, R15
	ADDQ    R10, R12
	DECQ    R11
	JNE     token

	ADDQ  $64, DI
	MOVQ  R13, R8
	MOVQ  R14, R9
	MOVQ  AX, CX
	SHLQ  $5, CX
	ADDQ  CX, SI
	SHRQ  $2, CX
	SUBQ  CX, DX
	JGT   line
	VZEROUPPER
	RET
