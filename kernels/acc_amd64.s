//go:build !noasm

#include "textflag.h"

// Registers of accF16AVX2:
//	DI   &acc[row]            R13  &acc[row][channel]
//	R8   bytes per acc row    R9   bytes per p row
//	SI   &p[row]              DX   &p[row][token]
//	BX   v, channel           AX   v, channel and token
//	R12  stride               CX   tokens left
//	R10  channels left        R11  rows left
//	R14  prefetch distance, bytes

// FMA3 does 8 channels of three rows.
#define FMA3(mem, a, b, c) \
	VCVTPH2PS   mem, Y15    \
	VFMADD231PS Y15, Y12, a \
	VFMADD231PS Y15, Y13, b \
	VFMADD231PS Y15, Y14, c

#define FMA2(mem, a, b) \
	VCVTPH2PS   mem, Y15    \
	VFMADD231PS Y15, Y12, a \
	VFMADD231PS Y15, Y13, b

#define FMA1(mem, a) \
	VCVTPH2PS   mem, Y15    \
	VFMADD231PS Y15, Y12, a

// LOAD and STORE move a block of 32 channels of the first row; LOADX and STOREX
// that of the row at idx.
#define LOAD(a, b, c, e) \
	VMOVUPS (R13), a   \
	VMOVUPS 32(R13), b \
	VMOVUPS 64(R13), c \
	VMOVUPS 96(R13), e

#define LOADX(idx, a, b, c, e) \
	VMOVUPS 0(R13)(idx), a  \
	VMOVUPS 32(R13)(idx), b \
	VMOVUPS 64(R13)(idx), c \
	VMOVUPS 96(R13)(idx), e

#define STORE(a, b, c, e) \
	VMOVUPS a, (R13)   \
	VMOVUPS b, 32(R13) \
	VMOVUPS c, 64(R13) \
	VMOVUPS e, 96(R13)

#define STOREX(idx, a, b, c, e) \
	VMOVUPS a, 0(R13)(idx)  \
	VMOVUPS b, 32(R13)(idx) \
	VMOVUPS c, 64(R13)(idx) \
	VMOVUPS e, 96(R13)(idx)

// START_ROWS begins a block of rows, START_BLOCK one of channels.
#define START_ROWS \
	MOVQ DI, R13         \
	MOVQ v+48(FP), BX    \
	MOVQ d+40(FP), R10

#define START_BLOCK \
	MOVQ BX, AX          \
	MOVQ SI, DX          \
	MOVQ n+64(FP), CX

// func accF16AVX2(acc *float32, ldAcc int, p *float32, ldP int, rows, d int, v unsafe.Pointer, stride uintptr, n int, ahead uintptr)
TEXT ·accF16AVX2(SB), NOSPLIT, $0-80
	MOVQ acc+0(FP), DI
	MOVQ ldAcc+8(FP), R8
	MOVQ p+16(FP), SI
	MOVQ ldP+24(FP), R9
	MOVQ rows+32(FP), R11
	MOVQ stride+56(FP), R12
	MOVQ ahead+72(FP), R14
	SHLQ $2, R8
	SHLQ $2, R9

rows:
	CMPQ R11, $4 // 2+2 reuses a converted V better than 3+1
	JEQ  two
	CMPQ R11, $2
	JGT  three
	JEQ  two
	TESTQ R11, R11
	JNE  one
	VZEROUPPER
	RET

three:
	START_ROWS

three32:
	SUBQ $32, R10
	JLT  three8Rest
	LOAD(Y0, Y1, Y2, Y3)
	LOADX(R8*1, Y4, Y5, Y6, Y7)
	LOADX(R8*2, Y8, Y9, Y10, Y11)
	START_BLOCK

three32Loop:
	PREFETCHT1   (AX)(R14*1)
	VBROADCASTSS (DX), Y12
	VBROADCASTSS (DX)(R9*1), Y13
	VBROADCASTSS (DX)(R9*2), Y14
	FMA3((AX), Y0, Y4, Y8)
	FMA3(16(AX), Y1, Y5, Y9)
	FMA3(32(AX), Y2, Y6, Y10)
	FMA3(48(AX), Y3, Y7, Y11)
	ADDQ         R12, AX
	ADDQ         $4, DX
	DECQ         CX
	JNE          three32Loop

	STORE(Y0, Y1, Y2, Y3)
	STOREX(R8*1, Y4, Y5, Y6, Y7)
	STOREX(R8*2, Y8, Y9, Y10, Y11)
	ADDQ $128, R13
	ADDQ $64, BX
	JMP  three32

