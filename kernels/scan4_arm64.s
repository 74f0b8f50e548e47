//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// Registers of both kernels:
//	R0   &mean[0], R1 &spread[0]
//	R2   q                     R3   d
//	R5   tile: scales          R6   tile, 4 pages of 16 channels
//	R7   4 pages left          R8   channels left
//	R9   .. R12  q's channels
//	V28 mask of means, V30 squares of 0 to 7

#define CLEAR4(a, b, c, e) \
	VMOVI $0, a.B16 \
	VMOVI $0, b.B16 \
	VMOVI $0, c.B16 \
	VMOVI $0, e.B16

// LINE loads 16 channels of 4 pages: means to V16 to V19, squares of spreads to V20 to V23.
#define LINE \
	VLD1.P 64(R6), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VUSHR  $5, V16.B16, V20.B16               \
	VUSHR  $5, V17.B16, V21.B16               \
	VUSHR  $5, V18.B16, V22.B16               \
	VUSHR  $5, V19.B16, V23.B16               \
	VTBL   V20.B16, [V30.B16], V20.B16        \
	VTBL   V21.B16, [V30.B16], V21.B16        \
	VTBL   V22.B16, [V30.B16], V22.B16        \
	VTBL   V23.B16, [V30.B16], V23.B16        \
	VAND   V28.B16, V16.B16, V16.B16          \
	VAND   V28.B16, V17.B16, V17.B16          \
	VAND   V28.B16, V18.B16, V18.B16          \
	VAND   V28.B16, V19.B16, V19.B16

#define CONSTANTS \
	VMOVI $31, V28.B16               \
	MOVD  $0x3124191009040100, R7    \
	VMOV  R7, V30.D[0]               \
	VMOV  R7, V30.D[1]

// ZERO subtracts the zero point of means: 16 times the sum of q.
#define ZERO \
	MOVW  4(R9), R11          \
	VDUP  R11, V1.S4          \
	VSHL  $4, V1.S4, V1.S4    \
	VSUB  V1.S4, V0.S4, V0.S4

// SCORE makes scores of the sums in v0, whose scale of q is the first of V25: the scales of 4 pages are in V24.
#define SCORE(r0, v0, to) \
	SCVTF(r0, r0)             \
	FMULLANE0(26, 24, 25)     \
	FMUL(r0, r0, 26)          \
	VST1.P [v0.S4], 16(to)

// func scan4DotProd(mean, spread, q *float32, d int, tile *byte)
TEXT ·scan4DotProd(SB), NOSPLIT, $0-40
	MOVD mean+0(FP), R0
	MOVD spread+8(FP), R1
	MOVD q+16(FP), R2
	MOVD d+24(FP), R3
	MOVD tile+32(FP), R5
	ADD  $128, R5, R6
	CONSTANTS
	MOVD $4, R7

pages:
	MOVD R2, R9
	ADD  R3, R9, R10
	ADD  R3<<2, R2, R11
	ADD  $8, R11
	ADD  R3, R11, R12
	MOVD R3, R8
	CLEAR4(V0, V1, V2, V3)
	CLEAR4(V4, V5, V6, V7)
	CLEAR4(V8, V9, V10, V11)
	CLEAR4(V12, V13, V14, V15)

