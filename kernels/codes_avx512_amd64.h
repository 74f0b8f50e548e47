// Macros of scoreCodesZMM, whose registers and scratch are described there.

// DISTANCES are those of the next 3 of CX rows; a missing row is the first one again.
#define DISTANCES(done) \
	XORL R13, R13           \
	XORL R14, R14           \
	XORL R15, R15           \
	CMPQ CX, $2             \
	JLT  done               \
	MOVQ R9, R13            \
	JEQ  done               \
	LEAQ (R9)(R9*1), R14    \
	CMPQ CX, $3             \
	JEQ  done               \
	MOVQ R10, R15           \
done:

// MEAN adds 64 channels of a row to its sums.
#define MEAN(hi, lo, a, b) \
	VMOVDQU64 hi, Z16        \
	VMOVDQU64 lo, Z17        \
	VPDPBUSD  Z16, Z18, a    \
	VPDPBUSD  Z17, Z18, b

#define COMBINE(a, b) \
	VPSLLD $6, a, a \
	VPADDD b, a, a

// DECODE stores 4 channels of Z0, whose table is lane n of Z3, and goes on to the next ones.
#define DECODE(n, off) \
	VMOVDQA64  Z29, Z1         \
	VSHUFI32X4 n, Z3, Z3, Z2   \
	VPTERNLOGD $0xf8, Z31, Z0, Z1 \
	VPSRLVW    Z30, Z0, Z0     \
	VPSHUFB    Z1, Z2, Z1      \
	VMOVDQA64  Z1, off(DI)

#define CLEAR4(a, b, c, e) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD e, e, e

#define ADD(q, x, a) VPDPBUSD.BCST q, x, a

#define ADD3(off, a, b, c) \
	VMOVDQA64 (16*(off))(AX), Z16  \
	ADD(off(BX), Z16, a)           \
	ADD(off(BX)(R9*1), Z16, b)     \
	ADD(off(BX)(R9*2), Z16, c)

#define ADD4(off, a, b, c, e) \
	ADD3(off, a, b, c)             \
	ADD(off(BX)(R10*1), Z16, e)

#define ADD6(off, a, b, c, e, f, g) \
	ADD4(off, a, b, c, e)          \
	ADD(off(R13), Z16, f)          \
	ADD(off(R13)(R9*1), Z16, g)

#define ADD8(off) \
	ADD6(off, Z0, Z1, Z2, Z3, Z4, Z5) \
	ADD(off(R13)(R9*2), Z16, Z6)   \
	ADD(off(R13)(R10*1), Z16, Z7)

#define ADD2(off, a, b) \
	VMOVDQA64 (16*(off))(AX), Z16  \
	ADD(off(BX), Z16, a)           \
	ADD(off(BX)(R9*1), Z16, b)

#define ADD1(off, a) \
	VMOVDQA64 (16*(off))(AX), Z16  \
	ADD(off(BX), Z16, a)

// START goes to the codes and the bytes of q.
#define START \
	LEAQ CODES(SI), AX       \
	LEAQ 8(R8)(DX*4), BX     \
	MOVQ DX, CX

#define NEXT(n, loop) \
	ADDQ $(16*(n)), AX \
	ADDQ $n, BX        \
	SUBQ $n, CX        \
	JNE  loop

// FINISH turns the sums of a row into estimates.
#define FINISH(row, a) \
	VPSUBD.BCST (ALL+4*(row))(R15), a, a     \
	VCVTDQ2PS   a, a                         \
	VMULPS.BCST (FACTOR+4*(row))(R15), a, a  \
	VADDPS.BCST (BASE+4*(row))(R15), a, a    \
	VMOVUPS     a, (DI)                      \
	ADDQ        R14, DI