three8Rest:
	ADDQ $32, R10

three8:
	SUBQ    $8, R10
	JLT     threeDone
	VMOVUPS (R13), Y0
	VMOVUPS (R13)(R8*1), Y4
	VMOVUPS (R13)(R8*2), Y8
	START_BLOCK

three8Loop:
	VBROADCASTSS (DX), Y12
	VBROADCASTSS (DX)(R9*1), Y13
	VBROADCASTSS (DX)(R9*2), Y14
	FMA3((AX), Y0, Y4, Y8)
	ADDQ         R12, AX
	ADDQ         $4, DX
	DECQ         CX
	JNE          three8Loop

	VMOVUPS Y0, (R13)
	VMOVUPS Y4, (R13)(R8*1)
	VMOVUPS Y8, (R13)(R8*2)
	ADDQ    $32, R13
	ADDQ    $16, BX
	JMP     three8

threeDone:
	LEAQ (DI)(R8*2), DI
	ADDQ R8, DI
	LEAQ (SI)(R9*2), SI
	ADDQ R9, SI
	SUBQ $3, R11
	JMP  rows

two:
	START_ROWS

two32:
	SUBQ $32, R10
	JLT  two8Rest
	LOAD(Y0, Y1, Y2, Y3)
	LOADX(R8*1, Y4, Y5, Y6, Y7)
	START_BLOCK

two32Loop:
	PREFETCHT1   (AX)(R14*1)
	VBROADCASTSS (DX), Y12
	VBROADCASTSS (DX)(R9*1), Y13
	FMA2((AX), Y0, Y4)
	FMA2(16(AX), Y1, Y5)
	FMA2(32(AX), Y2, Y6)
	FMA2(48(AX), Y3, Y7)
	ADDQ         R12, AX
	ADDQ         $4, DX
	DECQ         CX
	JNE          two32Loop

	STORE(Y0, Y1, Y2, Y3)
	STOREX(R8*1, Y4, Y5, Y6, Y7)
	ADDQ $128, R13
	ADDQ $64, BX
	JMP  two32

two8Rest:
	ADDQ $32, R10

two8:
	SUBQ    $8, R10
	JLT     twoDone
	VMOVUPS (R13), Y0
	VMOVUPS (R13)(R8*1), Y4
	START_BLOCK

two8Loop:
	VBROADCASTSS (DX), Y12
	VBROADCASTSS (DX)(R9*1), Y13
	FMA2((AX), Y0, Y4)
	ADDQ         R12, AX
	ADDQ         $4, DX
	DECQ         CX
	JNE          two8Loop

	VMOVUPS Y0, (R13)
	VMOVUPS Y4, (R13)(R8*1)
	ADDQ    $32, R13
	ADDQ    $16, BX
	JMP     two8

twoDone:
	LEAQ (DI)(R8*2), DI
	LEAQ (SI)(R9*2), SI
	SUBQ $2, R11
	JMP  rows

one:
	START_ROWS

one32:
	SUBQ $32, R10
	JLT  one8Rest
	LOAD(Y0, Y1, Y2, Y3)
	START_BLOCK

one32Loop:
	PREFETCHT1   (AX)(R14*1)
	VBROADCASTSS (DX), Y12
	FMA1((AX), Y0)
	FMA1(16(AX), Y1)
	FMA1(32(AX), Y2)
	FMA1(48(AX), Y3)
	ADDQ         R12, AX
	ADDQ         $4, DX
	DECQ         CX
	JNE          one32Loop

	STORE(Y0, Y1, Y2, Y3)
	ADDQ $128, R13
	ADDQ $64, BX
	JMP  one32

one8Rest:
	ADDQ $32, R10

one8:
	SUBQ    $8, R10
	JLT     oneDone
	VMOVUPS (R13), Y0
	START_BLOCK

one8Loop:
	VBROADCASTSS (DX), Y12
	FMA1((AX), Y0)
	ADDQ         R12, AX
	ADDQ         $4, DX
	DECQ         CX
	JNE          one8Loop

	VMOVUPS Y0, (R13)
	ADDQ    $32, R13
	ADDQ    $16, BX
	JMP     one8

oneDone:
	ADDQ R8, DI
	ADDQ R9, SI
	DECQ R11
	JMP  rows
