// The body of accF32AVX512, accF16AVX512 and accBF16AVX512, which differ in LOAD,
// that converts channels to float32, in AT, the address of the i-th 16 channels from
// channel BX on of the token at AX, and in LINES, that asks for 64 of its channels
// from memory.
//
//	DI   &acc[row][channel]  R11  bytes per acc row   R12  3*R11
//	SI   &p[row][tile]       R9   bytes per p row     R10  3*R9
//	DX   &p[row][token]      CX   token of the tile   R13  tokens of the tile
//	BX   channel             AX   v, token            R14  rows left
//	R8   channels left       R15  pointers of the tile
//	BP   pointers of the tile to ask for              K1   lanes of the last block
//
// For a tile, a block of up to 4 rows and 64 channels stays in Z0-Z15. Z16 holds v,
// Z20-Z23 the weights of a token.
//
// The frame: the ring, &p[0][tile], offset of the tile, tokens left, &acc[row].

	MOVQ p+16(FP), AX
	MOVQ AX, 544(SP)
	MOVQ $0, 552(SP)
	MOVQ n+72(FP), AX
	MOVQ AX, 560(SP)
	MOVQ ldP+24(FP), R9
	SHLQ $2, R9
	LEAQ (R9)(R9*2), R10
	MOVQ ldAcc+8(FP), R11
	SHLQ $2, R11

#include "tile_avx512_amd64.h"
	LEAQ    (R11)(R11*2), R12
	MOVQ    552(SP), R15
	LEAQ    (SP)(R15*1), R15
	MOVQ    528(SP), BP
	LEAQ    (SP)(BP*1), BP
	MOVL    $16, R13
	MOVQ    560(SP), AX
	CMPQ    AX, R13
	CMOVQLT AX, R13
	MOVQ    end+96(FP), R8
	TESTQ   R8, R8
	JEQ     start
	XORL    CX, CX

end:
	MOVQ       (BP)(CX*8), AX
	PREFETCHT1 (AX)(R8*1)
	INCQ       CX
	CMPQ       CX, $16
	JNE        end

start:
	MOVQ 544(SP), SI
	MOVQ rows+32(FP), R14
	MOVQ acc+0(FP), DI
	MOVQ DI, 568(SP)

rows:
	XORL BX, BX
	MOVQ d+40(FP), R8
	MOVQ 568(SP), DI
	CMPQ R14, $2
	JLT  one
	JEQ  two
	CMPQ R14, $4
	JEQ  four
	CMPQ R14, $6      // 3+2 converts less per row than 4+1
	JLT  three

four:
	SUBQ $64, R8
	JLT  fourRest
	GET(Z0, Z1, Z2, Z3)
	GETX(R11*1, Z4, Z5, Z6, Z7)
	GETX(R11*2, Z8, Z9, Z10, Z11)
	GETX(R12*1, Z12, Z13, Z14, Z15)
	MOVQ SI, DX
	XORL CX, CX

fourToken:
	MOVQ         (BP)(CX*8), AX
	LINES
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	VPBROADCASTD (DX)(R9*1), Z21
	VPBROADCASTD (DX)(R9*2), Z22
	VPBROADCASTD (DX)(R10*1), Z23
	LOAD(AT(0), Z16)
	FMA4(Z0, Z4, Z8, Z12)
	LOAD(AT(1), Z16)
	FMA4(Z1, Z5, Z9, Z13)
	LOAD(AT(2), Z16)
	FMA4(Z2, Z6, Z10, Z14)
	LOAD(AT(3), Z16)
	FMA4(Z3, Z7, Z11, Z15)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          fourToken

	PUT(Z0, Z1, Z2, Z3)
	PUTX(R11*1, Z4, Z5, Z6, Z7)
	PUTX(R11*2, Z8, Z9, Z10, Z11)
	PUTX(R12*1, Z12, Z13, Z14, Z15)
	ADDQ $256, DI
	ADDQ $64, BX
	JMP  four

fourRest:
	ADDQ $64, R8
	JEQ  fourDone

four16:
	LASTMASK
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z (DI)(R11*1), K1, Z4
	VMOVUPS.Z (DI)(R11*2), K1, Z8
	VMOVUPS.Z (DI)(R12*1), K1, Z12
	MOVQ      SI, DX
	XORL      CX, CX

four16Token:
	MOVQ         (BP)(CX*8), AX
	PREFETCHT1   AT(0)
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	VPBROADCASTD (DX)(R9*1), Z21
	VPBROADCASTD (DX)(R9*2), Z22
	VPBROADCASTD (DX)(R10*1), Z23
	LOADLAST
	FMA4(Z0, Z4, Z8, Z12)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          four16Token

	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z4, K1, (DI)(R11*1)
	VMOVUPS Z8, K1, (DI)(R11*2)
	VMOVUPS Z12, K1, (DI)(R12*1)
	ADDQ    $64, DI
	ADDQ    $16, BX
	SUBQ    $16, R8
	JGT     four16

fourDone:
	LEAQ (SI)(R9*4), SI
	LEAQ (R11*4), AX
	ADDQ AX, 568(SP)
	MOVQ R15, BP        // what the first rows asked for suffices
	SUBQ $4, R14
	JNE  rows
	JMP  next

