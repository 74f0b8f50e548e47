// The body of accQ8AVX512 and accQ4AVX512, which differ in BLOCK, the bytes of a block
// of 32 channels, and in VALUES, that puts those of the token at R10 in Z4 and Z5.
//
//	SI   &p[row][tile]        R9   bytes per p row     R12  3*R9
//	DI   &acc[row][channel]   R11  bytes per acc row   BX   3*R11
//	AX   offset of the block  CX   rows left
//	R14  its first channel    R13  bytes per row of v
//	BP   pointers of the tile R15  those of the tile to ask for
//	DX   &p[row][token]       R8   token of the tile
//	R10  v, token
//
// For a tile, 32 channels of up to 4 rows stay in Z16-Z23. Z6 to Z9 hold weights.
//
// The frame: the ring, &p[0][tile], tokens left, offset of the tile, its tokens, scales of a
// block.

	MOVQ p+16(FP), AX
	MOVQ AX, 544(SP)
	MOVQ n+72(FP), AX
	MOVQ AX, 552(SP)
	MOVQ $0, 560(SP)
	MOVQ ldP+24(FP), R9
	SHLQ $2, R9
	MOVQ ldAcc+8(FP), R11
	SHLQ $2, R11
	CONSTANTS

#include "tile_avx512_amd64.h"
	LEAQ    (R9)(R9*2), R12
	LEAQ    (R11)(R11*2), BX
	MOVQ    size+80(FP), R13
	MOVQ    560(SP), BP
	LEAQ    (SP)(BP*1), BP
	MOVQ    528(SP), R15
	LEAQ    (SP)(R15*1), R15
	MOVL    $16, AX
	MOVQ    552(SP), CX
	CMPQ    CX, AX
	CMOVQGT AX, CX
	MOVQ    CX, 568(SP)
	XORL    AX, AX
	XORL    R14, R14

block:
#include "ask_avx512_amd64.h"
	SCALES
	VMOVUPS Z30, 576(SP)
	MOVQ    acc+0(FP), DI
	LEAQ    (DI)(R14*4), DI
	MOVQ    544(SP), SI
	MOVQ    rows+32(FP), CX

rows:
	MOVQ SI, DX
	XORL R8, R8
	CMPQ CX, $2
	JLT  one
	JEQ  two
	CMPQ CX, $4
	JEQ  four
	CMPQ CX, $6 // 3+2 converts less per row than 4+1
	JLT  three

four:
	VMOVUPS 0(DI), Z16
	VMOVUPS 64(DI), Z17
	VMOVUPS 0(DI)(R11*1), Z18
	VMOVUPS 64(DI)(R11*1), Z19
	VMOVUPS 0(DI)(R11*2), Z20
	VMOVUPS 64(DI)(R11*2), Z21
	VMOVUPS 0(DI)(BX*1), Z22
	VMOVUPS 64(DI)(BX*1), Z23

fourToken:
	MOVQ         (BP)(R8*8), R10
	VPBROADCASTD (DX), Z6
	VPBROADCASTD (DX)(R9*1), Z7
	VPBROADCASTD (DX)(R9*2), Z8
	VPBROADCASTD (DX)(R12*1), Z9
	VALUES
	SCALED
	VFMADD231PS  Z4, Z6, Z16
	VFMADD231PS  Z4, Z7, Z18
	VFMADD231PS  Z4, Z8, Z20
	VFMADD231PS  Z4, Z9, Z22
	VFMADD231PS  Z5, Z6, Z17
	VFMADD231PS  Z5, Z7, Z19
	VFMADD231PS  Z5, Z8, Z21
	VFMADD231PS  Z5, Z9, Z23
	ADDQ         $4, DX
	INCQ         R8
	CMPQ         R8, 568(SP)
	JNE          fourToken

	VMOVUPS Z16, 0(DI)
	VMOVUPS Z17, 64(DI)
	VMOVUPS Z18, 0(DI)(R11*1)
	VMOVUPS Z19, 64(DI)(R11*1)
	VMOVUPS Z20, 0(DI)(R11*2)
	VMOVUPS Z21, 64(DI)(R11*2)
	VMOVUPS Z22, 0(DI)(BX*1)
	VMOVUPS Z23, 64(DI)(BX*1)
	LEAQ    (SI)(R9*4), SI
	LEAQ    (DI)(R11*4), DI
	SUBQ    $4, CX
	JNE     rows
	JMP     next

