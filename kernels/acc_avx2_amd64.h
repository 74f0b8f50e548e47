// The body of the acc kernels: tiles of 16 tokens, over which a block of 32 or 8
// channels by 3, 2 or 1 rows stays in registers. Whoever includes it defines
//	LOAD0 to LOAD3  load 8 channels each, at (AX)(BX*1), into Y15
//	WEIGHTS1 to WEIGHTS3, FMA1 to FMA3
//	FETCHLINES      prefetches 32 channels at (AX)(BX*1)
//	STEP32, STEP8   bytes of 32 and 8 channels; STEP8 only if there may be rests of 8
//
// Registers:
//	DI   &acc[row]            R13  &acc[row][channel]
//	R8   bytes per acc row    R9   bytes per p row
//	SI   &p[row][tile]        DX   &p[row][token]
//	BX   offset of channel    AX   row of a token
//	R12  end of the tile's addresses
//	R15  end of the addresses of a tile to prefetch, or R12
//	CX   minus tokens left    R14  minus tokens of the tile
//	R10  channels left        R11  rows left
//
// Addresses of rows are in a ring of 4 tiles, so the first block of rows can
// prefetch the third tile from here, line by line: prefetches that come thick and
// fast are dropped. &p[0][tile], the next cell for the ring and the number of tokens left
// are kept in their arguments.

#ifndef FETCH
// FETCH and STORE move a block of 32 channels of the first row; FETCHX and STOREX
// that of the row at idx.
#define FETCH(a, b, c, e) \
	VMOVUPS (R13), a   \
	VMOVUPS 32(R13), b \
	VMOVUPS 64(R13), c \
	VMOVUPS 96(R13), e

#define FETCHX(idx, a, b, c, e) \
	VMOVUPS (R13)(idx), a   \
	VMOVUPS 32(R13)(idx), b \
	VMOVUPS 64(R13)(idx), c \
	VMOVUPS 96(R13)(idx), e

#define STORE(a, b, c, e) \
	VMOVUPS a, (R13)   \
	VMOVUPS b, 32(R13) \
	VMOVUPS c, 64(R13) \
	VMOVUPS e, 96(R13)

#define STOREX(idx, a, b, c, e) \
	VMOVUPS a, (R13)(idx)   \
	VMOVUPS b, 32(R13)(idx) \
	VMOVUPS c, 64(R13)(idx) \
	VMOVUPS e, 96(R13)(idx)

// START_ROWS begins a block of rows, START_BLOCK one of channels, TOKEN a token.
#define START_ROWS \
	MOVQ DI, R13       \
	XORL BX, BX        \
	MOVQ d+40(FP), R10

#define START_BLOCK \
	MOVQ SI, DX  \
	MOVQ R14, CX

#define TOKEN \
	MOVQ (R15)(CX*8), AX \
	FETCHLINES           \
	MOVQ (R12)(CX*8), AX

// FILL writes the addresses of CX cells from DI on to the ring at R12, and leaves
// the last one in AX.
#define FILL(loop) \
loop:                                                                \
	MOVLQSX    (DI), AX                                              \
	IMULQ      DX, AX                                                \
	ADDQ       BX, AX                                                \
	MOVQ       AX, (R12)                                             \
	PREFETCHT1 -1(AX)(R10*1) \ // TOKEN does the other lines
	ADDQ       $4, DI                                                \
	ADDQ       $8, R12                                               \
	DECQ       CX                                                    \
	JNE        loop                                                  \
	MOVQ       DI, cells+64(FP)
#endif

	MOVQ ldAcc+8(FP), R8
	MOVQ ldP+24(FP), R9
	SHLQ $2, R8
	SHLQ $2, R9

	// The first three tiles.
	MOVQ size+80(FP), R10
	MOVQ stride+56(FP), DX
	MOVQ base+48(FP), BX
	MOVQ cells+64(FP), DI
	MOVQ n+72(FP), CX
	CMPQ CX, $48
	JLE  first
	MOVL $48, CX

first:
	LEAQ ring-512(SP), R12
	MOVQ $0, at-520(SP)
	FILL(fill48)

tile:
	MOVQ at-520(SP), AX
	LEAQ ring-512(SP), R13
	ADDQ AX, R13             // addresses of this tile
	MOVQ n+72(FP), R14
	CMPQ R14, $48
	JLE  rest

	// The third tile from here; the last token fills the places that are left.
	LEAQ 384(AX), R12
	ANDQ $511, R12
	LEAQ ring-512(SP)(R12*1), R12
	MOVQ size+80(FP), R10
	MOVQ stride+56(FP), DX
	MOVQ base+48(FP), BX
	MOVQ cells+64(FP), DI
	LEAQ -48(R14), CX
	CMPQ CX, $16
	JLE  next
	MOVL $16, CX

next:
	LEAQ 128(R12), R15
	FILL(fill16)

pad:
	CMPQ R12, R15
	JEQ  padded
	MOVQ AX, (R12)
	ADDQ $8, R12
	JMP  pad

padded:
	MOVQ $-16, R14
	LEAQ 128(R13), R12
	JMP  start

rest:
	CMPQ R14, $16
	JLE  last
	MOVL $16, R14

last:
	LEAQ (R13)(R14*8), R12
	NEGQ R14
	MOVQ R12, R15

start:
	MOVQ acc+0(FP), DI
	MOVQ p+16(FP), SI
	MOVQ rows+32(FP), R11

	JMP  rows

