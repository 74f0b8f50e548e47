//go:build !noasm

#include "textflag.h"
#include "go_asm.h"

#define CELLS cells+64(FP)
#define COUNT n+72(FP)
#define AHEAD ahead+88(FP)
#define NEXT next+104(FP)
#define BASE v+48(FP)
#define STRIDE stride+56(FP)
#define SIZE size+80(FP)

// GET and PUT move 64 channels of a block's first row, GETX and PUTX those of the row at
// idx.
#define GET(a, b, c, e) \
	VMOVUPS 0(DI), a   \
	VMOVUPS 64(DI), b  \
	VMOVUPS 128(DI), c \
	VMOVUPS 192(DI), e

#define GETX(idx, a, b, c, e) \
	VMOVUPS 0(DI)(idx), a   \
	VMOVUPS 64(DI)(idx), b  \
	VMOVUPS 128(DI)(idx), c \
	VMOVUPS 192(DI)(idx), e

#define PUT(a, b, c, e) \
	VMOVUPS a, 0(DI)   \
	VMOVUPS b, 64(DI)  \
	VMOVUPS c, 128(DI) \
	VMOVUPS e, 192(DI)

#define PUTX(idx, a, b, c, e) \
	VMOVUPS a, 0(DI)(idx)   \
	VMOVUPS b, 64(DI)(idx)  \
	VMOVUPS c, 128(DI)(idx) \
	VMOVUPS e, 192(DI)(idx)

// FMA4 does 16 channels of four rows.
#define FMA4(a, b, c, e) \
	VFMADD231PS Z16, Z20, a \
	VFMADD231PS Z16, Z21, b \
	VFMADD231PS Z16, Z22, c \
	VFMADD231PS Z16, Z23, e

#define FMA3(a, b, c) \
	VFMADD231PS Z16, Z20, a \
	VFMADD231PS Z16, Z21, b \
	VFMADD231PS Z16, Z22, c

#define FMA2(a, b) \
	VFMADD231PS Z16, Z20, a \
	VFMADD231PS Z16, Z21, b

#define FMA1(a) VFMADD231PS Z16, Z20, a

// LASTMASK is for 16 channels, or the 8 that are left.
#define LASTMASK \
	MOVL    $0xff, AX   \
	MOVL    $0xffff, CX \
	CMPQ    R8, $16     \
	CMOVQGE CX, AX      \
	KMOVW   AX, K1

#define LOAD(p, z) VMOVUPS p, z
#define LOADLAST VMOVUPS.Z (AX)(BX*4), K1, Z16
#define AT(i) (64*i)(AX)(BX*4)
#define LINES \
	PREFETCHT1 (AX)(BX*4)    \
	PREFETCHT1 64(AX)(BX*4)  \
	PREFETCHT1 128(AX)(BX*4) \
	PREFETCHT1 192(AX)(BX*4)

// func accF32AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int, next *aheadArgs)
TEXT ·accF32AVX512(SB), NOSPLIT, $576-112
#include "acc_avx512_amd64.h"

#undef LOAD
#undef LOADLAST
#undef AT
#undef LINES
#define LOAD(p, z) VCVTPH2PS p, z
#define LOADLAST VCVTPH2PS.Z (AX)(BX*2), K1, Z16
#define AT(i) (32*i)(AX)(BX*2)
#define LINES \
	PREFETCHT1 (AX)(BX*2)   \
	PREFETCHT1 64(AX)(BX*2)

// func accF16AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int, next *aheadArgs)
TEXT ·accF16AVX512(SB), NOSPLIT, $576-112
#include "acc_avx512_amd64.h"

#undef LOAD
#undef LOADLAST
#define LOAD(p, z) \
	VPMOVZXWD p, z      \
	VPSLLD    $16, z, z

#define LOADLAST \
	VPMOVZXWD.Z (AX)(BX*2), K1, Z16 \
	VPSLLD      $16, Z16, Z16

// func accBF16AVX512(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n, size, ahead, end int, next *aheadArgs)
TEXT ·accBF16AVX512(SB), NOSPLIT, $576-112
#include "acc_avx512_amd64.h"
