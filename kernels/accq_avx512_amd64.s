//go:build !noasm

#include "textflag.h"

DATA top16<>+0(SB)/4, $0x46fffe00  // 32767
DATA top16<>+4(SB)/4, $0x38000100  // 1/32767
DATA top16<>+8(SB)/4, $0x3f800000  // 1
DATA top16<>+12(SB)/4, $0x07000000 // 2^-113: its inverse times 32767 is finite
DATA top16<>+16(SB)/4, $0x0f0f0f0f
DATA top16<>+20(SB)/4, $0x08080808
GLOBL top16<>(SB), RODATA|NOPTR, $24

// The frame: pointers, int16 weights of a row, scaled scales and largest scale of each
// block, scaled weights and factor of each row.
#define POINTERS 0
#define SCALES 160
#define TOPS 672
#define ROWS 704
#define FACTORS 1728
#define WEIGHTS 1792

// TOP leaves the largest magnitude of z, a NaN or Inf above all, in x.
#define TOP(z, y, x) \
	VPANDD        Z30, z, Z2    \
	VEXTRACTI64X4 $1, Z2, Y3    \
	VPMAXUD       Y3, Y2, y     \
	VEXTRACTI128  $1, y, X3     \
	VPMAXUD       X3, x, x      \
	VPSHUFD       $0x4e, x, X3  \
	VPMAXUD       X3, x, x      \
	VPSHUFD       $0xb1, x, X3  \
	VPMAXUD       X3, x, x

// SCALE8 collects the F16 scales of 8 tokens from the i-th on.
#define SCALE1(i, j, x) \
	MOVQ    (POINTERS+8*(i+j))(SP), AX \
	VPINSRW $j, (AX)(BX*1), x, x

#define SCALE8(i, x) \
	MOVQ    (POINTERS+8*i)(SP), AX \
	MOVWLZX (AX)(BX*1), AX         \
	VMOVD   AX, x                  \
	SCALE1(i, 1, x)                \
	SCALE1(i, 2, x)                \
	SCALE1(i, 3, x)                \
	SCALE1(i, 4, x)                \
	SCALE1(i, 5, x)                \
	SCALE1(i, 6, x)                \
	SCALE1(i, 7, x)

// PAIR interleaves the values of the two tokens whose pointers lie at at.
#define PAIR(at, ylo, yhi, zlo, zhi) \
	MOVQ       (POINTERS+at)(SP), AX   \
	VALUES(Y20, X20, Y22, X22)         \
	MOVQ       (POINTERS+8+at)(SP), AX \
	VALUES(Y21, X21, Y22, X22)         \
	VPUNPCKLBW Y21, Y20, ylo           \
	VPUNPCKHBW Y21, Y20, yhi           \
	VPMOVSXBW  ylo, zlo                \
	VPMOVSXBW  yhi, zhi

#define BLOCK 34
#define CONSTANTS \
	VMOVSS top16<>+8(SB), X28  \
	VMOVSS top16<>+12(SB), X29
#define VALUES(y, x, ytmp, xtmp) \
	VMOVDQU32 2(AX)(BX*1), y

// func accQ8ZMM(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n int) (done int, bad uint)
TEXT ·accQ8ZMM(SB), 0, $2304-96
#include "accq_avx512_amd64.h"

#undef BLOCK
#undef VALUES
#define BLOCK 18
#define VALUES(y, x, ytmp, xtmp) \
	VMOVDQU32   2(AX)(BX*1), x       \
	VPSRLW      $4, x, xtmp          \
	VINSERTI32X4 $1, xtmp, y, y      \
	VPANDD.BCST top16<>+16(SB), y, y \
	VPBROADCASTD top16<>+20(SB), ytmp \
	VPSUBB      ytmp, y, y

// func accQ4ZMM(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, cells *int32, n int) (done int, bad uint)
TEXT ·accQ4ZMM(SB), 0, $2304-96
#include "accq_avx512_amd64.h"
