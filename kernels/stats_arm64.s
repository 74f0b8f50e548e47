//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Registers of sumSqNEON and minMaxNEON:
//	R0  first result, channel    R1  second result, channel
//	R2  x, channel               R3  channels left
//	R4  n                        R5  bytes per row
//	R6  x, row                   R7  rows left
//	V0  .. V3   first result     V4  .. V7  second result
//	V16 .. V19  x                V20, V21   scratch

#define SUMSQ(sum, n, sq, x, k) \
	FADD(n, n, k)           \
	VFMLA x.S4, x.S4, sq.S4

// func sumSqNEON(sum, sumsq, x *float32, d, n int)
TEXT ·sumSqNEON(SB), NOSPLIT, $0-40
	MOVD sum+0(FP), R0
	MOVD sumsq+8(FP), R1
	MOVD x+16(FP), R2
	MOVD d+24(FP), R3
	MOVD n+32(FP), R4
	LSL  $2, R3, R5

sum16:
	SUBS $16, R3
	BLT  sum8
	VLD1 (R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1 (R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	MOVD R2, R6
	MOVD R4, R7

sum16Row:
	VLD1   (R6), [V16.S4, V17.S4, V18.S4, V19.S4]
	ADD    R5, R6
	SUMSQ(V0, 0, V4, V16, 16)
	SUMSQ(V1, 1, V5, V17, 17)
	SUMSQ(V2, 2, V6, V18, 18)
	SUMSQ(V3, 3, V7, V19, 19)
	SUBS   $1, R7
	BNE    sum16Row
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R1)
	ADD    $64, R2
	B      sum16

sum8:
	TBZ  $3, R3, sumDone      // -8 or -16
	VLD1 (R0), [V0.S4, V1.S4]
	VLD1 (R1), [V4.S4, V5.S4]

sum8Row:
	VLD1 (R2), [V16.S4, V17.S4]
	ADD  R5, R2
	SUMSQ(V0, 0, V4, V16, 16)
	SUMSQ(V1, 1, V5, V17, 17)
	SUBS $1, R4
	BNE  sum8Row
	VST1 [V0.S4, V1.S4], (R0)
	VST1 [V4.S4, V5.S4], (R1)

sumDone:
	RET

#define MINMAX(lo, i, hi, j, x, k) \
	FCMGT(20, i, k)             \
	FCMGT(21, k, j)             \
	VBIT V20.B16, x.B16, lo.B16 \
	VBIT V21.B16, x.B16, hi.B16

// func minMaxNEON(lo, hi, x *float32, d, n int)
TEXT ·minMaxNEON(SB), NOSPLIT, $0-40
	MOVD lo+0(FP), R0
	MOVD hi+8(FP), R1
	MOVD x+16(FP), R2
	MOVD d+24(FP), R3
	MOVD n+32(FP), R4
	LSL  $2, R3, R5

range16:
	SUBS $16, R3
	BLT  range8
	VLD1 (R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1 (R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	MOVD R2, R6
	MOVD R4, R7

range16Row:
	VLD1   (R6), [V16.S4, V17.S4, V18.S4, V19.S4]
	ADD    R5, R6
	MINMAX(V0, 0, V4, 4, V16, 16)
	MINMAX(V1, 1, V5, 5, V17, 17)
	MINMAX(V2, 2, V6, 6, V18, 18)
	MINMAX(V3, 3, V7, 7, V19, 19)
	SUBS   $1, R7
	BNE    range16Row
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R1)
	ADD    $64, R2
	B      range16

range8:
	TBZ  $3, R3, rangeDone
	VLD1 (R0), [V0.S4, V1.S4]
	VLD1 (R1), [V4.S4, V5.S4]

range8Row:
	VLD1 (R2), [V16.S4, V17.S4]
	ADD  R5, R2
	MINMAX(V0, 0, V4, 4, V16, 16)
	MINMAX(V1, 1, V5, 5, V17, 17)
	SUBS $1, R4
	BNE  range8Row
	VST1 [V0.S4, V1.S4], (R0)
	VST1 [V4.S4, V5.S4], (R1)

rangeDone:
	RET

// func absMaxNEON(x *float32, n int) float32
//
//	R0  x    R1  elements left    R2  mask
//	V4 .. V7  maxima, as integers    V16  mask
TEXT ·absMaxNEON(SB), NOSPLIT, $0-20
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R1
	MOVD  $0x7fffffff, R2
	VDUP  R2, V16.S4
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16

abs16:
	SUBS   $16, R1
	BLT    absRest
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VAND   V16.B16, V0.B16, V0.B16
	VAND   V16.B16, V1.B16, V1.B16
	VAND   V16.B16, V2.B16, V2.B16
	VAND   V16.B16, V3.B16, V3.B16
	VUMAX  V0.S4, V4.S4, V4.S4
	VUMAX  V1.S4, V5.S4, V5.S4
	VUMAX  V2.S4, V6.S4, V6.S4
	VUMAX  V3.S4, V7.S4, V7.S4
	B      abs16

absRest:
	ADD $16, R1

abs1:
	SUBS    $1, R1
	BLT     absDone
	FMOVS.P 4(R0), F0
	VAND    V16.B16, V0.B16, V0.B16
	VUMAX   V0.S4, V4.S4, V4.S4
	B       abs1

absDone:
	VUMAX V5.S4, V4.S4, V4.S4
	VUMAX V7.S4, V6.S4, V6.S4
	VUMAX V6.S4, V4.S4, V4.S4
	UMAXV(4, 4)
	FMOVS F4, ret+16(FP)
	RET

// ROUND replaces V0 and V1 by round(x*inv), and adds them to the sum V7. V4 is inv,
// V5 3<<22 as a number, which rounds when added, V6 the same as an integer.
#define ROUND \
	FMUL(0, 0, 4)            \
	FMUL(1, 1, 4)            \
	FADD(0, 0, 5)            \
	FADD(1, 1, 5)            \
	VSUB V6.S4, V0.S4, V0.S4 \
	VSUB V6.S4, V1.S4, V1.S4 \
	VADD V0.S4, V7.S4, V7.S4 \
	VADD V1.S4, V7.S4, V7.S4

// Registers of both functions:
//	R0  result    R1  x    R2  n    R3  3<<22, then the sum

// func quantise8NEON(dst, x *float32, n int, inv float32) int32
TEXT ·quantise8NEON(SB), NOSPLIT, $0-36
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  n+16(FP), R2
	FMOVS inv+24(FP), F4
	VDUP  V4.S[0], V4.S4
	MOVD  $0x4b400000, R3
	VDUP  R3, V5.S4
	VMOV  V5.B16, V6.B16
	VMOVI $0, V7.B16

bytes8:
	VLD1.P  32(R1), [V0.S4, V1.S4]
	ROUND
	VUZP1   V1.H8, V0.H8, V0.H8
	VUZP1   V0.B16, V0.B16, V0.B16
	FMOVD.P F0, 8(R0)
	SUBS    $8, R2
	BNE     bytes8
	VADDV   V7.S4, V7
	VMOV    V7.S[0], R3
	MOVW    R3, ret+32(FP)
	RET

// func quantise14NEON(dst, x *float32, d int, inv float32) int32
//
//	R4  lo    R5  pairs (x0, x2)    R6  pairs (x1, x3)
TEXT ·quantise14NEON(SB), NOSPLIT, $0-36
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  d+16(FP), R2
	FMOVS inv+24(FP), F4
	VDUP  V4.S[0], V4.S4
	MOVD  $0x4b400000, R3
	VDUP  R3, V5.S4
	VMOV  V5.B16, V6.B16
	VMOVI $0, V7.B16
	ADD   R2, R0, R4
	ADD   R2, R4, R5
	ADD   R2, R5, R6

parts8:
	VLD1.P  32(R1), [V0.S4, V1.S4]
	ROUND
	VUZP1   V1.H8, V0.H8, V0.H8
	VUZP1   V0.H8, V0.H8, V2.H8
	VUZP2   V0.H8, V0.H8, V3.H8
	FMOVD.P F2, 8(R5)
	FMOVD.P F3, 8(R6)
	SRSHR6H(2, 0)
	VSHL    $6, V2.H8, V3.H8
	VSUB    V3.H8, V0.H8, V3.H8
	VUZP1   V2.B16, V2.B16, V2.B16
	VUZP1   V3.B16, V3.B16, V3.B16
	FMOVD.P F2, 8(R0)
	FMOVD.P F3, 8(R4)
	SUBS    $8, R2
	BNE     parts8
	VADDV   V7.S4, V7
	VMOV    V7.S[0], R3
	MOVW    R3, ret+32(FP)
	RET
