// The body of dotQ8AVX512 and dotQ4AVX512, which differ in BLOCK, the bytes of a
// block of 32 channels, and in CHANNELS: it puts channels 4*i to 4*i+3 of 16
// tokens, as unsigned bytes, in Zi.
//
//	SI   q, row and block         R9   bytes per q row
//	BX   scale of q               R12  bytes from scales to biases
//	DI   &dst[row][tile]          R11  bytes per dst row
//	AX   offset of the block in k CX   rows left
//	R8, R10  k, tokens            DX   tokens left after the tile
//	R13  bytes per row of k       R14  offset of the block in a row's int8
//	K1   tokens to store          K2   the same, but none in the first block
//	Z28, Z29  constants           Z30  scales of k
//
// A tile is 16 tokens, each in a lane of its own, so there are no sums across lanes and
// no order to keep. A short tile repeats its last token. The accumulators of
// rows are in dst. The int32 sum of a block begins with the bias of q, which takes
// back what making k unsigned has added.
//
// The frame: the tile's pointers, &cells[tile], &dst[tile].

	MOVQ cells+56(FP), AX
	MOVQ AX, 160(SP)
	MOVQ dst+0(FP), AX
	MOVQ AX, 168(SP)
	MOVQ n+64(FP), DX
	MOVQ d+32(FP), R13
	SHRQ $5, R13
	LEAQ (R13*4), R12
	LEAQ (R12)(R12*4), R9
	SHLQ $1, R9
	IMULQ $BLOCK, R13
	MOVQ ldDst+8(FP), R11
	SHLQ $2, R11
	CONSTANTS

tile:
	MOVQ    160(SP), SI
	MOVQ    k+40(FP), R8
	MOVQ    stride+48(FP), DI
	MOVL    $16, CX
	CMPQ    DX, CX
	CMOVQLT DX, CX
	XORL    R14, R14

pointer:
	MOVLQSX (SI)(R14*4), AX
	IMULQ   DI, AX
	ADDQ    R8, AX
	MOVQ    AX, 0(SP)(R14*8)
	INCQ    R14
	CMPQ    R14, CX
	JLT     pointer
	XORL    BX, BX
	BTSL    CX, BX
	DECL    BX
	KMOVW   BX, K1
	KXORW   K2, K2, K2

repeat:
	CMPQ R14, $16
	JGE  repeated
	MOVQ AX, 0(SP)(R14*8)
	INCQ R14
	JMP  repeat

repeated:
	LEAQ (SI)(CX*4), AX
	MOVQ AX, 160(SP)

	// Lines of as many tokens, some way ahead.
	MOVQ    ahead+72(FP), AX
	MOVQ    DX, R14
	SUBQ    CX, DX
	SUBQ    AX, R14
	CMPQ    R14, CX
	CMOVQGT CX, R14
	LEAQ    -4(SI)(AX*4), SI
	TESTQ   R14, R14
	JLE     start

aheadRow:
	MOVLQSX (SI)(R14*4), AX
	IMULQ   DI, AX
	ADDQ    R8, AX
	MOVQ    R13, BX

aheadLine: // as often for each row, or the branch would be hard to foresee
	PREFETCHT1 (AX)
	ADDQ       $64, AX
	SUBQ       $64, BX
	JGT        aheadLine
	DECQ       R14
	JNE        aheadRow

start:
	XORL AX, AX
	XORL R14, R14

block:
	SCALES(0)
	VMOVQ       R10, X24
	SCALES(4)
	VPINSRQ     $1, R10, X24, X24
	SCALES(8)
	VMOVQ       R10, X25
	SCALES(12)
	VPINSRQ     $1, R10, X25, X25
	VINSERTI64X2 $1, X25, Y24, Y24
	VCVTPH2PS   Y24, Z30
	CHANNELS
	MOVQ q+16(FP), SI
	MOVQ d+32(FP), BX
	MOVQ R14, R8
	SHRQ $3, R8
	ADDQ SI, BX
	ADDQ R8, BX
	ADDQ R14, SI
	MOVQ 168(SP), DI
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

	ADDQ  $64, 168(SP)
	TESTQ DX, DX
	JNE   tile
	VZEROUPPER
	RET