again:
	MOVQ R12, R15 // prefetching what is in use costs little

rows:
	CMPQ  R11, $4 // 2+2 reuses a converted V better than 3+1
	JEQ   two
	CMPQ  R11, $2
	JGT   three
	JEQ   two
	TESTQ R11, R11
	JNE   one
	ADDQ  $64, p+16(FP)
	MOVQ  at-520(SP), AX
	ADDQ  $128, AX
	ANDQ  $511, AX
	MOVQ  AX, at-520(SP)
	SUBQ  $16, n+72(FP)
	JGT   tile
	VZEROUPPER
	RET

three:
	START_ROWS

three32:
	SUBQ $32, R10
	JLT  three8Rest
	FETCH(Y0, Y1, Y2, Y3)
	FETCHX(R8*1, Y4, Y5, Y6, Y7)
	FETCHX(R8*2, Y8, Y9, Y10, Y11)
	START_BLOCK

three32Loop:
	TOKEN
	WEIGHTS3
	FMA3(LOAD0, Y0, Y4, Y8)
	FMA3(LOAD1, Y1, Y5, Y9)
	FMA3(LOAD2, Y2, Y6, Y10)
	FMA3(LOAD3, Y3, Y7, Y11)
	ADDQ $4, DX
	INCQ CX
	JNE  three32Loop

	STORE(Y0, Y1, Y2, Y3)
	STOREX(R8*1, Y4, Y5, Y6, Y7)
	STOREX(R8*2, Y8, Y9, Y10, Y11)
	ADDQ $128, R13
	ADDQ $STEP32, BX
	JMP  three32

three8Rest:
#ifdef STEP8
	ADDQ $32, R10

three8:
	SUBQ    $8, R10
	JLT     threeDone
	VMOVUPS (R13), Y0
	VMOVUPS (R13)(R8*1), Y4
	VMOVUPS (R13)(R8*2), Y8
	START_BLOCK

three8Loop:
	TOKEN
	WEIGHTS3
	FMA3(LOAD0, Y0, Y4, Y8)
	ADDQ $4, DX
	INCQ CX
	JNE  three8Loop

	VMOVUPS Y0, (R13)
	VMOVUPS Y4, (R13)(R8*1)
	VMOVUPS Y8, (R13)(R8*2)
	ADDQ    $32, R13
	ADDQ    $STEP8, BX
	JMP     three8

threeDone:
#endif
	LEAQ (DI)(R8*2), DI
	ADDQ R8, DI
	LEAQ (SI)(R9*2), SI
	ADDQ R9, SI
	SUBQ $3, R11
	JMP  again

two:
	START_ROWS

two32:
	SUBQ $32, R10
	JLT  two8Rest
	FETCH(Y0, Y1, Y2, Y3)
	FETCHX(R8*1, Y4, Y5, Y6, Y7)
	START_BLOCK

two32Loop:
	TOKEN
	WEIGHTS2
	FMA2(LOAD0, Y0, Y4)
	FMA2(LOAD1, Y1, Y5)
	FMA2(LOAD2, Y2, Y6)
	FMA2(LOAD3, Y3, Y7)
	ADDQ $4, DX
	INCQ CX
	JNE  two32Loop

	STORE(Y0, Y1, Y2, Y3)
	STOREX(R8*1, Y4, Y5, Y6, Y7)
	ADDQ $128, R13
	ADDQ $STEP32, BX
	JMP  two32

two8Rest:
#ifdef STEP8
	ADDQ $32, R10

two8:
	SUBQ    $8, R10
	JLT     twoDone
	VMOVUPS (R13), Y0
	VMOVUPS (R13)(R8*1), Y4
	START_BLOCK

two8Loop:
	TOKEN
	WEIGHTS2
	FMA2(LOAD0, Y0, Y4)
	ADDQ $4, DX
	INCQ CX
	JNE  two8Loop

	VMOVUPS Y0, (R13)
	VMOVUPS Y4, (R13)(R8*1)
	ADDQ    $32, R13
	ADDQ    $STEP8, BX
	JMP     two8

twoDone:
#endif
	LEAQ (DI)(R8*2), DI
	LEAQ (SI)(R9*2), SI
	SUBQ $2, R11
	JMP  again

one:
	START_ROWS

one32:
	SUBQ $32, R10
	JLT  one8Rest
	FETCH(Y0, Y1, Y2, Y3)
	START_BLOCK

one32Loop:
	TOKEN
	WEIGHTS1
	FMA1(LOAD0, Y0)
	FMA1(LOAD1, Y1)
	FMA1(LOAD2, Y2)
	FMA1(LOAD3, Y3)
	ADDQ $4, DX
	INCQ CX
	JNE  one32Loop

	STORE(Y0, Y1, Y2, Y3)
	ADDQ $128, R13
	ADDQ $STEP32, BX
	JMP  one32

one8Rest:
#ifdef STEP8
	ADDQ $32, R10

one8:
	SUBQ    $8, R10
	JLT     oneDone
	VMOVUPS (R13), Y0
	START_BLOCK

one8Loop:
	TOKEN
	WEIGHTS1
	FMA1(LOAD0, Y0)
	ADDQ $4, DX
	INCQ CX
	JNE  one8Loop

	VMOVUPS Y0, (R13)
	ADDQ    $32, R13
	ADDQ    $STEP8, BX
	JMP     one8

oneDone:
#endif
	ADDQ R8, DI
	ADDQ R9, SI
	DECQ R11
	JMP  again
