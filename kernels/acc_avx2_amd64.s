//go:build !noasm

#include "textflag.h"

// 12 accumulators (Y0-Y11), the weights of a token (Y12-Y14) and 8 converted values
// (Y15).

// WEIGHTS3 to WEIGHTS1 load the weights of a token; FMA3 to FMA1 do 8 channels of
// it. VALUES is one of LOAD0 to LOAD3.
#define WEIGHTS3 \
	VBROADCASTSS (DX), Y12       \
	VBROADCASTSS (DX)(R9*1), Y13 \
	VBROADCASTSS (DX)(R9*2), Y14

#define WEIGHTS2 \
	VBROADCASTSS (DX), Y12       \
	VBROADCASTSS (DX)(R9*1), Y13

#define WEIGHTS1 VBROADCASTSS (DX), Y12

#define FMA3(VALUES, a, b, c) \
	VALUES                  \
	VFMADD231PS Y15, Y12, a \
	VFMADD231PS Y15, Y13, b \
	VFMADD231PS Y15, Y14, c

#define FMA2(VALUES, a, b) \
	VALUES                  \
	VFMADD231PS Y15, Y12, a \
	VFMADD231PS Y15, Y13, b

#define FMA1(VALUES, a) \
	VALUES                  \
	VFMADD231PS Y15, Y12, a

#define LOAD0 LOAD(0)
#define LOAD1 LOAD(1)
#define LOAD2 LOAD(2)
#define LOAD3 LOAD(3)

#define FETCHLINES \
	PREFETCHT1 (AX)(BX*1)   \
	PREFETCHT1 64(AX)(BX*1)
#define LOAD(n) VMOVUPS (32*n)(AX)(BX*1), Y15
#define STEP32 128
#define STEP8 32

// func accF32YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)
TEXT ·accF32YMM(SB), NOSPLIT, $520-88
#include "acc_avx2_amd64.h"

#undef LOAD
#undef STEP32
#undef STEP8
#undef FETCHLINES
#define FETCHLINES PREFETCHT1 (AX)(BX*1)
#define LOAD(n) VCVTPH2PS (16*n)(AX)(BX*1), Y15
#define STEP32 64
#define STEP8 16

// func accF16YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)
TEXT ·accF16YMM(SB), NOSPLIT, $520-88
#include "acc_avx2_amd64.h"

#undef LOAD
#define LOAD(n) \
	VPMOVZXWD (16*n)(AX)(BX*1), Y15 \
	VPSLLD    $16, Y15, Y15

// func accBF16YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)
TEXT ·accBF16YMM(SB), NOSPLIT, $520-88
#include "acc_avx2_amd64.h"

// Quantised values: a block of channels is a block of the row. Its scale takes the
// register of a weight, so of three weights two are loaded again and again.
#undef LOAD
#undef STEP32
#undef STEP8
#undef WEIGHTS3
#undef WEIGHTS2
#undef WEIGHTS1
#undef FMA3
#undef FMA2
#undef FMA1

#define WEIGHTS1 \
	VPBROADCASTW (AX)(BX*1), X13 \
	VCVTPH2PS    X13, Y13        \ // scale
	VBROADCASTSS (DX), Y12

#define WEIGHTS2 \
	WEIGHTS1                     \
	VBROADCASTSS (DX)(R9*1), Y14

#define WEIGHTS3 WEIGHTS1

#define FMA3(VALUES, a, b, c) \
	VALUES                          \
	VMULPS       Y13, Y15, Y15      \
	VBROADCASTSS (DX)(R9*1), Y14    \
	VFMADD231PS  Y15, Y12, a        \
	VFMADD231PS  Y15, Y14, b        \
	VBROADCASTSS (DX)(R9*2), Y14    \
	VFMADD231PS  Y15, Y14, c

#define FMA2(VALUES, a, b) \
	VALUES                    \
	VMULPS      Y13, Y15, Y15 \
	VFMADD231PS Y15, Y12, a   \
	VFMADD231PS Y15, Y14, b

#define FMA1(VALUES, a) \
	VALUES                    \
	VMULPS      Y13, Y15, Y15 \
	VFMADD231PS Y15, Y12, a

#define LOAD(n) \
	VPMOVSXBD (2+8*n)(AX)(BX*1), Y15 \
	VCVTDQ2PS Y15, Y15
#define STEP32 34

// func accQ8YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)
TEXT ·accQ8YMM(SB), NOSPLIT, $520-88
#include "acc_avx2_amd64.h"

#undef LOAD0
#undef LOAD1
#undef LOAD2
#undef LOAD3
#undef STEP32
#define LOAD0 LOW(2)
#define LOAD1 LOW(10)
#define LOAD2 HIGH(2)
#define LOAD3 HIGH(10)
#define LOW(at) \
	VPMOVZXBD at(AX)(BX*1), Y15      \
	VPAND     nibble<>(SB), Y15, Y15 \
	VPSUBD    eight<>(SB), Y15, Y15  \
	VCVTDQ2PS Y15, Y15
#define HIGH(at) \
	VPMOVZXBD at(AX)(BX*1), Y15      \
	VPSRLD    $4, Y15, Y15           \
	VPSUBD    eight<>(SB), Y15, Y15  \
	VCVTDQ2PS Y15, Y15
#define STEP32 18

DATA nibble<>+0(SB)/8, $0x0000000f0000000f
DATA nibble<>+8(SB)/8, $0x0000000f0000000f
DATA nibble<>+16(SB)/8, $0x0000000f0000000f
DATA nibble<>+24(SB)/8, $0x0000000f0000000f
GLOBL nibble<>(SB), RODATA|NOPTR, $32

DATA eight<>+0(SB)/8, $0x0000000800000008
DATA eight<>+8(SB)/8, $0x0000000800000008
DATA eight<>+16(SB)/8, $0x0000000800000008
DATA eight<>+24(SB)/8, $0x0000000800000008
GLOBL eight<>(SB), RODATA|NOPTR, $32

// func accQ4YMM(acc *float32, ldAcc int, p *float32, ldP, rows, d int, base unsafe.Pointer, stride uintptr, cells *int32, n, size int)
TEXT ·accQ4YMM(SB), NOSPLIT, $520-88
#include "acc_avx2_amd64.h"
