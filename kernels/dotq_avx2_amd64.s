//go:build !noasm

#include "textflag.h"

// Quantised keys. The integers are summed over a whole block before they become
// floats, and the floats are multiplied and added as in the generic kernels: the
// logits are the same bits.
//
// Registers, beside those of the frame:
//	X0, X4, X8      logits of 4 tokens, per row
//	Y1, Y2, Y5, Y6  the keys     X15      their scales
//	Y7, Y11         q            Y3       int16 ones
//	Y9-Y14          products, sums
//	AX, SI, DI      q: the block, its scale, its bias
//
// The including functions define KEYS, which loads a block of 4 tokens, ROWQ, which
// does a row of it, and STEP, its bytes.

// SCALES loads the F16 scale at the begin of each token's block. VMOVD takes two
// more bytes of it, which are overwritten.
#define SCALES \
	VMOVD     (R12)(DX*1), X15          \
	VPINSRW   $1, (R13)(DX*1), X15, X15 \
	VPINSRW   $2, (R14)(DX*1), X15, X15 \
	VPINSRW   $3, (R15)(DX*1), X15, X15 \
	VCVTPH2PS X15, X15

// ADDTO adds the integers X9, scaled, to acc.
#define ADDTO(scale, acc) \
	VBROADCASTSS scale, X13    \
	VMULPS       X15, X13, X13 \
	VCVTDQ2PS    X9, X9        \
	VMULPS       X13, X9, X9   \
	VADDPS       X9, acc, acc

#define FIRST \
	MOVQ     BX, AX              \
	MOVQ     qscales+88(FP), SI  \
	MOVQ     qbias+96(FP), DI    \
	ADDQ     BX, SI              \
	ADDQ     BX, DI              \
	VPCMPEQW Y3, Y3, Y3          \
	VPSRLW   $15, Y3, Y3         \
	VXORPS   X0, X0, X0          \
	VXORPS   X4, X4, X4          \
	VXORPS   X8, X8, X8

#define NEXT \
	ADDQ $32, AX   \
	ADDQ $4, SI    \
	ADDQ $4, DI    \
	ADDQ $STEP, DX

#define ROWQ0 ROWQ((AX), 16(AX), (SI), (DI), X0)
#define ROWQ1 ROWQ((AX)(R10*1), 16(AX)(R10*1), (SI)(R10*1), (DI)(R10*1), X4)
#define ROWQ2 ROWQ((AX)(R10*2), 16(AX)(R10*2), (SI)(R10*2), (DI)(R10*2), X8)

#define BLOCK3 \
	FIRST      \
loop3:         \
	KEYS       \
	ROWQ0      \
	ROWQ1      \
	ROWQ2      \
	NEXT       \
	JNE  loop3

#define BLOCK2 \
	FIRST      \
loop2:         \
	KEYS       \
	ROWQ0      \
	ROWQ1      \
	NEXT       \
	JNE  loop2

#define BLOCK1 \
	FIRST      \
loop1:         \
	KEYS       \
	ROWQ0      \
	NEXT       \
	JNE  loop1

// Q8_0. KEYS loads their magnitudes.
#define KEYS \
	SCALES                   \
	VPABSB 2(R12)(DX*1), Y1  \
	VPABSB 2(R13)(DX*1), Y2  \
	VPABSB 2(R14)(DX*1), Y5  \
	VPABSB 2(R15)(DX*1), Y6

// MUL leaves 8 sums of 4 products of a token in y. The keys' signs go to q, which
// is never -128; so does 2*128*127 fit in int16.
#define MUL(mem, mag, y) \
	VPSIGNB    mem, Y7, y \
	VPMADDUBSW y, mag, y  \
	VPMADDWD   Y3, y, y