three:
	VMOVUPS 0(DI), Z16
	VMOVUPS 64(DI), Z17
	VMOVUPS 0(DI)(R11*1), Z18
	VMOVUPS 64(DI)(R11*1), Z19
	VMOVUPS 0(DI)(R11*2), Z20
	VMOVUPS 64(DI)(R11*2), Z21

threeToken:
	MOVQ         (BP)(R8*8), R10
	VPBROADCASTD (DX), Z6
	VPBROADCASTD (DX)(R9*1), Z7
	VPBROADCASTD (DX)(R9*2), Z8
	VALUES
	SCALED
	VFMADD231PS  Z4, Z6, Z16
	VFMADD231PS  Z4, Z7, Z18
	VFMADD231PS  Z4, Z8, Z20
	VFMADD231PS  Z5, Z6, Z17
	VFMADD231PS  Z5, Z7, Z19
	VFMADD231PS  Z5, Z8, Z21
	ADDQ         $4, DX
	INCQ         R8
	CMPQ         R8, 568(SP)
	JNE          threeToken

	VMOVUPS Z16, 0(DI)
	VMOVUPS Z17, 64(DI)
	VMOVUPS Z18, 0(DI)(R11*1)
	VMOVUPS Z19, 64(DI)(R11*1)
	VMOVUPS Z20, 0(DI)(R11*2)
	VMOVUPS Z21, 64(DI)(R11*2)
	ADDQ    R12, SI
	ADDQ    BX, DI
	SUBQ    $3, CX
	JNE     rows
	JMP     next

two:
	VMOVUPS 0(DI), Z16
	VMOVUPS 64(DI), Z17
	VMOVUPS 0(DI)(R11*1), Z18
	VMOVUPS 64(DI)(R11*1), Z19

twoToken:
	MOVQ         (BP)(R8*8), R10
	VPBROADCASTD (DX), Z6
	VPBROADCASTD (DX)(R9*1), Z7
	VALUES
	SCALED
	VFMADD231PS  Z4, Z6, Z16
	VFMADD231PS  Z4, Z7, Z18
	VFMADD231PS  Z5, Z6, Z17
	VFMADD231PS  Z5, Z7, Z19
	ADDQ         $4, DX
	INCQ         R8
	CMPQ         R8, 568(SP)
	JNE          twoToken

	VMOVUPS Z16, 0(DI)
	VMOVUPS Z17, 64(DI)
	VMOVUPS Z18, 0(DI)(R11*1)
	VMOVUPS Z19, 64(DI)(R11*1)
	JMP     next               // two rows or one are always the last

one:
	VMOVUPS 0(DI), Z16
	VMOVUPS 64(DI), Z17

oneToken:
	MOVQ         (BP)(R8*8), R10
	VPBROADCASTD (DX), Z6
	VALUES
	SCALED
	VFMADD231PS  Z4, Z6, Z16
	VFMADD231PS  Z5, Z6, Z17
	ADDQ         $4, DX
	INCQ         R8
	CMPQ         R8, 568(SP)
	JNE          oneToken

	VMOVUPS Z16, 0(DI)
	VMOVUPS Z17, 64(DI)

next:
	ADDQ $32, R14
	ADDQ $BLOCK, AX
	CMPQ AX, R13
	JLT  block

	ADDQ $64, 544(SP)
	MOVQ 560(SP), AX
	ADDQ $128, AX
	ANDQ $511, AX
	MOVQ AX, 560(SP)
	SUBQ $16, 552(SP)
	JGT  fill
	VZEROUPPER
	RET
