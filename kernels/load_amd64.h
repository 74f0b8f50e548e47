// Registers of the load kernels:
//	DI   dst            AX   row
//	BX   base           R12  stride
//	SI   cells          CX   cells left
//	R10  d              DX   channels left
//	R8   from the end of a row of dst to the next

// ROWS is the whole of a kernel around MANY, which does 32 channels, and FEW, which does 8. Both move AX on.
#define ROWS(MANY, FEW) \
	MOVQ dst+0(FP), DI       \
	MOVQ ld+8(FP), R8        \
	MOVQ d+16(FP), R10       \
	MOVQ base+24(FP), BX     \
	MOVQ stride+32(FP), R12  \
	MOVQ cells+40(FP), SI    \
	MOVQ n+48(FP), CX        \
	SUBQ R10, R8             \
	SHLQ $2, R8              \
row:                         \
	MOVLQSX (SI), AX         \
	IMULQ   R12, AX          \
	ADDQ    BX, AX           \
	ADDQ    $4, SI           \
	MOVQ    R10, DX          \
	SUBQ    $32, DX          \
	JLT     rest             \
many:                        \
	MANY                     \
	ADDQ $128, DI            \
	SUBQ $32, DX             \
	JGE  many                \
rest:                        \
	ADDQ $32, DX             \
	JEQ  next                \
few:                         \
	FEW                      \
	ADDQ $32, DI             \
	SUBQ $8, DX              \
	JNE  few                 \
next:                        \
	ADDQ R8, DI              \
	DECQ CX                  \
	JNE  row                 \
	VZEROUPPER               \
	RET

// NONE is the few of whole blocks.
#define NONE
