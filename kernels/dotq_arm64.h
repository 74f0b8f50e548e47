// Blocks of the Dot kernels for quantised types. Included by dotq_arm64.s.
//
// A row of q is d int8, d/32 scales and as many integers that these kernels
// do not need. Sums of a block of 32 channels are exact integers.
//
// Registers, beyond those of dot_arm64.h:
//	R14  .. R17  K, block         R19  .. R22  q, block: int8
//	R23  from there to the scale of the block
//	V0, V4, V8, V12  sums of a row, one lane per token
//	V1, V2, V3, V5   integer sums of a token; V6, V7 products
//	V16  .. V23  int8 of four tokens
//	V24, V25     int8 of q        V26  scale of q
//	V28  scales of four tokens    V30, V31  constants of LOAD

// BLOCK loads a block of four tokens and advances.
#define BLOCK \
	VLD1R.P 2(R14), [V28.H4] \
	LOAD(R14, F16, V16, V17) \
	VLD1.P  2(R15), V28.H[1] \
	LOAD(R15, F18, V18, V19) \
	VLD1.P  2(R16), V28.H[2] \
	LOAD(R16, F20, V20, V21) \
	VLD1.P  2(R17), V28.H[3] \
	LOAD(R17, F22, V22, V23) \
	FCVTL(28, 28)

// ROW multiplies the block by that of a row of q. The scale of its sums is
// that of K times that of q.
#define ROW(q, sum) \
	FMOVS   (q)(R23), F26         \
	FLDPQ.P 32(q), (F24, F25)     \
	DOT(1, V1, 16, 17)            \
	DOT(2, V2, 18, 19)            \
	DOT(3, V3, 20, 21)            \
	DOT(5, V5, 22, 23)            \
	FMULLANE0(26, 28, 26)         \
	VADDP   V2.S4, V1.S4, V1.S4   \
	VADDP   V5.S4, V3.S4, V3.S4   \
	VADDP   V3.S4, V1.S4, V1.S4   \
	SCVTF(1, 1)                   \
	VFMLA   V26.S4, V1.S4, sum.S4

#define KROWS \
	MOVD R10, R14       \
	MOVD R11, R15       \
	MOVD R12, R16       \
	MOVD R13, R17       \
	ADD  R4>>2, R4, R23 \ // bytes of a row of q
	ADD  R23, R19, R20  \
	ADD  R23, R20, R21  \
	ADD  R23, R21, R22  \
	MOVD R4, R23

#define ROWS4 \
	KROWS                      \
	VMOVI      $0, V0.B16      \
	VMOVI      $0, V4.B16      \
	VMOVI      $0, V8.B16      \
	VMOVI      $0, V12.B16     \
	rows4Loop:                 \
	BLOCK                      \
	ROW(R19, V0)               \
	ROW(R20, V4)               \
	ROW(R21, V8)               \
	ROW(R22, V12)              \
	SUB        $28, R23        \ // the int8 advance by 32, scales by 4
	CMP        R4>>3, R23      \
	BNE        rows4Loop       \
	ADD        R4>>2, R22, R19

#define ROWS3 \
	KROWS                      \
	VMOVI      $0, V0.B16      \
	VMOVI      $0, V4.B16      \
	VMOVI      $0, V8.B16      \
	rows3Loop:                 \
	BLOCK                      \
	ROW(R19, V0)               \
	ROW(R20, V4)               \
	ROW(R21, V8)               \
	SUB        $28, R23        \
	CMP        R4>>3, R23      \
	BNE        rows3Loop       \
	ADD        R4>>2, R21, R19

#define ROWS2 \
	KROWS                      \
	VMOVI      $0, V0.B16      \
	VMOVI      $0, V4.B16      \
	rows2Loop:                 \
	BLOCK                      \
	ROW(R19, V0)               \
	ROW(R20, V4)               \
	SUB        $28, R23        \
	CMP        R4>>3, R23      \
	BNE        rows2Loop       \
	ADD        R4>>2, R20, R19

#define ROWS1 \
	KROWS                      \
	VMOVI      $0, V0.B16      \
	rows1Loop:                 \
	BLOCK                      \
	ROW(R19, V0)               \
	SUB        $28, R23        \
	CMP        R4>>3, R23      \
	BNE        rows1Loop       \
	ADD        R4>>2, R19, R19

#define CONSTANTS \
	VMOVI $8, V30.B16  \
	VMOVI $15, V31.B16
