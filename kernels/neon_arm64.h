// Instructions that Go's assembler lacks. The arguments are register numbers (and
// lanes) in Arm's order, destination first; floats and 32-bit integers are .4s
// unless the name says otherwise. asmcheck_test.go compares every encoding with
// the mnemonic in its comment, where <x> stands for an argument.

// Floats.
#define FADD(d, n, m)        WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d)) // fadd v<d>.4s, v<n>.4s, v<m>.4s
#define FSUB(d, n, m)        WORD $(0x4ea0d400 | (m)<<16 | (n)<<5 | (d)) // fsub v<d>.4s, v<n>.4s, v<m>.4s
#define FMUL(d, n, m)        WORD $(0x6e20dc00 | (m)<<16 | (n)<<5 | (d)) // fmul v<d>.4s, v<n>.4s, v<m>.4s
#define FMULLANE0(d, n, m)   WORD $(0x4f809000 | (m)<<16 | (n)<<5 | (d)) // fmul v<d>.4s, v<n>.4s, v<m>.s[0]
#define FDIV(d, n, m)        WORD $(0x6e20fc00 | (m)<<16 | (n)<<5 | (d)) // fdiv v<d>.4s, v<n>.4s, v<m>.4s
#define FMAX(d, n, m)        WORD $(0x4e20f400 | (m)<<16 | (n)<<5 | (d)) // fmax v<d>.4s, v<n>.4s, v<m>.4s
#define FADDP(d, n, m)       WORD $(0x6e20d400 | (m)<<16 | (n)<<5 | (d)) // faddp v<d>.4s, v<n>.4s, v<m>.4s
#define FCMGT(d, n, m)       WORD $(0x6ea0e400 | (m)<<16 | (n)<<5 | (d)) // fcmgt v<d>.4s, v<n>.4s, v<m>.4s
#define FCMGE(d, n, m)       WORD $(0x6e20e400 | (m)<<16 | (n)<<5 | (d)) // fcmge v<d>.4s, v<n>.4s, v<m>.4s
#define FABS(d, n)           WORD $(0x4ea0f800 | (n)<<5 | (d)) // fabs v<d>.4s, v<n>.4s
#define FSQRT(d, n)          WORD $(0x6ea1f800 | (n)<<5 | (d)) // fsqrt v<d>.4s, v<n>.4s
#define FMLALANE(d, n, m, i) WORD $(0x4f801000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // fmla v<d>.4s, v<n>.4s, v<m>.s[<i>]

// Conversions.
#define FCVTL(d, n)  WORD $(0x0e217800 | (n)<<5 | (d)) // fcvtl v<d>.4s, v<n>.4h
#define FCVTL2(d, n) WORD $(0x4e217800 | (n)<<5 | (d)) // fcvtl2 v<d>.4s, v<n>.8h
#define FCVTN(d, n)  WORD $(0x0e216800 | (n)<<5 | (d)) // fcvtn v<d>.4h, v<n>.4s
#define FCVTN2(d, n) WORD $(0x4e216800 | (n)<<5 | (d)) // fcvtn2 v<d>.8h, v<n>.4s
#define FCVTNS(d, n) WORD $(0x4e21a800 | (n)<<5 | (d)) // fcvtns v<d>.4s, v<n>.4s
#define SCVTF(d, n)  WORD $(0x4e21d800 | (n)<<5 | (d)) // scvtf v<d>.4s, v<n>.4s

// Integers; B and H tell the size of the source.
#define SXTLB(d, n)          WORD $(0x0f08a400 | (n)<<5 | (d)) // sxtl v<d>.8h, v<n>.8b
#define SXTL2B(d, n)         WORD $(0x4f08a400 | (n)<<5 | (d)) // sxtl2 v<d>.8h, v<n>.16b
#define SXTLH(d, n)          WORD $(0x0f10a400 | (n)<<5 | (d)) // sxtl v<d>.4s, v<n>.4h
#define SXTL2H(d, n)         WORD $(0x4f10a400 | (n)<<5 | (d)) // sxtl2 v<d>.4s, v<n>.8h
#define CMGT(d, n, m)        WORD $(0x4ea03400 | (m)<<16 | (n)<<5 | (d)) // cmgt v<d>.4s, v<n>.4s, v<m>.4s
#define USHLB(d, n, m)       WORD $(0x6e204400 | (m)<<16 | (n)<<5 | (d)) // ushl v<d>.16b, v<n>.16b, v<m>.16b
#define SRSHR6H(d, n)        WORD $(0x4f1a2400 | (n)<<5 | (d)) // srshr v<d>.8h, v<n>.8h, #6
#define UMAXV(d, n)          WORD $(0x6eb0a800 | (n)<<5 | (d)) // umaxv s<d>, v<n>.4s
#define SMULLB(d, n, m)      WORD $(0x0e20c000 | (m)<<16 | (n)<<5 | (d)) // smull v<d>.8h, v<n>.8b, v<m>.8b
#define SMULL2B(d, n, m)     WORD $(0x4e20c000 | (m)<<16 | (n)<<5 | (d)) // smull2 v<d>.8h, v<n>.16b, v<m>.16b
#define SMLALB(d, n, m)      WORD $(0x0e208000 | (m)<<16 | (n)<<5 | (d)) // smlal v<d>.8h, v<n>.8b, v<m>.8b
#define SMLAL2B(d, n, m)     WORD $(0x4e208000 | (m)<<16 | (n)<<5 | (d)) // smlal2 v<d>.8h, v<n>.16b, v<m>.16b
#define SMLALH(d, n, m)      WORD $(0x0e608000 | (m)<<16 | (n)<<5 | (d)) // smlal v<d>.4s, v<n>.4h, v<m>.4h
#define SMLAL2H(d, n, m)     WORD $(0x4e608000 | (m)<<16 | (n)<<5 | (d)) // smlal2 v<d>.4s, v<n>.8h, v<m>.8h
#define SQRDMULHH(d, n, m)    WORD $(0x6e60b400 | (m)<<16 | (n)<<5 | (d)) // sqrdmulh v<d>.8h, v<n>.8h, v<m>.8h
#define SADDLPH(d, n)        WORD $(0x4e602800 | (n)<<5 | (d)) // saddlp v<d>.4s, v<n>.8h
#define SADALPH(d, n)        WORD $(0x4e606800 | (n)<<5 | (d)) // sadalp v<d>.4s, v<n>.8h

// The dot product extension: only where level is isaDotProd.
#define SDOT(d, n, m)        WORD $(0x4e809400 | (m)<<16 | (n)<<5 | (d)) // sdot v<d>.4s, v<n>.16b, v<m>.16b
#define SDOTLANE(d, n, m, i) WORD $(0x4f80e000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // sdot v<d>.4s, v<n>.16b, v<m>.4b[<i>]
