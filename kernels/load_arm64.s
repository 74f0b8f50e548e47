//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Registers of all functions:
//	R0  dst       R1  row     R2  d
//	R3  scratch

// func loadF16NEON(dst *float32, row unsafe.Pointer, d int)
TEXT ·loadF16NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD row+8(FP), R1
	MOVD d+16(FP), R2

f16:
	FMOVQ.P 16(R1), F0
	FCVTL2(1, 0)
	FCVTL(0, 0)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS    $8, R2
	BNE     f16
	RET

// func loadBF16NEON(dst *float32, row unsafe.Pointer, d int)
TEXT ·loadBF16NEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  row+8(FP), R1
	MOVD  d+16(FP), R2
	VMOVI $0, V31.B16

bf16:
	FMOVQ.P 16(R1), F1
	VZIP1   V1.H8, V31.H8, V0.H8
	VZIP2   V1.H8, V31.H8, V1.H8
	FSTPQ.P (F0, F1), 32(R0)
	SUBS    $8, R2
	BNE     bf16
	RET

// WIDEN stores the 16 int8 v, vector n, times the scale V28.
#define WIDEN(n) \
	SXTLB(2, n)              \
	SXTL2B(3, n)             \
	SXTLH(4, 2)              \
	SXTL2H(5, 2)             \
	SXTLH(6, 3)              \
	SXTL2H(7, 3)             \
	SCVTF(4, 4)              \
	SCVTF(5, 5)              \
	SCVTF(6, 6)              \
	SCVTF(7, 7)              \
	FMUL(4, 4, 28)           \
	FMUL(5, 5, 28)           \
	FMUL(6, 6, 28)           \
	FMUL(7, 7, 28)           \
	FSTPQ.P (F4, F5), 32(R0) \
	FSTPQ.P (F6, F7), 32(R0)

// func loadQ8NEON(dst *float32, row unsafe.Pointer, d int)
TEXT ·loadQ8NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD row+8(FP), R1
	MOVD d+16(FP), R2

q8:
	VLD1R.P 2(R1), [V28.H4]
	FCVTL(28, 28)
	VLD1.P  32(R1), [V0.B16, V1.B16]
	WIDEN(0)
	WIDEN(1)
	SUBS    $32, R2
	BNE     q8
	RET

// func loadQ4NEON(dst *float32, row unsafe.Pointer, d int)
TEXT ·loadQ4NEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  row+8(FP), R1
	MOVD  d+16(FP), R2
	VMOVI $8, V30.B16
	VMOVI $15, V31.B16

q4:
	VLD1R.P 2(R1), [V28.H4]
	FCVTL(28, 28)
	FMOVQ.P 16(R1), F0
	VUSHR   $4, V0.B16, V1.B16
	VAND    V31.B16, V0.B16, V0.B16
	VSUB    V30.B16, V0.B16, V0.B16
	VSUB    V30.B16, V1.B16, V1.B16
	WIDEN(0)
	WIDEN(1)
	SUBS    $32, R2
	BNE     q4
	RET

// func prefetchL2(base unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
//
//	R0  base        R1  stride       R2  size-1
//	R3  &cells[j]   R4  cells left   R5  address    R6  bytes left
TEXT ·prefetchL2(SB), NOSPLIT, $0-40
	MOVD base+0(FP), R0
	MOVD stride+8(FP), R1
	MOVD size+16(FP), R2
	MOVD cells+24(FP), R3
	MOVD n+32(FP), R4
	SUB  $1, R2

prefetchRow:
	MOVW.P 4(R3), R5
	MADD   R1, R0, R5, R5
	MOVD   R2, R6

prefetchLine:
	PRFM (R5), PLDL2KEEP
	ADD  $64, R5
	SUBS $64, R6
	BGE  prefetchLine
	ADD  R6, R5
	PRFM (R5), PLDL2KEEP
	SUBS $1, R4
	BNE  prefetchRow
	RET
