//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// TOKENS begins a pass over the tile.
#define TOKENS \
	MOVD $ptrs-144(SP), R10    \
	MOVD $weights-400(SP), R11 \
	MOVD R23, R14

#define TOKEN \
	MOVD.P 8(R10), R12 \
	ADD    R13, R12

#define PARTS \
	PART0  \
	PART1  \
	PART2  \
	PART3  \
	WEIGHT

#define FETCH FETCHA
#define WEIGHT FMOVQ.P 16(R11), F16

// F32: nothing to convert.
#define FETCHA
#define FETCHB ADD $64, R12
#define FETCH8
#define PART0 FMOVQ (R12), F20
#define PART1 FMOVQ 16(R12), F21
#define PART2 FMOVQ 32(R12), F22
#define PART3 FMOVQ 48(R12), F23
#define NEXT32 ADD $128, R13
#define NEXT16 ADD $64, R13
#define NEXT8 ADD $32, R13

// func accF32NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·accF32NEON(SB), NOSPLIT, $408-88
	MOVD acc+0(FP), R0
	MOVD ldAcc+8(FP), R1
	MOVD p+16(FP), R2
	MOVD ldP+24(FP), R3
	MOVD rows+32(FP), R4
	MOVD d+40(FP), R5
	MOVD v+48(FP), R6
	MOVD stride+56(FP), R7
	MOVD cells+72(FP), R8
	MOVD n+80(FP), R9
	LSL  $2, R1
	LSL  $2, R3

#include "acc_arm64.h"

#undef FETCHA
#undef FETCHB
#undef FETCH8
#undef PART0
#undef PART1
#undef PART2
#undef PART3
#undef NEXT32
#undef NEXT16
#undef NEXT8

// F16.
#define FETCHA FLDPQ (R12), (F24, F25)
#define FETCHB FLDPQ 32(R12), (F24, F25)
#define FETCH8 FMOVQ (R12), F24
#define PART0 FCVTL(20, 24)
#define PART1 FCVTL2(21, 24)
#define PART2 FCVTL(22, 25)
#define PART3 FCVTL2(23, 25)
#define NEXT32 ADD $64, R13
#define NEXT16 ADD $32, R13
#define NEXT8 ADD $16, R13

// func accF16NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·accF16NEON(SB), NOSPLIT, $408-88
	MOVD acc+0(FP), R0
	MOVD ldAcc+8(FP), R1
	MOVD p+16(FP), R2
	MOVD ldP+24(FP), R3
	MOVD rows+32(FP), R4
	MOVD d+40(FP), R5
	MOVD v+48(FP), R6
	MOVD stride+56(FP), R7
	MOVD cells+72(FP), R8
	MOVD n+80(FP), R9
	LSL  $2, R1
	LSL  $2, R3

#include "acc_arm64.h"

#undef PART0
#undef PART1
#undef PART2
#undef PART3

// BF16: the upper half of a float32; V31 is 0.
#define PART0 VZIP1 V24.H8, V31.H8, V20.H8
#define PART1 VZIP2 V24.H8, V31.H8, V21.H8
#define PART2 VZIP1 V25.H8, V31.H8, V22.H8
#define PART3 VZIP2 V25.H8, V31.H8, V23.H8

// func accBF16NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·accBF16NEON(SB), NOSPLIT, $408-88
	MOVD  acc+0(FP), R0
	MOVD  ldAcc+8(FP), R1
	MOVD  p+16(FP), R2
	MOVD  ldP+24(FP), R3
	MOVD  rows+32(FP), R4
	MOVD  d+40(FP), R5
	MOVD  v+48(FP), R6
	MOVD  stride+56(FP), R7
	MOVD  cells+72(FP), R8
	MOVD  n+80(FP), R9
	LSL   $2, R1
	LSL   $2, R3
	VMOVI $0, V31.B16

#include "acc_arm64.h"

#undef FETCH
#undef FETCHA
#undef FETCHB
#undef FETCH8
#undef WEIGHT
#undef PART0
#undef PART1
#undef PART2
#undef PART3
#undef NEXT32
#undef NEXT16
#undef NEXT8

// Quantised types. R12 is at a block of 32 channels. Its scale goes to the
// weights, of which there are fewer than channels.
#define SCALE \
	VLD1R (R12), [V28.H4] \
	FCVTL(28, 28)

#define WEIGHT \
	FMOVQ.P 16(R11), F16 \
	FMUL(16, 16, 28)

