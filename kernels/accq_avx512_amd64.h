// The body of accQ8ZMM and accQ4ZMM, which differ in BLOCK, the bytes of a block of 32
// channels, and in VALUES, which loads those of the token at AX into a YMM register.
//
// A tile of 16 tokens is done in integers. Its weights, times the scales of a block,
// become int16 relative to the largest weight of a row and the largest scale of the block;
// values of two tokens are interleaved as int16, so that VPDPWSSD multiplies and
// adds 32 of them. Where a weight or a scale is not finite the tile is left to the caller.
//
//	BX   block in a row of V      DI   &acc[row][channel]
//	R8   bytes per acc row        R9   bytes per p row
//	SI   scaled weights of a row  R10  factor of a row
//	CX   rows left                R11  bytes per row of V
//	R12  &p[row][tile]            R13  scaled scales of a block
//	DX   tokens of the tile       K1   those tokens
//	Z0-Z15 values of the block: channels 0-7 and 16-23 of tokens 0 and 1, then 8-15 and
//	24-31 of them, and so on.  Z28-Z31 constants
//
	MOVQ   ldAcc+8(FP), R8
	SHLQ   $2, R8
	MOVQ   ldP+24(FP), R9
	SHLQ   $2, R9
	MOVQ   d+40(FP), R11
	SHRQ   $5, R11
	IMULQ  $BLOCK, R11
	MOVQ   $0, done+80(FP)
	MOVQ   $0, bad+88(FP)
	CONSTANTS
	MOVL   $0x7fffffff, AX
	VPBROADCASTD AX, Z30

tile:
	MOVQ    done+80(FP), CX
	MOVQ    n+72(FP), DX
	SUBQ    CX, DX
	JEQ     end
	MOVL    $16, AX
	CMPQ    DX, AX
	CMOVQGT AX, DX
	MOVQ    cells+64(FP), SI
	LEAQ    (SI)(CX*4), SI
	MOVQ    v+48(FP), R12
	MOVQ    stride+56(FP), R13
	XORL    CX, CX

pointer:
	MOVLQSX (SI)(CX*4), AX
	IMULQ   R13, AX
	ADDQ    R12, AX
	MOVQ    AX, POINTERS(SP)(CX*8)
	INCQ    CX
	CMPQ    CX, DX
	JLT     pointer
	XORL    BX, BX
	BTSL    CX, BX
	DECL    BX
	KMOVW   BX, K1

repeat: // the last token, with weights of 0
	CMPQ CX, $16
	JGE  fetch
	MOVQ AX, POINTERS(SP)(CX*8)
	INCQ CX
	JMP  repeat

fetch: // the lines of as many tokens three tiles ahead
	MOVQ n+72(FP), CX
	SUBQ done+80(FP), CX
	SUBQ $48, CX
	JLE  fetched
	CMPQ CX, DX
	CMOVQGT DX, CX

fetchRow:
	MOVLQSX 188(SI)(CX*4), AX
	IMULQ   R13, AX
	ADDQ    R12, AX
	MOVQ    R11, BX

fetchLine: // as often for each row, or the branch would be hard to foresee
	PREFETCHT1 (AX)
	ADDQ       $64, AX
	SUBQ       $64, BX
	JGT        fetchLine
	DECQ       CX
	JNE        fetchRow

fetched:
	XORL BX, BX
	LEAQ SCALES(SP), R13
	LEAQ TOPS(SP), R10

scales:
	SCALE8(0, X0)
	SCALE8(8, X1)
	VINSERTI128 $1, X1, Y0, Y0
	VCVTPH2PS   Y0, Z0
	TOP(Z0, Y1, X1)
	VMOVD       X1, AX
	CMPL        AX, $0x7f800000
	JGE         badScale
	VMAXSS      X29, X1, X1
	VMOVSS      X1, (R10)
	VDIVSS      X1, X28, X1
	VBROADCASTSS X1, Z1
	VMULPS      Z1, Z0, Z0
	VMOVUPS     Z0, (R13)
	ADDQ        $64, R13
	ADDQ        $4, R10
	ADDQ        $BLOCK, BX
	CMPQ        BX, R11
	JLT         scales

	MOVQ p+16(FP), R12
	MOVQ done+80(FP), AX
	LEAQ (R12)(AX*4), R12
	XORL CX, CX
	LEAQ ROWS(SP), SI
	LEAQ FACTORS(SP), R10

weights:
	VMOVUPS.Z   (R12), K1, Z0
	TOP(Z0, Y1, X1)
	VMOVD       X1, AX
	CMPL        AX, $0x7f800000
	JGE         badRow

