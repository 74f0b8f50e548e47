//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Sums of ROWS4 to ROWS1: V0 to V3 are of the four tokens with the first row, V4 to
// V7 with the second and so on. V16 to V23 hold 8 channels of each row of q,
// V24 to V27 of two tokens.

#define CLEAR(a, b, c, e) \
	VMOVI $0, a.B16 \
	VMOVI $0, b.B16 \
	VMOVI $0, c.B16 \
	VMOVI $0, e.B16

#define KROWS \
	MOVD R10, R14 \
	MOVD R11, R15 \
	MOVD R12, R16 \
	MOVD R13, R17

// MULn multiplies the 8 channels lo, hi of a token by n rows.
#define MUL1(lo, hi, a) \
	VFMLA lo.S4, V16.S4, a.S4 \
	VFMLA hi.S4, V17.S4, a.S4

#define MUL2(lo, hi, a, b) \
	VFMLA lo.S4, V16.S4, a.S4 \
	VFMLA lo.S4, V18.S4, b.S4 \
	VFMLA hi.S4, V17.S4, a.S4 \
	VFMLA hi.S4, V19.S4, b.S4

#define MUL3(lo, hi, a, b, c) \
	VFMLA lo.S4, V16.S4, a.S4 \
	VFMLA lo.S4, V18.S4, b.S4 \
	VFMLA lo.S4, V20.S4, c.S4 \
	VFMLA hi.S4, V17.S4, a.S4 \
	VFMLA hi.S4, V19.S4, b.S4 \
	VFMLA hi.S4, V21.S4, c.S4

#define MUL4(lo, hi, a, b, c, e) \
	VFMLA lo.S4, V16.S4, a.S4 \
	VFMLA lo.S4, V18.S4, b.S4 \
	VFMLA lo.S4, V20.S4, c.S4 \
	VFMLA lo.S4, V22.S4, e.S4 \
	VFMLA hi.S4, V17.S4, a.S4 \
	VFMLA hi.S4, V19.S4, b.S4 \
	VFMLA hi.S4, V21.S4, c.S4 \
	VFMLA hi.S4, V23.S4, e.S4

// FOLD leaves the sums of a, b, c and e, each over its lanes, in a.
#define FOLD(a, b, c, e) \
	FADDP(a, a, b) \
	FADDP(c, c, e) \
	FADDP(a, a, c)

#define ROWS4 \
	CLEAR(V0, V1, V2, V3)            \
	CLEAR(V4, V5, V6, V7)            \
	CLEAR(V8, V9, V10, V11)          \
	CLEAR(V12, V13, V14, V15)        \
	KROWS                            \
	ADD        R4<<2, R19, R20       \
	ADD        R4<<2, R20, R21       \
	ADD        R4<<2, R21, R22       \
	MOVD       R4, R23               \
	rows4Loop:                       \
	FLDPQ.P    32(R19), (F16, F17)   \
	FLDPQ.P    32(R20), (F18, F19)   \
	FLDPQ.P    32(R21), (F20, F21)   \
	FLDPQ.P    32(R22), (F22, F23)   \
	K8A(R14)                         \
	K8B(R15)                         \
	MUL4(V24, V25, V0, V4, V8, V12)  \
	K8A(R16)                         \
	MUL4(V26, V27, V1, V5, V9, V13)  \
	K8B(R17)                         \
	MUL4(V24, V25, V2, V6, V10, V14) \
	MUL4(V26, V27, V3, V7, V11, V15) \
	SUBS       $8, R23               \
	BNE        rows4Loop             \
	MOVD       R22, R19              \
	FOLD(0, 1, 2, 3)                 \
	FOLD(4, 5, 6, 7)                 \
	FOLD(8, 9, 10, 11)               \
	FOLD(12, 13, 14, 15)

#define ROWS3 \
	CLEAR(V0, V1, V2, V3)          \
	CLEAR(V4, V5, V6, V7)          \
	CLEAR(V8, V9, V10, V11)        \
	KROWS                          \
	ADD        R4<<2, R19, R20     \
	ADD        R4<<2, R20, R21     \
	MOVD       R4, R23             \
	rows3Loop:                     \
	FLDPQ.P    32(R19), (F16, F17) \
	FLDPQ.P    32(R20), (F18, F19) \
	FLDPQ.P    32(R21), (F20, F21) \
	K8A(R14)                       \
	K8B(R15)                       \
	MUL3(V24, V25, V0, V4, V8)     \
	K8A(R16)                       \
	MUL3(V26, V27, V1, V5, V9)     \
	K8B(R17)                       \
	MUL3(V24, V25, V2, V6, V10)    \
	MUL3(V26, V27, V3, V7, V11)    \
	SUBS       $8, R23             \
	BNE        rows3Loop           \
	MOVD       R21, R19            \
	FOLD(0, 1, 2, 3)               \
	FOLD(4, 5, 6, 7)               \
	FOLD(8, 9, 10, 11)