loop:
	LINE
	FMOVQ.P 16(R9), F24
	FMOVQ.P 16(R10), F25
	FMOVQ.P 16(R11), F26
	FMOVQ.P 16(R12), F27
	SDOT(0, 16, 24)
	SDOT(1, 17, 24)
	SDOT(2, 18, 24)
	SDOT(3, 19, 24)
	SDOT(4, 16, 25)
	SDOT(5, 17, 25)
	SDOT(6, 18, 25)
	SDOT(7, 19, 25)
	SDOT(8, 20, 26)
	SDOT(9, 21, 26)
	SDOT(10, 22, 26)
	SDOT(11, 23, 26)
	SDOT(12, 20, 27)
	SDOT(13, 21, 27)
	SDOT(14, 22, 27)
	SDOT(15, 23, 27)
	SUBS $16, R8
	BNE  loop

	VADDP V1.S4, V0.S4, V0.S4
	VADDP V3.S4, V2.S4, V2.S4
	VADDP V5.S4, V4.S4, V4.S4
	VADDP V7.S4, V6.S4, V6.S4
	VADDP V9.S4, V8.S4, V8.S4
	VADDP V11.S4, V10.S4, V10.S4
	VADDP V13.S4, V12.S4, V12.S4
	VADDP V15.S4, V14.S4, V14.S4
	VADDP V2.S4, V0.S4, V0.S4
	VADDP V6.S4, V4.S4, V4.S4
	VADDP V10.S4, V8.S4, V8.S4
	VADDP V14.S4, V12.S4, V12.S4
	VSHL  $6, V0.S4, V0.S4
	VSHL  $6, V8.S4, V8.S4
	VADD  V4.S4, V0.S4, V0.S4
	VADD  V12.S4, V8.S4, V8.S4
	ADD   R3<<2, R2, R9
	ADD   R3<<2, R9, R10
	ZERO
	FMOVQ (R5), F24
	FMOVS (R9), F25
	SCORE(0, V0, R0)
	ADD   $64, R5, R9
	FMOVQ (R9), F24
	FMUL(24, 24, 24)
	FMOVS 8(R10), F25
	SCORE(8, V8, R1)
	ADD   $16, R5
	SUBS  $1, R7
	BNE   pages
	RET

// MAC multiplies a page's 16 bytes, the words of which become even and odd channels, with q's words.
#define MAC(acc, r, v, even, odd) \
	VUSHR   $8, v.H8, V26.H8       \
	VAND    V31.B16, v.B16, v.B16  \
	SMLALH(acc, r, even)           \
	SMLAL2H(acc, r, even)          \
	SMLALH(acc, 26, odd)           \
	SMLAL2H(acc, 26, odd)

// func scan4NEON(mean, spread, q *float32, d int, tile *byte)
TEXT ·scan4NEON(SB), NOSPLIT, $0-40
	MOVD mean+0(FP), R0
	MOVD spread+8(FP), R1
	MOVD q+16(FP), R2
	MOVD d+24(FP), R3
	MOVD tile+32(FP), R5
	ADD  $128, R5, R6
	CONSTANTS
	MOVD $255, R7
	VDUP R7, V31.H8
	MOVD $4, R7

pages:
	ADD  R3<<1, R2, R9
	ADD  R3, R9, R10
	ADD  R3<<2, R9, R11
	ADD  $8, R11
	ADD  R3, R11, R12
	MOVD R3, R8
	CLEAR4(V0, V1, V2, V3)
	CLEAR4(V8, V9, V10, V11)

loop:
	LINE
	FMOVQ.P 16(R9), F12
	FMOVQ.P 16(R10), F13
	FMOVQ.P 16(R11), F14
	FMOVQ.P 16(R12), F15
	MAC(0, 16, V16, 12, 13)
	MAC(1, 17, V17, 12, 13)
	MAC(2, 18, V18, 12, 13)
	MAC(3, 19, V19, 12, 13)
	MAC(8, 20, V20, 14, 15)
	MAC(9, 21, V21, 14, 15)
	MAC(10, 22, V22, 14, 15)
	MAC(11, 23, V23, 14, 15)
	SUBS $16, R8
	BNE  loop

	VADDP V1.S4, V0.S4, V0.S4
	VADDP V3.S4, V2.S4, V2.S4
	VADDP V9.S4, V8.S4, V8.S4
	VADDP V11.S4, V10.S4, V10.S4
	VADDP V2.S4, V0.S4, V0.S4
	VADDP V10.S4, V8.S4, V8.S4
	ADD   R3<<2, R2, R9
	ADD   R3<<2, R9, R10
	ZERO
	FMOVQ (R5), F24
	FMOVS (R9), F25
	SCORE(0, V0, R0)
	ADD   $64, R5, R9
	FMOVQ (R9), F24
	FMUL(24, 24, 24)
	FMOVS 8(R10), F25
	SCORE(8, V8, R1)
	ADD   $16, R5
	SUBS  $1, R7
	BNE   pages
	RET
