// The body of accQ8AVX512 and accQ4AVX512, which differ in BLOCK, in VALUES, that puts
// the 32 integers of a block in Z5 and Z6, in PAIR, that interleaves those of two tokens as
// int16 in Z8 and Z9, and in PUT, that adds the sums of a row to acc.
//
//	SI   &p[row][tile]        R9   bytes per p row
//	DI   &acc[row][channel]   R11  bytes per acc row
//	AX   offset of the block  CX   rows left
//	R14  its first channel    R13  bytes per row of v
//	BP   pointers of the tile R15  those of the tile to ask for
//	BX   weights in scratch   R8, R10, R12, DX  p of 4 rows, scratch
//	K1   tokens of the tile   K2   lanes 2 and 3 of each 4
//	Z30  scales of v          Z16-Z23  sums of 4 rows
//
// A step is a block of channels of a tile for up to 4 rows. Their weights times scales
// are rounded to int16 relative to the largest of the tile, so that VPDPWSSD takes
// two tokens at once. That is a long chain of operations, therefore it is done for the
// next step before the sums of a step. A row without a finite largest weight is done in
// float32 instead. Rows beyond the last repeat it and are dropped.
//
// Scratch is twice: weights of two rows, then of two others, where each 16 bytes have 4
// tokens of one row and of the next, at 128 factors from int16, at 144 factors to it;
// then at 320 scales.
//
// The frame: the ring, &p[0][tile], tokens left, offset of the tile; of the step whose weights
// are ready SI, DI, CX, AX, R14, BP; of the step to sum DI, CX, AX, BP, its
// weights, and whether there is a next.

	FILL_FROM(cells+64(FP), n+72(FP), ahead+88(FP))
	MOVQ  p+16(FP), AX
	MOVQ  AX, 544(SP)
	MOVQ  n+72(FP), AX
	MOVQ  AX, 552(SP)
	MOVQ  $0, 560(SP)
	MOVQ  $0, 624(SP) // no rows to sum yet
	MOVQ  $1, 656(SP)
	MOVQ  scratch+96(FP), AX
	MOVQ  AX, 648(SP)
	MOVQ  ldP+24(FP), R9
	SHLQ  $2, R9
	MOVQ  ldAcc+8(FP), R11
	SHLQ  $2, R11
	MOVL  $0xcccc, AX
	KMOVW AX, K2
	CONSTANTS

	FILL(v+48(FP), stride+56(FP), size+80(FP))
	MOVQ    560(SP), BP
	LEAQ    (SP)(BP*1), BP
	MOVL    $16, AX
	MOVQ    552(SP), CX
	CMPQ    CX, AX
	CMOVQGT AX, CX
	XORL    AX, AX
	BTSL    CX, AX
	DECL    AX
	KMOVW   AX, K1
	XORL    AX, AX
	XORL    R14, R14

block:
	MOVQ size+80(FP), R13
	MOVQ 528(SP), R15
	LEAQ (SP)(R15*1), R15
	ASKBLOCK
	SCALES
	MOVQ acc+0(FP), DI
	LEAQ (DI)(R14*4), DI
	MOVQ 544(SP), SI
	MOVQ rows+32(FP), CX

rows:
	MOVQ     scratch+96(FP), BX
	CMPQ     BX, 648(SP)
	JNE      products
	ADDQ     $160, BX

