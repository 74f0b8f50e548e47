// The body of dotF32AVX512, dotF16AVX512 and dotBF16AVX512, which differ in LOAD,
// that converts 16 or 8 channels to float32, in the address of the i-th 16
// channels after p, AT, and of channel AX of the token at p, HERE, in the bytes of 64
// channels, SIZE64, and in ASK64, that asks for those of a token to come from memory.
//
//	R8-R11           k, tokens          AX  channel
//	BX, SI, R12, R13 q, rows            BP  d without the last d%64 channels
//	CX   offset of the block's pointers DI  that of the next block
//	R14  that of the tokens to ask for  R15 scratch
//	DX   tokens left                    K1  tokens to store
//	                                    K2  lanes 2 and 3 of each 4
//
// Blocks are 4 tokens by 4, 3, 2 or 1 rows, with accumulators from Z0 on. Channels
// beyond a multiple of 64 come first. Then Z20-Z23 hold 64 channels of a token.
// While these are multiplied, those of the next token are converted, or at the end
// those that the next block begins with: they would have to wait for the sums otherwise.
//
// Zen 4 fetches lines beyond a row if one load instruction meets several lines of it, or
// several tokens at a time are followed line by line, which halves the bandwidth
// where rows lie apart. That is why steps of 64 channels are unrolled and take one token
// after another.
//
// A short block repeats its last token, so that every token is summed in the same
// order.
//
// The frame: the ring, &dst[token], rows left, &dst[row][token], offset of the
// tokens to ask for.

	MOVQ  dst+0(FP), AX
	MOVQ  AX, 544(SP)
	MOVQ  d+32(FP), BP
	MOVQ  n+64(FP), DX
	ANDQ  $-64, BP
	MOVL  $0xcccc, AX
	KMOVW AX, K2
	MOVQ  $-32, CX
	XORL  DI, DI

#include "tile_avx512_amd64.h"
	TESTQ CX, CX
	JGE   block

	// The first time.
	TAKE(DI)
	TESTQ BP, BP
	JEQ   block
	LOAD(AT(R8, 0), Z20)
	LOAD(AT(R8, 1), Z21)
	LOAD(AT(R8, 2), Z22)
	LOAD(AT(R8, 3), Z23)

block:
	MOVQ    DI, CX
	ADDQ    $32, DI
	ANDQ    $511, DI
	MOVL    $4, BX
	CMPQ    DX, BX
	CMOVQLE CX, DI          // the last block will do for its next
	CMOVQLT DX, BX
	XORL    AX, AX
	BTSL    BX, AX
	DECL    AX
	KMOVW   AX, K1
	MOVQ    CX, R14
	ANDQ    $127, R14
	ADDQ    528(SP), R14
	MOVQ    R14, 568(SP)
	MOVQ    q+16(FP), BX
	MOVQ    rows+24(FP), AX
	MOVQ    AX, 552(SP)
	MOVQ    544(SP), AX
	MOVQ    AX, 560(SP)

rows:
	MOVQ d+32(FP), AX
	LEAQ (BX)(AX*4), SI
	LEAQ (BX)(AX*8), R12
	LEAQ (SI)(AX*8), R13
	MOVQ 568(SP), R14
	MOVQ BP, AX
	MOVQ 552(SP), R15
	CMPQ R15, $2
	JLT  one
	JEQ  two
	CMPQ R15, $4
	JEQ  four
	CMPQ R15, $6         // 3+2 converts less per row than 4+1
	JLT  three

four:
	ZERO4(X0, X1, X2, X3)
	ZERO4(X4, X5, X6, X7)
	ZERO4(X8, X9, X10, X11)
	ZERO4(X12, X13, X14, X15)
	CMPQ AX, d+32(FP)
	JEQ  fourEven
	JMP  fourRest

four16:
	ASK16
	LOAD(HERE(R8), Z28)
	MUL4(Z0, Z4, Z8, Z12)
	LOAD(HERE(R9), Z28)
	MUL4(Z1, Z5, Z9, Z13)
	LOAD(HERE(R10), Z28)
	MUL4(Z2, Z6, Z10, Z14)
	LOAD(HERE(R11), Z28)
	MUL4(Z3, Z7, Z11, Z15)
	ADDQ $16, AX

fourRest:
	LEAQ    16(AX), R15
	CMPQ    R15, d+32(FP)
	JLE     four16
	CMPQ    AX, d+32(FP)
	JEQ     fourEven
	ASK16
	VMOVUPS (BX)(AX*4), Y16
	VMOVUPS (SI)(AX*4), Y17
	VMOVUPS (R12)(AX*4), Y18
	VMOVUPS (R13)(AX*4), Y19
	LOAD(HERE(R8), Y28)
	MULQ4(Z0, Z4, Z8, Z12)
	LOAD(HERE(R9), Y28)
	MULQ4(Z1, Z5, Z9, Z13)
	LOAD(HERE(R10), Y28)
	MULQ4(Z2, Z6, Z10, Z14)
	LOAD(HERE(R11), Y28)
	MULQ4(Z3, Z7, Z11, Z15)

fourEven:
	XORL  AX, AX
	TESTQ BP, BP
	JEQ   fourForward

four64:
	QUERY(BX, Z28, Z29, Z30, Z31)
	QUERY(SI, Z16, Z17, Z18, Z19)
	QUERY(R12, Z24, Z25, Z26, Z27)
	ASK64(0)
	FOUR(R9, Z0, Z4, Z8, Z12)
	ASK64(8)
	FOUR(R10, Z1, Z5, Z9, Z13)
	ASK64(16)
	FOUR(R11, Z2, Z6, Z10, Z14)
	ASK64(24)
	ONWARD
	LEAQ    64(AX), R15
	CMPQ    R15, BP
	JLT     fourLast

fourForward:
	MOVQ    CX, R15
	CMPQ    552(SP), $4
	CMOVQEQ DI, R15
	TAKE(R15)
	TESTQ   BP, BP
	JEQ     fourSum
	CMPQ    end+88(FP), $0
	JEQ     fourLast
	ASKENDS

fourLast:
	FOUR(R8, Z3, Z7, Z11, Z15)
	ADDQ $64, AX
	CMPQ AX, BP
	JLT  four64

fourSum:
	SUM4(Z0, Z1, Z2, Z3)
	SUM4(Z4, Z5, Z6, Z7)
	SUM4(Z8, Z9, Z10, Z11)
	SUM4(Z12, Z13, Z14, Z15)
	FOLD4(Z0, Z4, Z8, Z12)
	MOVQ          ldDst+8(FP), SI
	MOVQ          560(SP), R15
	LEAQ          (SI)(SI*2), R12
	VEXTRACTF32X4 $1, Z0, X1
	VEXTRACTF32X4 $2, Z0, X2
	VEXTRACTF32X4 $3, Z0, X3
	VMOVUPS       X0, K1, (R15)
	VMOVUPS       X1, K1, (R15)(SI*4)
	VMOVUPS       X2, K1, (R15)(SI*8)
	VMOVUPS       X3, K1, (R15)(R12*4)
	SHLQ          $4, SI
	ADDQ          SI, 560(SP)
	MOVQ          d+32(FP), AX
	LEAQ          (R13)(AX*4), BX
	MOVQ          CX, 568(SP)          // what the first rows have asked for suffices
	SUBQ          $4, 552(SP)
	JNE           rows
	JMP           next

three:
	ZERO4(X0, X1, X2, X3)
	ZERO4(X4, X5, X6, X7)
	ZERO4(X8, X9, X10, X11)
	CMPQ AX, d+32(FP)
	JEQ  threeEven
	JMP  threeRest

three16:
	ASK16
	LOAD(HERE(R8), Z28)
	MUL3(Z0, Z4, Z8)
	LOAD(HERE(R9), Z28)
	MUL3(Z1, Z5, Z9)
	LOAD(HERE(R10), Z28)
	MUL3(Z2, Z6, Z10)
	LOAD(HERE(R11), Z28)
	MUL3(Z3, Z7, Z11)
	ADDQ $16, AX

threeRest:
	LEAQ    16(AX), R15
	CMPQ    R15, d+32(FP)
	JLE     three16
	CMPQ    AX, d+32(FP)
	JEQ     threeEven
	ASK16
	VMOVUPS (BX)(AX*4), Y16
	VMOVUPS (SI)(AX*4), Y17
	VMOVUPS (R12)(AX*4), Y18
	LOAD(HERE(R8), Y28)
	MULQ3(Z0, Z4, Z8)
	LOAD(HERE(R9), Y28)
	MULQ3(Z1, Z5, Z9)
	LOAD(HERE(R10), Y28)
	MULQ3(Z2, Z6, Z10)
	LOAD(HERE(R11), Y28)
	MULQ3(Z3, Z7, Z11)

threeEven:
	XORL  AX, AX
	TESTQ BP, BP
	JEQ   threeForward

three64:
	QUERY(BX, Z28, Z29, Z30, Z31)
	QUERY(SI, Z16, Z17, Z18, Z19)
	QUERY(R12, Z24, Z25, Z26, Z27)
	ASK64(0)
	THREE(R9, Z0, Z4, Z8)
	ASK64(8)
	THREE(R10, Z1, Z5, Z9)
	ASK64(16)
	THREE(R11, Z2, Z6, Z10)
	ASK64(24)
	ONWARD
	LEAQ    64(AX), R15
	CMPQ    R15, BP
	JLT     threeLast

threeForward:
	MOVQ    CX, R15
	CMPQ    552(SP), $3
	CMOVQEQ DI, R15
	TAKE(R15)
	TESTQ   BP, BP
	JEQ     threeSum
	CMPQ    end+88(FP), $0
	JEQ     threeLast
	ASKENDS

threeLast:
	THREE(R8, Z3, Z7, Z11)
	ADDQ $64, AX
	CMPQ AX, BP
	JLT  three64

threeSum:
	SUM4(Z0, Z1, Z2, Z3)
	SUM4(Z4, Z5, Z6, Z7)
	SUM4(Z8, Z9, Z10, Z11)
	FOLD4(Z0, Z4, Z8, Z8)
	MOVQ          ldDst+8(FP), SI
	MOVQ          560(SP), R15
	VEXTRACTF32X4 $1, Z0, X1
	VEXTRACTF32X4 $2, Z0, X2
	VMOVUPS       X0, K1, (R15)
	VMOVUPS       X1, K1, (R15)(SI*4)
	VMOVUPS       X2, K1, (R15)(SI*8)
	LEAQ          (SI)(SI*2), SI
	SHLQ          $2, SI
	ADDQ          SI, 560(SP)
	MOVQ          R13, BX
	MOVQ          CX, 568(SP)
	SUBQ          $3, 552(SP)
	JNE           rows
	JMP           next

two:
	ZERO4(X0, X1, X2, X3)
	ZERO4(X4, X5, X6, X7)
	CMPQ AX, d+32(FP)
	JEQ  twoEven
	JMP  twoRest

two16:
	ASK16
	LOAD(HERE(R8), Z28)
	MUL2(Z0, Z4)
	LOAD(HERE(R9), Z28)
	MUL2(Z1, Z5)
	LOAD(HERE(R10), Z28)
	MUL2(Z2, Z6)
	LOAD(HERE(R11), Z28)
	MUL2(Z3, Z7)
	ADDQ $16, AX

twoRest:
	LEAQ    16(AX), R15
	CMPQ    R15, d+32(FP)
	JLE     two16
	CMPQ    AX, d+32(FP)
	JEQ     twoEven
	ASK16
	VMOVUPS (BX)(AX*4), Y16
	VMOVUPS (SI)(AX*4), Y17
	LOAD(HERE(R8), Y28)
	MULQ2(Z0, Z4)
	LOAD(HERE(R9), Y28)
	MULQ2(Z1, Z5)
	LOAD(HERE(R10), Y28)
	MULQ2(Z2, Z6)
	LOAD(HERE(R11), Y28)
	MULQ2(Z3, Z7)

