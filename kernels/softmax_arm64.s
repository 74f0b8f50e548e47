//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// The same values as in scalar.go, in the order of V19 to V31.
DATA expc<>+0(SB)/4, $0x3fb8aa3b // V19: log2(e)
DATA expc<>+4(SB)/4, $0x4b400000 // V20: 3<<22, rounds
DATA expc<>+8(SB)/4, $0x3f318000 // V21: ln2Hi
DATA expc<>+12(SB)/4, $0xb95e8083 // V22: ln2Lo
DATA expc<>+16(SB)/4, $0xc2ae999a // V23: cutoff, -87.3
DATA expc<>+20(SB)/4, $0x3f800000 // V24: 1
DATA expc<>+24(SB)/4, $0x3f000000 // V25: C2
DATA expc<>+28(SB)/4, $0x3e2aaaaa // V26: C3
DATA expc<>+32(SB)/4, $0x3d2aa9c1 // V27: C4
DATA expc<>+36(SB)/4, $0x3c088908 // V28: C5
DATA expc<>+40(SB)/4, $0x3ab743ce // V29: C6
DATA expc<>+44(SB)/4, $0x39506967 // V30: C7
GLOBL expc<>(SB), RODATA|NOPTR, $48

#define CONSTANTS \
	MOVD    $expc<>(SB), R3 \
	VLD1R.P 4(R3), [V19.S4] \
	VLD1R.P 4(R3), [V20.S4] \
	VLD1R.P 4(R3), [V21.S4] \
	VLD1R.P 4(R3), [V22.S4] \
	VLD1R.P 4(R3), [V23.S4] \
	VLD1R.P 4(R3), [V24.S4] \
	VLD1R.P 4(R3), [V25.S4] \
	VLD1R.P 4(R3), [V26.S4] \
	VLD1R.P 4(R3), [V27.S4] \
	VLD1R.P 4(R3), [V28.S4] \
	VLD1R.P 4(R3), [V29.S4] \
	VLD1R.P 4(R3), [V30.S4] \
	VMOVI   $0, V31.B16

// EXP replaces x, which is vector n, by exp(x), for x <= 0 or NaN. It overwrites V4 to
// V9. After 3<<22 was added, m is in the low bits of V4; shifted into the exponent
// it makes V4 = 2^m, a normal number above the cutoff. What is below gets masked,
// and NaN comes through r.
#define EXP(x, n) \
	VMOV  V20.B16, V4.B16        \
	VFMLA x.S4, V19.S4, V4.S4    \
	FCMGT(9, 23, n)              \ // x < cutoff
	FSUB(5, 4, 20)               \ // m
	VFMLS V5.S4, V21.S4, x.S4    \
	VFMLS V5.S4, V22.S4, x.S4    \ // r
	VSHL  $23, V4.S4, V4.S4      \
	VADD  V24.S4, V4.S4, V4.S4   \ // 2^m
	FMUL(5, n, n)                \ // r^2
	VMOV  V25.B16, V6.B16        \
	VMOV  V27.B16, V7.B16        \
	VMOV  V29.B16, V8.B16        \
	VFMLA x.S4, V26.S4, V6.S4    \ // C2 + C3*r
	VFMLA x.S4, V28.S4, V7.S4    \ // C4 + C5*r
	VFMLA x.S4, V30.S4, V8.S4    \ // C6 + C7*r
	VFMLA V8.S4, V5.S4, V7.S4    \
	VFMLA V7.S4, V5.S4, V6.S4    \ // P
	VFMLA V6.S4, V5.S4, x.S4     \ // r + r^2*P
	FMUL(n, n, 4)                \
	FADD(n, n, 4)                \ // 2^m + 2^m*(r + r^2*P)
	VBIT  V9.B16, V31.B16, x.B16

// LANES loads R1 < 4 floats at R0 to the first lanes of V0.
#define LANES(loaded) \
	MOVD   R0, R2         \
	VLD1.P 4(R2), V0.S[0] \
	CMP    $2, R1         \
	BLT    loaded         \
	VLD1.P 4(R2), V0.S[1] \
	BEQ    loaded         \
	VLD1   (R2), V0.S[2]

// STORELANES stores them at R3.
#define STORELANES(one, stored) \
	TBZ     $1, R1, one                \
	FMOVD.P F0, 8(R3)                  \
	VEXT    $8, V0.B16, V0.B16, V0.B16 \
	TBZ     $0, R1, stored             \
	one:                               \
	FMOVS   F0, (R3)

// LARGER keeps the larger of each pair in m, vector n. A NaN in v, vector k, is passed over.
#define LARGER(m, n, v, k, mask, j) \
	FCMGT(j, k, n)              \
	VBIT mask.B16, v.B16, m.B16

// Registers of both functions:
//	R0   x, to be read
//	R1   elements left
//	R2   scratch
//	R3   constants, then x to be written: loads need not wait for an address from a store
//	V0 .. V3  x     V4 .. V9  see EXP
//	V19 .. V31  constants

// func softmaxRowNEON(x *float32, n int, oldMax float32) (newMax, sum float32, masked bool)
//
//	V12 .. V15  maxima, then sums
//	V16, V17    masks; V18  the new maximum
TEXT ·softmaxRowNEON(SB), NOSPLIT, $0-33
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R1
	FMOVS oldMax+16(FP), F12
	VDUP  V12.S[0], V12.S4
	VMOV  V12.B16, V13.B16
	VMOV  V12.B16, V14.B16
	VMOV  V12.B16, V15.B16