// WIDEN prepares 16 bytes as 16-bit integers; V17 is 0. With the half 0x4b00 of V18
// above, such an integer is 2^23 more as a float32, and V30, 2^23 and the bytes'
// zero point, is subtracted: that takes fewer of the units that can convert.
#define WIDEN(v) \
	VZIP1 V17.B16, v.B16, V25.B16 \
	VZIP2 V17.B16, v.B16, V26.B16

#define PART0 \
	VZIP1 V18.H8, V25.H8, V20.H8 \
	FSUB(20, 20, 30)

#define PART1 \
	VZIP2 V18.H8, V25.H8, V21.H8 \
	FSUB(21, 21, 30)

#define PART2 \
	VZIP1 V18.H8, V26.H8, V22.H8 \
	FSUB(22, 22, 30)

#define PART3 \
	VZIP2 V18.H8, V26.H8, V23.H8 \
	FSUB(23, 23, 30)

#define CONSTANTS(zero) \
	VMOVI $0, V17.B16             \
	MOVD  $0x4b00, R10            \
	VDUP  R10, V18.H8             \
	MOVD  $(0x4b000000+zero), R10 \
	VDUP  R10, V30.S4

#define FETCH8
#define NEXT8

// Q8_0; V31 is 0x80. Bit 4 of R15 tells the first half of a block from the second.
#define FETCH \
	SCALE                           \
	AND   $16, R15, R26             \
	ADD   R26, R12                  \
	FMOVQ 2(R12), F24               \
	VEOR  V31.B16, V24.B16, V24.B16 \
	WIDEN(V24)

#define FETCHA \
	SCALE                           \
	FMOVQ 2(R12), F24               \
	VEOR  V31.B16, V24.B16, V24.B16 \
	WIDEN(V24)

#define FETCHB \
	FMOVQ 18(R12), F24              \
	VEOR  V31.B16, V24.B16, V24.B16 \
	WIDEN(V24)

#define NEXT32 ADD $34, R13

#define NEXT16 \
	TBNZ $4, R15, wide \
	ADD  $34, R13

// func accQ8NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·accQ8NEON(SB), NOSPLIT, $408-88
	MOVD  acc+0(FP), R0
	MOVD  ldAcc+8(FP), R1
	MOVD  p+16(FP), R2
	MOVD  ldP+24(FP), R3
	MOVD  rows+32(FP), R4
	MOVD  d+40(FP), R5
	MOVD  v+48(FP), R6
	MOVD  stride+56(FP), R7
	MOVD  cells+72(FP), R8
	MOVD  n+80(FP), R9
	LSL   $2, R1
	LSL   $2, R3
	VMOVI $128, V31.B16
	CONSTANTS(128)

#include "acc_arm64.h"

#undef FETCH
#undef FETCHA
#undef FETCHB
#undef NEXT32
#undef NEXT16

// Q4_0; V31 is 15, V29 the shift for the half of a block: 0 or -4.
#define FETCH \
	SCALE                           \
	FMOVQ 2(R12), F24               \
	USHLB(24, 24, 29)               \
	VAND  V31.B16, V24.B16, V24.B16 \
	WIDEN(V24)

#define FETCHA \
	SCALE                           \
	FMOVQ 2(R12), F24               \
	VUSHR $4, V24.B16, V27.B16      \
	VAND  V31.B16, V24.B16, V24.B16 \
	WIDEN(V24)

#define FETCHB WIDEN(V27)

#define NEXT32 ADD $18, R13

#define NEXT16 \
	AND  $16, R15, R26 \
	NEG  R26>>2, R26   \
	VDUP R26, V29.B16  \
	TBNZ $4, R15, wide \
	ADD  $18, R13

// func accQ4NEON(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·accQ4NEON(SB), NOSPLIT, $408-88
	MOVD  acc+0(FP), R0
	MOVD  ldAcc+8(FP), R1
	MOVD  p+16(FP), R2
	MOVD  ldP+24(FP), R3
	MOVD  rows+32(FP), R4
	MOVD  d+40(FP), R5
	MOVD  v+48(FP), R6
	MOVD  stride+56(FP), R7
	MOVD  cells+72(FP), R8
	MOVD  n+80(FP), R9
	LSL   $2, R1
	LSL   $2, R3
	VMOVI $0, V29.B16
	VMOVI $15, V31.B16
	CONSTANTS(8)

#include "acc_arm64.h"
