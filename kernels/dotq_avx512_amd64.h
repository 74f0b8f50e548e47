// The body of dotQ8AVX512 and dotQ4AVX512, which differ in BLOCK, the bytes of a
// block of 32 channels, and in CHANNELS: it puts channels 4*i to 4*i+3 of 16
// tokens, as unsigned bytes, in Zi.
//
//	SI   q, row and block         R9   bytes per q row
//	BX   scale of q               R12  bytes from scales to biases
//	DI   &dst[row][tile]          R11  bytes per dst row
//	AX   offset of the block      R13  bytes per row of k
//	R14  channel of the block     CX   rows left
//	BP   pointers of the tile     R15  those of the tile to ask for
//	R8, R10, DX  scratch
//	K1   tokens to store          K2   the same, but none in the first block
//	Z28  constant                 Z30  scales of k
//
// Each of the 16 tokens of a tile has a lane of its own, so there are no sums across
// lanes and no order to keep. The rows' accumulators are in dst. The int32 sum of a
// block begins with the bias of q, which takes back what making k unsigned has
// added.
//
// The frame: the ring, &dst[tile], tokens left, offset of the tile.

	MOVQ dst+0(FP), AX
	MOVQ AX, 544(SP)
	MOVQ n+64(FP), AX
	MOVQ AX, 552(SP)
	MOVQ $0, 560(SP)
	MOVQ d+32(FP), AX
	SHRQ $5, AX
	LEAQ (AX)(AX*4), R9
	SHLQ $3, R9
	MOVQ ldDst+8(FP), R11
	SHLQ $2, R11
	CONSTANTS

#include "tile_avx512_amd64.h"
	MOVQ    size+72(FP), R13
	MOVQ    d+32(FP), R12
	SHRQ    $3, R12
	MOVQ    560(SP), BP
	LEAQ    (SP)(BP*1), BP
	MOVQ    528(SP), R15
	LEAQ    (SP)(R15*1), R15
	MOVL    $16, AX
	MOVQ    552(SP), CX
	CMPQ    CX, AX
	CMOVQGT AX, CX
	XORL    AX, AX
	BTSL    CX, AX
	DECL    AX
	KMOVW   AX, K1
	KXORW   K2, K2, K2
	XORL    AX, AX
	XORL    R14, R14

block:
#include "ask_avx512_amd64.h"
	SCALES
	CHANNELS
	MOVQ q+16(FP), SI
	MOVQ d+32(FP), BX
	MOVQ R14, R8
	SHRQ $3, R8
	ADDQ SI, BX
	ADDQ R8, BX
	ADDQ R14, SI
	MOVQ 544(SP), DI
	MOVQ rows+24(FP), CX

row:
	VPBROADCASTD  (BX)(R12*1), Z24
	VPDPBUSD.BCST (SI), Z0, Z24
	VPDPBUSD.BCST 4(SI), Z1, Z24
	VPDPBUSD.BCST 8(SI), Z2, Z24
	VPDPBUSD.BCST 12(SI), Z3, Z24
	VPDPBUSD.BCST 16(SI), Z4, Z24
	VPDPBUSD.BCST 20(SI), Z5, Z24
	VPDPBUSD.BCST 24(SI), Z6, Z24
	VPDPBUSD.BCST 28(SI), Z7, Z24
	VMULPS.BCST   (BX), Z30, Z25
	VMOVUPS.Z     (DI), K2, Z26
	VCVTDQ2PS     Z24, Z24
	VFMADD231PS   Z24, Z25, Z26
	VMOVUPS       Z26, K1, (DI)
	ADDQ          R9, SI
	ADDQ          R9, BX
	ADDQ          R11, DI
	DECQ          CX
	JNE           row

	KMOVW K1, K2
	ADDQ  $32, R14
	ADDQ  $BLOCK, AX
	CMPQ  AX, R13
	JLT   block

	ADDQ $64, 544(SP)
	MOVQ 560(SP), AX
	ADDQ $128, AX
	ANDQ $511, AX
	MOVQ AX, 560(SP)
	SUBQ $16, 552(SP)
	JGT  fill
	VZEROUPPER
	RET