max16:
	SUBS   $16, R1
	BLT    maxRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	LARGER(V12, 12, V0, 0, V16, 16)
	LARGER(V13, 13, V1, 1, V17, 17)
	LARGER(V14, 14, V2, 2, V16, 16)
	LARGER(V15, 15, V3, 3, V17, 17)
	B      max16

maxRest:
	ADD $16, R1
	LARGER(V12, 12, V13, 13, V16, 16)
	LARGER(V14, 14, V15, 15, V17, 17)
	LARGER(V12, 12, V14, 14, V16, 16)

max4:
	SUBS   $4, R1
	BLT    maxTail
	VLD1.P 16(R0), [V0.S4]
	LARGER(V12, 12, V0, 0, V16, 16)
	B      max4

maxTail:
	ADDS $4, R1
	BEQ  maxReduce
	VMOV V12.B16, V0.B16
	LANES(maxLanes)

maxLanes:
	LARGER(V12, 12, V0, 0, V16, 16)

maxReduce:
	VEXT  $8, V12.B16, V12.B16, V0.B16
	LARGER(V12, 12, V0, 0, V16, 16)
	VEXT  $4, V12.B16, V12.B16, V0.B16
	LARGER(V12, 12, V0, 0, V16, 16)
	FMOVS F12, newMax+24(FP)
	VMOV  V12.S[0], R2
	MOVD  $0xff800000, R3
	CMPW  R3, R2
	BEQ   masked
	MOVB  ZR, masked+32(FP)
	VDUP  V12.S[0], V18.S4
	CONSTANTS
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R1
	MOVD  R0, R3
	VMOVI $0, V12.B16
	VMOVI $0, V13.B16
	VMOVI $0, V14.B16
	VMOVI $0, V15.B16

exp16:
	SUBS   $16, R1
	BLT    expRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	FSUB(0, 0, 18)
	FSUB(1, 1, 18)
	FSUB(2, 2, 18)
	FSUB(3, 3, 18)
	EXP(V0, 0)
	EXP(V1, 1)
	EXP(V2, 2)
	EXP(V3, 3)
	FADD(12, 12, 0)
	FADD(13, 13, 1)
	FADD(14, 14, 2)
	FADD(15, 15, 3)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R3)
	B      exp16

expRest:
	ADD $16, R1

exp4:
	SUBS   $4, R1
	BLT    expTail
	VLD1.P 16(R0), [V0.S4]
	FSUB(0, 0, 18)
	EXP(V0, 0)
	FADD(12, 12, 0)
	VST1.P [V0.S4], 16(R3)
	B      exp4

expTail:
	ADDS $4, R1
	BEQ  sumReduce
	MOVD $0xff800000, R2 // lanes that are not loaded become 0
	VDUP R2, V0.S4
	LANES(expLanes)

expLanes:
	FSUB(0, 0, 18)
	EXP(V0, 0)
	FADD(13, 13, 0)
	STORELANES(expOne, sumReduce)

sumReduce:
	FADD(12, 12, 13)
	FADD(14, 14, 15)
	FADD(12, 12, 14)
	FADDP(12, 12, 12)
	FADDP(12, 12, 12)
	FMOVS F12, sum+28(FP)
	RET

masked:
	MOVW ZR, sum+28(FP)
	MOVD $1, R2
	MOVB R2, masked+32(FP)
	RET

// SOFTCAP replaces x, vector n, by c*(1-t)/(1+t) with t = exp(|x|*f), signed as x.
#define SOFTCAP(x, n) \
	VMOV x.B16, V10.B16          \
	FABS(n, n)                   \
	FMUL(n, n, 14)               \
	EXP(x, n)                    \
	FSUB(11, 24, n)              \
	FADD(n, 24, n)               \
	FDIV(n, 11, n)               \
	FMUL(n, n, 13)               \
	VBIT V12.B16, V10.B16, x.B16

// func softCapNEON(x *float32, n int, c, f float32)
//
//	V10, V11  of SOFTCAP    V12  sign bit
//	V13  c                  V14  f = -2/c
TEXT ·softCapNEON(SB), NOSPLIT, $0-24
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R1
	FMOVS c+16(FP), F13
	FMOVS f+20(FP), F14
	VDUP  V13.S[0], V13.S4
	VDUP  V14.S[0], V14.S4
	MOVD  $0x80000000, R2
	VDUP  R2, V12.S4
	CONSTANTS
	MOVD  R0, R3

cap8:
	SUBS   $8, R1
	BLT    capRest
	VLD1.P 32(R0), [V0.S4, V1.S4]
	SOFTCAP(V0, 0)
	SOFTCAP(V1, 1)
	VST1.P [V0.S4, V1.S4], 32(R3)
	B      cap8

capRest:
	ADDS   $4, R1
	BLT    capTail
	VLD1.P 16(R0), [V0.S4]
	SOFTCAP(V0, 0)
	VST1.P [V0.S4], 16(R3)
	SUB    $4, R1

capTail:
	ADDS  $4, R1
	BEQ   capDone
	VMOVI $0, V0.B16
	LANES(capLanes)

capLanes:
	SOFTCAP(V0, 0)
	STORELANES(capOne, capDone)

capDone:
	RET
