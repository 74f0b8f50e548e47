// Asks for a part of the tile to come, if there is one, with each block. Where its rows
// lie side by side, that is a block of each. Otherwise the first block asks for the first
// line of each row, others for one more, as long as a line's length is left, and the last
// for the end: to ask again for a line that is on its way is slow on Zen 4. Registers
// are those of quant_avx512_amd64.h.

	CMPQ   R15, BP
	JEQ    asked
	MOVQ   120(R15), DX
	SUBQ   (R15), DX
	IMUL3Q $15, R13, R8
	CMPQ   DX, R8
	JNE    apart
	MOVQ   AX, DX
	SHLQ   $4, DX
	ADDQ   (R15), DX
	ASKBLOCKS
	JMP    asked

apart:
	LEAQ  BLOCK(AX), R8
	LEAQ  -1(R13), DX
	CMPQ  R8, R13
	JEQ   lines
	LEAQ  (R14)(R14*1), DX
	LEAQ  64(DX), R8
	CMPQ  R8, R13
	JLT   lines
	TESTQ DX, DX
	JNE   asked

lines:
	ASK16

asked:
