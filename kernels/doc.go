// Package kernels holds the CPU kernels of sparse decode attention: products of query rows with the
// keys of a cache, the running softmax, weighted sums of values, scans of page summaries, estimates
// of logits by residual codes, and the choice of the best scores.
//
// # What it owns
//
// Arithmetic on rows of a KV cache in ggml's layouts (F32, F16, BF16, Q8_0, Q4_0),
// and the choice of instruction set. It knows nothing of pages' meaning, heads,
// sequences or masks: callers resolve them to a Cache and a list of cells. Nothing
// here allocates, locks or starts a goroutine; every function may run on any number
// of threads at once.
//
// Slices are checked against the sizes, at the cost of a few predictable branches.
// Cells cannot be: their rows must be readable. Nothing beyond their last byte is
// touched.
//
// # One block of attention
//
// Callers gather up to a few hundred cells and go over them once for all query rows:
//
//	Queries     once per step: rows for the type of K
//	Ahead       what the next call reads, for which the memory is asked during this one
//	Dot         logits [rows][cells]; SoftCap where the model has one
//	SoftmaxRow  per row: weights in place, new maximum, sum
//	Scale       per row, when the maximum rose
//	Acc         acc[row] += weights . V
//
// A list of cells instead of runs means that neighbouring cells, scattered cells and
// whole pages are the same to a kernel: results and speed do not depend on how
// the host filled its cache. A logit depends on its token and its row alone, and a
// row of Acc on that row alone, bit for bit.
//
// # Many rows
//
// AttendRows is all of that for the rows of prompts and drafts, each of which may see another
// stretch of the list. It goes over tiles of 128 cells and groups of 256 rows:
//
//	turn     32 cells of keys, converted and put side by side, which the L1 cache holds
//	mul      logits of all rows of the group; so on for the next 32 cells
//	raise    maxima of some rows; what these have added up is scaled where a maximum rose
//	weigh    weights of these; so on for the next rows
//	load     32 channels of values, converted
//	mul      += weights . these; so on for the next 32 channels
//
// In between, about 2 kB of memory are asked for at a time: values during the products with keys,
// the next keys during those with values; a longer burst keeps the multipliers waiting.
//
// Both products are the same then: numbers of some rows, broadcast, times two vectors (8 rows with
// avx512, 6 with avx2, 4 by 4 vectors with neon), which reaches 97 % of the multiply-add peak.
//
// A maximum rises where a logit is more than 8 above it, so seldom, as all that was added up is
// scaled then. Weights are good to 4e-6, and to 2^-23 for each 1 that a logit is below the maximum,
// however large these are; not to 2 ulp as those of SoftmaxRow. They take less than half of their
// time. What a row does not see, of panels that others see a cell of, gets a logit of -Inf, and so a
// weight of 0; where such a value is an Inf or a NaN, rows are multiplied one by one.
//
// With amx both products are of tiles, by halves: a number is two bf16, F16 and BF16 without
// loss, others to 2^-16 or better, and of the four products the least is left out, at most 2^-16 (a
// query of F16, as ggml has, is off by 2^-12). Three products of tiles take a fifth of the
// multiply-adds' time. F32 caches, and heads that are no multiple of 32, are multiplied as floats.
// The thread keeps its goroutine meanwhile, since configuring tiles takes as long as 24 products.
// Less than 1e-38 counts as 0 there, also of what has been added up.
//
// From about 24 rows on this is faster than blocks, but for quantised keys with avx512: blocks, which
// round queries to int8, are 1.4 times as fast with 24 to 64 rows on a Zen 4. With amx F16 of 64 rows
// is 2.1 to 2.3 times as fast as blocks, of 256 3.4 times, Q8_0 1.1 to 1.2 and 1.7 to 2.2 times, where
// avx512 has 1.4 to 1.6, 1.8, 0.9 and 0.9 to 1.0 (Xeon, family 6, model 207); up to 40 rows it is no
// faster than avx512.
//
// # Choosing tokens
//
//	ScanTiles4  per page: product with the mean, and with the spread
//	MaxAddSqrt  scores of pages, of which TopK takes the best as candidates
//	ScoreCodes  per token of these: an estimate of its logit, with the mean's product of ScanTiles4
//	ExpSum      of the estimates of a query: how much attention there is
//	MaxAdd      the logarithm of the largest share that any query gives the token
//	Above       the tokens to read; TopK where they are too many or too few
//
// Pack4 and EncodeCodes make what is scored of a page's keys. Tiles, codes and prepared rows are in
// layouts of their own; only their sizes are of interest to others.
//
// # Instruction sets
//
//	amx      amd64 with AMX for bf16 as well, if Linux allows its tiles: AttendRows only
//	avx512   amd64 with AVX-512 F, BW, DQ, VL and VNNI
//	avx2     amd64 with AVX2, FMA and F16C
//	dotprod  arm64 with SDOT
//	neon     arm64
//	generic  portable Go, and the definition of the others
//
// The best that the machine has is used. The environment variable RETRO_ISA, read once
// at init, forces a lower one; an unknown or unavailable value is ignored. ISA and ISAs
// tell. All sets follow IEEE 754 for Inf and NaN and, but for tiles, keep subnormals. Integers
// are exact everywhere; otherwise sets differ in the order of summation and in fused
// rounding, so within rounding error.
//
// # Integers
//
// Queries for Q8_0 and Q4_0 keys are rounded to int8 per block of 32 channels, as ggml does, and
// multiplied in integers. Queries for summaries are rounded to 14 bits, 64*hi + lo, which leaves
// their 8 or 4 bits as the only loss. For residual codes they are rounded to int8, multiplied with
// the page's spreads, and the products rounded to int8 again: see ScoreCodes. Values are multiplied
// as floats: rounding weights to 16 bits for VPDPWSSD was tried and gained nothing up to 8 rows but
// a rounding error.
//
// # Registers, amd64
//
// Dot of floats: 4 tokens by up to 4 rows (avx2: 3), each with an accumulator; a key is converted
// once for all rows of the block. Sums across lanes take 6 shuffles for 4 tokens of a row. Zen does
// shuffles and additions beside FMAs, so FMAs are the limit; with avx512 and 64 channels, 4 FMAs
// for a sum of 16 lanes, it stays at two thirds of that.
//
// Dot of quantised keys, avx512: 16 tokens in the lanes of a vector. 32 channels of
// each are transposed by dwords once, then each row takes 8 VPDPBUSD with 4 channels of
// q broadcast from memory, without any sum across lanes. avx2 multiplies |k| with the
// query under k's sign (VPMADDUBSW), token by token.
//
// Acc: up to 4 rows (avx512) or 3 (avx2) by 64 (32) channels stay in registers over a tile of 16
// tokens; a weight is broadcast once for all channels. For many rows, quantised values are
// converted to floats first.
//
// Scan, avx512: 16 pages in the lanes, two VPDPBUSD per row for 64 bytes, nothing to
// convert; one prefetch of the next tile for each. avx2: VPMADDWD on even and odd bytes.
//
// ScanTiles4, avx512: 4 pages in the lanes, 16 channels each, 4 VPDPBUSD per row for 64 bytes of mean
// and spread; q is broadcast by 16 bytes, and 4 vectors are folded once for 16 pages. So the
// summary of one page is in a few lines side by side.
//
// ScoreCodes first multiplies rows with the spreads of a page (VPMULHRSW, SQRDMULH), as bytes. Then
// codes need no table, only a shift and a mask, and a row takes 1 VPDPBUSD (2 VPMADDUBSW with
// 2 VPADDW and what widens them, 4 SDOT) for 4 channels of 16 tokens, without sums across lanes.
// Weights are made a page ahead of the products with them. A page of 64 channels takes 15, 24 and
// 30 ns for 1, 3 and 4 rows with avx512, 22, 35 and 42 with avx2, of a Zen 4 whose cache has the
// data; VPDPBUSD alone take 4.3 ns a row.
//
// Why it is at the limit: F16 rows of 64 channels are 128 bytes and cost 64*rows
// multiply-adds. A core of Zen 4 does 16 a cycle and reads 6 to 8 bytes of memory a
// cycle. So up to 3 rows memory is the limit, from 5 or 6 on arithmetic is, and at 8 rows
// half of the bandwidth is all there is. Only integers get past that.
//
// # Memory
//
// Rows that lie apart, as one head's do in the cache of several, are beyond the
// hardware's prefetcher. Dot and Acc therefore ask for rows 16 to 48 tokens ahead in
// the list, about 8 kB, all lines of a row, into the L1 cache; where a row is a line or
// two, also for those 96 ahead into the L2 cache, which has more lines on their way.
// At the end of a list they would ask for nothing, and the next call would wait
// for its first rows; so callers say with an Ahead what comes next, mostly the values
// of the same cells.
//
// A bare read of such rows, loads and prefetches alone, is about what can be had. On Zen 5 with 2
// MB pages and one thread it is half of a plain one (21 to 28 of 44 GB/s). A line takes 150 ns,
// so about 50 would be on their way to the L1 cache, 70 to the L2, and 100 of a plain read, which
// has the hardware's streams. As shares of it, of neighbours and (in brackets) of 512 chosen of
// 32k tokens:
//
//	                   avx2, F16 of 64, 128         Q8_0               avx512, F16          Q8_0
//	1 row              91 (71), 119 (81) %   80 (70), 82 (75)   93 (92), 109 (87)   87 (68), 84 (76)
//	3 rows             80 (61), 103 (76)     59 (55), 53 (52)   95 (78), 120 (81)   73 (62), 76 (66)
//	of the multiply-add peak:
//	8 rows             62, 71                55, 59             41, 51              51, 59
//	24 rows            72, 81                62, 67             51, 62              66, 71
//
// (Of 128 channels the bare read is not at its best.) So one row of F16 takes about as long as it
// takes to fetch it, and products hide behind that. Where they take nearly as long (3 rows with
// avx2, Q8_0), both together take up to 1.4 times the longer.
//
// Codes of pages, some lines each, are asked for into the L2 cache only: into the L1 cache they took
// half as long again in a step (Zen 4), whatever the distance.
//
// What did not pay: to ask further ahead into the L1 cache (nothing); twice for longer or
// quantised rows (-13 to +15 %, by shape; nothing in a step); for a stretch of all heads in
// order, while the one before is in work (a bare read has 37 GB/s so; attention had +20 to -40 %,
// mostly less with two threads); to spread prefetches over the products (avx2: +13 % with 128
// channels, -5 to +1 with 64); PREFETCHNTA and PREFETCHW (a bare read is as fast as with T0);
// keys of 16 bits that are converted once for many rows. 2 MB pages are 5 to 8 % of a bare read.
//
// Q8_0 rows of 64 channels are 68 bytes: alone they fetch two lines each. Callers that go
// over all heads of a stretch of cells, one after the other, find the rest of the lines in the
// cache.
//
// # arm64
//
// The same shapes with 128-bit vectors: 4 tokens by up to 4 rows for Dot, 4 rows by
// 16 channels for Acc, SDOT by element for quantised keys and summaries, widening
// multiplies without it. Go's assembler lacks many vector instructions; neon_arm64.h
// encodes them, and asmcheck_test.go compares each with what GNU as and objdump say.
// Tested on an emulator only: prefetch distances are not tuned, and what comes next is not
// asked for.
//
// # Assembly
//
// Kernels are written in asm/FAMILY_ARCH.asm: one source for all levels of an architecture, and for
// all blocks of rows, in the syntax of Go's assembler with loops, macros and named slots of the
// frame. go run ./kernels/asm makes of them the *.s files, their declarations, and asm_ARCH.go, which
// has for each kernel NAME a NAMEASM that calls the best of the level; asm.go chooses by the type of a
// cache. The package of the generator describes the syntax. A kernel takes the address of one struct,
// of args.go: the same at all levels. NAMEASM is called in dispatch.go, attend.go,
// dispatch_codes.go and rows_halves.go.
//
// # Adding an instruction set
//
// Extend isa.go, isa_ARCH.go and the levels of kernels/asm. Kernels that a set lacks call those of
// the next lower one. The tests run every level of the machine against float64 and integer
// references at every size and between guard pages, so they need no change.
package kernels