products:
	MOVQ     SI, 568(SP)
	MOVQ     DI, 576(SP)
	MOVQ     CX, 584(SP)
	MOVQ     AX, 592(SP)
	MOVQ     R14, 600(SP)
	MOVQ     BP, 608(SP)
	LEAQ     (SI)(R9*1), R10
	CMPQ     CX, $2
	CMOVQLT  SI, R10
	LEAQ     (R10)(R9*1), R12
	CMPQ     CX, $3
	CMOVQLT  R10, R12
	LEAQ     (R12)(R9*1), DX
	CMPQ     CX, $4
	CMOVQLT  R12, DX
	VMULPS.Z (SI), Z30, K1, Z0
	VMULPS.Z (R10), Z30, K1, Z1
	VMULPS.Z (R12), Z30, K1, Z2
	VMULPS.Z (DX), Z30, K1, Z3

	// The largest magnitudes, as integers: NaN and Inf are above all others.
	VPANDD        Z29, Z0, Z4
	VPANDD        Z29, Z1, Z5
	VPANDD        Z29, Z2, Z6
	VPANDD        Z29, Z3, Z7
	VSHUFPS       $0x4e, Z5, Z4, Z8
	VBLENDMPS     Z5, Z4, K2, Z4
	VSHUFPS       $0x4e, Z7, Z6, Z9
	VBLENDMPS     Z7, Z6, K2, Z6
	VPMAXUD       Z8, Z4, Z4
	VPMAXUD       Z9, Z6, Z6
	VSHUFPS       $0x88, Z6, Z4, Z8
	VSHUFPS       $0xdd, Z6, Z4, Z9
	VPMAXUD       Z8, Z9, Z4
	VEXTRACTI64X4 $1, Z4, Y5
	VPMAXUD       Y5, Y4, Y4
	VEXTRACTI128  $1, Y4, X5
	VPMAXUD       X5, X4, X4
	VPCMPUD       $5, X28, X4, K3 // X4 >= Inf
	KMOVW         K3, R8
	ANDL          $15, R8
	JNE           special

weights:
	VDIVPS      X4, X27, X5
	VMINPS      X26, X5, X5 // where all are 0 or next to it
	VDIVPS      X5, X25, X6
	VMOVUPS     X5, 144(BX)
	VMOVUPS     X6, 128(BX)
	VMULPS.BCST 144(BX), Z0, Z0
	VMULPS.BCST 148(BX), Z1, Z1
	VMULPS.BCST 152(BX), Z2, Z2
	VMULPS.BCST 156(BX), Z3, Z3
	VCVTPS2DQ   Z0, Z0
	VCVTPS2DQ   Z1, Z1
	VCVTPS2DQ   Z2, Z2
	VCVTPS2DQ   Z3, Z3
	VPACKSSDW   Z1, Z0, Z0
	VPACKSSDW   Z3, Z2, Z2
	VMOVDQU64   Z0, (BX)
	VMOVDQU64   Z2, 64(BX)

sums:
	MOVQ 616(SP), DI
	MOVQ 624(SP), CX
	MOVQ 632(SP), AX
	MOVQ 640(SP), BP
	MOVQ 648(SP), BX
	CMPQ CX, $2
	JLT  oneOrNone
	JEQ  two
	CMPQ CX, $4
	JLT  three

four:
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	VPXORD Z20, Z20, Z20
	VPXORD Z21, Z21, Z21
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23
	PAIR(0)
	FOUR(0)
	PAIR(16)
	FOUR(4)
	PAIR(32)
	FOUR(16)
	PAIR(48)
	FOUR(20)
	PAIR(64)
	FOUR(32)
	PAIR(80)
	FOUR(36)
	PAIR(96)
	FOUR(48)
	PAIR(112)
	FOUR(52)
	LEAQ (DI)(R11*1), R8
	LEAQ (DI)(R11*2), R10
	LEAQ (R8)(R11*2), R12
	PUT(DI, 128, Y17, Z16, Z17)
	PUT(R8, 132, Y19, Z18, Z19)
	PUT(R10, 136, Y21, Z20, Z21)
	PUT(R12, 140, Y23, Z22, Z23)
	JMP  next

three:
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	VPXORD Z20, Z20, Z20
	VPXORD Z21, Z21, Z21
	PAIR(0)
	THREE(0)
	PAIR(16)
	THREE(4)
	PAIR(32)
	THREE(16)
	PAIR(48)
	THREE(20)
	PAIR(64)
	THREE(32)
	PAIR(80)
	THREE(36)
	PAIR(96)
	THREE(48)
	PAIR(112)
	THREE(52)
	LEAQ (DI)(R11*1), R8
	LEAQ (DI)(R11*2), R10
	PUT(DI, 128, Y17, Z16, Z17)
	PUT(R8, 132, Y19, Z18, Z19)
	PUT(R10, 136, Y21, Z20, Z21)
	JMP  next

