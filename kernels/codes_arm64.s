//go:build !noasm

#include "textflag.h"
#include "neon_arm64.h"

// ARGUMENTS are those of the products.
#define ARGUMENTS \
	MOVD dst+0(FP), R0       \
	MOVD ldDst+8(FP), R1     \
	MOVD z+16(FP), R2        \
	MOVD q+24(FP), R3        \
	MOVD rowBytes+32(FP), R4 \
	MOVD rows+40(FP), R5     \
	MOVD d+48(FP), R6        \
	MOVD factor+56(FP), R7   \
	MOVD base+64(FP), R8     \
	LSL  $2, R1

// TABLE makes that of 4 channels, which are numbered in index: the spreads, 4 times each, times levels.
#define TABLE(index, out, r) \
	VTBL index.B16, [V16.B16], out.B16 \
	MULB(r, r, 25)

// DECODE stores 4 channels of V0 to V3, and goes on to the next ones.
#define DECODE(table) \
	VAND   V26.B16, V0.B16, V4.B16     \
	VAND   V26.B16, V1.B16, V5.B16     \
	VAND   V26.B16, V2.B16, V6.B16     \
	VAND   V26.B16, V3.B16, V7.B16     \
	VORR   V27.B16, V4.B16, V4.B16     \
	VORR   V27.B16, V5.B16, V5.B16     \
	VORR   V27.B16, V6.B16, V6.B16     \
	VORR   V27.B16, V7.B16, V7.B16     \
	VTBL   V4.B16, [table.B16], V4.B16 \
	VTBL   V5.B16, [table.B16], V5.B16 \
	VTBL   V6.B16, [table.B16], V6.B16 \
	VTBL   V7.B16, [table.B16], V7.B16 \
	USHLB(0, 0, 24)                    \
	USHLB(1, 1, 24)                    \
	USHLB(2, 2, 24)                    \
	USHLB(3, 3, 24)                    \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)

// Registers of decodeNEON:
//	R0  z        R2  codes        R3  a lane of the page
//	R4  d        R5  channel      R6  16 if a line of codes lasts for 32 channels
//	V24 minus bits, V25 levels, V26 mask of a code, V27 where the tables of 4 channels begin
//	V28 .. V31 numbers of 4 channels each

// func decodeNEON(z *byte, bits int, codes, lanes *byte, d int)
TEXT ·decodeNEON(SB), NOSPLIT, $0-40
	MOVD z+0(FP), R0
	MOVD bits+8(FP), R1
	MOVD codes+16(FP), R2
	MOVD lanes+24(FP), R3
	MOVD d+32(FP), R4
	NEG  R1, R5
	VDUP R5, V24.B16
	MOVD $0x0301fffd, R5 // 3, 1, -1, -3
	MOVD $3, R7
	MOVD $0, R6
	CMP  $1, R1
	BNE  levels
	MOVD $0x000001ff, R5 // 1, -1
	MOVD $1, R7
	MOVD $16, R6

levels:
	VDUP  R5, V25.S4
	VDUP  R7, V26.B16
	MOVD  $0x0c080400, R5
	VDUP  R5, V27.S4
	MOVD  $0x0101010100000000, R5
	VMOV  R5, V28.D[0]
	MOVD  $0x0303030302020202, R5
	VMOV  R5, V28.D[1]
	VMOVI $4, V0.B16
	VADD  V0.B16, V28.B16, V29.B16
	VADD  V0.B16, V29.B16, V30.B16
	VADD  V0.B16, V30.B16, V31.B16
	MOVD  $0, R5

lane:
	FMOVQ (R3), F16
	ADD   $64, R3
	VUSHR $5, V16.B16, V16.B16
	TABLE(V28, V20, 20)
	TABLE(V29, V21, 21)
	TABLE(V30, V22, 22)
	TABLE(V31, V23, 23)
	TST   R6, R5
	BNE   atHand
	VLD1.P 64(R2), [V0.B16, V1.B16, V2.B16, V3.B16]

