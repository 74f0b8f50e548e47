// Tokens come in tiles of 16. A ring of 4 tiles of pointers is filled some tiles
// before their turn, so that their rows can be asked for from memory. The last
// tile repeats its last token.
//
// The including function jumps to fill before each tile but the first, and has to ask
// for the rows of the tile filled last. The code here fills one, or at the start as many as
// are wanted ahead and one more; it asks for all but the last itself. It uses AX, BX,
// SI and R12 to R15. CELLS, COUNT, AHEAD, NEXT, BASE, STRIDE and SIZE are arguments.
//
// The frame begins with the ring, then: its next cell, tokens left to fill, offset of the tile
// filled last, tiles to fill at once.

	MOVQ CELLS, AX
	MOVQ AX, 512(SP)
	MOVQ COUNT, AX
	MOVQ AX, 520(SP)
	MOVQ $-128, AX
	MOVQ AX, 528(SP)
	MOVQ AHEAD, AX
	MOVQ AX, 536(SP)

fill:
	MOVQ    520(SP), R14
	TESTQ   R14, R14
	JEQ     then

fillTile:
	MOVQ    512(SP), SI
	MOVQ    528(SP), R15
	ADDQ    $128, R15
	ANDQ    $511, R15
	MOVQ    R15, 528(SP)
	LEAQ    (SP)(R15*1), R15
	MOVL    $16, AX
	CMPQ    R14, AX
	CMOVQGT AX, R14
	LEAQ    (SI)(R14*4), AX
	MOVQ    AX, 512(SP)
	SUBQ    R14, 520(SP)
	MOVQ    BASE, R12
	MOVQ    STRIDE, R13
	XORL    BX, BX

pointer:
	MOVLQSX (SI)(BX*4), AX
	IMULQ   R13, AX
	ADDQ    R12, AX
	MOVQ    AX, (R15)(BX*8)
	INCQ    BX
	CMPQ    BX, R14
	JNE     pointer

repeat:
	CMPQ BX, $16
	JEQ  repeated
	MOVQ AX, (R15)(BX*8)
	INCQ BX
	JMP  repeat

repeated:
	DECQ 536(SP)
	JLT  filled
	MOVQ NEXT, AX
	CMPB aheadArgs_asked(AX), $0
	JNE  fill
	XORL BX, BX

first:
	MOVQ (R15)(BX*8), AX
	MOVQ SIZE, SI
	ADDQ AX, SI
	ANDQ $-64, AX

firstLine:
	PREFETCHT1 (AX)
	ADDQ       $64, AX
	CMPQ       AX, SI
	JB         firstLine
	INCQ       BX
	CMPQ       BX, R14
	JNE        first
	JMP        fill

	// Rows of the next list are only asked for.
then:
	MOVQ  NEXT, AX
	MOVQ  aheadArgs_n(AX), R14
	TESTQ R14, R14
	JEQ   filled
	MOVQ  R14, 520(SP)
	MOVQ  aheadArgs_cells(AX), BX
	MOVQ  BX, 512(SP)
	MOVQ  aheadArgs_base(AX), BX
	MOVQ  BX, BASE
	MOVQ  aheadArgs_stride(AX), BX
	MOVQ  BX, STRIDE
	MOVQ  $0, aheadArgs_n(AX)
	MOVB  $0, aheadArgs_asked(AX)
	JMP   fillTile

filled:
