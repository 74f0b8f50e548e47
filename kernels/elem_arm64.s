//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Registers of all functions:
//	R0  first argument, to be read   R1  second argument
//	R2  elements left                R3, R4  scratch, or the next of the first
//	                                 argument to be written: loads need not
//	                                 wait for an address from a store

// func scaleNEON(x *float32, n int, s float32)
TEXT ·scaleNEON(SB), NOSPLIT, $0-20
	MOVD  x+0(FP), R0
	MOVD  R0, R3
	MOVD  n+8(FP), R2
	FMOVS s+16(FP), F4
	VDUP  V4.S[0], V5.S4

scale16:
	SUBS   $16, R2
	BLT    scaleRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	FMUL(0, 0, 5)
	FMUL(1, 1, 5)
	FMUL(2, 2, 5)
	FMUL(3, 3, 5)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R3)
	B      scale16

scaleRest:
	ADD $16, R2

scale1:
	SUBS    $1, R2
	BLT     scaleDone
	FMOVS.P 4(R0), F0
	FMULS   F4, F0, F0
	FMOVS.P F0, 4(R3)
	B       scale1

scaleDone:
	RET

// func axpbyNEON(x, y *float32, n int, a, b float32)
TEXT ·axpbyNEON(SB), NOSPLIT, $0-32
	MOVD  x+0(FP), R0
	MOVD  R0, R3
	MOVD  y+8(FP), R1
	MOVD  n+16(FP), R2
	FMOVS a+24(FP), F16
	FMOVS b+28(FP), F17
	VDUP  V16.S[0], V18.S4
	VDUP  V17.S[0], V19.S4

axpby16:
	SUBS   $16, R2
	BLT    axpbyRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	FMUL(4, 4, 19)
	FMUL(5, 5, 19)
	FMUL(6, 6, 19)
	FMUL(7, 7, 19)
	VFMLA  V0.S4, V18.S4, V4.S4
	VFMLA  V1.S4, V18.S4, V5.S4
	VFMLA  V2.S4, V18.S4, V6.S4
	VFMLA  V3.S4, V18.S4, V7.S4
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R3)
	B      axpby16

axpbyRest:
	ADD $16, R2

axpby1:
	SUBS    $1, R2
	BLT     axpbyDone
	FMOVS.P 4(R0), F0
	FMOVS.P 4(R1), F4
	FMULS   F17, F4, F4
	FMADDS  F0, F4, F16, F4
	FMOVS.P F4, 4(R3)
	B       axpby1

axpbyDone:
	RET

// func maxIntoNEON(dst, x *float32, n int)
TEXT ·maxIntoNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD R0, R3
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2

max16:
	SUBS   $16, R2
	BLT    maxRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	FCMGT(16, 4, 0)
	FCMGT(17, 5, 1)
	FCMGT(18, 6, 2)
	FCMGT(19, 7, 3)
	VBIT   V16.B16, V4.B16, V0.B16
	VBIT   V17.B16, V5.B16, V1.B16
	VBIT   V18.B16, V6.B16, V2.B16
	VBIT   V19.B16, V7.B16, V3.B16
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R3)
	B      max16

maxRest:
	ADD $16, R2

max1:
	SUBS    $1, R2
	BLT     maxDone
	FMOVS.P 4(R0), F0
	FMOVS.P 4(R1), F4
	FCMPS   F0, F4
	FCSELS  GT, F4, F0, F0
	FMOVS.P F0, 4(R3)
	B       max1

maxDone:
	RET

// MAXADDSQRT does four: dst, a and b are vectors n, k and l, V18 is beta, V31 0.
#define MAXADDSQRT(dst, n, a, k, b, l, mask, j) \
	FMAX(l, l, 31)                 \ // a NaN stays
	FSQRT(l, l)                    \
	VFMLA b.S4, V18.S4, a.S4       \
	FCMGT(j, k, n)                 \
	VBIT  mask.B16, a.B16, dst.B16

// func maxAddSqrtNEON(dst, a, b *float32, n int, beta float32)
TEXT ·maxAddSqrtNEON(SB), NOSPLIT, $0-36
	MOVD  dst+0(FP), R0
	MOVD  R0, R4
	MOVD  a+8(FP), R1
	MOVD  b+16(FP), R3
	MOVD  n+24(FP), R2
	FMOVS beta+32(FP), F18
	VDUP  V18.S[0], V18.S4
	VMOVI $0, V31.B16

score8:
	SUBS   $8, R2
	BLT    scoreRest
	VLD1.P 32(R0), [V0.S4, V1.S4]
	VLD1.P 32(R1), [V2.S4, V3.S4]
	VLD1.P 32(R3), [V4.S4, V5.S4]
	MAXADDSQRT(V0, 0, V2, 2, V4, 4, V16, 16)
	MAXADDSQRT(V1, 1, V3, 3, V5, 5, V17, 17)
	VST1.P [V0.S4, V1.S4], 32(R4)
	B      score8

scoreRest:
	ADD $8, R2

score1:
	SUBS    $1, R2
	BLT     scoreDone
	FMOVS.P 4(R0), F0
	FMOVS.P 4(R1), F2
	FMOVS.P 4(R3), F4
	MAXADDSQRT(V0, 0, V2, 2, V4, 4, V16, 16)
	FMOVS.P F0, 4(R4)
	B       score1

scoreDone:
	RET

// A lane's bit in the mask of four lanes, and above 256 to count them.
DATA bits<>+0(SB)/8, $0x0000010200000101
DATA bits<>+8(SB)/8, $0x0000010800000104
GLOBL bits<>(SB), RODATA|NOPTR, $16

DATA iota<>+0(SB)/8, $0x0000000100000000
DATA iota<>+8(SB)/8, $0x0000000300000002
GLOBL iota<>(SB), RODATA|NOPTR, $16

// For each mask the bytes of the lanes in it, for TBL.
DATA lanes<>+0(SB)/8, $0
DATA lanes<>+8(SB)/8, $0
DATA lanes<>+16(SB)/8, $0x03020100 // 1
DATA lanes<>+24(SB)/8, $0
DATA lanes<>+32(SB)/8, $0x07060504 // 2
DATA lanes<>+40(SB)/8, $0
DATA lanes<>+48(SB)/8, $0x0706050403020100 // 1 2
DATA lanes<>+56(SB)/8, $0
DATA lanes<>+64(SB)/8, $0x0b0a0908 // 4
DATA lanes<>+72(SB)/8, $0
DATA lanes<>+80(SB)/8, $0x0b0a090803020100 // 1 4
DATA lanes<>+88(SB)/8, $0
DATA lanes<>+96(SB)/8, $0x0b0a090807060504 // 2 4
DATA lanes<>+104(SB)/8, $0
DATA lanes<>+112(SB)/8, $0x0706050403020100 // 1 2 4
DATA lanes<>+120(SB)/8, $0x0b0a0908
DATA lanes<>+128(SB)/8, $0x0f0e0d0c // 8
DATA lanes<>+136(SB)/8, $0
DATA lanes<>+144(SB)/8, $0x0f0e0d0c03020100 // 1 8
DATA lanes<>+152(SB)/8, $0
DATA lanes<>+160(SB)/8, $0x0f0e0d0c07060504 // 2 8
DATA lanes<>+168(SB)/8, $0
DATA lanes<>+176(SB)/8, $0x0706050403020100 // 1 2 8
DATA lanes<>+184(SB)/8, $0x0f0e0d0c
DATA lanes<>+192(SB)/8, $0x0f0e0d0c0b0a0908 // 4 8
DATA lanes<>+200(SB)/8, $0
DATA lanes<>+208(SB)/8, $0x0b0a090803020100 // 1 4 8
DATA lanes<>+216(SB)/8, $0x0f0e0d0c
DATA lanes<>+224(SB)/8, $0x0b0a090807060504 // 2 4 8
DATA lanes<>+232(SB)/8, $0x0f0e0d0c
DATA lanes<>+240(SB)/8, $0x0706050403020100 // 1 2 4 8
DATA lanes<>+248(SB)/8, $0x0f0e0d0c0b0a0908
GLOBL lanes<>(SB), RODATA|NOPTR, $256

// ABOVE4 appends the indices V20 of the lanes in mask. All four lanes are stored:
// no more indices were written than elements seen, so there is room.
#define ABOVE4(mask) \
	VAND  V18.B16, mask.B16, mask.B16 \
	VADDV mask.S4, mask               \
	VMOV  mask.S[0], R4               \
	AND   $255, R4, R5                \
	ADD   R5<<4, R3, R5               \
	FMOVQ (R5), F21                   \
	VTBL  V21.B16, [V20.B16], V21.B16 \
	FMOVQ F21, (R0)                   \
	LSR   $8, R4                      \
	ADD   R4<<2, R0                   \
	VADD  V19.S4, V20.S4, V20.S4

// func aboveNEON(dst *int32, x *float32, n int, t float32) int
//
//	R3   lanes    R6   index
//	V16  t        V17  16
//	V18  bits     V19  4
//	V20  indices  V21  scratch
TEXT ·aboveNEON(SB), NOSPLIT, $0-40
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  n+16(FP), R2
	FMOVS t+24(FP), F16
	VDUP  V16.S[0], V16.S4
	MOVD  $bits<>(SB), R3
	FMOVQ (R3), F18
	MOVD  $iota<>(SB), R3
	FMOVQ (R3), F20
	MOVD  $16, R3
	VDUP  R3, V17.S4
	MOVD  $4, R3
	VDUP  R3, V19.S4
	MOVD  $lanes<>(SB), R3
	MOVD  ZR, R6
	B     above16

aboveNone:
	VADD V17.S4, V20.S4, V20.S4
	ADD  $16, R6

above16:
	SUBS   $16, R2
	BLT    aboveRest
	VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]
	FCMGE(0, 0, 16)
	FCMGE(1, 1, 16)
	FCMGE(2, 2, 16)
	FCMGE(3, 3, 16)
	VORR   V0.B16, V1.B16, V4.B16
	VORR   V2.B16, V3.B16, V5.B16
	VORR   V4.B16, V5.B16, V4.B16
	VADDV  V4.S4, V4                            // minus the lanes that have any
	VMOV   V4.S[0], R4
	CBZ    R4, aboveNone
	ABOVE4(V0)
	ABOVE4(V1)
	ABOVE4(V2)
	ABOVE4(V3)
	ADD    $16, R6
	B      above16

aboveRest:
	ADD $16, R2

above1:
	SUBS    $1, R2
	BLT     aboveDone
	FMOVS.P 4(R1), F0
	MOVW    R6, (R0)
	ADD     $1, R6
	FCMPS   F16, F0
	BLT     above1    // or unordered
	ADD     $4, R0
	B       above1

aboveDone:
	MOVD dst+0(FP), R1
	SUB  R1, R0
	LSR  $2, R0
	MOVD R0, ret+32(FP)
	RET