atHand:
	DECODE(V20)
	DECODE(V21)
	DECODE(V22)
	DECODE(V23)
	ADD  $16, R5
	CMP  R4, R5
	BNE  lane
	RET

// func meansNEON(dst *int32, q *float32, rowBytes, rows int, lanes *byte, d int)
TEXT ·meansNEON(SB), NOSPLIT, $0-48
	MOVD  dst+0(FP), R0
	MOVD  q+8(FP), R1
	MOVD  rowBytes+16(FP), R2
	MOVD  rows+24(FP), R3
	MOVD  lanes+32(FP), R4
	MOVD  d+40(FP), R5
	MOVD  $31, R6
	VDUP  R6, V30.H8
	MOVD  $16, R6
	VDUP  R6, V31.H8

row:
	ADD   R5<<1, R1, R6 // even channels
	ADD   R5, R6, R7    // odd ones
	MOVD  R4, R8
	MOVD  R5, R9
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16

mean:
	FMOVQ (R8), F4
	ADD   $64, R8
	FMOVQ.P 16(R6), F2
	FMOVQ.P 16(R7), F3
	VUSHR $8, V4.H8, V5.H8
	VAND  V30.B16, V4.B16, V4.B16
	VAND  V30.B16, V5.B16, V5.B16
	VSUB  V31.H8, V4.H8, V4.H8
	VSUB  V31.H8, V5.H8, V5.H8
	SMLALH(0, 4, 2)
	SMLAL2H(1, 4, 2)
	SMLALH(0, 5, 3)
	SMLAL2H(1, 5, 3)
	SUBS  $16, R9
	BNE   mean
	VADD  V1.S4, V0.S4, V0.S4
	VADDP V0.S4, V0.S4, V0.S4
	VADDP V0.S4, V0.S4, V0.S4
	FMOVS.P F0, 4(R0)
	ADD   R2, R1
	SUBS  $1, R3
	BNE   row
	RET

// Registers of the products:
//	R0  dst, row     R1  bytes per row of dst
//	R2  z            R3  q, row            R4  bytes per row of q
//	R5  rows left    R6  d
//	R7  factor       R8  base
//	R9  z, channel   R10 .. R13 q, channel R14 channels left

#define CLEAR4(a, b, c, e) \
	VMOVI $0, a.B16 \
	VMOVI $0, b.B16 \
	VMOVI $0, c.B16 \
	VMOVI $0, e.B16

// FINISH turns the sums of a row into estimates.
#define FINISH(a, b, c, e, va, vb, vc, ve) \
	SCVTF(a, a)               \
	SCVTF(b, b)               \
	SCVTF(c, c)               \
	SCVTF(e, e)               \
	FMOVS.P 4(R7), F28        \
	VLD1R.P 4(R8), [V29.S4]   \
	FMULLANE0(a, a, 28)       \
	FMULLANE0(b, b, 28)       \
	FMULLANE0(c, c, 28)       \
	FMULLANE0(e, e, 28)       \
	FADD(a, a, 29)            \
	FADD(b, b, 29)            \
	FADD(c, c, 29)            \
	FADD(e, e, 29)            \
	VST1 [va.S4, vb.S4, vc.S4, ve.S4], (R0) \
	ADD  R1, R0

#define SDOT4(a, b, c, e, q, lane) \
	SDOTLANE(a, 16, q, lane) \
	SDOTLANE(b, 17, q, lane) \
	SDOTLANE(c, 18, q, lane) \
	SDOTLANE(e, 19, q, lane)

#define GROUP1(lane) \
	VLD1.P 64(R9), [V16.B16, V17.B16, V18.B16, V19.B16] \
	SDOT4(0, 1, 2, 3, 24, lane)

#define GROUP4(lane) \
	GROUP1(lane)                   \
	SDOT4(4, 5, 6, 7, 25, lane)    \
	SDOT4(8, 9, 10, 11, 26, lane)  \
	SDOT4(12, 13, 14, 15, 27, lane)

