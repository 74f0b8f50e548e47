//go:build !noasm

#include "textflag.h"
#include "go_asm.h"
#include "quant_avx512_amd64.h"

#define CELLS cells+64(FP)
#define COUNT n+72(FP)
#define AHEAD ahead+88(FP)
#define NEXT next+96(FP)
#define BASE v+48(FP)
#define STRIDE stride+56(FP)
#define SIZE size+80(FP)

// SCALED makes them floats and scales them.
#define SCALED \
	VCVTDQ2PS   Z4, Z4                \
	VCVTDQ2PS   Z5, Z5                \
	VMULPS.BCST 576(SP)(R8*4), Z4, Z4 \
	VMULPS.BCST 576(SP)(R8*4), Z5, Z5

#define BLOCK BLOCK8
#define ASKBLOCKS ASKBLOCKS8
#define CONSTANTS
#define VALUES \
	VPMOVSXBD 2(R10)(AX*1), Z4  \
	VPMOVSXBD 18(R10)(AX*1), Z5

// func accQ8AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)
TEXT ·accQ8AVX512(SB), NOSPLIT, $640-104
#include "accq_avx512_amd64.h"

#undef BLOCK
#undef ASKBLOCKS
#undef CONSTANTS
#undef VALUES
#define BLOCK BLOCK4
#define ASKBLOCKS ASKBLOCKS4
#define CONSTANTS \
	MOVL         $15, AX \
	VPBROADCASTD AX, Z28 \
	MOVL         $8, AX  \
	VPBROADCASTD AX, Z29

#define VALUES \
	VPMOVZXBD 2(R10)(AX*1), Z5 \
	VPANDD    Z28, Z5, Z4      \
	VPSRLD    $4, Z5, Z5       \
	VPSUBD    Z29, Z4, Z4      \
	VPSUBD    Z29, Z5, Z5

// func accQ4AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead int, next *aheadArgs)
TEXT ·accQ4AVX512(SB), NOSPLIT, $640-104
#include "accq_avx512_amd64.h"
