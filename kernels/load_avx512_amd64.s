//go:build !noasm

#include "textflag.h"
#include "load_amd64.h"

#define STOREOUT \
	VMOVUPS Z0, (DI)   \
	VMOVUPS Z1, 64(DI)

#define MANYF32 \
	VMOVUPS (AX), Z0   \
	VMOVUPS 64(AX), Z1 \
	STOREOUT           \
	ADDQ    $128, AX

#define FEWF32 \
	VMOVUPS (AX), Y0 \
	VMOVUPS Y0, (DI) \
	ADDQ    $32, AX

#define MANYF16 \
	VCVTPH2PS (AX), Z0   \
	VCVTPH2PS 32(AX), Z1 \
	STOREOUT             \
	ADDQ      $64, AX

#define FEWF16 \
	VCVTPH2PS (AX), Y0 \
	VMOVUPS   Y0, (DI) \
	ADDQ      $16, AX

#define MANYBF16 \
	VPMOVZXWD (AX), Z0    \
	VPMOVZXWD 32(AX), Z1  \
	VPSLLD    $16, Z0, Z0 \
	VPSLLD    $16, Z1, Z1 \
	STOREOUT              \
	ADDQ      $64, AX

#define FEWBF16 \
	VPMOVZXWD (AX), Y0    \
	VPSLLD    $16, Y0, Y0 \
	VMOVUPS   Y0, (DI)    \
	ADDQ      $16, AX

// BLOCKSCALE broadcasts the scale of a block to Z5.
#define BLOCKSCALE \
	VPBROADCASTW (AX), Y5 \
	VCVTPH2PS    Y5, Z5

#define SCALEOUT \
	VCVTDQ2PS Z0, Z0     \
	VCVTDQ2PS Z1, Z1     \
	VMULPS    Z5, Z0, Z0 \
	VMULPS    Z5, Z1, Z1 \
	STOREOUT

#define MANYQ8 \
	BLOCKSCALE            \
	VPMOVSXBD 2(AX), Z0   \
	VPMOVSXBD 18(AX), Z1  \
	SCALEOUT              \
	ADDQ $34, AX

// Z6 is 15, Z7 is 8.
#define MANYQ4 \
	BLOCKSCALE            \
	VPMOVZXBD 2(AX), Z0   \
	VPSRLD    $4, Z0, Z1  \
	VPANDD    Z6, Z0, Z0  \
	VPSUBD    Z7, Z0, Z0  \
	VPSUBD    Z7, Z1, Z1  \
	SCALEOUT              \
	ADDQ $18, AX

// func loadF32ZMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadF32ZMM(SB), NOSPLIT, $0-56
	ROWS(MANYF32, FEWF32)

// func loadF16ZMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadF16ZMM(SB), NOSPLIT, $0-56
	ROWS(MANYF16, FEWF16)

// func loadBF16ZMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadBF16ZMM(SB), NOSPLIT, $0-56
	ROWS(MANYBF16, FEWBF16)

// func loadQ8ZMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadQ8ZMM(SB), NOSPLIT, $0-56
	ROWS(MANYQ8, NONE)

// func loadQ4ZMM(dst *float32, ld, d int, base unsafe.Pointer, stride uintptr, cells *int32, n int)
TEXT ·loadQ4ZMM(SB), NOSPLIT, $0-56
	MOVL         $15, R10
	VPBROADCASTD R10, Z6
	MOVL         $8, R10
	VPBROADCASTD R10, Z7
	ROWS(MANYQ4, NONE)