twoEven:
	XORL  AX, AX
	TESTQ BP, BP
	JEQ   twoForward

two64:
	QUERY(BX, Z28, Z29, Z30, Z31)
	QUERY(SI, Z16, Z17, Z18, Z19)
	ASK64(0)
	TWO(R9, Z0, Z4)
	ASK64(8)
	TWO(R10, Z1, Z5)
	ASK64(16)
	TWO(R11, Z2, Z6)
	ASK64(24)
	ONWARD
	LEAQ    64(AX), R15
	CMPQ    R15, BP
	JLT     twoLast

twoForward:
	TAKE(DI)             // two rows or one are always the last
	TESTQ BP, BP
	JEQ   twoSum
	CMPQ  end+88(FP), $0
	JEQ   twoLast
	ASKENDS

twoLast:
	TWO(R8, Z3, Z7)
	ADDQ $64, AX
	CMPQ AX, BP
	JLT  two64

twoSum:
	SUM4(Z0, Z1, Z2, Z3)
	SUM4(Z4, Z5, Z6, Z7)
	FOLD2(Z0, Z4)
	MOVQ          ldDst+8(FP), SI
	MOVQ          560(SP), R15
	VEXTRACTF32X4 $1, Y0, X1
	VMOVUPS       X0, K1, (R15)
	VMOVUPS       X1, K1, (R15)(SI*4)
	JMP           next

one:
	ZERO4(X0, X1, X2, X3)
	CMPQ AX, d+32(FP)
	JEQ  oneEven
	JMP  oneRest

one16:
	ASK16
	LOAD(HERE(R8), Z28)
	MUL1(Z0)
	LOAD(HERE(R9), Z28)
	MUL1(Z1)
	LOAD(HERE(R10), Z28)
	MUL1(Z2)
	LOAD(HERE(R11), Z28)
	MUL1(Z3)
	ADDQ $16, AX

oneRest:
	LEAQ    16(AX), R15
	CMPQ    R15, d+32(FP)
	JLE     one16
	CMPQ    AX, d+32(FP)
	JEQ     oneEven
	ASK16
	VMOVUPS (BX)(AX*4), Y16
	LOAD(HERE(R8), Y28)
	MULQ1(Z0)
	LOAD(HERE(R9), Y28)
	MULQ1(Z1)
	LOAD(HERE(R10), Y28)
	MULQ1(Z2)
	LOAD(HERE(R11), Y28)
	MULQ1(Z3)

oneEven:
	XORL  AX, AX
	TESTQ BP, BP
	JEQ   oneForward

one64:
	QUERY(BX, Z28, Z29, Z30, Z31)
	ASK64(0)
	ONE(R9, Z0)
	ASK64(8)
	ONE(R10, Z1)
	ASK64(16)
	ONE(R11, Z2)
	ASK64(24)
	ONWARD
	LEAQ    64(AX), R15
	CMPQ    R15, BP
	JLT     oneLast

oneForward:
	TAKE(DI)             // two rows or one are always the last
	TESTQ BP, BP
	JEQ   oneSum
	CMPQ  end+88(FP), $0
	JEQ   oneLast
	ASKENDS

oneLast:
	ONE(R8, Z3)
	ADDQ $64, AX
	CMPQ AX, BP
	JLT  one64

oneSum:
	SUM4(Z0, Z1, Z2, Z3)
	VEXTRACTF64X4 $1, Z0, Y1
	VADDPS        Y1, Y0, Y0
	VEXTRACTF128  $1, Y0, X1
	VADDPS        X1, X0, X0
	MOVQ          560(SP), R15
	VMOVUPS       X0, K1, (R15)

next:
	ADDQ  $16, 544(SP)
	SUBQ  $4, DX
	JLE   done
	TESTQ $127, DI
	JNE   block
	JMP   fill

done:
	VZEROUPPER
	RET