// The sums are formed as in SUM4 of the float kernels.
#define ROWQ(q, q16, scale, bias, acc) \
	VMOVDQU      q, Y7                \
	MUL(2(R12)(DX*1), Y1, Y9)         \
	MUL(2(R13)(DX*1), Y2, Y10)        \
	MUL(2(R14)(DX*1), Y5, Y11)        \
	MUL(2(R15)(DX*1), Y6, Y12)        \
	VSHUFPS      $0x4e, Y10, Y9, Y13  \
	VBLENDPS     $0xcc, Y10, Y9, Y9   \
	VSHUFPS      $0x4e, Y12, Y11, Y14 \
	VBLENDPS     $0xcc, Y12, Y11, Y11 \
	VPADDD       Y13, Y9, Y9          \
	VPADDD       Y14, Y11, Y11        \
	VSHUFPS      $0x88, Y11, Y9, Y13  \
	VSHUFPS      $0xdd, Y11, Y9, Y14  \
	VPADDD       Y13, Y14, Y9         \
	VEXTRACTI128 $1, Y9, X13          \
	VPADDD       X13, X9, X9          \
	ADDTO(scale, acc)

#define STEP 34

// func dotQ8YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead, qscales, qbias int)
TEXT ·dotQ8YMM(SB), NOSPLIT, $0-104
#include "dot_avx2_amd64.h"

#undef KEYS
#undef ROWQ
#undef STEP

// Q4_0. KEYS leaves the low nibbles of tokens 0 and 2 in Y1, the high ones in Y2,
// and those of tokens 1 and 3 in Y5 and Y6.
#define KEYS \
	SCALES                                    \
	VMOVDQU      nibble<>(SB), Y14            \
	VMOVDQU      2(R12)(DX*1), X1             \
	VMOVDQU      2(R13)(DX*1), X5             \
	VINSERTI128  $1, 2(R14)(DX*1), Y1, Y1     \
	VINSERTI128  $1, 2(R15)(DX*1), Y5, Y5     \
	VPSRLW       $4, Y1, Y2                   \
	VPSRLW       $4, Y5, Y6                   \
	VPAND        Y14, Y1, Y1                  \
	VPAND        Y14, Y2, Y2                  \
	VPAND        Y14, Y5, Y5                  \
	VPAND        Y14, Y6, Y6

// An int16 can take the sum of 8 products, at most 8*15*127.
#define ROWQ(q, q16, scale, bias, acc) \
	VBROADCASTI128 q, Y7                \
	VBROADCASTI128 q16, Y11             \
	VPMADDUBSW     Y7, Y1, Y9           \
	VPMADDUBSW     Y11, Y2, Y12         \
	VPMADDUBSW     Y7, Y5, Y10          \
	VPMADDUBSW     Y11, Y6, Y13         \
	VPADDW         Y12, Y9, Y9          \
	VPADDW         Y13, Y10, Y10        \
	VSHUFPS        $0x4e, Y10, Y9, Y13  \
	VBLENDPS       $0xcc, Y10, Y9, Y9   \
	VPADDW         Y13, Y9, Y9          \
	VPMADDWD       Y3, Y9, Y9           \ // 0 0 1 1 | 2 2 3 3
	VPBROADCASTD   bias, X14            \
	VEXTRACTI128   $1, Y9, X13          \
	VSHUFPS        $0x88, X13, X9, X10  \
	VSHUFPS        $0xdd, X13, X9, X9   \
	VPADDD         X14, X10, X10        \
	VPADDD         X10, X9, X9          \
	ADDTO(scale, acc)

#define STEP 18

DATA nibble<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA nibble<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA nibble<>+16(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA nibble<>+24(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL nibble<>(SB), RODATA|NOPTR, $32

// func dotQ4YMM(dst *float32, ldDst int, q *float32, rows, ldQ, size int, base unsafe.Pointer, stride uintptr, cells *int32, n, ahead, qscales, qbias int)
TEXT ·dotQ4YMM(SB), NOSPLIT, $0-104
#include "dot_avx2_amd64.h"
