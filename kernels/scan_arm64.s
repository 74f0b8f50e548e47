//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Registers of both kernels:
//	R0   &dst[0][page]     R1   bytes per dst row
//	R2   q                 R3   rows
//	R4   d                 R5   tile
//	R6   pages left        R7   correction by the sum of q
//	R8   bytes of a row of q
//	R9   rows left         R10  q, row
//	R11  &dst[row][page]   R13  tile, channel
//	R14  counter           R24  rows of the block
//	R15  .. R17, R19 .. R22  q, channel

#define CLEAR8(a, b, c, e, f, g, h, i) \
	VMOVI $0, a.B16 \
	VMOVI $0, b.B16 \
	VMOVI $0, c.B16 \
	VMOVI $0, e.B16 \
	VMOVI $0, f.B16 \
	VMOVI $0, g.B16 \
	VMOVI $0, h.B16 \
	VMOVI $0, i.B16

// GROUP loads 4 channels of 16 pages and makes the bytes signed.
#define GROUP \
	VLD1.P 64(R13), [V24.B16, V25.B16, V26.B16, V27.B16] \
	VEOR   V31.B16, V24.B16, V24.B16                     \
	VEOR   V31.B16, V25.B16, V25.B16                     \
	VEOR   V31.B16, V26.B16, V26.B16                     \
	VEOR   V31.B16, V27.B16, V27.B16

// SDOT8 multiplies it by the lanes hi and lo of a row's q.
#define SDOT8(h0, h1, h2, h3, l0, l1, l2, l3, q, hi, lo) \
	SDOTLANE(h0, 24, q, hi) \
	SDOTLANE(h1, 25, q, hi) \
	SDOTLANE(h2, 26, q, hi) \
	SDOTLANE(h3, 27, q, hi) \
	SDOTLANE(l0, 24, q, lo) \
	SDOTLANE(l1, 25, q, lo) \
	SDOTLANE(l2, 26, q, lo) \
	SDOTLANE(l3, 27, q, lo)

// COMBINE adds 64 times the sums of hi and those of lo.
#define COMBINE(h0, h1, h2, h3, l0, l1, l2, l3) \
	VSHL $6, h0.S4, h0.S4    \
	VSHL $6, h1.S4, h1.S4    \
	VSHL $6, h2.S4, h2.S4    \
	VSHL $6, h3.S4, h3.S4    \
	VADD l0.S4, h0.S4, h0.S4 \
	VADD l1.S4, h1.S4, h1.S4 \
	VADD l2.S4, h2.S4, h2.S4 \
	VADD l3.S4, h3.S4, h3.S4

// Sums of row r: V(8r) to V(8r+3) of the bytes hi of q, V(8r+4) to V(8r+7) of lo,
// 4 pages each. V28 to V30 hold 8 bytes hi and 8 bytes lo of each row, V24 to V27 the
// tile, V31 is 0x80.

// func scanDotProd(dst *float32, ldDst int, q *float32, rows, d int, tiles *byte, n, correct int)
TEXT ·scanDotProd(SB), NOSPLIT, $64-64
	MOVD  dst+0(FP), R0
	MOVD  ldDst+8(FP), R1
	MOVD  q+16(FP), R2
	MOVD  rows+24(FP), R3
	MOVD  d+32(FP), R4
	MOVD  tiles+40(FP), R5
	MOVD  n+48(FP), R6
	MOVD  correct+56(FP), R7
	LSL   $2, R1
	LSL   $2, R4, R8
	ADD   $8, R8
	VMOVI $128, V31.B16

tile:
	MOVD R2, R10
	MOVD R0, R11
	MOVD R3, R9

rows:
	CBZ  R9, next
	ADD  $64, R5, R13
	MOVD R4, R14
	MOVD R10, R15
	ADD  R8, R15, R16
	ADD  R8, R16, R17
	ADD  R4, R15, R19
	ADD  R4, R16, R20
	ADD  R4, R17, R21
	CLEAR8(V0, V1, V2, V3, V4, V5, V6, V7)
	CMP  $2, R9
	BLT  rows1
	CLEAR8(V8, V9, V10, V11, V12, V13, V14, V15)
	BEQ  rows2
	CMP  $4, R9
	BEQ  rows2
	CLEAR8(V16, V17, V18, V19, V20, V21, V22, V23)

loop3:
	FMOVD.P 8(R15), F28
	FMOVD.P 8(R16), F29
	FMOVD.P 8(R17), F30
	VLD1.P  8(R19), V28.D[1]
	VLD1.P  8(R20), V29.D[1]
	VLD1.P  8(R21), V30.D[1]
	GROUP
	SDOT8(0, 1, 2, 3, 4, 5, 6, 7, 28, 0, 2)
	SDOT8(8, 9, 10, 11, 12, 13, 14, 15, 29, 0, 2)
	SDOT8(16, 17, 18, 19, 20, 21, 22, 23, 30, 0, 2)
	GROUP
	SDOT8(0, 1, 2, 3, 4, 5, 6, 7, 28, 1, 3)
	SDOT8(8, 9, 10, 11, 12, 13, 14, 15, 29, 1, 3)
	SDOT8(16, 17, 18, 19, 20, 21, 22, 23, 30, 1, 3)
	SUBS    $8, R14
	BNE     loop3
	COMBINE(V16, V17, V18, V19, V20, V21, V22, V23)
	MOVD    $3, R24
	B       two

