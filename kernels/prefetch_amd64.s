//go:build !noasm

#include "textflag.h"

// func prefetchT1(k unsafe.Pointer, stride uintptr, bytes, n int)
TEXT ·prefetchT1(SB), NOSPLIT, $0-32
	MOVQ k+0(FP), SI
	MOVQ stride+8(FP), R12
	MOVQ bytes+16(FP), R10
	MOVQ n+24(FP), CX

fetchRow:
	MOVQ SI, AX
	MOVQ R10, DX

fetchLine:
	PREFETCHT1 (AX)
	ADDQ       $64, AX
	SUBQ       $64, DX
	JGT        fetchLine
	ADDQ       R12, SI
	DECQ       CX
	JNE        fetchRow
	RET
