// What the kernels for quantised rows share. BLOCK is the bytes of a block of 32
// channels, ASKBLOCKS asks for those of 16 rows side by side.
//
//	AX   offset of the block   BP   pointers of the tile
//	R14  its first channel     R15  those of the tile to ask for
//	R13  bytes per row         R8, DX are overwritten

#define ASK(t) \
	MOVQ       (8*t)(R15), R8 \
	PREFETCHT1 (R8)(DX*1)

#define ASK16 \
	ASK(0)  \
	ASK(1)  \
	ASK(2)  \
	ASK(3)  \
	ASK(4)  \
	ASK(5)  \
	ASK(6)  \
	ASK(7)  \
	ASK(8)  \
	ASK(9)  \
	ASK(10) \
	ASK(11) \
	ASK(12) \
	ASK(13) \
	ASK(14) \
	ASK(15)

// SCALE loads the F16 scale of token t to word i of x.
#define SCALE(t, i, x) \
	MOVQ    (8*t)(BP), R8        \
	VPINSRW $i, (R8)(AX*1), x, x

#define SCALES \
	VPXOR       X8, X8, X8     \
	VPXOR       X9, X9, X9     \
	SCALE(0, 0, X8)            \
	SCALE(1, 1, X8)            \
	SCALE(2, 2, X8)            \
	SCALE(3, 3, X8)            \
	SCALE(4, 4, X8)            \
	SCALE(5, 5, X8)            \
	SCALE(6, 6, X8)            \
	SCALE(7, 7, X8)            \
	SCALE(8, 0, X9)            \
	SCALE(9, 1, X9)            \
	SCALE(10, 2, X9)           \
	SCALE(11, 3, X9)           \
	SCALE(12, 4, X9)           \
	SCALE(13, 5, X9)           \
	SCALE(14, 6, X9)           \
	SCALE(15, 7, X9)           \
	VINSERTI128 $1, X9, Y8, Y8 \
	VCVTPH2PS   Y8, Z30

#define BLOCK8 34
#define ASKBLOCKS8 \
	PREFETCHT1 (DX)    \
	PREFETCHT1 64(DX)  \
	PREFETCHT1 128(DX) \
	PREFETCHT1 192(DX) \
	PREFETCHT1 256(DX) \
	PREFETCHT1 320(DX) \
	PREFETCHT1 384(DX) \
	PREFETCHT1 448(DX) \
	PREFETCHT1 512(DX)

#define BLOCK4 18
#define ASKBLOCKS4 \
	PREFETCHT1 (DX)    \
	PREFETCHT1 64(DX)  \
	PREFETCHT1 128(DX) \
	PREFETCHT1 192(DX) \
	PREFETCHT1 256(DX)