rows2:
	FMOVD.P 8(R15), F28
	FMOVD.P 8(R16), F29
	VLD1.P  8(R19), V28.D[1]
	VLD1.P  8(R20), V29.D[1]
	GROUP
	SDOT8(0, 1, 2, 3, 4, 5, 6, 7, 28, 0, 2)
	SDOT8(8, 9, 10, 11, 12, 13, 14, 15, 29, 0, 2)
	GROUP
	SDOT8(0, 1, 2, 3, 4, 5, 6, 7, 28, 1, 3)
	SDOT8(8, 9, 10, 11, 12, 13, 14, 15, 29, 1, 3)
	SUBS    $8, R14
	BNE     rows2
	MOVD    $2, R24

two:
	COMBINE(V8, V9, V10, V11, V12, V13, V14, V15)
	B one

rows1:
	FMOVD.P 8(R15), F28
	VLD1.P  8(R19), V28.D[1]
	GROUP
	SDOT8(0, 1, 2, 3, 4, 5, 6, 7, 28, 0, 2)
	GROUP
	SDOT8(0, 1, 2, 3, 4, 5, 6, 7, 28, 1, 3)
	SUBS    $8, R14
	BNE     rows1
	MOVD    $1, R24

one:
	COMBINE(V0, V1, V2, V3, V4, V5, V6, V7)
	SUB R24, R9

#include "scan_arm64.h"

// EVENODD loads 4 channels of 4 pages as 16-bit integers: the even channels of a
// page to V24, the odd ones to V25.
#define EVENODD \
	FMOVQ.P 16(R13), F24              \
	VUSHR   $8, V24.H8, V25.H8        \
	VAND    V31.B16, V24.B16, V24.B16

// MAC8 multiplies them by a row's q. Of each page two sums are kept: a holds those of
// pages 0 and 1, b those of pages 2 and 3.
#define MAC8(a, b, even, odd) \
	SMLALH(a, 24, even)  \
	SMLAL2H(b, 24, even) \
	SMLALH(a, 25, odd)   \
	SMLAL2H(b, 25, odd)

// V0 to V7 are the sums of the first row, V8 to V15 of the second. V26 and V27 hold
// its q, V28 and V29 that of the second row. V31 is 0xff in each 16 bits.

// func scanNEON(dst *float32, ldDst int, q *float32, rows, d int, tiles *byte, n, correct int)
TEXT ·scanNEON(SB), NOSPLIT, $64-64
	MOVD dst+0(FP), R0
	MOVD ldDst+8(FP), R1
	MOVD q+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD d+32(FP), R4
	MOVD tiles+40(FP), R5
	MOVD n+48(FP), R6
	MOVD correct+56(FP), R7
	LSL  $2, R1
	LSL  $2, R4, R8
	ADD  $8, R8
	MOVD $255, R9
	VDUP R9, V31.H8

tile:
	MOVD R2, R10
	MOVD R0, R11
	MOVD R3, R9

rows:
	CBZ  R9, next
	ADD  $64, R5, R13
	MOVD R4, R14
	ADD  R4<<1, R10, R15
	ADD  R4, R15, R19
	ADD  R8, R15, R16
	ADD  R8, R19, R20
	CLEAR8(V0, V1, V2, V3, V4, V5, V6, V7)
	CMP  $2, R9
	BLT  rows1
	CLEAR8(V8, V9, V10, V11, V12, V13, V14, V15)

rows2:
	VLD1R.P 4(R15), [V26.S4]
	VLD1R.P 4(R19), [V27.S4]
	VLD1R.P 4(R16), [V28.S4]
	VLD1R.P 4(R20), [V29.S4]
	EVENODD
	MAC8(0, 1, 26, 27)
	MAC8(8, 9, 28, 29)
	EVENODD
	MAC8(2, 3, 26, 27)
	MAC8(10, 11, 28, 29)
	EVENODD
	MAC8(4, 5, 26, 27)
	MAC8(12, 13, 28, 29)
	EVENODD
	MAC8(6, 7, 26, 27)
	MAC8(14, 15, 28, 29)
	SUBS    $4, R14
	BNE     rows2
	VADDP   V9.S4, V8.S4, V8.S4
	VADDP   V11.S4, V10.S4, V9.S4
	VADDP   V13.S4, V12.S4, V10.S4
	VADDP   V15.S4, V14.S4, V11.S4
	MOVD    $2, R24
	B       one

rows1:
	VLD1R.P 4(R15), [V26.S4]
	VLD1R.P 4(R19), [V27.S4]
	EVENODD
	MAC8(0, 1, 26, 27)
	EVENODD
	MAC8(2, 3, 26, 27)
	EVENODD
	MAC8(4, 5, 26, 27)
	EVENODD
	MAC8(6, 7, 26, 27)
	SUBS    $4, R14
	BNE     rows1
	MOVD    $1, R24

one:
	VADDP V1.S4, V0.S4, V0.S4
	VADDP V3.S4, V2.S4, V1.S4
	VADDP V5.S4, V4.S4, V2.S4
	VADDP V7.S4, V6.S4, V3.S4
	SUB   R24, R9

#include "scan_arm64.h"
