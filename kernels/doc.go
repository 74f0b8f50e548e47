// Package kernels holds the CPU kernels of sparse decode attention: products of
// float32 rows with F16 rows of a KV cache, the running softmax, channel
// statistics and conversions.
//
// # What it owns
//
// Arithmetic on strided F16 rows, and the choice of instruction set. It knows
// nothing of pages, heads, sequences or masks: callers resolve them to a
// pointer, a stride and a count. Nothing here allocates, locks or starts a
// goroutine; every function may run on any number of threads at once.
//
// Slices are checked against the sizes, at the cost of a few predictable
// branches. Cache pointers cannot be: n rows, stride apart, must be readable.
// Nothing beyond their last byte is touched.
//
// # Instruction sets
//
// The assembly needs AVX2, FMA and F16C on amd64. Without them, on other
// architectures and under the build tag noasm, the generic Go kernels run. The
// environment variable RETRO_ISA, read once at init, forces a level ("generic"
// or "avx2"); an unknown or unavailable value is ignored. ISA tells the result.
//
// Both sets follow IEEE 754 for Inf and NaN and keep subnormals. They differ in
// the order of summation and in fused rounding only, so within rounding error;
// conversions and Scale agree bit for bit.
//
// # The two main kernels
//
// DotF16 takes blocks of 4 tokens by 3, 2 or 1 query rows. 12 accumulators of
// 8 channels (Y0-Y11) and the 3 rows of q (Y13-Y15) leave one register for K
// (Y12): each K vector is converted once per block and used by its 3 rows. Then
// the 4 accumulators of a row are folded into one vector of 4 dot products.
//
// AccF16 takes blocks of 32 channels by 3, 2 or 1 rows: 12 accumulators (Y0-Y11)
// stay in registers over a tile of 16 tokens, Y12-Y14 hold the weights of a
// token, Y15 the converted V.
//
// Instructions per token and block of 3 rows:
//
//	DotF16  (23*d/8 + 60) / 4, of which 3*d/8 are FMA and d/8 conversions: 61 for d = 64
//	AccF16  24*d/32, of which 3*d/8 are FMA and d/8 conversions: 48 for d = 64
//
// Zen 4 starts two FMAs and one conversion a cycle, which bounds 3 rows by the
// FMAs and 1 row by the conversions. AccF16 runs within 10 % of that in cache,
// DotF16 within 25 % at d = 64, where folding weighs most.
//
// # Memory
//
// Rows side by side stream at the read bandwidth of a core. Rows that lie apart,
// as one head's do in the cache of several, are beyond the hardware's
// prefetcher and bound by latency. Both kernels therefore prefetch within a
// call. Between calls, for pages, it is up to the caller: Prefetch of the next
// page or, better, the one after it made scattered pages of 16 tokens two to
// five times as fast.
//
// # Adding an instruction set
//
// Add dispatch_GOARCH.go with the functions of dispatch_generic.go, exclude the
// architecture there, and extend isa.go. Kernels a set lacks may call their
// generic twin. A second level on amd64 turns hasAVX2 into a level that is
// compared: function variables would make every argument escape. The tests
// compare whatever is dispatched with the generic twins and with float64, at
// every size and between guard pages, so they need no change.
package kernels
