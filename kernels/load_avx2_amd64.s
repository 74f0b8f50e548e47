//go:build !noasm

#include "textflag.h"
#include "load_amd64.h"

#define STOREOUT \
	VMOVUPS Y0, (DI)   \
	VMOVUPS Y1, 32(DI) \
	VMOVUPS Y2, 64(DI) \
	VMOVUPS Y3, 96(DI)

#define MANYF32 \
	VMOVUPS (AX), Y0   \
	VMOVUPS 32(AX), Y1 \
	VMOVUPS 64(AX), Y2 \
	VMOVUPS 96(AX), Y3 \
	STOREOUT           \
	ADDQ    $128, AX

#define FEWF32 \
	VMOVUPS (AX), Y0 \
	VMOVUPS Y0, (DI) \
	ADDQ    $32, AX

#define MANYF16 \
	VCVTPH2PS (AX), Y0   \
	VCVTPH2PS 16(AX), Y1 \
	VCVTPH2PS 32(AX), Y2 \
	VCVTPH2PS 48(AX), Y3 \
	STOREOUT             \
	ADDQ      $64, AX

#define FEWF16 \
	VCVTPH2PS (AX), Y0 \
	VMOVUPS   Y0, (DI) \
	ADDQ      $16, AX

#define MANYBF16 \
	VPMOVZXWD (AX), Y0    \
	VPMOVZXWD 16(AX), Y1  \
	VPMOVZXWD 32(AX), Y2  \
	VPMOVZXWD 48(AX), Y3  \
	VPSLLD    $16, Y0, Y0 \
	VPSLLD    $16, Y1, Y1 \
	VPSLLD    $16, Y2, Y2 \
	VPSLLD    $16, Y3, Y3 \
	STOREOUT              \
	ADDQ      $64, AX

#define FEWBF16 \
	VPMOVZXWD (AX), Y0    \
	VPSLLD    $16, Y0, Y0 \
	VMOVUPS   Y0, (DI)    \
	ADDQ      $16, AX

// BLOCKSCALE broadcasts the scale of a block to Y5.
#define BLOCKSCALE \
	VPBROADCASTW (AX), X5 \
	VCVTPH2PS    X5, Y5

#define MANYQ8 \
	BLOCKSCALE            \
	VPMOVSXBD 2(AX), Y0   \
	VPMOVSXBD 10(AX), Y1  \
	VPMOVSXBD 18(AX), Y2  \
	VPMOVSXBD 26(AX), Y3  \
	SCALEOUT              \
	ADDQ $34, AX

// Y6 is 15, Y7 is 8.
#define MANYQ4 \
	BLOCKSCALE            \
	VPMOVZXBD 2(AX), Y0   \
	VPMOVZXBD 10(AX), Y1  \
	VPSRLD    $4, Y0, Y2  \
	VPSRLD    $4, Y1, Y3  \
	VPAND     Y6, Y0, Y0  \
	VPAND     Y6, Y1, Y1  \
	VPSUBD    Y7, Y0, Y0  \
	VPSUBD    Y7, Y1, Y1  \
	VPSUBD    Y7, Y2, Y2  \
	VPSUBD    Y7, Y3, Y3  \
	SCALEOUT              \
	ADDQ $18, AX

#define SCALEOUT \
	VCVTDQ2PS Y0, Y0     \
	VCVTDQ2PS Y1, Y1     \
	VCVTDQ2PS Y2, Y2     \
	VCVTDQ2PS Y3, Y3     \
	VMULPS    Y5, Y0, Y0 \
	VMULPS    Y5, Y1, Y1 \
	VMULPS    Y5, Y2, Y2 \
	VMULPS    Y5, Y3, Y3 \
	STOREOUT

// func loadF32YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadF32YMM(SB), NOSPLIT, $0-56
	ROWS(MANYF32, FEWF32)

// func loadF16YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadF16YMM(SB), NOSPLIT, $0-56
	ROWS(MANYF16, FEWF16)

// func loadBF16YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadBF16YMM(SB), NOSPLIT, $0-56
	ROWS(MANYBF16, FEWBF16)

// func loadQ8YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadQ8YMM(SB), NOSPLIT, $0-56
	ROWS(MANYQ8, NONE)

// func loadQ4YMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadQ4YMM(SB), NOSPLIT, $0-56
	VPCMPEQD Y6, Y6, Y6
	VPSRLD   $31, Y6, Y7
	VPSRLD   $28, Y6, Y6
	VPSLLD   $3, Y7, Y7
	ROWS(MANYQ4, NONE)

// func prefetchT1(base unsafe.Pointer, stride uintptr, size int, cells *int32, n int)
TEXT ·prefetchT1(SB), NOSPLIT, $0-40
	MOVQ base+0(FP), BX
	MOVQ stride+8(FP), R12
	MOVQ size+16(FP), R10
	MOVQ cells+24(FP), SI
	MOVQ n+32(FP), CX

fetch:
	MOVLQSX (SI), AX
	IMULQ   R12, AX
	ADDQ    BX, AX
	XORL    DX, DX

line:
	PREFETCHT1 (AX)(DX*1)
	ADDQ       $64, DX
	CMPQ       DX, R10
	JLT        line
	PREFETCHT1 -1(AX)(R10*1) // rows need not begin with a line
	ADDQ       $4, SI
	DECQ       CX
	JNE        fetch
	RET