three:
	SUBQ $64, R8
	JLT  threeRest
	GET(Z0, Z1, Z2, Z3)
	GETX(R11*1, Z4, Z5, Z6, Z7)
	GETX(R11*2, Z8, Z9, Z10, Z11)
	MOVQ SI, DX
	XORL CX, CX

threeToken:
	MOVQ         (BP)(CX*8), AX
	LINES
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	VPBROADCASTD (DX)(R9*1), Z21
	VPBROADCASTD (DX)(R9*2), Z22
	LOAD(AT(0), Z16)
	FMA3(Z0, Z4, Z8)
	LOAD(AT(1), Z16)
	FMA3(Z1, Z5, Z9)
	LOAD(AT(2), Z16)
	FMA3(Z2, Z6, Z10)
	LOAD(AT(3), Z16)
	FMA3(Z3, Z7, Z11)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          threeToken

	PUT(Z0, Z1, Z2, Z3)
	PUTX(R11*1, Z4, Z5, Z6, Z7)
	PUTX(R11*2, Z8, Z9, Z10, Z11)
	ADDQ $256, DI
	ADDQ $64, BX
	JMP  three

threeRest:
	ADDQ $64, R8
	JEQ  threeDone

three16:
	LASTMASK
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z (DI)(R11*1), K1, Z4
	VMOVUPS.Z (DI)(R11*2), K1, Z8
	MOVQ      SI, DX
	XORL      CX, CX

three16Token:
	MOVQ         (BP)(CX*8), AX
	PREFETCHT1   AT(0)
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	VPBROADCASTD (DX)(R9*1), Z21
	VPBROADCASTD (DX)(R9*2), Z22
	LOADLAST
	FMA3(Z0, Z4, Z8)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          three16Token

	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z4, K1, (DI)(R11*1)
	VMOVUPS Z8, K1, (DI)(R11*2)
	ADDQ    $64, DI
	ADDQ    $16, BX
	SUBQ    $16, R8
	JGT     three16

threeDone:
	ADDQ R10, SI
	ADDQ R12, 568(SP)
	MOVQ R15, BP      // what the first rows asked for suffices
	SUBQ $3, R14
	JNE  rows
	JMP  next

two:
	SUBQ $64, R8
	JLT  twoRest
	GET(Z0, Z1, Z2, Z3)
	GETX(R11*1, Z4, Z5, Z6, Z7)
	MOVQ SI, DX
	XORL CX, CX

twoToken:
	MOVQ         (BP)(CX*8), AX
	LINES
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	VPBROADCASTD (DX)(R9*1), Z21
	LOAD(AT(0), Z16)
	FMA2(Z0, Z4)
	LOAD(AT(1), Z16)
	FMA2(Z1, Z5)
	LOAD(AT(2), Z16)
	FMA2(Z2, Z6)
	LOAD(AT(3), Z16)
	FMA2(Z3, Z7)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          twoToken

	PUT(Z0, Z1, Z2, Z3)
	PUTX(R11*1, Z4, Z5, Z6, Z7)
	ADDQ $256, DI
	ADDQ $64, BX
	JMP  two

twoRest:
	ADDQ $64, R8
	JEQ  next

two16:
	LASTMASK
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z (DI)(R11*1), K1, Z4
	MOVQ      SI, DX
	XORL      CX, CX

two16Token:
	MOVQ         (BP)(CX*8), AX
	PREFETCHT1   AT(0)
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	VPBROADCASTD (DX)(R9*1), Z21
	LOADLAST
	FMA2(Z0, Z4)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          two16Token

	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z4, K1, (DI)(R11*1)
	ADDQ    $64, DI
	ADDQ    $16, BX
	SUBQ    $16, R8
	JGT     two16

	JMP next // two rows or one are always the last

one:
	SUBQ $64, R8
	JLT  oneRest
	GET(Z0, Z1, Z2, Z3)
	MOVQ SI, DX
	XORL CX, CX

oneToken:
	MOVQ         (BP)(CX*8), AX
	LINES
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	LOAD(AT(0), Z16)
	FMA1(Z0)
	LOAD(AT(1), Z16)
	FMA1(Z1)
	LOAD(AT(2), Z16)
	FMA1(Z2)
	LOAD(AT(3), Z16)
	FMA1(Z3)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          oneToken

	PUT(Z0, Z1, Z2, Z3)
	ADDQ $256, DI
	ADDQ $64, BX
	JMP  one

oneRest:
	ADDQ $64, R8
	JEQ  next

one16:
	LASTMASK
	VMOVUPS.Z (DI), K1, Z0
	MOVQ      SI, DX
	XORL      CX, CX

one16Token:
	MOVQ         (BP)(CX*8), AX
	PREFETCHT1   AT(0)
	MOVQ         (R15)(CX*8), AX
	VPBROADCASTD (DX), Z20
	LOADLAST
	FMA1(Z0)
	ADDQ         $4, DX
	INCQ         CX
	CMPQ         CX, R13
	JNE          one16Token

	VMOVUPS Z0, K1, (DI)
	ADDQ    $64, DI
	ADDQ    $16, BX
	SUBQ    $16, R8
	JGT     one16

next:
	ADDQ $64, 544(SP)
	MOVQ 552(SP), AX
	ADDQ $128, AX
	ANDQ $511, AX
	MOVQ AX, 552(SP)
	SUBQ $16, 560(SP)
	JGT  fill
	VZEROUPPER
	RET
