// The frame of the dot kernels: goes over the cells, 4 tokens at a time, and over
// the rows in blocks of 3, 2 and 1. Whoever includes it defines BLOCK3, BLOCK2 and
// BLOCK1, which leave the logits of the 4 tokens in X0, X4 and X8.
//
// Registers:
//	R12-R15  ends of the rows of 4 tokens
//	DX       offset into them, from -size to 0
//	BX       &q[row]           R10  bytes per q row
//	R9       &dst[row][token]  R8   bytes per dst row
//	CX       tokens left       R11  rows left
//	AX, SI   for the blocks
//
// The first cell and &dst[0][token] are kept in their arguments.

#ifndef ROW
// ROW makes the index of a cell, in reg, an address relative to from.
#define ROW(reg, stride, from) \
	IMULQ stride, reg \
	ADDQ  from, reg

// PART stores the logits of CX < 4 tokens; AX is CX/2.
#define PART(x) \
	VMOVSS     x, (R9)             \
	VEXTRACTPS $1, x, (R9)(AX*4)   \
	VEXTRACTPS $2, x, -4(R9)(CX*4) \
	ADDQ       R8, R9
#endif

	MOVQ ldDst+8(FP), R8
	MOVQ ldQ+32(FP), R10
	MOVQ n+72(FP), CX
	SHLQ $2, R8
	SHLQ $2, R10

quad:
	MOVQ    cells+64(FP), SI
	CMPQ    CX, $4
	JLT     few
	MOVLQSX (SI), R12
	MOVLQSX 4(SI), R13
	MOVLQSX 8(SI), R14
	MOVLQSX 12(SI), R15

quadRows:
	MOVQ stride+56(FP), DX
	MOVQ base+48(FP), AX
	ADDQ size+40(FP), AX
	ROW(R12, DX, AX)
	ROW(R13, DX, AX)
	ROW(R14, DX, AX)
	ROW(R15, DX, AX)

	// Prefetch 4 rows, at the distance.
	MOVQ    ahead+80(FP), AX
	LEAQ    4(AX), BX
	CMPQ    CX, BX
	JLT     start
	LEAQ    (SI)(AX*4), SI
	MOVLQSX (SI), R9
	MOVLQSX 4(SI), R11
	MOVLQSX 8(SI), BX
	MOVLQSX 12(SI), SI
	MOVQ    base+48(FP), AX
	ROW(R9, DX, AX)
	ROW(R11, DX, AX)
	ROW(BX, DX, AX)
	ROW(SI, DX, AX)
	XORL    DX, DX

fetch:
	PREFETCHT1 (R9)(DX*1)
	PREFETCHT1 (R11)(DX*1)
	PREFETCHT1 (BX)(DX*1)
	PREFETCHT1 (SI)(DX*1)
	ADDQ       $64, DX
	CMPQ       DX, size+40(FP)
	JLT        fetch

	// Rows need not begin with a line: that of the last byte.
	MOVQ       size+40(FP), DX
	PREFETCHT1 -1(R9)(DX*1)
	PREFETCHT1 -1(R11)(DX*1)
	PREFETCHT1 -1(BX)(DX*1)
	PREFETCHT1 -1(SI)(DX*1)

start:
	MOVQ q+16(FP), BX
	MOVQ rows+24(FP), R11
	MOVQ dst+0(FP), R9

rows:
	MOVQ  size+40(FP), DX
	NEGQ  DX
	CMPQ  R11, $4 // 2+2 reuses a converted K better than 3+1
	JEQ   two
	CMPQ  R11, $2
	JGT   three
	JEQ   two
	TESTQ R11, R11
	JNE   one
	ADDQ  $16, cells+64(FP)
	ADDQ  $16, dst+0(FP)
	SUBQ  $4, CX
	JGT   quad
	VZEROUPPER
	RET

three:
	BLOCK3
	LEAQ    (BX)(R10*2), BX
	ADDQ    R10, BX
	SUBQ    $3, R11
	CMPQ    CX, $4
	JLT     part3
	VMOVUPS X0, (R9)
	VMOVUPS X4, (R9)(R8*1)
	VMOVUPS X8, (R9)(R8*2)
	LEAQ    (R9)(R8*2), R9
	ADDQ    R8, R9
	JMP     rows

two:
	BLOCK2
	LEAQ    (BX)(R10*2), BX
	SUBQ    $2, R11
	CMPQ    CX, $4
	JLT     part2
	VMOVUPS X0, (R9)
	VMOVUPS X4, (R9)(R8*1)
	LEAQ    (R9)(R8*2), R9
	JMP     rows

one:
	BLOCK1
	ADDQ    R10, BX
	DECQ    R11
	CMPQ    CX, $4
	JLT     part1
	VMOVUPS X0, (R9)
	ADDQ    R8, R9
	JMP     rows

	// The last 1 to 3 tokens: the last one takes the missing places, so that they
	// are summed like any others.
few:
	MOVQ    CX, AX
	SHRQ    $1, AX
	MOVLQSX (SI), R12
	MOVLQSX (SI)(AX*4), R13
	MOVLQSX -4(SI)(CX*4), R14
	MOVQ    R14, R15
	JMP     quadRows

part3:
	MOVQ CX, AX
	SHRQ $1, AX
	PART(X0)
	PART(X4)
	PART(X8)
	JMP  rows

part2:
	MOVQ CX, AX
	SHRQ $1, AX
	PART(X0)
	PART(X4)
	JMP  rows

part1:
	MOVQ CX, AX
	SHRQ $1, AX
	PART(X0)
	JMP  rows