// func productDotProd(dst *float32, ldDst int, z *byte, q unsafe.Pointer, rowBytes, rows, d int, factor, base *float32)
TEXT ·productDotProd(SB), NOSPLIT, $0-72
	ARGUMENTS

rows:
	MOVD R2, R9
	MOVD R3, R10
	MOVD R6, R14
	CLEAR4(V0, V1, V2, V3)
	CMP  $4, R5
	BLT  one
	ADD  R4, R10, R11
	ADD  R4, R11, R12
	ADD  R4, R12, R13
	CLEAR4(V4, V5, V6, V7)
	CLEAR4(V8, V9, V10, V11)
	CLEAR4(V12, V13, V14, V15)

four:
	FMOVQ.P 16(R10), F24
	FMOVQ.P 16(R11), F25
	FMOVQ.P 16(R12), F26
	FMOVQ.P 16(R13), F27
	GROUP4(0)
	GROUP4(1)
	GROUP4(2)
	GROUP4(3)
	SUBS $16, R14
	BNE  four
	FINISH(0, 1, 2, 3, V0, V1, V2, V3)
	FINISH(4, 5, 6, 7, V4, V5, V6, V7)
	FINISH(8, 9, 10, 11, V8, V9, V10, V11)
	FINISH(12, 13, 14, 15, V12, V13, V14, V15)
	ADD  R4<<2, R3
	SUBS $4, R5
	BNE  rows
	RET

one:
	FMOVQ.P 16(R10), F24
	GROUP1(0)
	GROUP1(1)
	GROUP1(2)
	GROUP1(3)
	SUBS $16, R14
	BNE  one
	FINISH(0, 1, 2, 3, V0, V1, V2, V3)
	ADD  R4, R3
	SUBS $1, R5
	BNE  rows
	RET

// LOADZ takes 4 channels, and those of q to all tokens.
#define LOADZ(lane) \
	VLD1.P 64(R9), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VDUP   V24.S[lane], V25.S4

// MAC8 adds products of 4 channels in 16 bits, of two tokens a vector.
#define MAC8 \
	SMLALB(8, 16, 25)   \
	SMLAL2B(9, 16, 25)  \
	SMLALB(10, 17, 25)  \
	SMLAL2B(11, 17, 25) \
	SMLALB(12, 18, 25)  \
	SMLAL2B(13, 18, 25) \
	SMLALB(14, 19, 25)  \
	SMLAL2B(15, 19, 25)

// func productNEON(dst *float32, ldDst int, z *byte, q unsafe.Pointer, rowBytes, rows, d int, factor, base *float32)
TEXT ·productNEON(SB), NOSPLIT, $0-72
	ARGUMENTS

row:
	MOVD R2, R9
	MOVD R3, R10
	MOVD R6, R14
	CLEAR4(V0, V1, V2, V3)
	CLEAR4(V4, V5, V6, V7)

loop:
	FMOVQ.P 16(R10), F24
	LOADZ(0)
	SMULLB(8, 16, 25)
	SMULL2B(9, 16, 25)
	SMULLB(10, 17, 25)
	SMULL2B(11, 17, 25)
	SMULLB(12, 18, 25)
	SMULL2B(13, 18, 25)
	SMULLB(14, 19, 25)
	SMULL2B(15, 19, 25)
	LOADZ(1)
	MAC8
	LOADZ(2)
	MAC8
	LOADZ(3)
	MAC8
	SADALPH(0, 8)
	SADALPH(1, 9)
	SADALPH(2, 10)
	SADALPH(3, 11)
	SADALPH(4, 12)
	SADALPH(5, 13)
	SADALPH(6, 14)
	SADALPH(7, 15)
	SUBS $16, R14
	BNE  loop
	VADDP V1.S4, V0.S4, V0.S4
	VADDP V3.S4, V2.S4, V1.S4
	VADDP V5.S4, V4.S4, V2.S4
	VADDP V7.S4, V6.S4, V3.S4
	FINISH(0, 1, 2, 3, V0, V1, V2, V3)
	ADD  R4, R3
	SUBS $1, R5
	BNE  row
	RET
