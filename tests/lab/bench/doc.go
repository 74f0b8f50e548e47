// Package bench measures the kernels: against what the processor can do, and against ggml on the
// same tensors. "go run ./build bench kernels" runs it.
//
// It owns the working sets, the turns that what is compared takes, and the tables. It measures
// packages kernels and retro from within, and must not know llama.cpp beyond ggml's attention, nor
// where builds come from.
package bench