goodRow:
	VMAXSS      X29, X1, X1
	VMULSS      top16<>+4(SB), X1, X2 // 1/32767
	VMOVSS      X2, (R10)
	VMOVSS      top16<>+0(SB), X2     // 32767
	VDIVSS      X1, X2, X1
	VBROADCASTSS X1, Z1
	VMULPS      Z1, Z0, Z0
	VMOVUPS     Z0, (SI)
	ADDQ        R9, R12
	ADDQ        $64, SI
	ADDQ        $4, R10
	INCQ        CX
	CMPQ        CX, rows+32(FP)
	JLT         weights

	ADDQ DX, done+80(FP)
	XORL BX, BX
	LEAQ SCALES(SP), R13
	LEAQ TOPS(SP), DX
	MOVQ acc+0(FP), R12

block:
	PAIR(0, Y0, Y1, Z0, Z1)
	PAIR(16, Y2, Y3, Z2, Z3)
	PAIR(32, Y4, Y5, Z4, Z5)
	PAIR(48, Y6, Y7, Z6, Z7)
	PAIR(64, Y8, Y9, Z8, Z9)
	PAIR(80, Y10, Y11, Z10, Z11)
	PAIR(96, Y12, Y13, Z12, Z13)
	PAIR(112, Y14, Y15, Z14, Z15)
	VMOVUPS (R13), Z24
	VBROADCASTSS (DX), Z25
	MOVQ rows+32(FP), CX
	LEAQ ROWS(SP), SI
	LEAQ WEIGHTS(SP), DI

round:
	VMULPS    (SI), Z24, Z26
	VCVTPS2DQ Z26, Z26
	VPMOVSDW  Z26, Y26
	VMOVDQU32 Y26, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	DECQ      CX
	JNE       round

	MOVQ R12, DI
	MOVQ rows+32(FP), CX
	LEAQ WEIGHTS(SP), SI
	LEAQ FACTORS(SP), R10

row:
	VPXORD    Z16, Z16, Z16
	VPXORD    Z17, Z17, Z17
	VPXORD    Z18, Z18, Z18
	VPXORD    Z19, Z19, Z19
	VPDPWSSD.BCST 0(SI), Z0, Z16
	VPDPWSSD.BCST 0(SI), Z1, Z17
	VPDPWSSD.BCST 4(SI), Z2, Z18
	VPDPWSSD.BCST 4(SI), Z3, Z19
	VPDPWSSD.BCST 8(SI), Z4, Z16
	VPDPWSSD.BCST 8(SI), Z5, Z17
	VPDPWSSD.BCST 12(SI), Z6, Z18
	VPDPWSSD.BCST 12(SI), Z7, Z19
	VPDPWSSD.BCST 16(SI), Z8, Z16
	VPDPWSSD.BCST 16(SI), Z9, Z17
	VPDPWSSD.BCST 20(SI), Z10, Z18
	VPDPWSSD.BCST 20(SI), Z11, Z19
	VPDPWSSD.BCST 24(SI), Z12, Z16
	VPDPWSSD.BCST 24(SI), Z13, Z17
	VPDPWSSD.BCST 28(SI), Z14, Z18
	VPDPWSSD.BCST 28(SI), Z15, Z19
	VPADDD        Z18, Z16, Z16
	VPADDD        Z19, Z17, Z17
	VCVTDQ2PS     Z16, Z16
	VCVTDQ2PS     Z17, Z17
	VINSERTF64X4  $1, Y17, Z16, Z18
	VSHUFF64X2    $0xee, Z17, Z16, Z19
	VMULPS.BCST   (R10), Z25, Z27
	VFMADD213PS   (DI), Z27, Z18
	VFMADD213PS   64(DI), Z27, Z19
	VMOVUPS       Z18, (DI)
	VMOVUPS       Z19, 64(DI)
	ADDQ          R8, DI
	ADDQ          $32, SI
	ADDQ          $4, R10
	DECQ          CX
	JNE           row

	ADDQ $128, R12
	ADDQ $64, R13
	ADDQ $4, DX
	ADDQ $BLOCK, BX
	CMPQ BX, R11
	JLT  block
	CMPQ bad+88(FP), $0
	JEQ  tile
	JMP  end

badRow:
	MOVQ   bad+88(FP), AX
	BTSQ   CX, AX
	MOVQ   AX, bad+88(FP)
	VPXORD Z0, Z0, Z0
	VPXORD X1, X1, X1
	JMP    goodRow

badScale:
	ADDQ DX, done+80(FP)
	MOVQ $-1, bad+88(FP)

end:
	VZEROUPPER
	RET