#define ROWS2 \
	CLEAR(V0, V1, V2, V3)          \
	CLEAR(V4, V5, V6, V7)          \
	KROWS                          \
	ADD        R4<<2, R19, R20     \
	MOVD       R4, R23             \
	rows2Loop:                     \
	FLDPQ.P    32(R19), (F16, F17) \
	FLDPQ.P    32(R20), (F18, F19) \
	K8A(R14)                       \
	K8B(R15)                       \
	MUL2(V24, V25, V0, V4)         \
	K8A(R16)                       \
	MUL2(V26, V27, V1, V5)         \
	K8B(R17)                       \
	MUL2(V24, V25, V2, V6)         \
	MUL2(V26, V27, V3, V7)         \
	SUBS       $8, R23             \
	BNE        rows2Loop           \
	MOVD       R20, R19            \
	FOLD(0, 1, 2, 3)               \
	FOLD(4, 5, 6, 7)

#define ROWS1 \
	CLEAR(V0, V1, V2, V3)          \
	KROWS                          \
	MOVD       R4, R23             \
	rows1Loop:                     \
	FLDPQ.P    32(R19), (F16, F17) \
	K8A(R14)                       \
	K8B(R15)                       \
	MUL1(V24, V25, V0)             \
	K8A(R16)                       \
	MUL1(V26, V27, V1)             \
	K8B(R17)                       \
	MUL1(V24, V25, V2)             \
	MUL1(V26, V27, V3)             \
	SUBS       $8, R23             \
	BNE        rows1Loop           \
	FOLD(0, 1, 2, 3)

// K8A and K8B load 8 channels and advance the pointer. A token is converted while
// the one before is multiplied.

#define K8A(ptr) FLDPQ.P 32(ptr), (F24, F25)
#define K8B(ptr) FLDPQ.P 32(ptr), (F26, F27)

// func dotF32NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotF32NEON(SB), NOSPLIT, $0-80
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD k+40(FP), R5
	MOVD stride+48(FP), R6
	MOVD size+56(FP), R9
	MOVD cells+64(FP), R7
	MOVD n+72(FP), R8
	LSL  $2, R1

#include "dot_arm64.h"

#undef K8A
#undef K8B

#define K8A(ptr) \
	FMOVQ.P 16(ptr), F24 \
	FCVTL2(25, 24)       \
	FCVTL(24, 24)

#define K8B(ptr) \
	FMOVQ.P 16(ptr), F26 \
	FCVTL2(27, 26)       \
	FCVTL(26, 26)

// func dotF16NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotF16NEON(SB), NOSPLIT, $0-80
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD k+40(FP), R5
	MOVD stride+48(FP), R6
	MOVD size+56(FP), R9
	MOVD cells+64(FP), R7
	MOVD n+72(FP), R8
	LSL  $2, R1

#include "dot_arm64.h"

#undef K8A
#undef K8B

// A BF16 is the upper half of a float32; V31 is 0.
#define K8A(ptr) \
	FMOVQ.P 16(ptr), F25           \
	VZIP1   V25.H8, V31.H8, V24.H8 \
	VZIP2   V25.H8, V31.H8, V25.H8

#define K8B(ptr) \
	FMOVQ.P 16(ptr), F27           \
	VZIP1   V27.H8, V31.H8, V26.H8 \
	VZIP2   V27.H8, V31.H8, V27.H8

// func dotBF16NEON(dst *float32, ldDst int, q *float32, rows, d int, k unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·dotBF16NEON(SB), NOSPLIT, $0-80
	MOVD  dst+0(FP), R0
	MOVD  ldDst+8(FP), R1
	MOVD  q+16(FP), R2
	MOVD  rows+24(FP), R3
	MOVD  d+32(FP), R4
	MOVD  k+40(FP), R5
	MOVD  stride+48(FP), R6
	MOVD  size+56(FP), R9
	MOVD  cells+64(FP), R7
	MOVD  n+72(FP), R8
	LSL   $2, R1
	VMOVI $0, V31.B16

#include "dot_arm64.h"