two:
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	PAIR(0)
	TWO(0)
	PAIR(16)
	TWO(4)
	PAIR(32)
	TWO(16)
	PAIR(48)
	TWO(20)
	PAIR(64)
	TWO(32)
	PAIR(80)
	TWO(36)
	PAIR(96)
	TWO(48)
	PAIR(112)
	TWO(52)
	LEAQ (DI)(R11*1), R8
	PUT(DI, 128, Y17, Z16, Z17)
	PUT(R8, 132, Y19, Z18, Z19)
	JMP  next

oneOrNone:
	TESTQ CX, CX
	JEQ   next
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	PAIR(0)
	ONE(0)
	PAIR(16)
	ONE(4)
	PAIR(32)
	ONE(16)
	PAIR(48)
	ONE(20)
	PAIR(64)
	ONE(32)
	PAIR(80)
	ONE(36)
	PAIR(96)
	ONE(48)
	PAIR(112)
	ONE(52)
	PUT(DI, 128, Y17, Z16, Z17)

	// What was prepared comes to be summed, and what follows it to be prepared.
next:
	CMPQ 656(SP), $0
	JEQ  done
	MOVQ scratch+96(FP), BX
	CMPQ BX, 648(SP)
	JNE  swapped
	ADDQ $160, BX

swapped:
	MOVQ BX, 648(SP)
	MOVQ 568(SP), SI
	MOVQ 576(SP), DI
	MOVQ 584(SP), CX
	MOVQ 592(SP), AX
	MOVQ 600(SP), R14
	MOVQ 608(SP), BP
	MOVQ DI, 616(SP)
	MOVQ CX, 624(SP)
	MOVQ AX, 632(SP)
	MOVQ BP, 640(SP)
	LEAQ (SI)(R9*4), SI
	LEAQ (DI)(R11*4), DI
	SUBQ $4, CX
	JGT  rows
	ADDQ $32, R14
	ADDQ $BLOCK, AX
	CMPQ AX, size+80(FP)
	JLT  block
	ADDQ $64, 544(SP)
	MOVQ 560(SP), AX
	ADDQ $128, AX
	ANDQ $511, AX
	MOVQ AX, 560(SP)
	SUBQ $16, 552(SP)
	JGT  fill
	MOVQ $0, 656(SP)
	JMP  sums

done:
	VZEROUPPER
	RET

	// Rows whose bits are set in R8: SI is &p[row][tile], R10 &acc[row][channel], R12 the
	// token, R13 the row.
special:
	MOVQ      scratch+96(FP), R15
	VMOVUPS   Z30, 320(R15)
	KNOTW     K3, K3
	VMOVAPS.Z X4, K3, X4
	MOVQ      DI, R10
	XORL      R13, R13

specialRow:
	BTL     R13, R8
	JCC     specialNext
	VMOVUPS (R10), Z10
	VMOVUPS 64(R10), Z11
	XORL    R12, R12

specialToken:
	MOVQ         (BP)(R12*8), DX
	VALUES
	VCVTDQ2PS    Z5, Z5
	VCVTDQ2PS    Z6, Z6
	VMULPS.BCST  320(R15)(R12*4), Z5, Z5
	VMULPS.BCST  320(R15)(R12*4), Z6, Z6
	VBROADCASTSS (SI)(R12*4), Z7
	VFMADD231PS  Z5, Z7, Z10
	VFMADD231PS  Z6, Z7, Z11
	INCQ         R12
	CMPQ         R12, 552(SP)
	JGE          specialStore
	CMPQ         R12, $16
	JNE          specialToken

specialStore:
	VMOVUPS Z10, (R10)
	VMOVUPS Z11, 64(R10)

specialNext:
	ADDQ R9, SI
	ADDQ R11, R10
	INCQ R13
	CMPQ R13, $4
	JEQ  specialDone
	CMPQ R13, CX
	JNE  specialRow

	// Their weights are 0 from here on.
specialDone:
	ZEROIF(1, Z0)
	ZEROIF(2, Z1)
	ZEROIF(4, Z2)
	ZEROIF(8, Z3)
	JMP  weights
