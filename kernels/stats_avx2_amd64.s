//go:build !noasm

#include "textflag.h"

// Registers of sumSqYMM and minMaxYMM:
//	DI, SI  the two results, channel
//	BX      x, channel         AX  x, channel and row
//	R12     bytes per row      CX  rows left
//	R10     channels left      R11 rows

#define SUMSQ(mem, s, q) \
	VMOVUPS     mem, Y15    \
	VADDPS      Y15, s, s   \
	VFMADD231PS Y15, Y15, q

// The instructions yield their second source, the old bound, for a NaN.
#define MINMAX(mem, l, h) \
	VMOVUPS mem, Y15  \
	VMINPS  l, Y15, l \
	VMAXPS  h, Y15, h

#define LOAD32(ptr, a, b, c, e) \
	VMOVUPS (ptr), a   \
	VMOVUPS 32(ptr), b \
	VMOVUPS 64(ptr), c \
	VMOVUPS 96(ptr), e

#define STORE32(ptr, a, b, c, e) \
	VMOVUPS a, (ptr)   \
	VMOVUPS b, 32(ptr) \
	VMOVUPS c, 64(ptr) \
	VMOVUPS e, 96(ptr)

// CHANNELS is the whole of a kernel around STEP.
#define CHANNELS(STEP) \
	MOVQ x+16(FP), BX           \
	MOVQ d+24(FP), R10          \
	MOVQ n+32(FP), R11          \
	MOVQ R10, R12               \
	SHLQ $2, R12                \
block32:                        \
	SUBQ $32, R10               \
	JLT  rest                   \
	LOAD32(DI, Y0, Y1, Y2, Y3)  \
	LOAD32(SI, Y4, Y5, Y6, Y7)  \
	MOVQ BX, AX                 \
	MOVQ R11, CX                \
loop32:                         \
	STEP((AX), Y0, Y4)          \
	STEP(32(AX), Y1, Y5)        \
	STEP(64(AX), Y2, Y6)        \
	STEP(96(AX), Y3, Y7)        \
	ADDQ R12, AX                \
	DECQ CX                     \
	JNE  loop32                 \
	STORE32(DI, Y0, Y1, Y2, Y3) \
	STORE32(SI, Y4, Y5, Y6, Y7) \
	ADDQ $128, DI               \
	ADDQ $128, SI               \
	ADDQ $128, BX               \
	JMP  block32                \
rest:                           \
	ADDQ $32, R10               \
block8:                         \
	SUBQ $8, R10                \
	JLT  done                   \
	VMOVUPS (DI), Y0            \
	VMOVUPS (SI), Y4            \
	MOVQ BX, AX                 \
	MOVQ R11, CX                \
loop8:                          \
	STEP((AX), Y0, Y4)          \
	ADDQ R12, AX                \
	DECQ CX                     \
	JNE  loop8                  \
	VMOVUPS Y0, (DI)            \
	VMOVUPS Y4, (SI)            \
	ADDQ $32, DI                \
	ADDQ $32, SI                \
	ADDQ $32, BX                \
	JMP  block8                 \
done:                           \
	VZEROUPPER                  \
	RET

// func sumSqYMM(sum, sumsq, x *float32, d, n int)
TEXT ·sumSqYMM(SB), NOSPLIT, $0-40
	MOVQ sum+0(FP), DI
	MOVQ sumsq+8(FP), SI
	CHANNELS(SUMSQ)

// func minMaxYMM(lo, hi, x *float32, d, n int)
TEXT ·minMaxYMM(SB), NOSPLIT, $0-40
	MOVQ lo+0(FP), DI
	MOVQ hi+8(FP), SI
	CHANNELS(MINMAX)
